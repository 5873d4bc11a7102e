//! Readers of one key each, for what several sections have in common: a word out of two, a size, a duration, a whole
//! number, a list of names.
//!
//! Owns no key and no default. Not inlined, for the size of the module; see `raw`.

use core::time::Duration;

use ipnet::IpNet;

use super::error::{Errors, Problem, shown_number};
use super::raw::Section;
use super::value::{self, DurationRange};

const SIZE: &str = "a size from \"1B\" to \"1GB\", such as \"64KB\" or \"128MB\" (whole number; units B, KB, MB, GB; powers of 1024)";
/// The VM can't hold more: a host gives it 1 GiB of memory.
const MOST_BYTES: u64 = 1 << 30;

/// Whether the second of two words was typed; the first is the default.
#[inline(never)]
pub(super) fn is_second(
    section: &Section<'_>,
    key: &str,
    [first, second]: [&str; 2],
    allowed: &'static str,
    errors: &mut Errors,
) -> bool {
    match section.text(key, allowed, errors) {
        None => false,
        Some(text) if text == second => true,
        Some(text) => {
            if text != first {
                section.report(key, Problem::refused_text(text, allowed), errors);
            }
            false
        }
    }
}

/// A string in the form that `parse` gives it; `None` where it is absent or refused.
#[inline(never)]
pub(super) fn read_text(
    section: &Section<'_>,
    key: &str,
    allowed: &'static str,
    parse: fn(&str) -> Result<String, Problem>,
    errors: &mut Errors,
) -> Option<String> {
    let text = section.text(key, allowed, errors)?;
    section.accepted(key, parse(text), errors)
}

#[inline(never)]
pub(super) fn read_size(
    section: &Section<'_>,
    key: &str,
    default: u64,
    errors: &mut Errors,
) -> u64 {
    let text = section.text(key, SIZE, errors);
    text.and_then(|text| section.accepted(key, value::size(text, MOST_BYTES, SIZE), errors))
        .unwrap_or(default)
}

/// A duration; `None` where it is absent or refused.
#[inline(never)]
pub(super) fn read_duration(
    section: &Section<'_>,
    key: &str,
    range: &DurationRange,
    errors: &mut Errors,
) -> Option<Duration> {
    let text = section.text(key, range.allowed, errors)?;
    section.accepted(key, range.parse(text), errors)
}

/// A whole number within bounds, both allowed.
#[inline(never)]
pub(super) fn read_whole(
    section: &Section<'_>,
    key: &str,
    default: u32,
    (least, most): (u32, u32),
    allowed: &'static str,
    errors: &mut Errors,
) -> u32 {
    let Some(number) = section.number(key, allowed, errors) else {
        return default;
    };
    if number.fract() == 0.0 && number >= f64::from(least) && number <= f64::from(most) {
        number as u32
    } else {
        section.report(key, refused_number(number, allowed), errors);
        default
    }
}

/// A list of strings, or one string; `None` where the key is absent. The errors name each that `parse` refuses.
#[inline(never)]
pub(super) fn read_names(
    section: &Section<'_>,
    key: &str,
    allowed: &'static str,
    parse: fn(&str) -> Result<String, Problem>,
    errors: &mut Errors,
) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut visit = |text: &str| {
        names.push(parse(text)?);
        Ok(())
    };
    section.texts(key, allowed, &mut visit, errors);
    section.has(key).then_some(names)
}

#[inline(never)]
pub(super) fn read_ranges(section: &Section<'_>, key: &str, errors: &mut Errors) -> Vec<IpNet> {
    let mut ranges = Vec::new();
    let mut visit = |text: &str| {
        ranges.push(value::ip_range(text)?);
        Ok(())
    };
    let allowed = "a list of addresses and CIDR ranges, such as [\"192.0.2.7\", \"2001:db8::/32\"]";
    section.texts(key, allowed, &mut visit, errors);
    ranges
}

#[inline(never)]
pub(super) fn refused_number(number: f64, allowed: &'static str) -> Problem {
    Problem::Refused {
        found: shown_number(number),
        allowed,
    }
}
