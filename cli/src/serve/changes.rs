//! The last changes: who, what, when. Each is also one line on standard error, the audit log.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::clients::feed::unix_now;

/// How many changes are kept for the page.
const KEPT: usize = 100;

/// The longest text of one field.
const LONGEST: usize = 500;

/// One change.
#[derive(Clone, Debug)]
pub struct Change {
    /// Since 1970.
    pub at: Duration,
    /// The operator with the address, or the file.
    pub who: String,
    /// What changed, without secrets.
    pub what: String,
    /// Whether it was made.
    pub accepted: bool,
}

/// The last changes, the newest first.
#[derive(Debug, Default)]
pub struct Changes(Mutex<VecDeque<Change>>);

impl Changes {
    /// Records a change and writes its audit line.
    pub fn record(&self, who: &str, what: &str, accepted: bool) {
        let change = Change {
            at: unix_now(),
            who: bounded(who),
            what: bounded(what),
            accepted,
        };
        let mut line = change.to_json();
        if let Value::Object(object) = &mut line {
            object.insert("log".to_owned(), Value::from("audit"));
        }
        // JSON, so that no value can forge a line.
        log_line!("{line}");
        let mut changes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        changes.push_front(change);
        changes.truncate(KEPT);
    }

    /// The last changes, the newest first.
    pub fn list(&self) -> Vec<Change> {
        let changes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        changes.iter().cloned().collect()
    }
}

impl Change {
    /// For programs.
    pub fn to_json(&self) -> Value {
        json!({
            "unix_seconds": self.at.as_secs(),
            "who": self.who,
            "what": self.what,
            "accepted": self.accepted,
        })
    }
}

fn bounded(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}
