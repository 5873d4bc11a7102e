//! Bytes to bytes, without any domain: base64, gzip, JSON as events, decimal numbers, the encoding of forms, white space.

pub mod base64;
pub mod decimal;
pub mod form;
pub mod gzip;
pub mod json;
pub mod visible;
pub mod whitespace;
