//! A compressed list as a body without compression, for the rare client that does not accept gzip: decompressed piece by
//! piece as the client reads, so that it needs no memory.

use std::io::{self, Cursor, Read as _};
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Bytes;
use flate2::read::GzDecoder;
use hyper::body::{Body, Frame, SizeHint};

use super::form;

/// Decompressing a piece takes less than a millisecond.
const PIECE: usize = 32 * 1024;

/// The body.
#[derive(Debug)]
pub struct Unzipped {
    decoder: GzDecoder<Cursor<Bytes>>,
    left: u64,
}

impl Unzipped {
    /// The body of a list.
    pub fn new(body: &form::Body) -> Self {
        Self {
            decoder: GzDecoder::new(Cursor::new(body.gzip.clone())),
            left: body.plain_bytes,
        }
    }
}

impl Body for Unzipped {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let mut piece = vec![0; PIECE];
        let read = self.decoder.read(&mut piece).map(|n| {
            piece.truncate(n);
            self.left = self.left.saturating_sub(u64::try_from(n).unwrap_or(0));
            (n > 0).then(|| Frame::data(Bytes::from(piece)))
        });
        Poll::Ready(read.transpose())
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
