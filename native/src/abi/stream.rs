//! A stream of the filter in Envoy.

use core::cell::Cell;
use core::ffi::c_void;
use core::marker::PhantomData;
use core::ptr;

use super::{Buffer, CALLBACKS, Callbacks, Envoy, Header, Refused, check};

/// A stream of the filter in Envoy, for the length of a hook on its worker.
#[derive(Clone, Copy)]
pub struct StreamHandle<'h> {
    envoy: &'static Callbacks,
    stream: Envoy,
    hook: PhantomData<&'h ()>,
}

thread_local! {
    /// Room for the headers of a request, kept for the next one.
    static HEADERS: Cell<Vec<Header<'static>>> = const { Cell::new(Vec::new()) };
}

impl StreamHandle<'_> {
    /// The stream of the hook that has just begun; `None` before [`load`].
    ///
    /// # Safety
    ///
    /// `stream` is the filter pointer of a hook of a stream, and the result is dropped when that returns.
    pub unsafe fn new(stream: Envoy) -> Option<Self> {
        let envoy = CALLBACKS.get()?;
        Some(Self {
            envoy,
            stream,
            hook: PhantomData,
        })
    }

    /// Calls `visit` with an attribute, if the stream has it.
    pub fn visit_attribute(self, attribute: u32, visit: &mut dyn FnMut(&[u8])) {
        let mut text = Buffer::EMPTY;
        // SAFETY: a live stream; the text lives until the hook ends, and `visit` can't keep it.
        if unsafe {
            (self.envoy.http_filter_get_attribute_string)(self.stream, attribute, &mut text)
        } {
            visit(text.bytes());
        }
    }

    /// Calls `visit` with each header of one kind, in order.
    pub fn visit_headers(self, kind: u32, visit: &mut dyn FnMut(&[u8], &[u8])) {
        let mut headers = HEADERS.take();
        headers.clear();
        // SAFETY: a live stream. Envoy fills as many places as it said, all of which exist, or none. The views live until
        // the hook ends, nothing changes headers meanwhile, and `visit` can't keep them.
        unsafe {
            let count = (self.envoy.http_get_headers_size)(self.stream, kind);
            headers.reserve(count);
            if (self.envoy.http_get_headers)(self.stream, kind, headers.as_mut_ptr()) {
                headers.set_len(count);
            }
        }
        for header in &headers {
            let (name, value) = header.pair();
            visit(name, value);
        }
        HEADERS.set(headers);
    }

    /// Ends the stream with a response.
    pub fn send_response(self, status: u32, headers: &[Header<'_>], body: &[u8], details: &str) {
        let (body, details) = (Buffer::of(body), Buffer::of(details.as_bytes()));
        // SAFETY: a live stream; Envoy copies the bytes during the call.
        unsafe {
            (self.envoy.http_send_response)(
                self.stream,
                status,
                headers.as_ptr(),
                headers.len(),
                body,
                details,
            );
        }
    }

    /// Sets a value in the stream's filter state. Returns whether Envoy took it.
    pub fn set_filter_state(self, key: &str, value: &[u8]) -> bool {
        let (key, value) = (Buffer::of(key.as_bytes()), Buffer::of(value));
        // SAFETY: a live stream; Envoy copies the bytes during the call.
        unsafe { (self.envoy.http_set_filter_state_bytes)(self.stream, key, value) }
    }

    /// What a hook of a route's configuration returned for the request's route; null if it has none. It lives as long as
    /// the hook at hand.
    pub fn route_config(self) -> *const c_void {
        // SAFETY: a live stream.
        unsafe { (self.envoy.get_most_specific_route_config)(self.stream) }
    }

    /// Adds to a counter.
    pub fn increment_counter(self, id: usize, by: u64) -> Result<(), Refused> {
        // SAFETY: numbers, and no labels.
        check(unsafe {
            (self.envoy.http_filter_increment_counter)(self.stream, id, ptr::null(), 0, by)
        })
    }

    /// Sets a gauge.
    pub fn set_gauge(self, id: usize, value: u64) -> Result<(), Refused> {
        // SAFETY: numbers, and no labels.
        check(unsafe { (self.envoy.http_filter_set_gauge)(self.stream, id, ptr::null(), 0, value) })
    }
}
