//! Files that are read in place of a list server: which cluster names stand for which files, what a call to one gets, and
//! which files have changed.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A file in place of a cluster.
struct ListFile {
    cluster: String,
    path: PathBuf,
    /// The version that was last looked at.
    seen: Option<String>,
    /// The last error that was logged.
    failing: Option<io::ErrorKind>,
}

static FILES: Mutex<Vec<ListFile>> = Mutex::new(Vec::new());

fn files() -> MutexGuard<'static, Vec<ListFile>> {
    FILES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sets the files of this process: cluster names and paths.
pub fn set(list_files: &[(String, String)]) {
    let list_files = list_files.iter().map(|(cluster, path)| ListFile {
        cluster: cluster.clone(),
        path: path.into(),
        seen: None,
        failing: None,
    });
    *files() = list_files.collect();
}

/// Whether there are any.
pub fn exist() -> bool {
    !files().is_empty()
}

/// Whether a cluster name stands for a file.
pub fn has(cluster: &str) -> bool {
    files().iter().any(|file| file.cluster == cluster)
}

/// The clusters whose files have changed since the last call. A file that is missing has not changed.
pub fn changed() -> Vec<String> {
    let mut changed = Vec::new();
    for file in files().iter_mut() {
        // Follows symbolic links, as Kubernetes replaces them for a new version.
        let Ok(version) = std::fs::metadata(&file.path).map(|it| version(&it)) else {
            continue;
        };
        if file.seen.as_ref() != Some(&version) {
            file.seen = Some(version);
            changed.push(file.cluster.clone());
        }
    }
    changed
}

/// The response to a call.
pub struct FileResponse {
    /// The headers, `:status` too.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Option<File>,
}

/// The response to a GET at the file of `cluster`. `known`: the value of `if-none-match`.
pub fn get(cluster: &str, known: &[u8]) -> FileResponse {
    let mut files = files();
    let Some(file) = files.iter_mut().find(|file| file.cluster == cluster) else {
        return status("404");
    };
    match open(&file.path) {
        Ok((opened, version, length)) => {
            file.failing = None;
            if version.as_bytes() == known {
                return status("304");
            }
            let mut headers = vec![
                (":status", "200".to_owned()),
                ("etag", version),
                ("content-length", length.to_string()),
            ];
            if file.path.extension().is_some_and(|it| it == "gz") {
                headers.push(("content-encoding", "gzip".to_owned()));
            }
            FileResponse {
                headers,
                body: Some(opened),
            }
        }
        Err(error) => {
            if file.failing.replace(error.kind()) != Some(error.kind()) {
                log::error!(
                    "list_files.{cluster}: {} can't be read: {error}",
                    file.path.display()
                );
            }
            status("404")
        }
    }
}

fn status(status: &str) -> FileResponse {
    FileResponse {
        headers: vec![(":status", status.to_owned())],
        body: None,
    }
}

fn open(path: &Path) -> io::Result<(File, String, u64)> {
    // Before it is opened: opening a pipe would wait for a writer.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is not a regular file",
        ));
    }
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    Ok((file, version(&metadata), metadata.len()))
}

/// A text that differs for each version of a file, as an ETag.
fn version(metadata: &Metadata) -> String {
    let seconds = metadata.mtime();
    let nanos = metadata.mtime_nsec();
    format!(
        "\"{:x}-{seconds:x}-{nanos:x}-{:x}\"",
        metadata.ino(),
        metadata.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::unwrap_used, reason = "tests fail by panics")]
    fn a_file_is_read_again_only_after_a_change() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("drop.txt");
        let text = path.to_str().unwrap().to_owned();
        set(&[("drop".to_owned(), text)]);
        assert!(exist() && has("drop") && !has("other"));
        assert!(changed().is_empty(), "it is missing");
        let value = |response: &FileResponse, name| {
            let mut headers = response.headers.iter();
            let found = headers.find(|(known, _)| *known == name);
            found.map_or(String::new(), |(_, value)| value.clone())
        };
        assert_eq!(value(&get("drop", b""), ":status"), "404");
        std::fs::write(&path, "8.8.8.8\n").unwrap();
        assert_eq!(changed(), ["drop"]);
        assert!(changed().is_empty());
        let first = get("drop", b"");
        assert_eq!(value(&first, ":status"), "200");
        assert_eq!(value(&first, "content-length"), "8");
        let etag = value(&first, "etag");
        assert_eq!(value(&get("drop", etag.as_bytes()), ":status"), "304");
        std::fs::write(directory.path().join("new"), "8.8.4.4\n").unwrap();
        std::fs::rename(directory.path().join("new"), &path).unwrap();
        assert_eq!(changed(), ["drop"]);
        assert_eq!(value(&get("drop", etag.as_bytes()), ":status"), "200");
        assert_eq!(value(&get("other", b""), ":status"), "404");
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert_eq!(value(&get("drop", b""), ":status"), "404");
    }
}
