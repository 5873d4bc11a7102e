//! What a request carries: header bytes to client identifiers, by an API's rules.
//!
//! This code runs for every request, on bytes from clients: it never fails or panics, and takes time linear in the
//! number of bytes. Unreadable text identifies no client. All repeated headers and parameters count, so that a client can't
//! hide a listed identifier behind another one.
//!
//! Servers read the same header differently. Therefore there are two entry points: [`visit_identifiers`] reads as the RFCs
//! define, to explain a request; [`visit_readings`] visits every reading of any common server, to judge it. The rules and
//! their sources are in docs/readings.md. Knows nothing of lists; see `list` and `judge`.

mod authorization;
mod claims;
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
pub use cookies::visit_cookies;
pub use headers::RequestHeaders;
pub use identifiers::{visit_identifiers, visit_readings};
pub use jwt::visit_jwt_claims;
pub use lazy_request::{LazyRequest, RequestBuffers};
pub use query::query_values;
pub use routing::{host_name, path_matches, select_api, visit_apis};

#[cfg(test)]
mod tests;
