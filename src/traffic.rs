//! Traffic information for ABS: each request and its response become a record, records wait in a bounded queue, and go
//! out one call at a time.
//!
//! | module | owns |
//! |---|---|
//! | [`record`] | what of a request and its response leaves, and as which bytes |
//! | [`identifiers`] | which identifiers a record reports, each one for itself |
//! | [`sender`] | the queue, what to send next, what became of what was sent |
//! | [`delivery`] | the calls that carry it to ABS, metrics and log lines |
//! | [`recorder`] | one VM's records, from the request to a delivery |
//! | [`response`] | what the receiver responded to a call |

pub mod delivery;
pub mod identifiers;
pub mod record;
pub mod recorder;
pub mod response;
pub mod sender;
