//! A delta of CrowdSec's decisions: `new` as the filter reads it, and `deleted`, which the filter ignores.

use portcullis::config::Feed;
use portcullis::feed::crowdsec::DecisionsError;
use portcullis::feed::error::FetchError;
use portcullis::feed::scalar::Shape;
use serde::Deserialize;
use serde_json::{Value, json};

use super::entries::Entries;
use super::upstream::read_list;

/// What has changed since the last response.
#[derive(Debug)]
pub struct Delta {
    /// Decisions that were made.
    pub new: Entries,
    /// Decisions that ended, by themselves or early.
    pub deleted: Entries,
}

#[derive(Deserialize)]
struct Response {
    #[serde(default)]
    deleted: Option<Vec<Deleted>>,
}

/// A decision is identified by these three.
#[derive(Deserialize)]
struct Deleted {
    #[serde(default)]
    scope: Value,
    #[serde(default, rename = "type")]
    kind: Value,
    #[serde(default)]
    value: Value,
}

/// Reads a delta.
///
/// # Errors
///
/// It is not one.
pub fn read_delta(feed: &Feed, body: &[u8], now: u32) -> Result<Delta, FetchError> {
    let (mut new, _) = read_list(feed, &mut { body }, now)?;
    // The filter's reader has accepted the JSON, but not the shape of `deleted`.
    let response: Response = serde_json::from_slice(body).map_err(|_| {
        let shape = DecisionsError::WrongShape(Shape::SomeObject);
        FetchError::Decisions(shape)
    })?;
    let mut deleted = Entries::default();
    for decisions in response.deleted.unwrap_or_default().chunks(1_000) {
        let decisions: Vec<Value> = decisions
            .iter()
            .map(|one| json!({"scope": one.scope, "type": one.kind, "value": one.value}))
            .collect();
        let as_new = json!({ "new": decisions }).to_string();
        match read_list(feed, &mut as_new.as_bytes(), now) {
            Ok((entries, _)) => deleted.extend(&entries),
            // Such decisions are no entries.
            Err(FetchError::Decisions(DecisionsError::NothingUsable(_))) => {}
            Err(error) => return Err(error),
        }
    }
    new.sort();
    deleted.sort();
    Ok(Delta { new, deleted })
}
