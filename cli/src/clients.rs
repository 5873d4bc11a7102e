//! What the commands read from outside: ABS, the list servers of feeds, a running Envoy and its access log, the server of
//! a fleet.

pub mod abs;
pub mod access_log;
pub mod envoy_admin;
pub mod feed;
pub mod fleet;
pub mod http;
pub mod native_page;
