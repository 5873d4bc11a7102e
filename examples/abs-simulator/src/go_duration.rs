//! Durations as Go writes and reads them: `1h2m3.5s`, `-10.6ms`.

use std::time::Duration;

/// One billion.
const NANOS: u128 = 1_000_000_000;

/// A span of time with a sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GoDuration {
    /// Whether it is below zero.
    pub negative: bool,
    /// Its length.
    pub length: Duration,
}

impl GoDuration {
    /// The same, rounded to seconds.
    #[must_use]
    pub fn rounded(self) -> Self {
        let half = Duration::from_millis(500);
        let seconds = self.length.saturating_add(half).as_secs();
        Self {
            negative: self.negative && seconds > 0,
            length: Duration::from_secs(seconds),
        }
    }
}

impl std::fmt::Display for GoDuration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.negative {
            f.write_str("-")?;
        }
        let nanos = self.length.as_nanos();
        match nanos {
            0 => f.write_str("0s"),
            1..1_000 => write!(f, "{nanos}ns"),
            1_000..1_000_000 => write!(f, "{}µs", decimal(nanos, 3)),
            1_000_000..1_000_000_000 => write!(f, "{}ms", decimal(nanos, 6)),
            _ => {
                let minutes = nanos / (60 * NANOS);
                if minutes >= 60 {
                    write!(f, "{}h", minutes / 60)?;
                }
                if minutes > 0 {
                    write!(f, "{}m", minutes % 60)?;
                }
                write!(f, "{}s", decimal(nanos % (60 * NANOS), 9))
            }
        }
    }
}

/// `nanos` with the decimal point before the last `digits`, without trailing zeros.
fn decimal(nanos: u128, digits: usize) -> String {
    let padded = format!("{nanos:0width$}", width = digits.saturating_add(1));
    let (whole, fraction) = padded.split_at(padded.len().saturating_sub(digits));
    match fraction.trim_end_matches('0') {
        "" => whole.to_owned(),
        fraction => format!("{whole}.{fraction}"),
    }
}

/// Reads a duration above zero; `None` if it is none.
pub fn parse_go_duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(end);
        let end = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, next) = after.split_at(end);
        let seconds = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        let number: f64 = number.parse().ok()?;
        total = total.checked_add(Duration::try_from_secs_f64(number * seconds).ok()?)?;
        rest = next;
    }
    (!total.is_zero()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_go_does() {
        for (nanos, expected) in [
            (0, "0s"),
            (1, "1ns"),
            (1_500, "1.5µs"),
            (10_645_915, "10.645915ms"),
            (1_000_000_000, "1s"),
            (598_838_253_176, "9m58.838253176s"),
            (3_600_000_000_000, "1h0m0s"),
            (14_279_000_000_000, "3h57m59s"),
        ] {
            let duration = GoDuration {
                negative: false,
                length: Duration::from_nanos(nanos),
            };
            assert_eq!(duration.to_string(), expected);
        }
        let ended = GoDuration {
            negative: true,
            length: Duration::from_millis(1_600),
        };
        assert_eq!(ended.to_string(), "-1.6s");
        assert_eq!(ended.rounded().to_string(), "-2s");
    }

    #[test]
    fn durations_are_read_as_go_does() {
        assert_eq!(parse_go_duration("4h"), Some(Duration::from_secs(14_400)));
        assert_eq!(
            parse_go_duration("1h2m3.5s"),
            Some(Duration::from_millis(3_723_500))
        );
        assert_eq!(parse_go_duration("250ms"), Some(Duration::from_millis(250)));
        for refused in ["", "0s", "4", "h", "-1h", "4d", "1h-2m", "1.2.3s"] {
            assert_eq!(parse_go_duration(refused), None, "{refused:?}");
        }
    }
}
