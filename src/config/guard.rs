//! The section `guard`: limits on what a list may do. `feed::guard` and `judge` apply them.

use ipnet::IpNet;

use super::section::Section;

pub(super) const GUARD_KEYS: &[&str] = &[
    "widest_ipv4",
    "widest_ipv6",
    CHANGE_KEY,
    "max_skipped_percent",
    "never_block",
    "max_denied_percent",
];

pub(super) const CHANGE_KEY: &str = "max_change_percent";

/// Limits on a list, so that a wrong list can't deny everybody.
#[derive(Clone, Debug, PartialEq)]
pub struct Guard {
    /// The shortest allowed prefix of a listed IPv4 range.
    pub widest_ipv4: u8,
    /// The shortest allowed prefix of a listed IPv6 range.
    pub widest_ipv6: u8,
    /// Limit on the change of the number of entries from one list to the next, in percent; `None` for no limit.
    pub max_change_percent: Option<f64>,
    /// Limit on the loss of entries from one list to the next, in percent, if there is no limit on any change: a default of
    /// formats that can be short without a sign.
    pub max_loss_percent: Option<f64>,
    /// Limit on the unusable entries of a list, in percent.
    pub max_skipped_percent: f64,
    /// Addresses and ranges that the list never denies; host bits zero, IPv4-mapped IPv6 folded.
    pub never_block: Vec<IpNet>,
    /// Limit on the requests that the list denies, in percent; `None` for no limit.
    pub max_denied_percent: Option<f64>,
}

pub(super) fn read_guard(root: &Section<'_>) -> Guard {
    let section = root.section("guard", GUARD_KEYS);
    let max_change_percent = section.nullable().number(
        CHANGE_KEY,
        "null for any change, or a number of percent above 0, such as 50",
        |percent| percent > 0.0 && percent.is_finite(),
    );
    let max_denied_percent = section.nullable().number(
        "max_denied_percent",
        "null for no limit, or a number of percent above 0 and up to 100, such as 20",
        |percent| percent > 0.0 && percent <= 100.0,
    );
    let max_skipped_percent = section.number(
        "max_skipped_percent",
        "a number of percent from 0 to 100, such as 10",
        |percent| (0.0..=100.0).contains(&percent),
    );
    let widest_ipv4 = section.whole_number(
        "widest_ipv4",
        0..=32,
        "a prefix length, a whole number from 0 (any range) to 32 (only addresses)",
    );
    let widest_ipv6 = section.whole_number(
        "widest_ipv6",
        0..=128,
        "a prefix length, a whole number from 0 (any range) to 128 (only addresses)",
    );
    Guard {
        widest_ipv4: widest_ipv4.unwrap_or(8),
        widest_ipv6: widest_ipv6.unwrap_or(32),
        max_change_percent,
        max_loss_percent: None,
        max_skipped_percent: max_skipped_percent.unwrap_or(10.0),
        never_block: section.ip_ranges("never_block"),
        max_denied_percent,
    }
}
