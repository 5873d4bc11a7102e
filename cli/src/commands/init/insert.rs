//! Puts lines into a YAML file of Envoy, in its own layout. Each insertion is read back and compared with what was wanted.

use serde_json::Value;

use crate::document::Document;
use crate::document::path::ValuePath;

/// The text with `new` at `path`, by `lines` before one of the lines that `belongs_before` accepts, at its indentation;
/// without such a line, by an edit in place.
pub fn set(
    text: &str,
    path: &ValuePath,
    new: Value,
    lines: &[String],
    belongs_before: impl Fn(&str) -> bool,
) -> Result<String, String> {
    let document = Document::parse(text)?;
    let mut wanted = document.values().to_vec();
    let _ = path.set(&mut wanted, new.clone());
    let mut at = 0_usize;
    for line in text.split_inclusive('\n') {
        if belongs_before(line)
            && let Some((before, after)) = text.split_at_checked(at)
        {
            let indent = line.len().saturating_sub(line.trim_start().len());
            let end = if line.ends_with("\r\n") { "\r\n" } else { "\n" };
            let mut edited = before.to_owned();
            for line in lines {
                edited.push_str(&format!("{:indent$}{line}{end}", ""));
            }
            edited.push_str(after);
            if Document::parse(&edited).is_ok_and(|read_back| read_back.values() == wanted) {
                return Ok(edited);
            }
        }
        at = at.saturating_add(line.len());
    }
    document.replace(path, new)
}

/// Whether a line starts the element of a list with this name.
pub fn names_element(line: &str, name: &str) -> bool {
    let value = line.trim_start().strip_prefix("- name:");
    let value = value.and_then(|value| value.split(" #").next());
    value.is_some_and(|value| value.trim().trim_matches(['"', '\'']) == name)
}

/// Whether a line has a key of the document.
pub fn is_top_level(line: &str) -> bool {
    line.starts_with(|first: char| first.is_ascii_alphabetic() || first == '"')
}
