//! What an import says about settings that it does not take over, by file and reason.

use serde_json::{Value, json};

/// A setting that is not taken over as it is.
#[derive(Debug, PartialEq, Eq)]
struct Remark {
    file: String,
    keys: Vec<String>,
    reason: String,
}

/// The remarks of an import, in the order of the files.
#[derive(Debug, Default)]
pub struct Remarks(Vec<Remark>);

impl Remarks {
    /// Adds a key of a file. Keys with the same reason share a line.
    pub fn add(&mut self, file: &str, key: &str, reason: &str) {
        let known = self
            .0
            .iter_mut()
            .find(|known| known.file == file && known.reason == reason);
        match known {
            Some(known) => known.keys.push(key.to_owned()),
            None => self.0.push(Remark {
                file: file.to_owned(),
                keys: vec![key.to_owned()],
                reason: reason.to_owned(),
            }),
        }
    }

    /// One line each.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.0
            .iter()
            .map(|Remark { file, keys, reason }| format!("{file}: {}: {reason}", keys.join(", ")))
    }

    /// For programs.
    pub fn to_json(&self) -> Value {
        let json = |remark: &Remark| json!({"file": remark.file, "keys": remark.keys, "reason": remark.reason});
        self.0.iter().map(json).collect()
    }
}
