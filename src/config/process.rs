//! The configuration of a process with native threads: what no filter configuration decides. A proxy-wasm VM has none.

use core::time::Duration;

use super::error::{ConfigError, Problem};
use super::read_root;
use super::section::Section;
use super::tree::Value;
use super::value::DurationRange;

pub(super) const PROCESS_KEYS: &[&str] = &["wait_for_first_list", "native_failure", "list_files"];

const WAIT: DurationRange = DurationRange {
    least: Duration::from_secs(1),
    most: Duration::from_secs(3_600),
    allowed: "a duration from \"1s\" to \"1h\", such as \"30s\"",
};

const FILES: &str = "an object of cluster names and absolute paths, such as {\"local-drop\": \"/etc/portcullis/drop.txt\"}";

/// The configuration of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessConfig {
    /// How long Envoy waits for the first lists, at most; `None`: it does not wait.
    pub wait_for_first_list: Option<Duration>,
    /// What happens to requests on a worker after several panics.
    pub native_failure: NativeFailure,
    /// Files that are read in place of a response of a cluster: the cluster's name and the path.
    pub list_files: Vec<(String, String)>,
}

/// What happens to requests that a worker can't judge after several panics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NativeFailure {
    /// They get a 503.
    #[default]
    Deny,
    /// They pass.
    Allow,
}

impl ProcessConfig {
    /// Reads it, as [`super::Config::parse`] does.
    ///
    /// # Errors
    ///
    /// All errors, each with its path.
    pub fn parse(bytes: &[u8]) -> Result<Self, Vec<ConfigError>> {
        let failures = [
            ("deny", NativeFailure::Deny),
            ("allow", NativeFailure::Allow),
        ];
        let read = read_root(bytes, PROCESS_KEYS, |root| Self {
            wait_for_first_list: root.duration("wait_for_first_list", &WAIT),
            native_failure: root
                .choice("native_failure", failures, "\"deny\" or \"allow\"")
                .unwrap_or_default(),
            list_files: read_list_files(root),
        });
        read.map(|(config, _)| config)
    }
}

fn read_list_files(root: &Section<'_>) -> Vec<(String, String)> {
    let section = root.map("list_files", FILES);
    let files = section.entries().iter().filter_map(|(cluster, value)| {
        let path = match value {
            Value::String(path) if path.starts_with('/') => Ok((cluster.clone(), path.clone())),
            Value::String(path) => Err(Problem::invalid_text(path, "an absolute path")),
            other => Err(Problem::wrong_type(other, "an absolute path")),
        };
        section.accepted(cluster, path)
    });
    files.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn parse(text: &str) -> Result<ProcessConfig, Vec<ConfigError>> {
        ProcessConfig::parse(text.as_bytes())
    }

    #[test]
    fn the_wait_has_bounds() {
        let wait = |text: &str| parse(text).map(|it| it.wait_for_first_list);
        assert_eq!(wait(""), Ok(None));
        assert_eq!(wait("{}"), Ok(None));
        let thirty = Some(Duration::from_secs(30));
        assert_eq!(wait(r#"{"wait_for_first_list": "30s"}"#), Ok(thirty));
        for refused in ["\"2h\"", "30", "true"] {
            let refused = wait(&format!(r#"{{"wait_for_first_list": {refused}}}"#)).unwrap_err();
            assert_eq!(refused.len(), 1);
            assert_eq!(refused[0].path, "wait_for_first_list");
        }
        assert!(wait(r#"{"wait_for_list": "30s"}"#).is_err());
    }

    #[test]
    fn a_failure_denies_unless_it_is_allowed() {
        assert_eq!(parse("{}").unwrap().native_failure, NativeFailure::Deny);
        let allow = parse(r#"{"native_failure": "allow"}"#).unwrap();
        assert_eq!(allow.native_failure, NativeFailure::Allow);
        assert!(parse(r#"{"native_failure": "pass"}"#).is_err());
    }

    #[test]
    fn files_have_absolute_paths() {
        let files = parse(r#"{"list_files": {"a": "/x", "b": "/y"}}"#).unwrap();
        let expected = [("a", "/x"), ("b", "/y")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(files.list_files, expected);
        for (json, path) in [
            (r#"{"list_files": {"a": "x"}}"#, "list_files.a"),
            (r#"{"list_files": {"a": 1}}"#, "list_files.a"),
            (r#"{"list_files": "/x"}"#, "list_files"),
        ] {
            assert_eq!(parse(json).unwrap_err()[0].path, path, "{json}");
        }
    }
}
