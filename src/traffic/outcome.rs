//! How many records were sent, failed or dropped, and why a call was not accepted.
//!
//! Owns the explanations for operators. `queue` decides what happens next.

use crate::config::TrafficFormat;

/// The outcome of a call, and the number of records that it completed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Records that the receiver accepted.
    pub sent: u64,
    /// Records that the receiver refused.
    pub failed: u64,
    /// Records that a full queue dropped.
    pub dropped: u64,
    /// The call was accepted.
    pub accepted: bool,
    /// Why the call was not accepted.
    pub problem: Option<Problem>,
    /// The problem is a change of state, to be logged.
    pub is_new: bool,
    /// Sending works again.
    pub recovered: bool,
}

/// Why a call was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// No response: no connection, a reset, or the call was lost.
    NoResponse,
    /// A status that may change with a later attempt.
    Unavailable(u16),
    /// ASE does not know the API or the host name (status 503).
    UnknownApi,
    /// A status that repeating the call does not change.
    Refused(u16),
}

impl Problem {
    /// The problem that a status means; 0 for no response.
    pub fn of_status(status: u16) -> Self {
        match status {
            0 => Problem::NoResponse,
            // Timeout, too early, too many requests: the same call may be accepted later.
            408 | 425 | 429 => Problem::Unavailable(status),
            300..=499 | 501 => Problem::Refused(status),
            _ => Problem::Unavailable(status),
        }
    }

    /// The status; 0 for no response.
    pub fn status(self) -> u16 {
        match self {
            Problem::NoResponse => 0,
            Problem::UnknownApi => 503,
            Problem::Unavailable(status) | Problem::Refused(status) => status,
        }
    }

    /// Whether another attempt would end the same way.
    pub fn is_final(self) -> bool {
        matches!(self, Problem::UnknownApi | Problem::Refused(_))
    }

    /// What the problem means, and what to do. The command line tool shows the same text.
    pub fn explanation(self, format: TrafficFormat) -> String {
        let sideband = format == TrafficFormat::Sideband;
        let receiver = if sideband { "ASE" } else { "the receiver" };
        match self {
            Problem::NoResponse => format!(
                "no response; check the cluster that traffic.cluster names (default: abs.cluster), and that {receiver} accepts \
                 calls there"
            ),
            Problem::UnknownApi => "ASE does not know the API or the host name of the request (status 503); add the API to \
                 ASE, with its hostname and url"
                .to_owned(),
            Problem::Refused(status @ (401 | 403)) if sideband => format!(
                "ASE refused the token (status {status}); check traffic.ase_token, or the environment variable that holds it"
            ),
            Problem::Refused(status @ (401 | 403)) => format!(
                "the receiver refused the credentials (status {status}); check abs.access_key and abs.secret_key, which are \
                 sent to abs.cluster only: let Envoy add what another receiver expects"
            ),
            Problem::Refused(status @ (404 | 405 | 501)) if sideband => format!(
                "the server does not have ASE's sideband interface (status {status}); check that traffic.cluster names \
                 the address of ASE's sideband, not of ABS, and that ASE runs in sideband mode"
            ),
            Problem::Refused(status @ (404 | 405 | 501)) => format!(
                "the receiver does not accept POST at traffic.path (status {status}); traffic.format \"batch\" needs a receiver \
                 of your own, since ABS and ASE accept no batches: for ASE use \"sideband\""
            ),
            Problem::Refused(status @ 300..=399) => format!(
                "{receiver} redirects the calls (status {status}), and redirects are not followed; check the cluster's TLS \
                 settings and traffic.authority"
            ),
            Problem::Refused(status) => format!(
                "{receiver} refused the records (status {status}); check traffic.format and traffic.path"
            ),
            Problem::Unavailable(503) if sideband => "status 503: Envoy has no connection to ASE, or ASE is overloaded or does \
                 not know the API; check the cluster, then ASE's APIs"
                .to_owned(),
            Problem::Unavailable(status) => {
                format!("{receiver} returned status {status}; check its log")
            }
        }
    }
}
