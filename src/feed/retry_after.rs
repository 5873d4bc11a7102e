//! The response header Retry-After (RFC 9110, 10.2.3) as a time to wait.
//!
//! Owns the formats of this header, for every server that is called. The callers decide how long a wait they honour.

use core::time::Duration;
use std::time::UNIX_EPOCH;

use crate::codec::decimal;

/// The time until the next allowed attempt; `None` for an invalid value.
///
/// A number of seconds, with a fraction or without, or a date in one of the three forms of HTTP (RFC 9110, 5.6.7).
/// A past date means no wait; a number too large for [`Duration`] means the longest one.
pub fn retry_after(value: &[u8], unix_now: Duration) -> Option<Duration> {
    let text = core::str::from_utf8(value.trim_ascii()).ok()?;
    if text.starts_with(|first: char| first.is_ascii_digit()) {
        let is_whole = text.bytes().all(|byte| byte.is_ascii_digit());
        return Some(if is_whole {
            text.parse().map_or(Duration::MAX, Duration::from_secs)
        } else {
            // JSON numbers may have an exponent.
            let seconds = decimal::parse(text).filter(|_| !text.contains(['e', 'E']))?;
            Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
        });
    }
    let date = httpdate::parse_http_date(text).ok()?;
    let since_epoch = date.duration_since(UNIX_EPOCH).ok()?;
    Some(since_epoch.saturating_sub(unix_now))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// Two minutes before 1994-11-06 08:49:37, the date in the examples of RFC 9110.
    const NOW: Duration = Duration::from_secs(784_111_777 - 120);

    #[test]
    fn seconds_and_all_three_forms_of_a_date_are_read() {
        let table: &[(&[u8], Option<Duration>)] = &[
            (b"120", Some(Duration::from_secs(120))),
            (b" 120\t", Some(Duration::from_secs(120))),
            (b"0", Some(Duration::ZERO)),
            (b"1.5", Some(Duration::from_millis(1_500))),
            (b"0.25", Some(Duration::from_millis(250))),
            (b"99999999999999999999999", Some(Duration::MAX)),
            (
                b"Sun, 06 Nov 1994 08:49:37 GMT",
                Some(Duration::from_secs(120)),
            ),
            (
                b"Sunday, 06-Nov-94 08:49:37 GMT",
                Some(Duration::from_secs(120)),
            ),
            (b"Sun Nov  6 08:49:37 1994", Some(Duration::from_secs(120))),
            // Past dates.
            (b"Sun, 06 Nov 1994 08:40:00 GMT", Some(Duration::ZERO)),
            (b"Thu, 01 Jan 1970 00:00:00 GMT", Some(Duration::ZERO)),
            (b"", None),
            (b".", None),
            (b"1.5.1", None),
            (b"-1", None),
            (b"1e3", None),
            (b"inf", None),
            (b"soon", None),
            (b"120s", None),
            (b"120, 60", None),
            (b"Sun, 31 Feb 1994 08:49:37 GMT", None),
            (b"Sun, 06 Nov 1994 08:49:37", None),
            (b"Sun, 06 Nov 1994 08:49:37 \xff", None),
        ];
        for (value, expected) in table {
            assert_eq!(
                retry_after(value, NOW),
                *expected,
                "{}",
                value.escape_ascii()
            );
        }
    }
}
