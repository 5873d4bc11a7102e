//! ABS's date format: `yyyy-mm-ddThh:mm`, in UTC.

use std::time::SystemTime;

use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

const FORMAT: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]");

/// The first second of the minute in `text`; `None` if it is not in the format.
pub fn parse_date(text: &str) -> Option<SystemTime> {
    // The parser would accept a sign before the year.
    if !text.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let date = PrimitiveDateTime::parse(text, FORMAT).ok()?;
    Some(date.assume_utc().into())
}

/// The minute of `time`.
pub fn format_date(time: SystemTime) -> String {
    OffsetDateTime::from(time)
        .format(FORMAT)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn dates_are_read_strictly() {
        let minute = UNIX_EPOCH + Duration::from_secs(1_798_761_540);
        assert_eq!(parse_date("2026-12-31T23:59"), Some(minute));
        assert_eq!(
            format_date(minute + Duration::from_secs(59)),
            "2026-12-31T23:59"
        );
        for malformed in [
            "",
            "2026-12-31",
            "2026-12-31 23:59",
            "2026-12-31T23:59:00",
            "2026-12-31T23:59Z",
            "2026-1-2T3:04",
            "2026-02-30T00:00",
            "2026-12-31T24:00",
            "+2026-12-31T23:59",
        ] {
            assert_eq!(parse_date(malformed), None, "{malformed:?}");
        }
    }
}
