//! Enforces a verdict: local reply, filter state, metrics. Makes no decision.

use super::verdict::{DenyReason, Verdict};
use crate::config::DenyResponse;
use crate::host::{LocalReply, RequestHost, Stream};
use crate::metrics::{MeteredHost, Metric};

/// gRPC's PERMISSION_DENIED.
const GRPC_PERMISSION_DENIED: u32 = 7;

/// What the host must do with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// It continues to the next filter.
    Continue,
    /// It stops here: a local reply was sent.
    Stop,
}

/// Carries out `verdict` on the current request.
pub fn enforce(
    host: MeteredHost<'_, dyn RequestHost + '_>,
    response: &DenyResponse,
    verdict: &Verdict,
) -> Disposition {
    match verdict {
        Verdict::Allow => Disposition::Continue,
        Verdict::AllowListed => {
            host.add(&Metric::AllowListed, 1);
            Disposition::Continue
        }
        Verdict::WouldDeny(reason) => {
            host.add(&Metric::WouldDeny(reason.clone()), 1);
            set_verdict_state(&*host, "would_deny", reason);
            log::debug!("would deny {reason}");
            Disposition::Continue
        }
        Verdict::Deny(reason) => {
            host.add(&Metric::Denied(reason.clone()), 1);
            set_verdict_state(&*host, "denied", reason);
            let (origin, kind) = (reason.origin.as_str(), reason.kind.as_str());
            let sent = host.send_local_reply(&LocalReply {
                status: response.status,
                headers: &response.headers,
                body: response.body.as_bytes(),
                details: &["portcullis_denied_", origin, "_", kind].concat(),
                grpc_status: Some(GRPC_PERMISSION_DENIED),
            });
            if let Err(error) = sent {
                log::error!("sending the local reply failed: {error}");
            }
            // The request is stopped even if the reply failed.
            Disposition::Stop
        }
    }
}

fn set_verdict_state(stream: &dyn Stream, word: &str, reason: &DenyReason) {
    if let Err(error) = stream.set_filter_state(&format!("{word} {reason}")) {
        log::debug!("setting the filter state failed: {error}");
    }
}
