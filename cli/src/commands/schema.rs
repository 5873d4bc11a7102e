//! The JSON Schema of the plugin configuration, for editors and the Helm chart. The filter's loader is the authority:
//! `tests/cli/schema.rs` compares the two. Reads no configuration.

use serde_json::Value;

use crate::error::{Failure, Result};
use crate::output::Report;

/// Draft 7, which editors and every release of Helm read. Its patterns mean the same in RE2 and ECMAScript.
const SCHEMA: &str = include_str!("schema.json");

/// Prints the schema; in both formats of output, it is the same JSON.
pub fn run() -> Result<Report> {
    let json: Value = serde_json::from_str(SCHEMA)
        .map_err(|error| Failure::refused(format!("the schema is not JSON: {error}")))?;
    Ok(Report::new(SCHEMA.trim_end().to_owned(), json))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::settings::scalars;

    /// Where the schema describes a section.
    fn pointer(section: &str) -> String {
        match section {
            "" => String::new(),
            "apis[]" => "/definitions/api".to_owned(),
            "apis[].jwt" => "/definitions/jwt".to_owned(),
            "feeds[]" => "/definitions/feed".to_owned(),
            section => format!("/definitions/{}", section.trim_start_matches("feeds[].")),
        }
    }

    #[test]
    fn the_defaults_are_those_that_get_shows() {
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        for key in scalars::all() {
            let (section, name) = key.rsplit_once('.').unwrap_or(("", key));
            let properties = &schema.pointer(&pointer(section)).unwrap()["properties"];
            let found = properties[name]
                .as_object()
                .unwrap_or_else(|| panic!("no {key}"));
            assert_eq!(
                found.get("default").cloned(),
                scalars::default(key),
                "{key}"
            );
        }
    }
}
