//! Lists by URL: text lists and lists of tokens, kept as the bytes that an admin call stored.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;

use crate::view::View;

/// How a document is served.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Serving {
    /// Whether responses have an `ETag`.
    pub etag: bool,
    /// Whether responses have a `Last-Modified`.
    pub last_modified: bool,
    /// The header that a request must have, if any.
    pub header: Option<String>,
    /// Its value.
    pub value: String,
}

impl Default for Serving {
    fn default() -> Self {
        Self {
            etag: true,
            last_modified: true,
            header: None,
            value: String::new(),
        }
    }
}

/// A stored document.
#[derive(Clone, Debug)]
pub struct Document {
    /// Its body.
    pub view: Arc<View>,
    /// How it is served.
    pub serving: Serving,
    /// When it changed, in whole seconds.
    pub modified: SystemTime,
}

/// Documents by name.
#[derive(Debug, Default)]
pub struct Documents(HashMap<String, Document>);

impl Documents {
    /// Stores a document in place of the previous one.
    ///
    /// A change within a second gets the next second, so that `If-Modified-Since` never hides it.
    pub fn store(&mut self, name: String, view: View, serving: Serving, now: SystemTime) {
        let since_epoch = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let fraction = Duration::from_nanos(since_epoch.subsec_nanos().into());
        let second = now.checked_sub(fraction).unwrap_or(now);
        let modified = match self.0.get(&name) {
            Some(old) if old.view.body == view.body => old.modified,
            Some(old) => {
                let next = old.modified.checked_add(Duration::from_secs(1));
                second.max(next.unwrap_or(second))
            }
            None => second,
        };
        let document = Document {
            view: Arc::new(view),
            serving,
            modified,
        };
        self.0.insert(name, document);
    }

    /// The document of this name.
    pub fn get(&self, name: &str) -> Option<Document> {
        self.0.get(name).cloned()
    }

    /// Removes a document; returns whether there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        self.0.remove(name).is_some()
    }
}
