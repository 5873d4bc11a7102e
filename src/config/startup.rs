//! The configuration of a process's start: what Envoy waits for before it serves. Only hosts that can wait have it.

use core::time::Duration;

use super::error::ConfigError;
use super::raw;
use super::report::Report;
use super::section::Section;
use super::value::DurationRange;

pub(super) const STARTUP_KEYS: &[&str] = &["wait_for_first_list"];

const WAIT: DurationRange = DurationRange {
    least: Duration::from_secs(1),
    most: Duration::from_secs(3_600),
    allowed: "a duration from \"1s\" to \"1h\", such as \"30s\"",
};

/// The configuration of the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Startup {
    /// How long Envoy waits for the first lists, at most; `None`: it does not wait.
    pub wait_for_first_list: Option<Duration>,
}

impl Startup {
    /// Reads it, as [`super::Config::parse`] does.
    ///
    /// # Errors
    ///
    /// All errors, each with its path.
    pub fn parse(bytes: &[u8]) -> Result<Startup, Vec<ConfigError>> {
        let tree = raw::read(bytes).map_err(|problem| {
            let path = String::new();
            vec![ConfigError { path, problem }]
        })?;
        let report = Report::default();
        let root = Section::open(String::new(), Some(&tree), STARTUP_KEYS, &report);
        let wait_for_first_list = root.duration("wait_for_first_list", &WAIT);
        drop(root);
        match report.into_lists() {
            (errors, _) if errors.is_empty() => Ok(Startup {
                wait_for_first_list,
            }),
            (errors, _) => Err(errors),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn the_wait_has_bounds() {
        let wait = |text: &str| Startup::parse(text.as_bytes()).map(|it| it.wait_for_first_list);
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
}
