//! Opens regular files only, through symbolic links: opening a pipe waits for its other end, and a device has no end.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

/// Opens a regular file for reading.
///
/// # Errors
///
/// It is none, or the system refused.
pub fn open(path: &Path) -> io::Result<File> {
    open_or(path, &[])
}

/// Opens a regular file, or one of another kind that is allowed.
///
/// # Errors
///
/// It is of another kind, or the system refused.
pub fn open_or(path: &Path, allowed: &[&str]) -> io::Result<File> {
    // Checked before the file is opened, since opening can wait.
    match kind(&fs::metadata(path)?).filter(|kind| !allowed.contains(kind)) {
        None => File::open(path),
        Some(kind) => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!(
                "it is {kind}, and a regular file is needed; write its content to a file and name that"
            ),
        )),
    }
}

/// What a file is, where it is not a regular one.
fn kind(metadata: &Metadata) -> Option<&'static str> {
    let kind = metadata.file_type();
    match () {
        () if kind.is_file() => None,
        () if kind.is_dir() => Some("a directory"),
        () if kind.is_fifo() => Some("a pipe"),
        () if kind.is_socket() => Some("a socket"),
        () => Some("a device"),
    }
}
