//! The limits of `guard` on a list, for the filter and the command line tool. Decides nothing about requests.

use ipnet::IpNet;

use crate::config::Guard;
use crate::feed::entries::EntryCounts;

/// `guard.max_skipped_percent` applies to lists with more entries than this.
pub const SKIPPED_GUARD_FROM: u64 = 100;

/// `guard.max_change_percent` applies to lists with more entries than this.
const CHANGE_GUARD_FROM: u64 = 1_000;

/// The shortest prefix that `guard` allows, if the range has a shorter one.
pub fn too_wide(guard: &Guard, range: IpNet) -> Option<u8> {
    let widest = match range {
        IpNet::V4(_) => guard.widest_ipv4,
        IpNet::V6(_) => guard.widest_ipv6,
    };
    (range.prefix_len() < widest).then_some(widest)
}

/// Whether more entries are unusable than `guard` allows.
pub fn skips_too_many(guard: &Guard, counts: &EntryCounts) -> bool {
    let (skipped, entries) = (counts.n_skipped() as f64, counts.n_entries() as f64);
    counts.n_entries() > SKIPPED_GUARD_FROM && skipped * 100.0 > entries * guard.max_skipped_percent
}

/// The limit of `guard` in percent, if the number of entries changed by more.
pub fn changed_too_much(guard: &Guard, before: u64, after: u64) -> Option<f64> {
    let of_loss = guard.max_loss_percent.filter(|_| after < before);
    let percent = guard.max_change_percent.or(of_loss)?;
    let (changed, allowed) = (
        after.abs_diff(before) as f64,
        before as f64 * percent / 100.0,
    );
    // Any size may follow an empty list.
    let is_large = before > 0 && before.max(after) > CHANGE_GUARD_FROM;
    (is_large && changed > allowed).then_some(percent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::identifier::PerKind;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn guard(json: &str) -> Guard {
        let config = format!(r#"{{"guard": {json}}}"#);
        Config::parse(config.as_bytes(), &|_| None).unwrap().guard
    }

    #[test]
    fn the_widest_range_depends_on_the_address_family() {
        let table = [
            ("0.0.0.0/0", Some(8)),
            ("0.0.0.0/1", Some(8)),
            ("10.0.0.0/7", Some(8)),
            ("10.0.0.0/8", None),
            ("192.0.2.1/32", None),
            ("::/0", Some(32)),
            ("2001:db8::/31", Some(32)),
            ("2001:db8::/32", None),
        ];
        for (range, expected) in table {
            assert_eq!(
                too_wide(&guard("{}"), range.parse().unwrap()),
                expected,
                "{range}"
            );
        }
        let lax = guard(r#"{"widest_ipv4": 0, "widest_ipv6": 0}"#);
        for range in ["0.0.0.0/0", "::/0"] {
            assert_eq!(too_wide(&lax, range.parse().unwrap()), None);
        }
    }

    #[test]
    fn the_share_of_skipped_entries_is_limited_in_lists_of_over_100() {
        let counts = |username, skipped| EntryCounts {
            usable: PerKind {
                username,
                ..PerKind::default()
            },
            skipped: PerKind {
                ip: skipped,
                ..PerKind::default()
            },
            ..EntryCounts::default()
        };
        let table = [
            ("{}", 1, 99, false),
            ("{}", 90, 10, false),
            ("{}", 91, 10, false),
            ("{}", 90, 11, true),
            ("{}", 900, 100, false),
            ("{}", 899, 101, true),
            (r#"{"max_skipped_percent": 0}"#, 1_000, 0, false),
            (r#"{"max_skipped_percent": 0}"#, 1_000, 1, true),
            (r#"{"max_skipped_percent": 100}"#, 1, 1_000, false),
            (r#"{"max_skipped_percent": 0.5}"#, 995, 5, false),
            (r#"{"max_skipped_percent": 0.5}"#, 994, 6, true),
        ];
        for (json, usable, skipped, expected) in table {
            let found = skips_too_many(&guard(json), &counts(usable, skipped));
            assert_eq!(found, expected, "{json} {usable} {skipped}");
        }
    }
}
