//! Go's durations, such as `3h57m59s` or `9m58.838253176s`.

use core::time::Duration;

/// Reads what Go's `time.ParseDuration` reads; less than zero is zero. `None` for anything else.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    let (is_negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest.is_empty() {
        return None;
    }
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let is_of_number = |character: char| character.is_ascii_digit() || character == '.';
    let mut nanoseconds: u64 = 0;
    while !rest.is_empty() {
        let (number, after) =
            rest.split_at_checked(rest.find(|character| !is_of_number(character))?)?;
        let (unit, after) =
            after.split_at_checked(after.find(is_of_number).unwrap_or(after.len()))?;
        nanoseconds = nanoseconds.checked_add(quantity(number, unit)?)?;
        rest = after;
    }
    match is_negative {
        true => Some(Duration::ZERO),
        false => Some(Duration::from_nanos(nanoseconds)),
    }
}

/// In nanoseconds.
fn quantity(number: &str, unit: &str) -> Option<u64> {
    let unit: u64 = match unit {
        "ns" => 1,
        // The micro sign and the Greek letter.
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole: u64 = match whole {
        "" => 0,
        digits => digits.parse().ok()?,
    };
    let mut sum = whole.checked_mul(unit)?;
    let mut place = unit;
    for character in fraction.chars() {
        place = place.checked_div(10)?;
        let digit = u64::from(character.to_digit(10)?);
        sum = sum.checked_add(digit.checked_mul(place)?)?;
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn durations_of_go_are_read() {
        let table = [
            ("3h57m59s", Duration::from_secs(14_279)),
            ("4m0s", Duration::from_secs(240)),
            ("9m58.838253176s", Duration::new(598, 838_253_176)),
            ("1.5h", Duration::from_secs(5_400)),
            (".5s", Duration::from_millis(500)),
            ("1.s", Duration::from_secs(1)),
            ("+1s", Duration::from_secs(1)),
            ("838.253ms", Duration::from_micros(838_253)),
            ("17\u{b5}s", Duration::from_micros(17)),
            ("17\u{3bc}s", Duration::from_micros(17)),
            ("17us", Duration::from_micros(17)),
            ("5ns", Duration::from_nanos(5)),
            ("0.00000000000000001s", Duration::ZERO),
            ("0", Duration::ZERO),
            ("0s", Duration::ZERO),
            ("-0", Duration::ZERO),
            ("-17h44m25s", Duration::ZERO),
            ("-1.5ms", Duration::ZERO),
            // The longest of Go.
            (
                "2562047h47m16.854775807s",
                Duration::from_nanos(u64::MAX / 2),
            ),
        ];
        for (text, expected) in table {
            assert_eq!(parse_duration(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn other_text_is_not_a_duration() {
        for text in [
            "",
            "-",
            "+",
            "3",
            "h",
            ".s",
            "1.2.3s",
            "3 h",
            "1d",
            "3h57",
            "--1s",
            "1S",
            "1e3s",
            " 1s",
            "1\u{661}s",
            "99999999h",
            "99999999999999999999h",
            "5124095h1h",
            "inf",
            "\u{b5}s",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}
