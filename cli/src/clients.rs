//! What the commands read from outside: ABS, a running Envoy and its access log.

pub mod abs;
pub mod access_log;
pub mod envoy_admin;
mod http;
