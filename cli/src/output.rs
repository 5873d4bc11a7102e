//! What is printed: results on standard output, notes and errors on standard error.

use std::io::Write;
use std::process::ExitCode;

use serde_json::Value;

use super::args::OutputFormat;
use super::error::Failure;

/// How many characters of a secret are shown.
const SHOWN_CHARACTERS: usize = 4;

/// What a command has to say.
#[derive(Debug)]
pub struct Report {
    /// For people, without the last line's end.
    pub text: String,
    /// For programs.
    pub json: Value,
    /// Things to look at that are no result.
    pub notes: Vec<String>,
    /// Whether what was asked for holds; false ends the program with 1.
    pub good: bool,
}

impl Report {
    /// A result without notes.
    pub fn new(text: impl Into<String>, json: Value) -> Self {
        Self {
            text: text.into(),
            json,
            notes: Vec::new(),
            good: true,
        }
    }
}

/// Prints a result or an error, and says how the program ends.
pub fn print(result: &Result<Report, Failure>, format: OutputFormat) -> ExitCode {
    match result {
        Ok(report) => {
            for note in &report.notes {
                print_note(note);
            }
            let printed = match format {
                OutputFormat::Text => print_line(&report.text),
                OutputFormat::Json => print_line(&pretty(&report.json)),
            };
            match (printed, report.good) {
                // Whoever reads may have seen enough (`head`): that is no failure of the command.
                (Err(error), _) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                    ExitCode::from(u8::from(!report.good))
                }
                (Err(error), _) => {
                    complain(&format!("the result can't be printed: {error}"));
                    ExitCode::from(1)
                }
                (Ok(()), good) => ExitCode::from(u8::from(!good)),
            }
        }
        Err(failure) => {
            match format {
                OutputFormat::Text => complain(&format!("error: {failure}")),
                OutputFormat::Json => complain(&pretty(&failure.to_json())),
            }
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Prints something to look at that is no result.
pub fn print_note(note: &str) {
    complain(&format!("note: {note}"));
}

/// A secret as it may be shown: its first four characters. One that is no longer than that is not shown at all.
pub fn cut(value: &str, show_secrets: bool) -> String {
    if show_secrets {
        return value.to_owned();
    }
    let mut characters = value.chars();
    let start: String = characters.by_ref().take(SHOWN_CHARACTERS).collect();
    match characters.next() {
        Some(_) => format!("{start}..."),
        None => "...".to_owned(),
    }
}

fn pretty(value: &Value) -> String {
    // The alternate form of a JSON value's Display is the indented one.
    format!("{value:#}")
}

fn print_line(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

fn complain(text: &str) {
    // Where standard error is gone there is nobody left to tell.
    let _ = writeln!(std::io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_cut_by_characters() {
        let table = [
            ("", "..."),
            ("abcd", "..."),
            ("abcde", "abcd..."),
            ("äöüßx", "äöüß..."),
        ];
        for (value, expected) in table {
            assert_eq!(cut(value, false), expected);
            assert_eq!(cut(value, true), value);
        }
    }
}
