//! Whether a file changed since it was read.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// What changes when a file is replaced or edited.
pub type Seen = (u64, i64, i64, u64);

/// What the file looks like now; none if there is no file. Call it before reading the file: a change in between is then
/// seen the next time.
pub fn see(file: &Path) -> Option<Seen> {
    let metadata = fs::metadata(file).ok()?;
    Some((
        metadata.ino(),
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.len(),
    ))
}
