//! Files that the server keeps for its next start. Each is written beside its place, synced and renamed, with a checksum:
//! after a crash at any moment the old content or the new one is there, and a damaged file is recognised.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::config_file::regular;

/// The largest file that is read.
const LARGEST: u64 = 1 << 30;

/// The start of the name of a file that is being written.
const NEW: &str = ".new.";

/// The length of a SHA-256 checksum, which is the start of each file.
const CHECKSUM: usize = 32;

/// Writes a file.
///
/// # Errors
///
/// The system refused; the old content is still there.
pub fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    let mut successor = tempfile::Builder::new()
        .prefix(NEW)
        .tempfile_in(directory)?;
    successor.write_all(&Sha256::digest(content))?;
    successor.write_all(content)?;
    successor.as_file().sync_all()?;
    successor.persist(path).map_err(|error| error.error)?;
    // The rename itself must reach the disk too; some file systems can't sync a directory.
    let _ = File::open(directory).and_then(|directory| directory.sync_all());
    Ok(())
}

/// Deletes what a crash has left of files that were being written. No other process writes to the directory.
pub fn clean(directory: &Path) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        if entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(NEW.as_bytes())
            && let Err(error) = fs::remove_file(entry.path())
        {
            log_line!(
                "portcullis serve: {} can't be deleted: {error}",
                entry.path().display()
            );
        }
    }
}

/// Reads a file; `None` if there is none.
///
/// # Errors
///
/// It can't be read, or it is damaged.
pub fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match regular::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes)?;
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "its checksum is wrong");
    let (checksum, content) = bytes.split_at_checked(CHECKSUM).ok_or_else(damaged)?;
    if Sha256::digest(content).as_slice() != checksum {
        return Err(damaged());
    }
    Ok(Some(content.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_crash_leaves_is_deleted() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("list");
        write(&path, b"content").unwrap();
        let left = directory.path().join(".new.a1B2c3");
        fs::write(&left, b"con").unwrap();
        clean(directory.path());
        clean(&directory.path().join("none"));
        assert!(!left.exists());
        assert_eq!(read(&path).unwrap().unwrap(), b"content");
    }

    #[test]
    fn a_file_is_read_back_and_damage_is_recognised() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/list");
        assert!(read(&path).unwrap().is_none());
        write(&path, b"content").unwrap();
        assert_eq!(read(&path).unwrap().unwrap(), b"content");
        let whole = fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            assert!(read(&path).is_err(), "{cut}");
        }
        let mut changed = whole.clone();
        *changed.last_mut().unwrap() ^= 1;
        fs::write(&path, changed).unwrap();
        assert!(read(&path).is_err());
    }
}
