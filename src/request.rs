//! What a request carries: header bytes to client identifiers, by an API's rules.
//!
//! All of this runs for every request, on bytes that a client chose: nothing here fails, panics, or takes more than
//! time linear in the bytes. Text that can't be read identifies nobody. Every repeated header and parameter counts, so that
//! a listed identifier can't hide behind another one.
//!
//! Servers differ in how they read one and the same header. So there are two ways in: [`visit_identifiers`] reads as the
//! RFCs say, for reports; [`visit_readings`] reads as the most tolerant common server does, and gives every reading, for
//! judging. docs/readings.md has the rules and their sources. Knows nothing of lists (see `blocklist` and `judge`).

mod authorization;
mod cookies;
mod headers;
mod identifiers;
mod jwt;
mod lazy_request;
mod query;
mod reading;
mod routing;
mod text;

pub use authorization::{authorizations, basic_username, bearer_token};
pub use cookies::{visit_cookie_readings, visit_cookies};
pub use headers::RequestHeaders;
pub use identifiers::{IdentifierRef, visit_identifiers, visit_readings};
pub use jwt::visit_jwt_claims;
pub use lazy_request::LazyRequest;
pub use query::{query_values, visit_query_readings};
pub use routing::{host_name, path_matches, select_api, visit_apis};

#[cfg(test)]
mod tests;
