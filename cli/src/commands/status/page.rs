//! The page that `status` prints: one title and its value per line, as in ASE.

use serde_json::{Map, Value, json};

use crate::output::Report;

/// Lines for people and the same for programs.
#[derive(Default)]
pub struct Page {
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
    /// Adds a line.
    pub fn line(&mut self, title: &str, text: &str, value: Value) {
        self.text(title, text);
        self.value(title, value);
    }

    /// Adds a line for people only.
    pub fn text(&mut self, title: &str, text: &str) {
        self.lines.push(format!("{title:<24}: {text}"));
    }

    /// Adds a value for programs only.
    pub fn value(&mut self, title: &str, value: Value) {
        let key = title.replace([' ', '/'], "_").replace(['(', ')'], "");
        self.json.insert(key, value);
    }

    /// Adds a line with `enabled` or `disabled`.
    pub fn switch(&mut self, title: &str, enabled: bool) {
        self.line(title, state(enabled), json!(enabled));
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

    /// The whole page.
    pub fn into_report(self, file: &str) -> Report {
        let mut lines = vec!["API Security Enforcer".to_owned()];
        lines.extend(self.lines);
        let warnings = self.warnings.iter();
        lines.extend(warnings.map(|warning| format!("warning: {warning}")));
        let mut json = Map::new();
        json.insert("file".to_owned(), json!(file));
        json.extend(self.json);
        json.insert("warnings".to_owned(), json!(self.warnings));
        Report::new(lines.join("\n"), Value::Object(json))
    }
}
