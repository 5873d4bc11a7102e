//! Feeds: everything that knows a list server.
//!
//! A feed's response becomes a list or a reason for keeping the active one. When to fetch, and how a list reaches every
//! worker, is decided in `sync`.

pub mod abs;
pub mod backoff;
pub mod body;
pub mod call;
pub mod crowdsec;
pub mod entries;
pub mod error;
pub mod fetch;
pub mod guard;
mod json_error;
pub mod pending_call;
pub mod response;
pub mod retry_after;
pub mod scalar;
pub mod text;
pub mod tokens;
