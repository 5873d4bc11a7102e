//! Replaces a file atomically: no reader sees half of it, and of two changes at once both count.
//!
//! The file itself is locked from before the read until after the write, so that no lock file stays beside it. The successor
//! is written beside the file, synced to disk and renamed over it; Envoy watches for that rename. If a step fails, the file
//! stays as it was.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::NamedTempFile;

use super::{bounded, regular};
use crate::error::{Failure, Result};

/// How long to wait for another command's lock. Each command holds it for milliseconds.
const LOCK_WAIT: Duration = Duration::from_secs(10);

/// How often the lock is tried.
const LOCK_POLL: Duration = Duration::from_millis(5);

/// The largest list that is read.
const LARGEST_LIST: u64 = 1 << 30;

/// Reads the file that holds the filter. `hint`: what to do if it is not there.
pub fn read(path: &Path, hint: &str) -> Result<String> {
    if let Ok(false) = path.try_exists() {
        return Err(missing(path, hint));
    }
    let bytes = read_bounded(path, bounded::LARGEST_CONFIGURATION, &[])?;
    bounded::text(bytes).map_err(|reason| unreadable(path, &reason))
}

/// Reads a file with a list, whatever bytes it holds, or a pipe.
pub fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    read_bounded(path, LARGEST_LIST, &["a pipe"])
}

/// Reads a regular file, or another kind that is allowed, up to `limit` bytes.
fn read_bounded(path: &Path, limit: u64, allowed: &[&str]) -> Result<Vec<u8>> {
    let opened = regular::open_or(path, allowed);
    let opened = opened.map_err(|error| unreadable(path, &error.to_string()))?;
    bounded::read(opened, limit).map_err(|reason| unreadable(path, &reason))
}

fn unreadable(path: &Path, reason: &str) -> Failure {
    Failure::refused(format!("{} can't be read: {reason}", path.display()))
}

fn missing(path: &Path, hint: &str) -> Failure {
    Failure::refused(format!("{} does not exist; {hint}", path.display()))
}

/// Changes a file under its lock, with `hint` as in [`read`]: `change` gets the text and returns the new one, if it is to change, and its own result.
pub fn update<T>(
    path: &Path,
    hint: &str,
    change: impl FnOnce(String) -> Result<(Option<String>, T)>,
) -> Result<T> {
    let target = Target::of(path, hint)?;
    let _lock = target.lock()?;
    let (new, result) = change(read(path, hint)?)?;
    if let Some(new) = new {
        target.replace(&new)?;
    }
    Ok(result)
}

/// The file that a path leads to, through symbolic links.
struct Target {
    /// The name that the user gave, for errors.
    name: String,
    path: PathBuf,
    directory: PathBuf,
}

impl Target {
    fn of(path: &Path, hint: &str) -> Result<Self> {
        let name = path.display().to_string();
        let read = |error: io::Error| match error.kind() {
            ErrorKind::NotFound => missing(path, hint),
            _ => Failure::refused(format!("{name} can't be read: {error}")),
        };
        let target = fs::canonicalize(path).map_err(read)?;
        // A volume of the kubelet: FILE -> ..data/FILE, ..data -> ..2026_11_23_18_00_00.1; no other real path has ..
        // at the start of a component.
        let in_cluster_volume = target
            .components()
            .any(|part| part.as_os_str().as_encoded_bytes().starts_with(b".."));
        if in_cluster_volume {
            return Err(unchanged(
                &name,
                "it is in a Kubernetes ConfigMap or Secret volume, which the kubelet fills and overwrites; change the \
                 ConfigMap's manifest instead (portcullis --config MANIFEST ...) and apply it",
            ));
        }
        let metadata = fs::metadata(&target).map_err(read)?;
        if !metadata.is_file() {
            return Err(unchanged(
                &name,
                &format!("it is not a regular file; {hint}"),
            ));
        }
        // Root can write to a read-only file, so the permissions are checked too.
        let opened = OpenOptions::new().append(true).open(&target);
        if metadata.permissions().readonly() || opened.is_err() {
            return Err(unchanged(&name, READ_ONLY));
        }
        let directory = target.parent().unwrap_or(Path::new("/")).to_owned();
        Ok(Self {
            name,
            directory,
            path: target,
        })
    }

    /// Takes the lock, which is released when the file is closed. Whoever waited for the lock of a file that has been replaced
    /// in the meantime waits for that of its successor.
    fn lock(&self) -> Result<File> {
        let started = Instant::now();
        let opened = || regular::open(&self.path).map_err(self.failed("its lock can't be taken"));
        let mut file = opened()?;
        loop {
            match file.try_lock() {
                Ok(()) if self.is_current(&file)? => return Ok(file),
                Ok(()) => file = opened()?,
                Err(TryLockError::WouldBlock) if started.elapsed() < LOCK_WAIT => {
                    thread::sleep(LOCK_POLL);
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(unchanged(
                        &self.name,
                        &format!(
                            "another command has held its lock for {} seconds; try again",
                            LOCK_WAIT.as_secs()
                        ),
                    ));
                }
                Err(TryLockError::Error(error)) => {
                    return Err(self.failed("its lock can't be taken")(error));
                }
            }
        }
    }

    /// Whether the path still leads to this open file.
    fn is_current(&self, file: &File) -> Result<bool> {
        let failed = || self.failed("its lock can't be taken");
        let opened = file.metadata().map_err(failed())?;
        let current = fs::metadata(&self.path).map_err(failed())?;
        Ok((opened.dev(), opened.ino()) == (current.dev(), current.ino()))
    }

    fn replace(&self, text: &str) -> Result<()> {
        let writing = || self.failed("its successor can't be written beside it");
        let before = fs::metadata(&self.path).map_err(writing())?;
        let mut successor = self.successor().map_err(writing())?;
        successor.write_all(text.as_bytes()).map_err(writing())?;
        let now = successor.as_file().metadata().map_err(writing())?;
        if (now.uid(), now.gid()) != (before.uid(), before.gid()) {
            chown(successor.path(), Some(before.uid()), Some(before.gid())).map_err(|error| {
                match error.kind() {
                    ErrorKind::PermissionDenied => unchanged(
                        &self.name,
                        "it belongs to another user, and its successor would not; run as its owner, or as root",
                    ),
                    _ => self.failed("its owner and group can't be kept")(error),
                }
            })?;
        }
        successor
            .as_file()
            .set_permissions(before.permissions())
            .map_err(self.failed("its permissions can't be kept"))?;
        successor.as_file().sync_all().map_err(writing())?;
        successor
            .persist(&self.path)
            .map_err(|error| self.failed("its successor can't be renamed to it")(error.error))?;
        // The rename itself must reach the disk too.
        File::open(&self.directory)
            .and_then(|directory| directory.sync_all())
            .or_else(|error| match error.kind() {
                // Some file systems can't sync a directory.
                ErrorKind::InvalidInput | ErrorKind::Unsupported => Ok(()),
                _ => Err(error),
            })
            .map_err(|error| {
                Failure::refused(format!(
                    "{} was changed, but its directory could not be written to disk: {error}; check the disk",
                    self.name
                ))
            })
    }

    fn successor(&self) -> io::Result<NamedTempFile> {
        let file_name = self.path.file_name().unwrap_or_default();
        tempfile::Builder::new()
            .prefix(&format!(".{}.", file_name.to_string_lossy()))
            .suffix(".new")
            .tempfile_in(&self.directory)
    }

    /// An error of the system while `doing` something, with what an operator can do about it.
    fn failed(&self, doing: &'static str) -> impl Fn(io::Error) -> Failure {
        move |error| {
            let reason = match error.kind() {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                    "no space left on its disk; make room and try again"
                }
                ErrorKind::ReadOnlyFilesystem => READ_ONLY,
                ErrorKind::PermissionDenied => {
                    "nothing can be written to its directory; a change needs write permission there, since a new file \
                     replaces the old one"
                }
                ErrorKind::ResourceBusy => {
                    "it is mounted as a single file and can't be replaced; mount its directory instead, or change the \
                     file where it comes from"
                }
                _ => &format!("{doing}: {error}"),
            };
            unchanged(&self.name, reason)
        }
    }
}

const READ_ONLY: &str = "it is read-only; make it writable, or run as a user who may write it";

fn unchanged(file: &str, reason: &str) -> Failure {
    Failure::refused(format!("{file} was not changed: {reason}"))
}
