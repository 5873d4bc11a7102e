//! Placeholder for `core_::process` until the core has it.

use std::io::Read;
use std::sync::Arc;

use core_::config::{Config, ConfigError};
use core_::host::*;
use core_::judge::Disposition;

pub trait RequestHost: System + Stream + MetricStore {}
impl<T: System + Stream + MetricStore> RequestHost for T {}
pub trait RootHost: System + RootContext + CallResponse + MetricStore {}
impl<T: System + RootContext + CallResponse + MetricStore> RootHost for T {}

pub struct Process;
pub struct Filter {
    id: RootId,
    denied: MetricHandle,
    list: std::sync::Mutex<(Option<CallToken>, Vec<u8>)>,
}
#[derive(Default)]
pub struct StreamState(#[allow(dead_code, reason = "a placeholder")] u8);
pub struct FetchJob;
pub struct Fetched(Result<Vec<u8>, String>);

impl Process {
    pub fn new(_: &dyn System) -> Self {
        Self
    }
    pub fn configure(
        self: &Arc<Self>,
        host: &dyn RootHost,
        id: RootId,
        json: &[u8],
    ) -> Result<Arc<Filter>, Vec<ConfigError>> {
        let environment = |name: &str| host.environment_variable(name);
        Config::parse(json, &environment)?;
        let denied =
            host.define_metric(MetricType::Counter, "portcullis.denied.source=abs.kind=ip");
        host.set_tick_period(id, core::time::Duration::from_millis(50));
        Ok(Arc::new(Filter {
            id,
            denied: denied.unwrap_or(MetricHandle(0)),
            list: Default::default(),
        }))
    }
}
impl Filter {
    pub fn tick(&self, host: &dyn RootHost) {
        let headers: [(&str, &[u8]); 5] = [
            (":method", b"GET"),
            (":path", b"/v4/abs/attacklist"),
            (":authority", b"abs"),
            ("x-abs-ak", b"abs_ak"),
            ("x-abs-sk", b"abs_sk"),
        ];
        let call = HttpCall {
            cluster: "abs",
            headers: &headers,
            body: b"",
            timeout: core::time::Duration::from_secs(5),
        };
        match host.dispatch_http_call(&call) {
            Ok(token) => self.list.lock().unwrap_or_else(|e| e.into_inner()).0 = Some(token),
            Err(error) => log::warn!("call: {error}"),
        }
        host.set_tick_period(self.id, core::time::Duration::from_secs(3));
    }
    pub fn begin_response(&self, host: &dyn RootHost, token: CallToken) -> Option<FetchJob> {
        let mut ok = false;
        host.visit_call_headers(&mut |name, value| ok |= name == b":status" && value == b"200");
        log::warn!("begin {token:?} {ok}");
        ok.then_some(FetchJob)
    }
    pub fn finish_fetch(&self, _: &dyn RootHost, _: CallToken, fetched: Fetched) {
        log::warn!("fetched {:?}", fetched.0.as_ref().map(|l| l.len()));
        if let Ok(list) = fetched.0 {
            LISTS.store(true, std::sync::atomic::Ordering::Relaxed);
            self.list.lock().unwrap_or_else(|e| e.into_inner()).1 = list;
        }
    }
    pub fn on_call_response(&self, _: &dyn RootHost, token: CallToken, size: usize) {
        log::warn!("response {token:?} {size}");
    }
    pub fn request(&self, host: &dyn RequestHost, _: &mut StreamState) -> Disposition {
        let mut denied = false;
        host.visit_request_headers(&mut |name, value| {
            denied |= name == b"x-deny" || (name == b"x-panic" && panic_now(value))
        });
        let mut address = Vec::new();
        host.visit_source_address(&mut |bytes| address.extend_from_slice(bytes));
        host.visit_request_protocol(&mut |bytes| log::debug!("{}", String::from_utf8_lossy(bytes)));
        if !denied {
            return Disposition::Continue;
        }
        let _ = host.increment_metric(self.denied, 1);
        let _ = host.set_filter_state("denied");
        let headers = [("x-a".to_owned(), "b".to_owned())];
        let reply = LocalReply {
            status: 403,
            headers: &headers,
            body: b"no",
            details: "portcullis_denied",
            grpc_status: Some(7),
        };
        let _ = host.send_local_reply(&reply);
        Disposition::Stop
    }
    pub fn stream_ended(&self, host: &dyn RequestHost, _: &mut StreamState) {
        host.visit_response_headers(&mut |name, value| {
            if name == b":status" {
                log::debug!("ended {}", String::from_utf8_lossy(value));
            }
        });
    }
    pub fn destroyed(&self) {}
}
#[allow(clippy::panic, reason = "a placeholder")]
fn panic_now(_: &[u8]) -> bool {
    panic!("on command")
}
impl FetchJob {
    pub fn run(self, body: &mut dyn Read) -> Fetched {
        let mut all = Vec::new();
        Fetched(
            body.read_to_end(&mut all)
                .map(|_| all)
                .map_err(|e| e.to_string()),
        )
    }
}

static LISTS: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);
impl crate::bootstrap::Overview for Process {
    fn has_first_lists(&self) -> bool {
        LISTS.load(std::sync::atomic::Ordering::Relaxed)
    }
    fn admin_page(&self, system: &dyn System, path: &str) -> (u32, String) {
        let mut text = format!("{path} of ");
        system.visit_node_id(&mut |id| text.push_str(&String::from_utf8_lossy(id)));
        (200, text)
    }
}
