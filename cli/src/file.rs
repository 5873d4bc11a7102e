//! Changes a file so that nobody ever sees half of it, and two changes at once both count.
//!
//! A lock file beside it is held from before reading until after writing. The successor is written beside the file,
//! reaches the disk, and takes its name in one rename, which is what Envoy watches for. Whatever fails on the way, the
//! file stays as it was.

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::NamedTempFile;

/// How long another command may hold the lock. Each holds it for milliseconds.
const LOCK_WAIT: Duration = Duration::from_secs(10);

/// How often the lock is tried.
const LOCK_POLL: Duration = Duration::from_millis(5);

/// The largest configuration that is read: what a VM of 1 GiB could use is far smaller.
const LARGEST_CONFIGURATION: u64 = 64 << 20;

/// The largest list that is read.
const LARGEST_LIST: u64 = 1 << 30;

/// Why a file could not be read or changed. Where a change was asked for, the file is as it was.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Not to be read.
    #[error("{file} can't be read: {error}")]
    Read {
        /// The file.
        file: String,
        /// What the system said.
        error: io::Error,
    },
    /// Not there, where the file that holds the filter is meant.
    #[error("{file} is not there; --config FILE names the file that holds the filter")]
    Missing {
        /// The file.
        file: String,
    },
    /// A directory, a pipe or a device.
    #[error(
        "{file} was not changed: it is no regular file; --config FILE names the file that holds the filter"
    )]
    NotAFile {
        /// The file.
        file: String,
    },
    /// Not to be read as a file: a pipe may never end, and a device never does.
    #[error(
        "{file} can't be read: it is {what}, and a regular file is needed; write its content to a file and name that"
    )]
    NotRegular {
        /// The file.
        file: String,
        /// What it is.
        what: &'static str,
    },
    /// More than any file of its kind holds.
    #[error("{file} can't be read: it is larger than {} MB", .most >> 20)]
    TooLarge {
        /// The file.
        file: String,
        /// How much is read at most, in bytes.
        most: u64,
    },
    /// Not UTF-8.
    #[error("{file} can't be read: it is not UTF-8 text (byte {at})")]
    NotText {
        /// The file.
        file: String,
        /// Where the first byte is that is none, from 1.
        at: usize,
    },
    /// Write-protected.
    #[error(
        "{file} was not changed: it is read-only; take write permission for it, or run as who has it"
    )]
    ReadOnly {
        /// The file.
        file: String,
    },
    /// In a volume that the kubelet fills.
    #[error(
        "{file} was not changed: it stands in a Kubernetes ConfigMap or Secret volume, which the kubelet fills and \
         overwrites; change the ConfigMap's manifest instead (portcullis --config MANIFEST ...) and apply it"
    )]
    ClusterVolume {
        /// The file.
        file: String,
    },
    /// Another command takes too long.
    #[error(
        "{file} was not changed: another command has held the lock {lock} for {} seconds; try again",
        LOCK_WAIT.as_secs()
    )]
    Locked {
        /// The file.
        file: String,
        /// The lock file.
        lock: String,
    },
    /// The disk is full.
    #[error("{file} was not changed: no space left on its disk; make room and try again")]
    Full {
        /// The file.
        file: String,
    },
    /// The file is a mount point of its own: Linux does not let it be replaced.
    #[error(
        "{file} was not changed: it is mounted as a single file and can't be replaced; mount its directory instead, \
         or change the file where it comes from"
    )]
    Mounted {
        /// The file.
        file: String,
    },
    /// Nothing can be written beside it.
    #[error(
        "{file} was not changed: nothing can be written to its directory; a change needs write permission there, \
         since a new file takes the old one's place"
    )]
    Directory {
        /// The file.
        file: String,
    },
    /// Only its owner and root can make a file that belongs to the same owner.
    #[error(
        "{file} was not changed: it belongs to another user, and its successor would not; run as its owner, or as root"
    )]
    Owner {
        /// The file.
        file: String,
    },
    /// Changed, but perhaps not for good.
    #[error(
        "{file} was changed, but its directory could not be written to disk: {error}; check the disk"
    )]
    NotDurable {
        /// The file.
        file: String,
        /// What the system said.
        error: io::Error,
    },
    /// Any other fault of the system.
    #[error("{file} was not changed: {doing}: {error}")]
    Write {
        /// The file.
        file: String,
        /// What failed.
        doing: &'static str,
        /// What the system said.
        error: io::Error,
    },
}

/// Reads the file that holds the filter.
pub fn read(path: &Path) -> Result<String, FileError> {
    let bytes = read_bounded(path, LARGEST_CONFIGURATION, &[], unreadable)?;
    String::from_utf8(bytes).map_err(|error| FileError::NotText {
        file: path.display().to_string(),
        at: error.utf8_error().valid_up_to() + 1,
    })
}

/// Reads a file with a list, whatever bytes it holds; a pipe will do.
pub fn read_bytes(path: &Path) -> Result<Vec<u8>, FileError> {
    let failed = |path: &Path, error| FileError::Read {
        file: path.display().to_string(),
        error,
    };
    read_bounded(path, LARGEST_LIST, &["a pipe"], failed)
}

/// Reads a regular file, or another kind that is allowed, up to `most` bytes.
fn read_bounded(
    path: &Path,
    most: u64,
    allowed: &[&str],
    failed: fn(&Path, io::Error) -> FileError,
) -> Result<Vec<u8>, FileError> {
    let read = |error| failed(path, error);
    // Asked before the file is opened: that of a pipe without a writer takes forever.
    let what = kind(&fs::metadata(path).map_err(read)?);
    let file = || path.display().to_string();
    if let Some(what) = what.filter(|what| !allowed.contains(what)) {
        return Err(FileError::NotRegular { file: file(), what });
    }
    let mut bytes = Vec::new();
    let opened = File::open(path).map_err(read)?;
    opened
        .take(most.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(read)?;
    match u64::try_from(bytes.len()) {
        Ok(length) if length <= most => Ok(bytes),
        _ => Err(FileError::TooLarge { file: file(), most }),
    }
}

/// What a file is, where it is no regular one.
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

fn unreadable(path: &Path, error: io::Error) -> FileError {
    let file = path.display().to_string();
    match error.kind() {
        ErrorKind::NotFound => FileError::Missing { file },
        _ => FileError::Read { file, error },
    }
}

/// Changes a file under its lock: `change` gets the text and gives the new one, if it is to change, and its own result.
pub fn update<T, E: From<FileError>>(
    path: &Path,
    change: impl FnOnce(String) -> Result<(Option<String>, T), E>,
) -> Result<T, E> {
    let target = Target::of(path)?;
    let _lock = target.lock()?;
    let (new, result) = change(read(path)?)?;
    if let Some(new) = new {
        target.replace(&new)?;
    }
    Ok(result)
}

/// The file that a path leads to, through symbolic links.
struct Target {
    /// As it was named, for errors.
    name: String,
    path: PathBuf,
    directory: PathBuf,
}

impl Target {
    fn of(path: &Path) -> Result<Self, FileError> {
        let name = path.display().to_string();
        let read = |error| unreadable(path, error);
        let target = fs::canonicalize(path).map_err(read)?;
        // A volume of the kubelet: FILE -> ..data/FILE, ..data -> ..2026_11_23_18_00_00.1; no other real path has ..
        // at the start of a component.
        let in_cluster_volume = target
            .components()
            .any(|part| part.as_os_str().as_encoded_bytes().starts_with(b".."));
        if in_cluster_volume {
            return Err(FileError::ClusterVolume { file: name });
        }
        let metadata = fs::metadata(&target).map_err(read)?;
        if !metadata.is_file() {
            return Err(FileError::NotAFile { file: name });
        }
        // The permissions decide, for root too, whom the system lets write anywhere.
        let opened = OpenOptions::new().append(true).open(&target);
        if metadata.permissions().readonly() || opened.is_err() {
            return Err(FileError::ReadOnly { file: name });
        }
        let directory = target.parent().unwrap_or(Path::new("/")).to_owned();
        Ok(Self {
            name,
            directory,
            path: target,
        })
    }

    /// Takes the lock, which is let go when the file is closed. The lock file stays: removing it would let two
    /// commands hold two locks.
    fn lock(&self) -> Result<File, FileError> {
        let file_name = self.path.file_name().unwrap_or_default();
        let path = self
            .directory
            .join(format!(".{}.lock", file_name.to_string_lossy()));
        let doing = self.failing("the lock file beside it can't be opened");
        let owned = fs::metadata(&self.path).map_err(&doing)?;
        let file = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let created = OpenOptions::new()
                    .write(true)
                    .create(true)
                    .truncate(false)
                    .mode(owned.mode())
                    .open(&path);
                // Whoever may change the file must be able to take its lock, when root was the first to. Others can't
                // give files away, and need not.
                let _ = chown(&path, Some(owned.uid()), Some(owned.gid()));
                created
            }
            other => other,
        };
        let file = file.map_err(doing)?;
        let deadline = Instant::now() + LOCK_WAIT;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    thread::sleep(LOCK_POLL);
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(FileError::Locked {
                        file: self.name.clone(),
                        lock: path.display().to_string(),
                    });
                }
                Err(TryLockError::Error(error)) => {
                    return Err(self.failing("its lock can't be taken")(error));
                }
            }
        }
    }

    fn replace(&self, text: &str) -> Result<(), FileError> {
        let writing = || self.failing("its successor can't be written beside it");
        let before = fs::metadata(&self.path).map_err(writing())?;
        let mut successor = self.successor().map_err(writing())?;
        successor.write_all(text.as_bytes()).map_err(writing())?;
        let now = successor.as_file().metadata().map_err(writing())?;
        if (now.uid(), now.gid()) != (before.uid(), before.gid()) {
            chown(successor.path(), Some(before.uid()), Some(before.gid())).map_err(|error| {
                match error.kind() {
                    ErrorKind::PermissionDenied => FileError::Owner {
                        file: self.name.clone(),
                    },
                    _ => self.failing("its owner and group can't be kept")(error),
                }
            })?;
        }
        successor
            .as_file()
            .set_permissions(before.permissions())
            .map_err(self.failing("its permissions can't be kept"))?;
        successor.as_file().sync_all().map_err(writing())?;
        successor
            .persist(&self.path)
            .map_err(|error| self.failing("its successor can't take its name")(error.error))?;
        // The rename itself must reach the disk too.
        File::open(&self.directory)
            .and_then(|directory| directory.sync_all())
            .or_else(|error| match error.kind() {
                // Some file systems can't sync a directory.
                ErrorKind::InvalidInput | ErrorKind::Unsupported => Ok(()),
                _ => Err(error),
            })
            .map_err(|error| FileError::NotDurable {
                file: self.name.clone(),
                error,
            })
    }

    fn successor(&self) -> io::Result<NamedTempFile> {
        let file_name = self.path.file_name().unwrap_or_default();
        tempfile::Builder::new()
            .prefix(&format!(".{}.", file_name.to_string_lossy()))
            .suffix(".new")
            .tempfile_in(&self.directory)
    }

    fn failing(&self, doing: &'static str) -> impl Fn(io::Error) -> FileError {
        let file = self.name.clone();
        move |error| {
            let file = file.clone();
            match error.kind() {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => FileError::Full { file },
                ErrorKind::ReadOnlyFilesystem => FileError::ReadOnly { file },
                ErrorKind::PermissionDenied => FileError::Directory { file },
                ErrorKind::ResourceBusy => FileError::Mounted { file },
                _ => FileError::Write { file, doing, error },
            }
        }
    }
}
