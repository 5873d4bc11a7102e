//! An Envoy for tests: its callbacks, over plain values. A pointer of Envoy is a pointer to one of these values.

use core::marker::PhantomData;
use core::ptr;
use std::sync::{Arc, Mutex};

use super::*;

/// The statistics of a configuration, in the order of their definition.
#[derive(Default)]
pub struct Stats(Mutex<Vec<(String, u64)>>);

impl Stats {
    fn define(&self, name: &str) -> usize {
        let mut stats = self.0.lock().unwrap();
        stats.push((name.to_owned(), 0));
        stats.len() - 1
    }

    fn change(&self, id: usize, act: impl FnOnce(&mut u64)) -> u32 {
        const NOT_FOUND: u32 = 1;
        match self.0.lock().unwrap().get_mut(id) {
            Some((_, value)) => {
                act(value);
                0
            }
            None => NOT_FOUND,
        }
    }

    /// The value of the statistic with this name.
    pub fn value(&self, name: &str) -> Option<u64> {
        let stats = self.0.lock().unwrap();
        let found = stats.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| *value)
    }
}

/// A call of a configuration.
pub struct FakeCall {
    pub cluster: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// A configuration.
#[derive(Default)]
pub struct FakeConfig {
    pub stats: Arc<Stats>,
    pub calls: Mutex<Vec<FakeCall>>,
    pub resets: Arc<Mutex<Vec<u64>>>,
    /// Events that wait for the main thread.
    pub events: Arc<Mutex<Vec<u64>>>,
}

impl FakeConfig {
    pub fn pointer(&self) -> *mut c_void {
        ptr::from_ref(self).cast_mut().cast()
    }

    pub fn take_events(&self) -> Vec<u64> {
        core::mem::take(&mut self.events.lock().unwrap())
    }
}

/// A response that a module sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    pub status: u32,
    pub headers: Vec<(String, String)>,
    pub body: String,
    pub details: String,
}

/// A stream.
#[derive(Default)]
pub struct FakeStream {
    pub stats: Arc<Stats>,
    pub source: String,
    pub request: Vec<(String, String)>,
    pub response: Vec<(String, String)>,
    pub replies: Mutex<Vec<Reply>>,
    pub state: Mutex<Vec<(String, String)>>,
    /// The address of the configuration of its route.
    pub route: usize,
}

impl FakeStream {
    pub fn pointer(&self) -> *mut c_void {
        ptr::from_ref(self).cast_mut().cast()
    }

    fn headers(&self, kind: u32) -> &[(String, String)] {
        match kind {
            number::REQUEST_HEADERS => &self.request,
            number::RESPONSE_HEADERS => &self.response,
            _ => &[],
        }
    }
}

/// Lines that were logged, of all tests.
pub static LOG: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Makes this Envoy the one of this process.
pub fn load() {
    CALLBACKS.get_or_init(|| Callbacks {
        log,
        log_enabled,
        is_validation_mode,
        http_filter_get_attribute_string: attribute,
        http_get_headers_size: headers_size,
        http_get_headers: headers,
        http_send_response: send_response,
        http_set_filter_state_bytes: set_filter_state,
        get_most_specific_route_config: route_config,
        http_filter_config_define_counter: define,
        http_filter_config_define_gauge: define,
        http_filter_config_increment_counter: config_increment,
        http_filter_config_set_gauge: config_set,
        http_filter_increment_counter: stream_increment,
        http_filter_set_gauge: stream_set,
        http_filter_config_start_http_stream: start_http_stream,
        http_filter_config_reset_http_stream: reset_http_stream,
        http_filter_config_scheduler_new: scheduler_new,
        http_filter_config_scheduler_commit: scheduler_commit,
        http_filter_config_scheduler_delete: scheduler_delete,
        bootstrap_extension_config_signal_init_complete: no_bootstrap,
        bootstrap_extension_register_admin_handler: no_admin_handler,
        bootstrap_extension_admin_set_response: no_admin_response,
        bootstrap_extension_timer_new: no_timer,
        bootstrap_extension_timer_enable: scheduler_commit,
        bootstrap_extension_timer_delete: no_bootstrap,
        log_v2: None,
    });
}

fn text(buffer: Buffer<'_>) -> String {
    String::from_utf8_lossy(buffer.bytes()).into_owned()
}

/// SAFETY: `pointer` is of a `FakeConfig` or `FakeStream` that lives.
unsafe fn at<'a, T>(pointer: Envoy) -> &'a T {
    unsafe { &*pointer.cast::<T>() }
}

/// SAFETY: `headers` points to `count` headers.
unsafe fn owned(headers: *const Header<'_>, count: usize) -> Vec<(String, String)> {
    let headers = match count {
        0 => &[],
        _ => unsafe { core::slice::from_raw_parts(headers, count) },
    };
    headers
        .iter()
        .map(|header| (text(header.key), text(header.value)))
        .collect()
}

/// SAFETY: the text outlives the hook.
unsafe fn lent(text: &str) -> Buffer<'static> {
    Buffer {
        data: text.as_ptr(),
        length: text.len(),
        owner: PhantomData,
    }
}

unsafe extern "C" fn log(_level: u32, message: Buffer<'_>) {
    LOG.lock().unwrap().push(text(message));
}

unsafe extern "C" fn log_enabled(_level: u32) -> bool {
    true
}

unsafe extern "C" fn is_validation_mode() -> bool {
    false
}

unsafe extern "C" fn attribute(
    stream: Envoy,
    attribute: u32,
    result: *mut Buffer<'static>,
) -> bool {
    unsafe {
        let stream: &FakeStream = at(stream);
        *result = match attribute {
            number::SOURCE_ADDRESS => lent(&stream.source),
            number::REQUEST_PROTOCOL => lent("HTTP/1.1"),
            _ => return false,
        };
    }
    true
}

unsafe extern "C" fn headers_size(stream: Envoy, kind: u32) -> usize {
    unsafe { at::<FakeStream>(stream) }.headers(kind).len()
}

unsafe extern "C" fn headers(stream: Envoy, kind: u32, result: *mut Header<'static>) -> bool {
    let headers = unsafe { at::<FakeStream>(stream) }.headers(kind);
    for (index, (key, value)) in headers.iter().enumerate() {
        unsafe {
            result.add(index).write(Header {
                key: lent(key),
                value: lent(value),
            })
        };
    }
    true
}

unsafe extern "C" fn send_response(
    stream: Envoy,
    status: u32,
    headers: *const Header<'_>,
    count: usize,
    body: Buffer<'_>,
    details: Buffer<'_>,
) {
    let (stream, headers) = unsafe { (at::<FakeStream>(stream), owned(headers, count)) };
    let reply = Reply {
        status,
        headers,
        body: text(body),
        details: text(details),
    };
    stream.replies.lock().unwrap().push(reply);
}

unsafe extern "C" fn set_filter_state(stream: Envoy, key: Buffer<'_>, value: Buffer<'_>) -> bool {
    let stream: &FakeStream = unsafe { at(stream) };
    stream.state.lock().unwrap().push((text(key), text(value)));
    true
}

unsafe extern "C" fn route_config(stream: Envoy) -> *const c_void {
    ptr::with_exposed_provenance(unsafe { at::<FakeStream>(stream) }.route)
}

unsafe extern "C" fn define(
    config: Envoy,
    name: Buffer<'_>,
    _labels: *const Buffer<'_>,
    _count: usize,
    id: *mut usize,
) -> u32 {
    unsafe { *id = at::<FakeConfig>(config).stats.define(&text(name)) };
    0
}

unsafe extern "C" fn config_increment(
    config: Envoy,
    id: usize,
    _labels: *const Buffer<'_>,
    _count: usize,
    by: u64,
) -> u32 {
    unsafe { at::<FakeConfig>(config) }
        .stats
        .change(id, |value| *value += by)
}

unsafe extern "C" fn config_set(
    config: Envoy,
    id: usize,
    _labels: *const Buffer<'_>,
    _count: usize,
    new: u64,
) -> u32 {
    unsafe { at::<FakeConfig>(config) }
        .stats
        .change(id, |value| *value = new)
}

unsafe extern "C" fn stream_increment(
    stream: Envoy,
    id: usize,
    _labels: *const Buffer<'_>,
    _count: usize,
    by: u64,
) -> u32 {
    unsafe { at::<FakeStream>(stream) }
        .stats
        .change(id, |value| *value += by)
}

unsafe extern "C" fn stream_set(
    stream: Envoy,
    id: usize,
    _labels: *const Buffer<'_>,
    _count: usize,
    new: u64,
) -> u32 {
    unsafe { at::<FakeStream>(stream) }
        .stats
        .change(id, |value| *value = new)
}

unsafe extern "C" fn start_http_stream(
    config: Envoy,
    id: *mut u64,
    cluster: Buffer<'_>,
    headers: *const Header<'_>,
    count: usize,
    body: Buffer<'_>,
    _is_complete: bool,
    _timeout_ms: u64,
) -> u32 {
    let (config, headers) = unsafe { (at::<FakeConfig>(config), owned(headers, count)) };
    let mut calls = config.calls.lock().unwrap();
    let number = calls.len() as u64 + 1;
    let (cluster, body) = (text(cluster), body.bytes().to_vec());
    calls.push(FakeCall {
        cluster,
        headers,
        body,
    });
    unsafe { *id = number };
    0
}

unsafe extern "C" fn reset_http_stream(config: Envoy, id: u64) {
    unsafe { at::<FakeConfig>(config) }
        .resets
        .lock()
        .unwrap()
        .push(id);
}

unsafe extern "C" fn scheduler_new(config: Envoy) -> Envoy {
    let events = unsafe { at::<FakeConfig>(config) }.events.clone();
    Box::into_raw(Box::new(events)).cast()
}

unsafe extern "C" fn scheduler_commit(scheduler: Envoy, event: u64) {
    let events: &Arc<Mutex<Vec<u64>>> = unsafe { at(scheduler) };
    events.lock().unwrap().push(event);
}

unsafe extern "C" fn scheduler_delete(scheduler: Envoy) {
    drop(unsafe { Box::from_raw(scheduler.cast::<Arc<Mutex<Vec<u64>>>>()) });
}

unsafe extern "C" fn no_bootstrap(_config: Envoy) {}

unsafe extern "C" fn no_admin_handler(
    _config: Envoy,
    _path: Buffer<'_>,
    _help: Buffer<'_>,
    _removable: bool,
    _mutates: bool,
) -> bool {
    true
}

unsafe extern "C" fn no_admin_response(_config: Envoy, _body: Buffer<'_>) {}

unsafe extern "C" fn no_timer(config: Envoy) -> Envoy {
    config
}
