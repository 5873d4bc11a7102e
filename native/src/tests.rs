//! The hooks, called as Envoy calls them, over an Envoy for tests. What the core decides is tested in the core.

mod lifecycle;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::abi::fake::{self, FakeConfig, FakeStream, Reply};
use crate::abi::{Buffer, Header, number};
use crate::hooks::route::*;
use crate::hooks::*;

/// A configuration that fetches an attack list from `cluster`. Tests share the process, so each has a list of its own.
fn fetching(cluster: &str) -> String {
    format!(
        r#"{{"enable_abs_attack": true, "abs": {{"cluster": "{cluster}", "access_key": "a", "secret_key": "s"}}}}"#
    )
}

/// A configuration, in Envoy and in the module.
struct Config {
    envoy: Box<FakeConfig>,
    ours: *const core::ffi::c_void,
}

// As in Envoy: the last stream of a configuration destroys it, on its own thread.
#[allow(unsafe_code, reason = "for tests")]
unsafe impl Send for Config {}

#[allow(unsafe_code, reason = "the hooks of tests, with pointers that live")]
impl Config {
    fn new(name: &str, json: &str) -> Option<Self> {
        fake::load();
        crate::logger::install();
        let envoy = Box::<FakeConfig>::default();
        let (name, json) = (Buffer::of(name.as_bytes()), Buffer::of(json.as_bytes()));
        let ours =
            unsafe { envoy_dynamic_module_on_http_filter_config_new(envoy.pointer(), name, json) };
        (!ours.is_null()).then_some(Self { envoy, ours })
    }

    fn run(&self, event: u64) {
        unsafe {
            envoy_dynamic_module_on_http_filter_config_scheduled(
                self.envoy.pointer(),
                self.ours,
                event,
            );
        }
    }

    /// Runs what the threads of the module have asked for, until `is_done`.
    fn run_until(&self, is_done: impl Fn(&Self) -> bool) {
        let until = Instant::now() + Duration::from_secs(20);
        while !is_done(self) {
            assert!(Instant::now() < until, "nothing happened");
            for event in self.envoy.take_events() {
                self.run(event);
            }
            std::thread::yield_now();
        }
    }

    /// Waits for the call number `number`.
    fn await_call(&self, number: u64) {
        self.run_until(|config| config.envoy.calls.lock().unwrap().len() as u64 >= number);
    }

    fn headers(&self, call: u64, status: &str) {
        let header = Header::of(b":status", status.as_bytes());
        unsafe {
            envoy_dynamic_module_on_http_filter_config_http_stream_headers(
                self.envoy.pointer(),
                self.ours,
                call,
                &header,
                1,
                false,
            );
        }
    }

    fn data(&self, call: u64, part: &str) {
        let part = Buffer::of(part.as_bytes());
        unsafe {
            envoy_dynamic_module_on_http_filter_config_http_stream_data(
                self.envoy.pointer(),
                self.ours,
                call,
                &part,
                1,
                false,
            );
        }
    }

    fn complete(&self, call: u64) {
        let envoy = self.envoy.pointer();
        unsafe {
            envoy_dynamic_module_on_http_filter_config_http_stream_complete(envoy, self.ours, call);
        }
    }

    fn reset(&self, call: u64) {
        let envoy = self.envoy.pointer();
        unsafe {
            envoy_dynamic_module_on_http_filter_config_http_stream_reset(envoy, self.ours, call, 0);
        }
    }

    /// Fetches a list with this address.
    fn fetch(&self, address: &str) {
        self.await_call(1);
        self.headers(1, "200");
        self.data(1, "{\"ips\": [");
        self.data(1, &format!("\"{address}\"]}}"));
        self.complete(1);
        self.run_until(|config| config.value("portcullis.fetch.result=ok") == 1);
    }

    fn value(&self, metric: &str) -> u64 {
        let value = self.envoy.stats.value(metric);
        value.unwrap_or_else(|| panic!("{metric} is not defined"))
    }

    fn stream(&self, source: &str, headers: &[(&str, &str)]) -> Stream {
        let request = [(":method", "GET"), (":path", "/"), (":authority", "a")];
        let request = request.iter().chain(headers);
        let envoy = Box::new(FakeStream {
            stats: self.envoy.stats.clone(),
            source: source.to_owned(),
            request: request
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            ..FakeStream::default()
        });
        let ours = unsafe { envoy_dynamic_module_on_http_filter_new(self.ours, envoy.pointer()) };
        assert!(!ours.is_null());
        Stream { envoy, ours }
    }

    /// Sends a request; returns the reply of the module.
    fn request(&self, source: &str, headers: &[(&str, &str)]) -> Option<Reply> {
        let stream = self.stream(source, headers);
        let status = stream.headers();
        let mut replies = core::mem::take(&mut *stream.envoy.replies.lock().unwrap());
        assert_eq!(status == number::STOP, replies.len() == 1);
        replies.pop()
    }

    fn destroy(self) -> Arc<std::sync::Mutex<Vec<u64>>> {
        unsafe { envoy_dynamic_module_on_http_filter_config_destroy(self.ours) };
        self.envoy.events.clone()
    }
}

/// A stream, in Envoy and in the module; its end is that of the value.
struct Stream {
    envoy: Box<FakeStream>,
    ours: *const core::ffi::c_void,
}

#[allow(unsafe_code, reason = "the hooks of tests, with pointers that live")]
impl Stream {
    fn headers(&self) -> u32 {
        let envoy = self.envoy.pointer();
        unsafe { envoy_dynamic_module_on_http_filter_request_headers(envoy, self.ours, true) }
    }
}

#[allow(unsafe_code, reason = "the hooks of tests, with pointers that live")]
impl Drop for Stream {
    fn drop(&mut self) {
        unsafe {
            envoy_dynamic_module_on_http_filter_stream_complete(self.envoy.pointer(), self.ours);
            envoy_dynamic_module_on_http_filter_destroy(self.ours);
        }
    }
}
