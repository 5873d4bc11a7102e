//! Bytes to bytes, with no knowledge of what they mean.

pub(crate) mod base64;
pub(crate) mod form;
pub(crate) mod whitespace;
