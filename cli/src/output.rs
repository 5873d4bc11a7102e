//! What is printed: results on standard output, notes and errors on standard error; in a pipe, the edited text on standard
//! output, and the result on standard error. Knows no command.

mod colour;
pub mod progress;

use std::io::{ErrorKind, Write, stderr, stdout};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU8, Ordering};

use serde_json::{Value, json};

use crate::args::OutputFormat;
use crate::error::Result;

/// How many characters of a secret are shown.
const SHOWN_CHARACTERS: usize = 4;

/// How much is printed beside results and errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verbosity {
    /// Nothing.
    Quiet,
    /// Notes, and the message of a change.
    Normal,
    /// Which files are read and which servers are called, too.
    Verbose,
}

/// Set once, before any command runs.
static VERBOSITY: AtomicU8 = AtomicU8::new(1);

/// Sets how much is printed.
pub fn set_verbosity(is_quiet: bool, is_verbose: bool) {
    let level = match (is_quiet, is_verbose) {
        (true, _) => 0,
        (false, false) => 1,
        (false, true) => 2,
    };
    VERBOSITY.store(level, Ordering::Relaxed);
}

/// How much is printed.
pub fn verbosity() -> Verbosity {
    match VERBOSITY.load(Ordering::Relaxed) {
        0 => Verbosity::Quiet,
        1 => Verbosity::Normal,
        _ => Verbosity::Verbose,
    }
}

/// What a command prints.
#[derive(Debug)]
pub struct Report {
    /// For people, without the final line break.
    pub text: String,
    /// For programs.
    pub json: Value,
    /// Remarks that are not part of the result.
    pub notes: Vec<String>,
    /// 0 for success.
    pub exit_code: u8,
    /// Whether the text is only the message of a change.
    pub is_message: bool,
    /// Takes the place of the result on standard output, byte for byte; the result then goes to standard error.
    pub passed_on: Option<String>,
}

impl Report {
    /// A result without notes.
    pub fn new(text: impl Into<String>, json: Value) -> Self {
        Self {
            text: text.into(),
            json,
            notes: Vec::new(),
            exit_code: 0,
            is_message: false,
            passed_on: None,
        }
    }

    /// The same beside a text that is passed on in a pipe.
    pub fn beside(self, text: String) -> Self {
        Self {
            passed_on: Some(text),
            ..self
        }
    }
}

/// Prints a result or an error, and returns the exit code.
pub fn print(result: &Result<Report>, format: OutputFormat) -> ExitCode {
    match result {
        Ok(report) => {
            if let Some(text) = &report.passed_on {
                return pass_on(text, report, format);
            }
            report.notes.iter().for_each(|note| print_note(note));
            let printed = match format {
                OutputFormat::Text if report.is_message && verbosity() == Verbosity::Quiet => {
                    Ok(())
                }
                OutputFormat::Text => print_line(&harmless(&report.text)),
                OutputFormat::Json => print_line(&format!("{:#}", report.json)),
            };
            match printed {
                // The reader may close the pipe early (`head`): not a failure of the command.
                Err(error) if error.kind() != ErrorKind::BrokenPipe => unprinted(&error),
                _ => ExitCode::from(report.exit_code),
            }
        }
        Err(failure) => {
            match format {
                OutputFormat::Text => print_error(&format!("error: {}", failure.message)),
                OutputFormat::Json => print_error(&format!("{:#}", failure.json)),
            }
            ExitCode::from(failure.exit_code)
        }
    }
}

/// Prints the text for the next command in the pipe, and then the result. A text that can't be printed to its end is a
/// failure, and what it would have changed is not reported.
fn pass_on(text: &str, report: &Report, format: OutputFormat) -> ExitCode {
    let mut out = std::io::stdout().lock();
    if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        return unprinted(&error);
    }
    match format {
        OutputFormat::Text => {
            report.notes.iter().for_each(|note| print_note(note));
            print_note(&report.text);
        }
        OutputFormat::Json => {
            // One object, since notes and the result share standard error.
            let mut json = report.json.clone();
            if let (Some(object), false) = (json.as_object_mut(), report.notes.is_empty()) {
                object.insert("notes".to_owned(), json!(report.notes));
            }
            print_error(&format!("{json:#}"));
        }
    }
    ExitCode::from(report.exit_code)
}

fn unprinted(error: &std::io::Error) -> ExitCode {
    print_error(&format!("the result can't be printed: {error}"));
    ExitCode::FAILURE
}

/// Prints a remark that is not part of the result.
pub fn print_note(note: &str) {
    if verbosity() != Verbosity::Quiet {
        print_error(&format!("note: {note}"));
    }
}

/// Prints what a command does, with `--verbose`.
pub fn print_detail(detail: impl FnOnce() -> String) {
    if verbosity() == Verbosity::Verbose {
        print_error(&detail());
    }
}

/// A secret as it may be shown: its first four characters. A shorter one is not shown at all.
pub fn shorten(value: &str, show_secrets: bool) -> String {
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

/// Rows as aligned columns. The first row has the titles.
pub fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths);
        let cells: Vec<_> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn print_line(text: &str) -> std::io::Result<()> {
    let mut out = stdout().lock();
    match colour::is_on(&stdout()) {
        true => writeln!(out, "{}", colour::painted(text))?,
        false => writeln!(out, "{text}")?,
    }
    out.flush()
}

/// Prints an error, or a line of a log.
pub fn print_error(text: &str) {
    let text = harmless(text);
    let text = match colour::is_on(&stderr()) {
        true => colour::painted(&text),
        false => text,
    };
    // Without standard error there is nowhere to report the failure.
    let _ = writeln!(stderr(), "{text}");
}

/// Whether a character changes how a page or a terminal shows what is around it: control characters, and changes of the
/// writing direction.
pub fn is_misleading(character: char) -> bool {
    matches!(
        character,
        '\u{061C}'
            | '\u{200E}'
            | '\u{200F}'
            | '\u{2028}'..='\u{202E}'
            | '\u{2066}'..='\u{2069}'
            | '\u{FEFF}'
    ) || character.is_control()
}

/// A text for a terminal, with U+FFFD for characters by which a file or a server could control it.
fn harmless(text: &str) -> String {
    let characters = text.chars().map(|character| match character {
        '\n' | '\t' => character,
        misleading if is_misleading(misleading) => '\u{FFFD}',
        other => other,
    });
    characters.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_control_the_terminal() {
        let table = [
            ("a\n\tb äöü 日本", "a\n\tb äöü 日本"),
            ("\u{1b}]0;x\u{7}", "\u{FFFD}]0;x\u{FFFD}"),
            ("\u{9b}2J\r", "\u{FFFD}2J\u{FFFD}"),
            ("\u{61c}\u{202e}", "\u{FFFD}\u{FFFD}"),
        ];
        for (text, expected) in table {
            assert_eq!(harmless(text), expected);
        }
    }

    #[test]
    fn secrets_are_shortened_by_characters() {
        let table = [
            ("", "..."),
            ("abcd", "..."),
            ("abcde", "abcd..."),
            ("äöüßx", "äöüß..."),
        ];
        for (value, expected) in table {
            assert_eq!(shorten(value, false), expected);
            assert_eq!(shorten(value, true), value);
        }
    }
}
