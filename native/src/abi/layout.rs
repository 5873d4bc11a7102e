//! The structures and numbers of Envoy's dynamic-module ABI that this module uses. Owns layouts only; what is called is in
//! [`super`].

use core::marker::PhantomData;
use core::mem::{align_of, offset_of, size_of};
use core::ptr;

/// Bytes that Envoy or this module owns: the header has two types with one layout.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Buffer<'a> {
    pub(super) data: *const u8,
    pub(super) length: usize,
    pub(super) owner: PhantomData<&'a [u8]>,
}

/// A header that Envoy or this module owns: two types with one layout, too.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Header<'a> {
    /// The name.
    pub key: Buffer<'a>,
    /// The value.
    pub value: Buffer<'a>,
}

// The header's structures: two words, and four words.
const _: () = {
    let word = size_of::<usize>();
    assert!(
        size_of::<Buffer<'_>>() == size_of::<[usize; 2]>()
            && align_of::<Buffer<'_>>() == align_of::<usize>()
    );
    assert!(offset_of!(Buffer<'_>, data) == 0 && offset_of!(Buffer<'_>, length) == word);
    assert!(
        size_of::<Header<'_>>() == size_of::<[usize; 4]>()
            && align_of::<Header<'_>>() == align_of::<usize>()
    );
    assert!(
        offset_of!(Header<'_>, key) == 0
            && offset_of!(Header<'_>, value) == size_of::<[usize; 2]>()
    );
    // C's enumerations without negative values are passed as `unsigned int`, its bool as one byte.
    assert!(size_of::<core::ffi::c_uint>() == size_of::<u32>() && size_of::<bool>() == 1);
};

impl<'a> Buffer<'a> {
    /// No bytes.
    pub const EMPTY: Self = Self {
        data: ptr::null(),
        length: 0,
        owner: PhantomData,
    };

    /// These bytes.
    pub fn of(bytes: &'a [u8]) -> Self {
        Self {
            data: bytes.as_ptr(),
            length: bytes.len(),
            owner: PhantomData,
        }
    }
}

impl<'a> Header<'a> {
    /// This header.
    pub fn of(key: &'a [u8], value: &'a [u8]) -> Self {
        Self {
            key: Buffer::of(key),
            value: Buffer::of(value),
        }
    }

    /// The name and the value.
    pub fn pair(&self) -> (&'a [u8], &'a [u8]) {
        (self.key.bytes(), self.value.bytes())
    }
}

/// Numbers of the header's enumerations.
pub mod number {
    /// `type_http_header_type`: the headers of the request.
    pub const REQUEST_HEADERS: u32 = 0;
    /// The headers of the response.
    pub const RESPONSE_HEADERS: u32 = 2;

    /// `type_attribute_id`: `request.protocol`.
    pub const REQUEST_PROTOCOL: u32 = 10;
    /// `source.address`.
    pub const SOURCE_ADDRESS: u32 = 24;

    /// `type_log_level`. Trace is 0; off is 6.
    pub const LOG_DEBUG: u32 = 1;
    /// Info.
    pub const LOG_INFO: u32 = 2;
    /// Warning.
    pub const LOG_WARN: u32 = 3;
    /// Error.
    pub const LOG_ERROR: u32 = 4;

    /// `type_http_callout_init_result`; 0 is success.
    /// There is no such cluster.
    pub const CALL_NO_CLUSTER: u32 = 2;
    /// No healthy host, or a circuit breaker is open.
    pub const CALL_NOT_CREATED: u32 = 4;

    /// `type_on_http_filter_request_headers_status`: the request goes on. Also the value of every other hook's
    /// "continue".
    pub const CONTINUE: u32 = 0;
    /// The filter chain stops here.
    pub const STOP: u32 = 1;
}
