//! The content of one call to the receiver. Makes no call.

use core::fmt;

use super::record::CorrelationId;
use super::response::Session;

/// The content of one call.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload {
    /// `None` for a batch.
    pub sideband: Option<SidebandCall>,
    /// The body, before compression.
    pub body: Vec<u8>,
}

/// A call of ASE's sideband interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SidebandCall {
    /// Ties request and response.
    pub correlation_id: CorrelationId,
    /// Whether the response is reported; otherwise the request.
    pub is_response: bool,
    /// The session that ASE returned for the record's request, so that the response reaches the same node.
    pub session: Option<Session>,
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payload")
            .field("sideband", &self.sideband)
            // The body holds tokens and cookies.
            .field("bytes", &self.body.len())
            .finish()
    }
}
