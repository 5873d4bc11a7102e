//! Decompresses the input, in pieces of two sizes; and compresses it and decompresses the result.

use std::io::{ErrorKind, Read};

use portcullis::codec::gzip::{GzipReader, compress};

/// Limit on the output, like that of the filter's body reader.
const MOST: u64 = 1 << 20;

fn unzip(mut body: &[u8], step: usize) -> (Vec<u8>, Result<(), ErrorKind>) {
    let mut reader = GzipReader::new(&mut body).take(MOST);
    let mut text = Vec::new();
    let mut buffer = vec![0; step];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return (text, Ok(())),
            Ok(n) => text.extend_from_slice(&buffer[..n]),
            Err(error) => return (text, Err(error.kind())),
        }
    }
}

pub fn gzip(data: &[u8]) {
    let (text, outcome) = unzip(data, 32 * 1024);
    assert!(matches!(
        outcome,
        Ok(()) | Err(ErrorKind::InvalidData | ErrorKind::UnexpectedEof)
    ));
    // Deflate's highest ratio is about 1,032.
    assert!(text.len() <= data.len() * 1_100);
    let (again, second) = unzip(data, 1 + data.len() % 300);
    assert_eq!(outcome, second);
    if outcome.is_ok() {
        assert_eq!(text, again);
    }

    let packed = compress(data);
    assert_eq!(unzip(&packed, 4096), (data.to_vec(), Ok(())));
    let cut = data.len() % packed.len();
    assert!(unzip(&packed[..cut], 4096).1.is_err(), "truncated at {cut}");
}
