//! Readers of one key each, for what several sections have in common: a word out of two, a size, a duration, a whole
//! number, a list of names.
//!
//! Owns no key and no default.

use core::time::Duration;

use ipnet::IpNet;

use super::error::{Errors, Problem, shown_number};
use super::raw::Section;
use super::value::{self, DurationRange};

const SIZE: &str = "a size from \"1B\" to \"1GB\", such as \"64KB\" or \"128MB\" (whole number; units B, KB, MB, GB; powers of 1024)";
/// The VM can't hold more: a host gives it 1 GiB of memory.
const MOST_BYTES: u64 = 1 << 30;

/// One of two words; the first is the default.
pub(super) fn read_choice<T: Copy>(
    section: &Section<'_>,
    key: &str,
    options: [(&str, T); 2],
    allowed: &'static str,
    errors: &mut Errors,
) -> T {
    let [(_, default), _] = options;
    let parse = |text: &str| {
        let chosen = options.iter().find(|(word, _)| *word == text);
        chosen
            .map(|&(_, option)| option)
            .ok_or_else(|| Problem::refused_text(text, allowed))
    };
    section.parsed(key, default, allowed, parse, errors)
}

pub(super) fn read_size(
    section: &Section<'_>,
    key: &str,
    default: u64,
    errors: &mut Errors,
) -> u64 {
    let parse = |text: &str| value::size(text, MOST_BYTES, SIZE);
    section.parsed(key, default, SIZE, parse, errors)
}

pub(super) fn read_duration(
    section: &Section<'_>,
    key: &str,
    default: Duration,
    range: &DurationRange,
    errors: &mut Errors,
) -> Duration {
    section.parsed(
        key,
        default,
        range.allowed,
        |text| range.parse(text),
        errors,
    )
}

/// A whole number within bounds, both allowed.
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

pub(super) fn refused_number(number: f64, allowed: &'static str) -> Problem {
    Problem::Refused {
        found: shown_number(number),
        allowed,
    }
}
