//! A valid filter file: the resource that nodes get, and its version. Reads and writes no file.

use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::clients::feed::unix_now;
use crate::config_file::ConfigFile;
use crate::config_file::diff::differences;
use crate::config_file::place::Place;
use crate::config_file::select::Selection;
use crate::error::Result;

/// A valid file.
#[derive(Debug)]
pub struct Served {
    /// The text of the file.
    pub text: String,
    /// The filter's configuration, which can contain secrets.
    pub configuration: Map<String, Value>,
    /// The same as the filter gets it.
    pub raw: Vec<u8>,
    /// The filter as a `TypedExtensionConfig` in JSON.
    pub resource: String,
    /// The version of the resource: the same text gives the same version on every server.
    pub version: String,
    /// Since 1970: when this version was read.
    pub since: Duration,
}

impl Served {
    /// The entity tag of the file's text.
    pub fn etag(&self) -> String {
        etag_of(&self.text)
    }
}

/// The version of a content: the same on every server.
pub fn version_of(content: &[u8]) -> String {
    let digest = Sha256::digest(content);
    digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The entity tag of a text.
pub fn etag_of(text: &str) -> String {
    format!("\"{}\"", version_of(text.as_bytes()))
}

/// Validates the text of a file and makes the resource of it.
pub fn read_file(name: &str, file: &Path, text: String) -> Result<Served> {
    let parsed = ConfigFile::parse(
        &Place::File(file.to_owned()),
        text.clone(),
        Selection::default(),
    )?;
    parsed.config()?;
    let typed_config = parsed.typed_config()?;
    let resource = json!({
        "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
        "name": name,
        "typed_config": typed_config,
    });
    let resource = resource.to_string();
    Ok(Served {
        version: version_of(resource.as_bytes()),
        resource,
        configuration: parsed.configuration,
        raw: parsed.raw,
        text,
        since: unix_now(),
    })
}

/// What changed in the configuration, without secrets.
pub fn difference_of(file: &Path, name: &str, old: &str, new: &Served) -> String {
    let Ok(old) = read_file(name, file, old.to_owned()) else {
        return "the file was replaced".to_owned();
    };
    let lines = differences(&old.configuration, &new.configuration, false);
    let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
    match lines.is_empty() {
        true => "no change of the configuration".to_owned(),
        false => lines.join("; "),
    }
}
