//! Why a body is not a text list.
//!
//! Owns the words. They show counts and positions, never the body's content.

use core::fmt;
use std::io;

use crate::feed::entries::EntryCounts;

/// Why a body is not a text list. Entries that went to the sink before the error must not be enforced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextError {
    /// The body has no line with text.
    Empty,
    /// The body starts like HTML or XML.
    Markup,
    /// There are lines other than comments, and none can be used.
    NothingUsable(Box<EntryCounts>),
    /// The sink accepts no more.
    SinkFull,
    /// The body could not be read.
    Read(io::ErrorKind),
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TextError::Empty => f.write_str(
                "the list is empty, without even a comment; check that the path of the feed names a list",
            ),
            TextError::Markup => f.write_str(
                "the response is an HTML or XML document, not a list with one address or range a line; \
                 check that the path of the feed names a list, and that the server accepts its headers",
            ),
            TextError::NothingUsable(counts) => write!(
                f,
                "no line of the list can be used: {counts}; expected one address or range a line; \
                 check that the path of the feed names such a list"
            ),
            TextError::SinkFull => f.write_str("the list has more entries than there is room for"),
            TextError::Read(io::ErrorKind::UnexpectedEof) => {
                f.write_str("the list could not be read: its compressed form ends early")
            }
            TextError::Read(io::ErrorKind::InvalidData) => {
                f.write_str("the list could not be read: its compressed form is damaged")
            }
            TextError::Read(_) => f.write_str("the list could not be read"),
        }
    }
}

impl std::error::Error for TextError {}
