//! The page that `status` prints: a title and a value a line, as ASE prints them.

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

impl Page {
    /// Adds a line.
    pub fn line(&mut self, title: &str, text: &str, value: Value) {
        self.lines.push(format!("{title:<24}: {text}"));
        self.json.insert(
            title.replace([' ', '/'], "_").replace(['(', ')'], ""),
            value,
        );
    }

    /// Adds a value for programs only.
    pub fn value(&mut self, title: &str, value: Value) {
        self.json.insert(title.replace(' ', "_"), value);
    }

    /// Adds a line of numbers, each with its name.
    pub fn counts(&mut self, title: &str, counts: &[(&str, u64)]) {
        let text: Vec<_> = counts
            .iter()
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        let value: Map<_, _> = counts
            .iter()
            .map(|(name, count)| (name.replace(' ', "_"), json!(count)))
            .collect();
        self.line(title, &text.join(", "), Value::Object(value));
    }

    /// The whole page.
    pub fn into_report(mut self, file: &str) -> Report {
        let mut lines = vec!["API Security Enforcer".to_owned()];
        lines.append(&mut self.lines);
        lines.extend(
            self.warnings
                .iter()
                .map(|warning| format!("warning: {warning}")),
        );
        let mut json = Map::new();
        json.insert("file".to_owned(), json!(file));
        json.append(&mut self.json);
        json.insert("warnings".to_owned(), json!(self.warnings));
        Report::new(lines.join("\n"), Value::Object(json))
    }
}
