//! The current request. Reads each part from the host on first use, and only once: a hostcall costs about as much as all
//! processing of its result. Interprets nothing.

use super::headers::RequestHeaders;
use crate::host::Stream;

/// Memory for a request's parts, reused for the next request.
#[derive(Clone, Debug, Default)]
pub struct RequestBuffers {
    headers: RequestHeaders,
    source_address: Vec<u8>,
}

/// The current request.
pub struct LazyRequest<'a> {
    stream: &'a dyn Stream,
    header_names: &'a [String],
    buffers: &'a mut RequestBuffers,
    has_headers: bool,
    has_source_address: bool,
}

impl<'a> LazyRequest<'a> {
    /// The request of `stream`. `header_names`: the headers that are read besides those that HTTP defines for identifiers
    /// and APIs, in lower case.
    pub fn new(
        stream: &'a dyn Stream,
        header_names: &'a [String],
        buffers: &'a mut RequestBuffers,
    ) -> Self {
        buffers.headers.clear();
        buffers.source_address.clear();
        Self {
            stream,
            header_names,
            buffers,
            has_headers: false,
            has_source_address: false,
        }
    }

    /// Its headers.
    pub fn headers(&mut self) -> &RequestHeaders {
        if !self.has_headers {
            self.has_headers = true;
            let headers = &mut self.buffers.headers;
            self.stream.visit_request_headers(&mut |name, value| {
                headers.add_if_read(name, value, self.header_names);
            });
        }
        &self.buffers.headers
    }

    /// The client's address and port, as Envoy determined them; empty if there is none.
    pub fn source_address(&mut self) -> &[u8] {
        if !self.has_source_address {
            self.has_source_address = true;
            let source_address = &mut self.buffers.source_address;
            self.stream
                .visit_source_address(&mut |text| source_address.extend_from_slice(text));
        }
        &self.buffers.source_address
    }

    /// Its headers, and the client's address and port.
    pub fn headers_and_address(&mut self) -> (&RequestHeaders, &[u8]) {
        self.headers();
        self.source_address();
        (&self.buffers.headers, &self.buffers.source_address)
    }
}
