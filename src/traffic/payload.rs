//! What one call to the receiver carries.

use core::fmt;

use super::record::CorrelationId;

/// The content of one call.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload {
    /// `None` for a batch.
    pub sideband: Option<SidebandCall>,
    /// The body, before compression.
    pub body: Vec<u8>,
}

/// A call of ASE's sideband interface.
#[derive(Clone, PartialEq, Eq)]
pub struct SidebandCall {
    /// Ties request and response.
    pub correlation_id: CorrelationId,
    /// Whether the response is reported; otherwise the request.
    pub is_response: bool,
    /// The session that ASE returned for the record's request, so that the response reaches the same node.
    pub session: Option<Box<[u8]>>,
}

// Bodies hold tokens and cookies, and the session is ASE's secret.
impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payload")
            .field("sideband", &self.sideband)
            .field("bytes", &self.body.len())
            .finish()
    }
}

impl fmt::Debug for SidebandCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SidebandCall")
            .field("correlation_id", &self.correlation_id)
            .field("is_response", &self.is_response)
            .field("has_session", &self.session.is_some())
            .finish()
    }
}
