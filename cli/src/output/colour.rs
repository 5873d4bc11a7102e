//! Colours on a terminal, by the form of a line. A text that goes elsewhere stays as it is.

use std::env;
use std::io::IsTerminal;

const BOLD: &str = "\u{1b}[1m";
const RED: &str = "\u{1b}[31m";
const GREEN: &str = "\u{1b}[32m";
const YELLOW: &str = "\u{1b}[33m";
const END: &str = "\u{1b}[0m";

/// Whether a text for this stream has colours: on a terminal, unless `NO_COLOR` is set; with `CLICOLOR_FORCE` always.
pub fn is_on(stream: &impl IsTerminal) -> bool {
    let is_set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    if is_set("NO_COLOR") {
        return false;
    }
    let is_dumb = env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
    is_set("CLICOLOR_FORCE") || (stream.is_terminal() && !is_dumb)
}

/// A text with colours.
pub fn painted(text: &str) -> String {
    let lines: Vec<_> = text.split('\n').map(painted_line).collect();
    lines.join("\n")
}

fn painted_line(line: &str) -> String {
    let word = line.trim_start();
    let starts = |prefix: &str| word.starts_with(prefix);
    let verdict = line.strip_prefix("verdict    : ");
    let blocking = line.strip_prefix("blocking                : ");
    match verdict.or(blocking) {
        Some(state) if blocking.is_some() && !state.starts_with("yes") => {
            let is_off = state == "no" || state.starts_with("no:");
            colour(line, if is_off { RED } else { YELLOW })
        }
        Some(verdict) if verdict.starts_with("denied") => colour(line, RED),
        Some(verdict) if verdict.starts_with("would_deny") => colour(line, YELLOW),
        Some(_) => colour(line, GREEN),
        None if starts("error:") => colour(line, RED),
        None if starts("note:") || starts("warning:") => colour(line, YELLOW),
        None if is_title(line) => colour(line, BOLD),
        None => line.to_owned(),
    }
}

fn colour(line: &str, colour: &str) -> String {
    format!("{colour}{line}{END}")
}

/// Whether a line has the titles of a table: `TYPE  NAME  VALUE`.
fn is_title(line: &str) -> bool {
    line.contains("  ")
        && line.bytes().any(|byte| byte.is_ascii_uppercase())
        && line
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || matches!(byte, b' ' | b'_' | b'-' | b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_painted_by_their_form() {
        let table = [
            (
                "TYPE  NAME\nip    x",
                "\u{1b}[1mTYPE  NAME\u{1b}[0m\nip    x",
            ),
            ("error: no", "\u{1b}[31merror: no\u{1b}[0m"),
            ("  warning: w", "\u{1b}[33m  warning: w\u{1b}[0m"),
            (
                "verdict    : allowed",
                "\u{1b}[32mverdict    : allowed\u{1b}[0m",
            ),
            (
                "verdict    : denied abs ip",
                "\u{1b}[31mverdict    : denied abs ip\u{1b}[0m",
            ),
            (
                "blocking                : yes",
                "\u{1b}[32mblocking                : yes\u{1b}[0m",
            ),
            (
                "blocking                : no: x",
                "\u{1b}[31mblocking                : no: x\u{1b}[0m",
            ),
            (
                "blocking                : partly: x",
                "\u{1b}[33mblocking                : partly: x\u{1b}[0m",
            ),
            ("Whitelist", "Whitelist"),
            ("ABS", "ABS"),
        ];
        for (text, expected) in table {
            assert_eq!(painted(text), expected);
        }
    }
}
