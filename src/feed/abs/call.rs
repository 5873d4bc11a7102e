//! The path of ABS's attack list: `GET /v4/abs/attacklist`, as ABS's administration guide describes it.

use core::time::Duration;

use time::OffsetDateTime;

/// The path of a call. The window ends with the current minute, so that it includes entries of this minute.
pub fn path(now: Duration, window: Duration) -> String {
    let earlier = minute(now.saturating_sub(window));
    let later = minute(now.saturating_add(Duration::from_secs(59)));
    format!("/v4/abs/attacklist?earlier_date={earlier}&later_date={later}&status=active")
}

fn minute(since_epoch: Duration) -> String {
    let seconds = i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX);
    let date = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}",
        date.year().unsigned_abs(),
        u32::from(u8::from(date.month())),
        u32::from(date.day()),
        u32::from(date.hour()),
        u32::from(date.minute())
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn the_window_is_written_in_minutes_of_utc() {
        let now = Duration::from_secs(1_700_000_000);
        assert_eq!(
            path(now, Duration::from_secs(86_400)),
            "/v4/abs/attacklist?earlier_date=2023-11-13T22:13&later_date=2023-11-14T22:14&status=active"
        );
        let whole = Duration::from_secs(1_700_000_040);
        assert!(path(whole, Duration::ZERO).contains("later_date=2023-11-14T22:14"));
        assert!(path(now, Duration::MAX).contains("earlier_date=1970-01-01T00:00"));
        assert!(path(Duration::MAX, Duration::ZERO).contains("later_date="));
    }
}
