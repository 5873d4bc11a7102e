//! A response body that is made once and served many times, plain or compressed.

use std::hash::{DefaultHasher, Hasher};
use std::io::Write;
use std::sync::OnceLock;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

/// A body.
#[derive(Debug)]
pub struct View {
    /// The bytes.
    pub body: Bytes,
    /// A 64-bit hash of the body, in hexadecimal.
    pub digest: String,
    // Computed at the first use, outside the simulator's mutex.
    gzip: OnceLock<Bytes>,
}

impl View {
    /// A view of `body`.
    pub fn new(body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let mut hasher = DefaultHasher::new();
        hasher.write(&body);
        Self {
            body,
            digest: format!("{:016x}", hasher.finish()),
            gzip: OnceLock::new(),
        }
    }

    /// The body, compressed.
    ///
    /// # Errors
    ///
    /// Compression failed.
    pub fn gzip(&self) -> std::io::Result<Bytes> {
        if let Some(bytes) = self.gzip.get() {
            return Ok(bytes.clone());
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&self.body)?;
        let bytes = Bytes::from(encoder.finish()?);
        Ok(self.gzip.get_or_init(|| bytes).clone())
    }
}
