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
        // Also changes with the owner and the permissions: a file that could not be read may be readable now.
        metadata.ctime(),
        metadata.ctime_nsec(),
        metadata.len(),
    ))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_change_of_permissions_is_seen() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let before = see(file.path());
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o640)).unwrap();
        assert!(before.is_some());
        assert_ne!(before, see(file.path()));
    }
}
