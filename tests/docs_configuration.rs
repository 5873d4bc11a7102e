//! The configuration reference and the code agree: each JSON example is a valid configuration, and each section documents
//! exactly the keys that the parser knows. `docs/feeds.md` is the reference of feeds.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "helpers of tests fail loudly"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use portcullis::config::{Config, FeedFormat, KNOWN_KEYS};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The code blocks of `language` in a Markdown text, each with the number of its first line.
fn code_blocks(markdown: &str, language: &str) -> Vec<(usize, String)> {
    let fence = format!("```{language}");
    let mut blocks = Vec::new();
    let mut lines = markdown.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if line.trim() == fence {
            let body: Vec<&str> = lines
                .by_ref()
                .map(|(_, line)| line)
                .take_while(|line| line.trim() != "```")
                .collect();
            blocks.push((number + 2, body.join("\n")));
        } else if line.trim_start().starts_with("```") {
            // Skips a block of another language.
            lines.by_ref().find(|(_, line)| line.trim() == "```");
        }
    }
    blocks
}

/// Whether a JSON block is a plugin configuration: an object with one of the top-level keys.
fn looks_like_a_configuration(json: &str) -> bool {
    let (_, outermost) = KNOWN_KEYS[0];
    match serde_json::from_str::<serde_json::Value>(json) {
        Ok(serde_json::Value::Object(object)) => {
            outermost.iter().any(|key| object.contains_key(*key))
        }
        Ok(_) => false,
        // Invalid JSON in a block of JSON is an error of the document.
        Err(_) => true,
    }
}

/// Checks each configuration in a file and returns their number.
fn check_examples(path: &Path) -> usize {
    let mut n_checked = 0;
    for (line, json) in code_blocks(&read(path), "json") {
        if !looks_like_a_configuration(&json) {
            continue;
        }
        n_checked += 1;
        if let Err(errors) = Config::parse(json.as_bytes(), &|_| None) {
            let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
            panic!(
                "{}: the example at line {line} is rejected:\n{}",
                path.display(),
                errors.join("\n")
            );
        }
    }
    n_checked
}

#[test]
fn the_examples_of_the_reference_are_valid() {
    assert!(check_examples(&root().join("docs/configuration.md")) > 0);
}

/// Each format has a feed, and each feed is enabled.
#[test]
fn the_examples_of_the_feeds_are_valid() {
    let path = root().join("docs/feeds.md");
    check_examples(&path);
    let mut formats = BTreeSet::new();
    for (line, json) in code_blocks(&read(&path), "json") {
        if !looks_like_a_configuration(&json) {
            continue;
        }
        let config = Config::parse(json.as_bytes(), &|_| Some("value".to_owned())).unwrap();
        assert!(!config.feeds.is_empty(), "no feed at line {line}");
        assert_eq!(config.warnings, [], "at line {line}");
        formats.extend(config.feeds.iter().map(|feed| match feed.format {
            FeedFormat::Abs { .. } => "abs",
            FeedFormat::Crowdsec(_) => "crowdsec",
            FeedFormat::Text { .. } => "text",
            FeedFormat::Tokens { .. } => "tokens",
        }));
    }
    assert_eq!(
        Vec::from_iter(formats),
        ["abs", "crowdsec", "text", "tokens"]
    );
}

#[test]
fn the_examples_of_the_installation_are_valid() {
    check_examples(&root().join("docs/install.md"));
}

#[test]
fn the_complete_example_uses_every_section() {
    let reference = read(&root().join("docs/configuration.md"));
    let (_, json) = code_blocks(&reference, "json").pop().unwrap();
    let example: serde_json::Value = serde_json::from_str(&json).unwrap();
    for (section, _) in KNOWN_KEYS {
        let pointer = match *section {
            "" => String::new(),
            "apis[]" => "/apis/0".to_owned(),
            "apis[].username[]" => "/apis/0/username/0".to_owned(),
            "apis[].jwt" => "/apis/0/jwt".to_owned(),
            "feeds[]" => "/feeds/0".to_owned(),
            name => format!("/{name}"),
        };
        let value = example.pointer(&pointer);
        assert!(
            value.is_some_and(serde_json::Value::is_object),
            "the example has no {section}"
        );
    }
}

/// The keys in the first column of the tables, by second-level heading.
fn documented_keys(reference: &str) -> Vec<(String, BTreeSet<String>)> {
    let mut sections: Vec<(String, BTreeSet<String>)> = Vec::new();
    for line in reference.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            sections.push((heading.to_owned(), BTreeSet::new()));
        } else if let (Some(row), Some((_, keys))) = (line.strip_prefix("| `"), sections.last_mut())
        {
            let (key, _) = row.split_once('`').unwrap();
            keys.insert(key.to_owned());
        }
    }
    sections
}

#[test]
fn the_reference_documents_exactly_the_known_keys() {
    let mut documented = documented_keys(&read(&root().join("docs/configuration.md")));
    let of_feeds = documented_keys(&read(&root().join("docs/feeds.md")));
    documented.extend(
        of_feeds
            .into_iter()
            .filter(|(heading, _)| heading == "Keys"),
    );
    // Sections under one heading share its tables.
    let headings = [
        ("Top-level keys", vec![""]),
        ("`abs`", vec!["abs"]),
        ("`apis`", vec!["apis[]", "apis[].username[]", "apis[].jwt"]),
        (
            "`allow_list` and `deny_list`",
            vec!["allow_list", "deny_list"],
        ),
        ("`deny_response`", vec!["deny_response"]),
        ("`traffic`", vec!["traffic"]),
        ("`guard`", vec!["guard"]),
        ("`fleet`", vec!["fleet"]),
        ("Keys", vec!["feeds[]"]),
    ];
    let mut n_sections = 0;
    for (heading, sections) in headings {
        let (_, found) = documented
            .iter()
            .find(|(documented, _)| documented == heading)
            .unwrap_or_else(|| panic!("the reference has no heading {heading}"));
        let known: BTreeSet<String> = KNOWN_KEYS
            .iter()
            .filter(|(section, _)| sections.contains(section))
            .flat_map(|(_, keys)| keys.iter().map(|&key| key.to_owned()))
            .collect();
        n_sections += sections.len();
        assert_eq!(*found, known, "under the heading {heading}");
    }
    assert_eq!(n_sections, KNOWN_KEYS.len(), "a section has no heading");
}
