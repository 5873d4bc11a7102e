//! The request in hand: what the host says of it, asked for at most once, since each answer costs about as much as all
//! that is then done with it.
//!
//! Owns when to ask; what the answers mean is up to `request`. The room is used again for the next request.

use crate::host::Host;
use crate::request::RequestHeaders;

/// What is known so far of the request that a VM judges and records.
#[derive(Clone, Debug, Default)]
pub struct LazyRequest {
    headers: RequestHeaders,
    source_address: Vec<u8>,
    has_headers: bool,
    has_source_address: bool,
}

impl LazyRequest {
    /// Another request: nothing is known of it.
    pub fn begin(&mut self) {
        self.has_headers = false;
        self.has_source_address = false;
        self.headers.clear();
        self.source_address.clear();
    }

    /// Asks for its headers: those that HTTP has for identifiers and APIs, and `others`, which must be the same for all
    /// of one request. Names are in lower case.
    pub fn read_headers(&mut self, host: &dyn Host, others: &[String]) {
        if !self.has_headers {
            self.has_headers = true;
            host.visit_request_headers(&mut |name, value| {
                self.headers.add_if_read(name, value, others);
            });
        }
    }

    /// What [`Self::read_headers`] found.
    pub fn headers(&self) -> &RequestHeaders {
        &self.headers
    }

    /// Asks for the client's address and port, as Envoy determined them.
    pub fn read_source_address(&mut self, host: &dyn Host) {
        if !self.has_source_address {
            self.has_source_address = true;
            host.visit_source_address(&mut |text| self.source_address.extend_from_slice(text));
        }
    }

    /// What [`Self::read_source_address`] found; empty where the host does not say.
    pub fn source_address(&self) -> &[u8] {
        &self.source_address
    }
}
