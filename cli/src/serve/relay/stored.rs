//! The last good list of a feed on disk. Two files: the list, written when it changes, and the time of the last fetch that
//! confirmed it, written after each fetch.

use std::io;
use std::path::{Path, PathBuf};

use portcullis::config::Feed;
use portcullis::feed::response::Validators;
use portcullis::identifier::{IdentifierKind, PerKind};
use serde::{Deserialize, Serialize};

use super::form::Body;
use super::settings::Upstream;
use crate::serve::filters::version_of;
use crate::serve::state_file;

/// The files of one feed.
#[derive(Clone, Debug)]
pub struct Stored {
    list: PathBuf,
    time: PathBuf,
    /// Of the upstream: another upstream's list is not taken.
    source: String,
}

/// What is known of a stored list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    source: String,
    /// The entity tag.
    pub etag: String,
    /// The numbers of entries, by the names of their kinds.
    counts: Vec<(String, u64)>,
    /// When the list was written, in seconds since 1970: durations count from then.
    pub rendered_at: u32,
    plain_bytes: u64,
}

/// The last fetch that confirmed a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmed {
    /// The entity tag of the list.
    pub etag: String,
    /// When, in seconds since 1970.
    pub at: u64,
    upstream_etag: Vec<u8>,
    upstream_last_modified: Vec<u8>,
}

/// A list from disk.
#[derive(Debug)]
pub struct Restored {
    /// What is known of it.
    pub header: Header,
    /// The list.
    pub body: Body,
    /// The last fetch that confirmed it.
    pub confirmed: Confirmed,
}

impl Header {
    /// A new list's.
    pub fn new(etag: &str, counts: &PerKind<u64>, rendered_at: u32, plain_bytes: u64) -> Self {
        let kinds = IdentifierKind::ALL.into_iter();
        let counts = kinds.map(|kind| (kind.as_str().to_owned(), *counts.get(kind)));
        Self {
            source: String::new(),
            etag: etag.to_owned(),
            counts: counts.collect(),
            rendered_at,
            plain_bytes,
        }
    }

    /// The numbers of entries.
    pub fn counts(&self) -> PerKind<u64> {
        let mut counts = PerKind::default();
        for kind in IdentifierKind::ALL {
            let mut all = self.counts.iter();
            let found = all.find(|(name, _)| name == kind.as_str());
            *counts.get_mut(kind) = found.map_or(0, |(_, count)| *count);
        }
        counts
    }
}

impl Confirmed {
    /// A fetch's.
    pub fn new(etag: &str, at: u64, validators: &Validators) -> Self {
        Self {
            etag: etag.to_owned(),
            at,
            upstream_etag: validators.etag.clone(),
            upstream_last_modified: validators.last_modified.clone(),
        }
    }

    /// What identifies the list at the upstream.
    pub fn validators(&self) -> Validators {
        Validators {
            etag: self.upstream_etag.clone(),
            last_modified: self.upstream_last_modified.clone(),
        }
    }
}

/// The directory of all lists below the state directory.
pub fn directory(state: &Path) -> PathBuf {
    state.join("lists")
}

impl Stored {
    /// The files of a feed below the state directory.
    pub fn new(state: &Path, feed: &Feed, upstream: &Upstream) -> Self {
        let directory = directory(state);
        let Feed {
            authority,
            path,
            format,
            kinds,
            ..
        } = feed;
        let source = format!("{:?}", (&upstream.url, authority, path, format, kinds));
        Self {
            list: directory.join(format!("{}.list", feed.name)),
            time: directory.join(format!("{}.time", feed.name)),
            source: version_of(source.as_bytes()),
        }
    }

    /// The list; `None` if there is none of this upstream.
    ///
    /// # Errors
    ///
    /// It can't be read, or it is damaged.
    pub fn read(&self) -> io::Result<Option<Restored>> {
        let Some(content) = state_file::read(&self.list)? else {
            return Ok(None);
        };
        let end = content.iter().position(|byte| *byte == b'\n');
        let (header, rest) = content.split_at(end.unwrap_or(0));
        let header: Header = serde_json::from_slice(header)?;
        if header.source != self.source {
            return Ok(None);
        }
        let body = Body {
            gzip: rest.get(1..).unwrap_or_default().to_vec().into(),
            plain_bytes: header.plain_bytes,
        };
        // Without its time, the list is as old as it can be.
        let time = state_file::read(&self.time).ok().flatten();
        let confirmed = time.and_then(|time| serde_json::from_slice::<Confirmed>(&time).ok());
        let confirmed = confirmed
            .filter(|confirmed| confirmed.etag == header.etag)
            .unwrap_or_else(|| Confirmed {
                etag: header.etag.clone(),
                at: u64::from(header.rendered_at),
                ..Confirmed::default()
            });
        Ok(Some(Restored {
            header,
            body,
            confirmed,
        }))
    }

    /// Writes a list.
    ///
    /// # Errors
    ///
    /// The system refused; the old list is still there.
    pub fn write(&self, header: &Header, body: &Body) -> io::Result<()> {
        let header = Header {
            source: self.source.clone(),
            ..header.clone()
        };
        let mut content = serde_json::to_vec(&header)?;
        content.push(b'\n');
        content.extend_from_slice(&body.gzip);
        state_file::write(&self.list, &content).map_err(|error| named(&self.list, &error))
    }

    /// Writes the time of a fetch.
    ///
    /// # Errors
    ///
    /// The system refused.
    pub fn confirm(&self, confirmed: &Confirmed) -> io::Result<()> {
        let content = serde_json::to_vec(confirmed)?;
        state_file::write(&self.time, &content).map_err(|error| named(&self.time, &error))
    }

    /// The file of the list.
    pub fn path(&self) -> &Path {
        &self.list
    }
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(
        error.kind(),
        format!("{} can't be written: {error}", path.display()),
    )
}
