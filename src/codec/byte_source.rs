//! Where bytes come from, one piece after the other.

use std::io::{self, Read};

/// [`Read`], as far as it is needed behind `dyn`. The table of a `dyn Read` holds the whole of `Read`, of which each
/// reader would bring a copy of its own into the module.
pub trait ByteSource {
    /// As [`Read::read`].
    ///
    /// # Errors
    ///
    /// As [`Read::read`].
    fn read_some(&mut self, out: &mut [u8]) -> io::Result<usize>;
}

impl<R: Read> ByteSource for R {
    fn read_some(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.read(out)
    }
}
