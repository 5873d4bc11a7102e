//! What is wrong with a plugin configuration: where, what was found, what is allowed, what to do.
//!
//! Owns the words an operator reads. Never holds a value that may be secret: whoever builds a [`Problem`] leaves
//! such values out.

use core::fmt;

use ipnet::IpNet;

use super::warning::{ConfigWarning, Notice};

/// One error of a plugin configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Where: `apis[1].cookie`, `deny_list.ips[3]`; empty for the configuration as a whole.
    pub path: String,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong at one place of a plugin configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The bytes are not JSON (RFC 8259).
    Syntax {
        /// Line, from 1.
        line: usize,
        /// Column in bytes, from 1.
        column: usize,
        /// What was expected there.
        reason: String,
    },
    /// No such key.
    UnknownKey {
        /// The known key that looks most like it.
        nearest: &'static str,
        /// Every key known at that place.
        known: &'static [&'static str],
    },
    /// The key stands twice in one object.
    DuplicateKey,
    /// The key stands there under two of its spellings.
    SecondSpelling {
        /// The spelling to keep.
        keep: &'static str,
    },
    /// A key that must be there is not.
    Missing {
        /// When it is needed, and what to write.
        needed: &'static str,
    },
    /// A value of another type.
    WrongType {
        /// The type that was found.
        found: &'static str,
        /// What is allowed.
        allowed: &'static str,
    },
    /// A value of the right type that is not allowed.
    Refused {
        /// What was found; a description where the value may be secret.
        found: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// An address range with bits set behind its prefix.
    HostBits {
        /// The range as typed.
        found: String,
        /// The range that its prefix means.
        range: IpNet,
        /// The one address that was typed.
        address: IpNet,
    },
    /// An API with the hostname and url of an earlier one.
    SameApi {
        /// Number of the earlier one in `apis`, from 0.
        earlier: usize,
    },
}

impl Problem {
    /// A value that is not allowed, described.
    #[inline(never)]
    pub(super) fn refused(found: &str, allowed: &'static str) -> Self {
        Problem::Refused {
            found: found.to_owned(),
            allowed,
        }
    }

    /// A value that is not allowed and surely no secret, shown.
    #[inline(never)]
    pub(super) fn refused_text(text: &str, allowed: &'static str) -> Self {
        Problem::Refused {
            found: quoted(text),
            allowed,
        }
    }

    /// A value with a character that it must not have. Only the character is shown: the rest may be secret.
    #[inline(never)]
    pub(super) fn refused_character(character: char, allowed: &'static str) -> Self {
        let mut found = String::from("the character ");
        found.push_str(&quoted(character.encode_utf8(&mut [0; 4])));
        Problem::Refused { found, allowed }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.path.is_empty() {
            "configuration"
        } else {
            &self.path
        })?;
        f.write_str(": ")?;
        self.problem.fmt(f)
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Syntax {
                line,
                column,
                reason,
            } => write!(
                f,
                "not valid JSON at line {line}, column {column}: {reason}; mend it there"
            ),
            Problem::UnknownKey { nearest, known } => {
                write!(
                    f,
                    "unknown key; did you mean \"{nearest}\"? Known keys here: "
                )?;
                for (position, key) in known.iter().enumerate() {
                    if position > 0 {
                        f.write_str(", ")?;
                    }
                    f.write_str(key)?;
                }
                Ok(())
            }
            Problem::DuplicateKey => {
                f.write_str("the key stands twice in this object; keep one of them")
            }
            Problem::SecondSpelling { keep } => {
                write!(
                    f,
                    "another spelling of {keep}, which is there too; keep {keep}"
                )
            }
            Problem::Missing { needed } => write!(f, "missing; {needed}"),
            Problem::WrongType { found, allowed } => {
                write!(f, "found {found}; allowed: {allowed}")
            }
            Problem::Refused { found, allowed } => write!(f, "found {found}; allowed: {allowed}"),
            Problem::HostBits {
                found,
                range,
                address,
            } => write!(
                f,
                "found {found}, which has bits set behind its prefix; write {range} for the range or {address} for the one address"
            ),
            Problem::SameApi { earlier } => write!(
                f,
                "the same hostname and url as apis[{earlier}]; make one entry of the two, or change the hostname or url of one"
            ),
        }
    }
}

/// The errors and warnings gathered so far.
#[derive(Default)]
pub(super) struct Errors {
    list: Vec<ConfigError>,
    warnings: Vec<ConfigWarning>,
}

impl Errors {
    #[inline(never)]
    pub(super) fn add(&mut self, path: Path<'_>, problem: Problem) {
        let mut text = String::new();
        path.write_to(&mut text);
        self.add_at(text, problem);
    }

    pub(super) fn add_at(&mut self, path: String, problem: Problem) {
        self.list.push(ConfigError { path, problem });
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn into_list(self) -> Vec<ConfigError> {
        self.list
    }

    pub(super) fn warn(&mut self, path: Path<'_>, notice: Notice) {
        let mut text = String::new();
        path.write_to(&mut text);
        self.warnings.push(ConfigWarning { path: text, notice });
    }

    pub(super) fn take_warnings(&mut self) -> Vec<ConfigWarning> {
        core::mem::take(&mut self.warnings)
    }
}

/// A place in the configuration, as a chain on the stack: only an error makes a string of it.
#[derive(Clone, Copy)]
pub(super) enum Path<'a> {
    Root,
    Key(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
}

impl Path<'_> {
    fn write_to(&self, text: &mut String) {
        match self {
            Path::Root => {}
            Path::Key(parent, key) => {
                parent.write_to(text);
                push_key(text, key);
            }
            Path::Index(parent, index) => {
                parent.write_to(text);
                push_index(text, *index);
            }
        }
    }
}

/// Adds a key to a path.
#[inline(never)]
pub(super) fn push_key(text: &mut String, key: &str) {
    let plain = !key.is_empty()
        && key.len() <= MAX_SHOWN
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if plain {
        if !text.is_empty() {
            text.push('.');
        }
        text.push_str(key);
    } else {
        // A key with a dot, a bracket or worse in it must not look like two keys.
        text.push('[');
        text.push_str(&quoted(key));
        text.push(']');
    }
}

/// Adds a number of a list to a path.
#[inline(never)]
pub(super) fn push_index(text: &mut String, index: usize) {
    text.push('[');
    text.push_str(&index.to_string());
    text.push(']');
}

/// How many characters of a value are shown.
const MAX_SHOWN: usize = 48;

/// A text in double quotes, cut short, without control characters: safe in a log line.
#[inline(never)]
pub(super) fn quoted(text: &str) -> String {
    let mut shown = String::from("\"");
    for (position, character) in text.chars().enumerate() {
        if position == MAX_SHOWN {
            shown.push_str("...");
            break;
        }
        let (is_escaped, character) = match character {
            '"' | '\\' => (true, character),
            '\n' => (true, 'n'),
            '\r' => (true, 'r'),
            '\t' => (true, 't'),
            '\0' => (true, '0'),
            _ if character.is_control() => (false, '?'),
            _ => (false, character),
        };
        if is_escaped {
            shown.push('\\');
        }
        shown.push(character);
    }
    shown.push('"');
    shown
}

/// A number as an operator would write it, to six decimals. Not by `Display`: the general formatting of floats
/// costs the module some 20 KB.
#[inline(never)]
pub(super) fn shown_number(number: f64) -> String {
    const SCALE: u64 = 1_000_000;
    let magnitude = number.abs();
    if magnitude >= 1e12 {
        return "a number beyond 10^12".to_owned();
    }
    // In range, so that the conversion only drops what lies behind the sixth decimal.
    let scaled = (magnitude * 1e6 + 0.5) as u64;
    if scaled == 0 && magnitude > 0.0 {
        return "a number within 0.000001 of 0".to_owned();
    }
    let mut text = String::new();
    if number < 0.0 {
        text.push('-');
    }
    text.push_str(&scaled.wrapping_div(SCALE).to_string());
    let decimals = scaled.wrapping_rem(SCALE);
    if decimals > 0 {
        text.push_str(format!(".{decimals:06}").trim_end_matches('0'));
    }
    text
}
