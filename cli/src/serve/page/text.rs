//! Numbers, times and identifiers as the page writes them.

use std::time::Duration;

use time::OffsetDateTime;

/// `1 node`, `2 nodes`, `1,234 nodes`.
pub fn count(number: usize, noun: &str) -> String {
    let plural = match (number, noun.strip_suffix('y')) {
        (1, _) => noun.to_owned(),
        (_, Some(start)) => format!("{start}ies"),
        (_, None) => format!("{noun}s"),
    };
    let number = grouped(u64::try_from(number).unwrap_or(u64::MAX));
    format!("{number} {plural}")
}

/// A number with its thousands separated.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        let left = digits.len().saturating_sub(index);
        if index > 0 && left.is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A span of time in its largest unit.
pub fn age(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// A time for people: `2026-11-26 12:45:03 UTC`.
pub fn moment(since_1970: Duration) -> String {
    let Some(time) = date_time(since_1970) else {
        return "unknown".to_owned();
    };
    let (hour, minute, second) = time.to_hms();
    format!("{} {hour:02}:{minute:02}:{second:02} UTC", time.date())
}

/// The hour and minute: `12:45`.
pub fn clock(since_1970: Duration) -> String {
    date_time(since_1970).map_or_else(String::new, |time| {
        format!("{:02}:{:02}", time.hour(), time.minute())
    })
}

/// A time for the `datetime` attribute.
pub fn machine(since_1970: Duration) -> String {
    moment(since_1970).replace(' ', "T").replace("TUTC", "Z")
}

fn date_time(since_1970: Duration) -> Option<OffsetDateTime> {
    let seconds = i64::try_from(since_1970.as_secs()).ok()?;
    OffsetDateTime::from_unix_timestamp(seconds).ok()
}

/// A name as part of an `id`: letters and digits stay, every other byte is written in hexadecimal digits, so that no two
/// names have the same.
pub fn id_of(name: &str) -> String {
    let mut id = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => id.push(char::from(byte)),
            other => id.push_str(&format!("-{other:02x}")),
        }
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_short() {
        assert_eq!(count(1, "entry"), "1 entry");
        assert_eq!(count(0, "entry"), "0 entries");
        assert_eq!(count(1_234_567, "node"), "1,234,567 nodes");
        assert_eq!(age(Duration::from_secs(119)), "119 s");
        assert_eq!(age(Duration::from_secs(120)), "2 min");
        assert_eq!(age(Duration::from_secs(7_200)), "2 h");
        assert_eq!(age(Duration::from_secs(200_000)), "2 d");
        let time = Duration::from_secs(1_795_697_103);
        assert_eq!(moment(time), "2026-11-26 12:45:03 UTC");
        assert_eq!(machine(time), "2026-11-26T12:45:03Z");
        assert_eq!(clock(time), "12:45");
        assert_eq!(moment(Duration::MAX), "unknown");
    }

    #[test]
    fn ids_are_safe_and_distinct() {
        assert_eq!(id_of("edge.1"), "edge-2e1");
        assert_ne!(id_of("a-2eb"), id_of("a.b"));
        assert_eq!(id_of("\"><"), "-22-3e-3c");
    }
}
