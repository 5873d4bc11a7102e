//! Finds ASE's files below a directory and reads them. Knows their formats only as far as needed to tell them apart.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::config_file::atomic_file::read_bytes;
use crate::error::{Failure, Result};

/// ASE has its API files at `config/api/`.
const DEEPEST: usize = 3;

/// More files than any ASE has: the directory is probably another one.
const MOST_FILES: usize = 10_000;

/// What a file is.
#[derive(Debug)]
pub enum Content {
    /// `ase.conf`.
    Ase(Vec<(String, String)>),
    /// `abs.conf`.
    Abs(Vec<(String, String)>),
    /// The object `api_metadata` of an API JSON file.
    Api(Value),
    /// What `view_whitelist` or `view_blacklist` prints.
    List(String),
    /// Another file, and why it is not read.
    Other(&'static str),
}

/// A file of ASE.
#[derive(Debug)]
pub struct SourceFile {
    /// Its path below the directory.
    pub name: String,
    /// What it contains.
    pub content: Content,
}

/// Every file that may matter, sorted by its name.
pub fn read(directory: &Path) -> Result<Vec<SourceFile>> {
    let mut paths = Vec::new();
    collect(directory, 0, &mut paths)?;
    paths.sort();
    let mut files = Vec::new();
    for path in paths {
        let name = path.strip_prefix(directory).unwrap_or(&path);
        let name = name.display().to_string();
        if let Some(content) = content(&path)? {
            files.push(SourceFile { name, content });
        }
    }
    Ok(files)
}

fn collect(directory: &Path, depth: usize, paths: &mut Vec<PathBuf>) -> Result<()> {
    let failed =
        |error| Failure::refused(format!("{} can't be read: {error}", directory.display()));
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() && depth < DEEPEST {
            collect(&path, depth.saturating_add(1), paths)?;
        } else if path.is_file() {
            paths.push(path);
        }
        if paths.len() > MOST_FILES {
            return Err(Failure::refused(format!(
                "{} has more than {MOST_FILES} files: name the directory that has ase.conf, or a copy of ASE's config",
                directory.display()
            )));
        }
    }
    Ok(())
}

/// What a file contains; `None` for a file that is none of ASE's.
fn content(path: &Path) -> Result<Option<Content>> {
    let extension = path.extension().and_then(|extension| extension.to_str());
    let file_name = path.file_name().and_then(|name| name.to_str());
    let refused = |reason: &str| Failure::refused(format!("{}: {reason}", path.display()));
    let text = || -> Result<String> {
        String::from_utf8(read_bytes(path)?).map_err(|_| refused("it is not UTF-8 text"))
    };
    Ok(match (file_name, extension) {
        (Some("ase.conf"), _) => Some(Content::Ase(
            pairs(&text()?).map_err(|error| refused(&error))?,
        )),
        (Some("abs.conf"), _) => Some(Content::Abs(
            pairs(&text()?).map_err(|error| refused(&error))?,
        )),
        (Some("cluster.conf"), _) => Some(Content::Other(
            "nodes of ASE's cluster; portcullis serve gives one configuration to a fleet of Envoys (docs/fleet.md)",
        )),
        (_, Some("json")) => {
            let text = text()?;
            let text = text.trim_start_matches('\u{FEFF}');
            let value: Value = serde_json::from_str(text)
                .map_err(|error| refused(&format!("not valid JSON: {error}")))?;
            Some(json_content(value))
        }
        (_, Some("txt")) => match text() {
            Ok(text) if super::lists::is_list(&text) => Some(Content::List(text)),
            _ => None,
        },
        _ => None,
    })
}

fn json_content(mut value: Value) -> Content {
    const ABS_KEYS: [&str; 6] = [
        "attacklist",
        "ips",
        "cookies",
        "oauth_tokens",
        "api_keys",
        "usernames",
    ];
    match value.get_mut("api_metadata").map(Value::take) {
        Some(metadata) if metadata.is_object() => Content::Api(metadata),
        _ if ABS_KEYS.iter().any(|key| value.get(key).is_some()) => Content::Other(
            "a list in ABS's format; the filter fetches ABS's list itself (enable_abs_attack)",
        ),
        _ => Content::Other("JSON without \"api_metadata\": no API of ASE"),
    }
}

/// The keys and values of an .ini file. A comment starts with a semicolon.
fn pairs(text: &str) -> std::result::Result<Vec<(String, String)>, String> {
    let mut pairs = Vec::new();
    for (number, line) in (1_u64..).zip(text.trim_start_matches('\u{FEFF}').lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with([';', '#', '[']) {
            continue;
        }
        let (key, value) = line
            .split_once('=')
            .ok_or_else(|| format!("line {number} is not KEY=VALUE and no comment"))?;
        pairs.push((key.trim().to_owned(), value.trim().to_owned()));
    }
    Ok(pairs)
}
