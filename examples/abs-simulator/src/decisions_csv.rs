//! CSV files of decisions, as `cscli decisions import` reads them.

use thiserror::Error;

use crate::decisions::NewDecision;

/// A CSV file that can't be imported.
#[derive(Debug, Error)]
pub enum CsvError {
    /// A column that has no meaning.
    #[error(
        "the header has the column {found:?}, allowed are value, scope, duration, type, reason and origin"
    )]
    Column {
        /// Its name.
        found: String,
    },
    /// No values.
    #[error("the header has no column value")]
    NoValue,
    /// A line with another number of fields than the header.
    #[error("line {number} has {found} fields, the header has {expected}")]
    Fields {
        /// Counted from 1.
        number: usize,
        /// In this line.
        found: usize,
        /// In the header.
        expected: usize,
    },
}

/// The decisions of a file without quotes.
///
/// # Errors
///
/// The first line that can't be imported.
pub fn read_csv(text: &str) -> Result<Vec<NewDecision>, CsvError> {
    let mut lines = text.lines().map(str::trim).enumerate();
    let header = lines.next().map_or("", |(_, line)| line);
    let columns: Vec<&str> = header.split(',').map(str::trim).collect();
    if !columns.contains(&"value") {
        return Err(CsvError::NoValue);
    }
    let mut decisions = Vec::new();
    for (index, line) in lines.filter(|(_, line)| !line.is_empty()) {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        if fields.len() != columns.len() {
            return Err(CsvError::Fields {
                number: index.saturating_add(1),
                found: fields.len(),
                expected: columns.len(),
            });
        }
        let mut decision = NewDecision {
            scope: "Ip".to_owned(),
            value: String::new(),
            duration: "4h".to_owned(),
            kind: "ban".to_owned(),
            origin: "cscli-import".to_owned(),
            scenario: Some("manual".to_owned()),
            simulated: false,
        };
        for (column, field) in columns.iter().zip(fields) {
            let field = field.to_owned();
            match *column {
                "value" => decision.value = field,
                "scope" => decision.scope = field,
                "duration" => decision.duration = field,
                "type" => decision.kind = field,
                "reason" => decision.scenario = Some(field),
                "origin" => decision.origin = field,
                found => {
                    return Err(CsvError::Column {
                        found: found.to_owned(),
                    });
                }
            }
        }
        decisions.push(decision);
    }
    Ok(decisions)
}
