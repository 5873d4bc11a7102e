//! Traffic information for ABS: each request and its response become a record, records wait in a bounded queue, and
//! are sent one call at a time.
//!
//! | module | owns |
//! |---|---|
//! | [`settings`] | what one configuration records, and where the records go |
//! | [`recorder`] | one VM's records, from a request to the sender of its destination |
//! | [`recording`] | what a record needs of the host |
//! | [`record`] | which parts of a request and its response a record has, and its bytes |
//! | [`identifiers`] | which identifiers a record reports |
//! | [`queue`] | waiting records: what to send next, and the effect of each outcome |
//! | [`sender`] | the calls, metrics and log lines |
//! | [`payload`] | what one call carries |
//! | [`response`] | the receiver's response to a call |
//! | [`outcome`] | counts of sent, failed and dropped records; why a call was not accepted |

pub mod identifiers;
pub mod outcome;
pub mod payload;
pub mod queue;
pub mod record;
pub mod recorder;
pub mod recording;
pub mod response;
pub mod sender;
pub mod settings;
