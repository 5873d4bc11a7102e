//! Traffic information for ABS: each request and its response become a record, records wait in a bounded queue, and go
//! out one call at a time.
//!
//! | module | owns |
//! |---|---|
//! | [`record`] | what of a request and its response leaves, and as which bytes |
//! | [`sender`] | the queue, what to send next, what became of what was sent |
//! | [`delivery`] | the calls that carry it to ABS, metrics and log lines |
//! | [`recorder`] | one VM's records, from the request to a delivery |

pub mod delivery;
pub mod record;
pub mod recorder;
pub mod sender;
