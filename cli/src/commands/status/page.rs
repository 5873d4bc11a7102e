//! The page that `status` prints: one title and its value per line, as in ASE.

use serde_json::{Map, Value, json};

/// Lines for people and the same for programs.
#[derive(Default)]
pub struct Page {
    /// Whether people get the block of ASE.
    has_ase_block: bool,
    ase: Vec<String>,
    lines: Vec<String>,
    json: Map<String, Value>,
    /// What an operator should look at.
    pub warnings: Vec<String>,
}

/// `enabled` or `disabled`.
pub const fn state(enabled: bool) -> &'static str {
    if enabled { "enabled" } else { "disabled" }
}

impl Page {
    /// An empty page.
    pub fn new(has_ase_block: bool) -> Self {
        Self {
            has_ase_block,
            ..Self::default()
        }
    }

    /// Adds a line.
    pub fn line(&mut self, title: &str, text: &str, value: Value) {
        self.text(title, text);
        self.value(title, value);
    }

    /// Adds a line for people only.
    pub fn text(&mut self, title: &str, text: &str) {
        self.lines.push(titled(title, text));
    }

    /// Adds a line that only the block of ASE has.
    pub fn ase_line(&mut self, title: &str, text: &str, value: Value) {
        self.ase.push(titled(title, text));
        self.value(title, value);
    }

    /// Adds a line that the block of ASE has, and the page without that block too.
    pub fn setting(&mut self, title: &str, text: &str, value: Value) {
        if !self.has_ase_block {
            self.text(title, text);
        }
        self.ase_line(title, text, value);
    }

    /// Adds a value for programs only.
    pub fn value(&mut self, title: &str, value: Value) {
        let key = title.replace([' ', '/'], "_").replace(['(', ')'], "");
        self.json.insert(key, value);
    }

    /// Adds a line with a number.
    pub fn number(&mut self, title: &str, number: u64) {
        self.line(title, &number.to_string(), json!(number));
    }

    /// Adds a line with several numbers, each with its name.
    pub fn counts(&mut self, title: &str, counts: &[(&str, u64)]) {
        let texts = counts.iter().map(|(name, count)| format!("{name} {count}"));
        let text = texts.collect::<Vec<_>>().join(", ");
        let values = counts
            .iter()
            .map(|(name, count)| (name.replace(' ', "_"), json!(count)));
        let value = Value::Object(values.collect());
        self.line(title, &text, value);
    }

    /// The page for people. `subject`: what it is about, if there are several pages.
    pub fn to_text(&self, subject: Option<&str>) -> String {
        let mut lines = Vec::new();
        if self.has_ase_block && !self.ase.is_empty() {
            lines.push("API Security Enforcer".to_owned());
            lines.extend(self.ase.iter().cloned());
        }
        lines.push(match subject {
            Some(subject) => format!("Portcullis at {subject}"),
            None => "Portcullis".to_owned(),
        });
        lines.extend(self.lines.iter().cloned());
        let warnings = self.warnings.iter();
        lines.extend(warnings.map(|warning| format!("warning: {warning}")));
        lines.join("\n")
    }

    /// The page for programs.
    pub fn into_json(self, file: Option<&str>) -> Map<String, Value> {
        let mut json = Map::new();
        json.insert("file".to_owned(), json!(file));
        json.extend(self.json);
        json.insert("warnings".to_owned(), json!(self.warnings));
        json
    }
}

fn titled(title: &str, text: &str) -> String {
    format!("{title:<24}: {text}")
}
