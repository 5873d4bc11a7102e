//! Address ranges as sorted, merged intervals, looked up by binary search. Parses nothing, knows no clock.

mod expiring;

use std::net::IpAddr;

use ipnet::IpNet;

use self::expiring::{Expiring, flatten};
use super::partition::NEVER;

/// A set of address ranges. IPv4-mapped IPv6 addresses must be converted to IPv4 before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressRanges {
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
    expiring: Vec<Expiring>,
}

impl AddressRanges {
    /// Bytes of one stored IPv4 interval, and of one IPv6 interval.
    pub const STORED_BYTES: (usize, usize) = (8, 32);

    /// Bytes of one stored interval that ends by itself.
    const STORED_BYTES_EXPIRING: usize = 36;

    /// Adds a range. Call [`AddressRanges::seal`] before the first look-up.
    pub fn push(&mut self, range: IpNet) {
        match ends(range) {
            Ends::V4(first, last) => self.v4.push((first, last)),
            Ends::V6(first, last) => self.v6.push((first, last)),
        }
    }

    /// Like [`AddressRanges::push`], for a range that ends by itself after this time in seconds.
    pub fn push_expiring(&mut self, range: IpNet, time_to_live: u32) {
        if time_to_live == NEVER {
            self.push(range);
            return;
        }
        let (first, last) = match ends(range) {
            Ends::V4(first, last) => (mapped(first), mapped(last)),
            Ends::V6(first, last) => (first, last),
        };
        self.expiring.push((first, last, time_to_live));
    }

    /// Adds a stored interval that ends by itself; ignores one with its ends in the wrong order.
    pub(crate) fn push_stored_expiring(&mut self, (first, last, time_to_live): Expiring) {
        if first <= last {
            self.expiring.push((first, last, time_to_live));
        }
    }

    /// Adds a stored interval; ignores one with its ends in the wrong order.
    pub(crate) fn push_v4(&mut self, first: u32, last: u32) {
        if first <= last {
            self.v4.push((first, last));
        }
    }

    /// Like [`AddressRanges::push_v4`], for IPv6.
    pub(crate) fn push_v6(&mut self, first: u128, last: u128) {
        if first <= last {
            self.v6.push((first, last));
        }
    }

    /// Sorts and merges the intervals, for look-ups.
    pub fn seal(&mut self) {
        self.v4.sort_unstable();
        merge(&mut self.v4, |last| last.checked_add(1));
        self.v6.sort_unstable();
        merge(&mut self.v6, |last| last.checked_add(1));
        flatten(&mut self.expiring);
    }

    /// Whether a range that does not end by itself contains `address`.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(v4) => covers(&self.v4, v4.to_bits(), v4.to_bits()),
            IpAddr::V6(v6) => covers(&self.v6, v6.to_bits(), v6.to_bits()),
        }
    }

    /// The longest time to live, in seconds, of the ranges that end by themselves and contain `address`.
    pub fn time_to_live(&self, address: IpAddr) -> Option<u32> {
        if self.expiring.is_empty() {
            return None;
        }
        let address = match address {
            IpAddr::V4(v4) => mapped(v4.to_bits()),
            IpAddr::V6(v6) => v6.to_bits(),
        };
        let after = self
            .expiring
            .partition_point(|(first, _, _)| *first <= address);
        let (_, last, time_to_live) = self.expiring.get(after.checked_sub(1)?)?;
        (address <= *last).then_some(*time_to_live)
    }

    /// Whether ranges that do not end by themselves contain every address of `range`.
    pub fn covers(&self, range: IpNet) -> bool {
        match ends(range) {
            Ends::V4(first, last) => covers(&self.v4, first, last),
            Ends::V6(first, last) => covers(&self.v6, first, last),
        }
    }

    /// The number of intervals.
    pub fn len(&self) -> usize {
        let permanent = self.v4.len().saturating_add(self.v6.len());
        permanent.saturating_add(self.expiring.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The size of the intervals in shared data, in bytes.
    pub fn stored_bytes(&self) -> usize {
        let (v4, v6) = Self::STORED_BYTES;
        self.v4
            .len()
            .saturating_mul(v4)
            .saturating_add(self.v6.len().saturating_mul(v6))
            .saturating_add(
                self.expiring
                    .len()
                    .saturating_mul(Self::STORED_BYTES_EXPIRING),
            )
    }

    /// The IPv4 intervals, ends included.
    pub fn v4(&self) -> &[(u32, u32)] {
        &self.v4
    }

    /// The IPv6 intervals, ends included.
    pub fn v6(&self) -> &[(u128, u128)] {
        &self.v6
    }

    /// The intervals that end by themselves, disjoint: both ends, included, and the time to live in seconds. IPv4 as
    /// IPv4-mapped IPv6.
    pub fn expiring(&self) -> &[Expiring] {
        &self.expiring
    }
}

/// An IPv4 address as IPv4-mapped IPv6.
fn mapped(address: u32) -> u128 {
    std::net::Ipv4Addr::from_bits(address)
        .to_ipv6_mapped()
        .to_bits()
}

enum Ends {
    V4(u32, u32),
    V6(u128, u128),
}

/// The first and the last address of a range.
fn ends(range: IpNet) -> Ends {
    let prefix = u32::from(range.prefix_len());
    match range.addr() {
        IpAddr::V4(v4) => {
            let (address, hosts) = (v4.to_bits(), u32::MAX.checked_shr(prefix).unwrap_or(0));
            Ends::V4(address & !hosts, address | hosts)
        }
        IpAddr::V6(v6) => {
            let (address, hosts) = (v6.to_bits(), u128::MAX.checked_shr(prefix).unwrap_or(0));
            Ends::V6(address & !hosts, address | hosts)
        }
    }
}

fn covers<T: Ord + Copy>(intervals: &[(T, T)], first: T, last: T) -> bool {
    let after = intervals.partition_point(|(start, _)| *start <= first);
    after
        .checked_sub(1)
        .and_then(|index| intervals.get(index))
        .is_some_and(|(_, end)| last <= *end)
}

/// Merges sorted intervals.
fn merge<T: Ord + Copy>(intervals: &mut Vec<(T, T)>, next: impl Fn(T) -> Option<T>) {
    intervals.dedup_by(|later, earlier| {
        // `later` starts at or after `earlier`. They merge where they overlap or touch.
        let touches = next(earlier.1).is_none_or(|end| later.0 <= end);
        if touches {
            earlier.1 = earlier.1.max(later.1);
        }
        touches
    });
    intervals.shrink_to_fit();
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn ranges(texts: &[&str]) -> AddressRanges {
        let mut ranges = AddressRanges::default();
        for text in texts {
            ranges.push(text.parse().unwrap());
        }
        ranges.seal();
        ranges
    }

    #[test]
    fn a_range_contains_its_ends_and_not_their_neighbours() {
        let ranges = ranges(&["192.0.2.0/28", "2001:db8::/48"]);
        let table = [
            ("192.0.1.255", false),
            ("192.0.2.0", true),
            ("192.0.2.15", true),
            ("192.0.2.16", false),
            ("2001:db8::", true),
            ("2001:db8:0:ffff:ffff:ffff:ffff:ffff", true),
            ("2001:db8:1::", false),
            ("2001:db7:ffff::", false),
        ];
        for (text, expected) in table {
            assert_eq!(ranges.contains(text.parse().unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn overlapping_and_touching_ranges_merge() {
        let ranges = ranges(&[
            "10.0.0.0/9",
            "10.128.0.0/9",
            "10.1.0.0/16",
            "0.0.0.0/8",
            "255.0.0.0/8",
        ]);
        assert_eq!(ranges.len(), 3);
        for inside in ["10.0.0.0", "10.255.255.255", "0.0.0.0", "255.255.255.255"] {
            assert!(ranges.contains(inside.parse().unwrap()), "{inside}");
        }
        assert!(!ranges.contains("11.0.0.0".parse().unwrap()));
    }

    #[test]
    fn a_range_may_be_covered_by_several_ranges() {
        let ranges = ranges(&[
            "10.0.0.0/9",
            "10.128.0.0/9",
            "2001:db8::/33",
            "2001:db8:8000::/33",
        ]);
        let table = [
            ("10.0.0.0/8", true),
            ("10.127.0.0/16", true),
            ("10.0.0.1/32", true),
            ("10.0.0.0/7", false),
            ("11.0.0.0/8", false),
            ("2001:db8::/32", true),
            ("2001:db8::/31", false),
            ("2001:db9::/48", false),
        ];
        for (text, expected) in table {
            assert_eq!(ranges.covers(text.parse().unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn the_order_of_insertion_does_not_matter() {
        let mut texts: Vec<String> = (0..200u32)
            .flat_map(|i| {
                [
                    format!("10.{i}.0.0/18"),
                    format!("2001:db8:{:x}::/49", i * 7919 % 65536),
                ]
            })
            .collect();
        let forward = ranges(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        texts.reverse();
        let backward = ranges(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(forward, backward);
        assert_eq!((forward.v4().len(), forward.v6().len()), (200, 200));
        assert!(forward.v4().is_sorted() && forward.v6().is_sorted());
    }

    #[test]
    fn one_range_may_contain_all_addresses() {
        let ranges = ranges(&["0.0.0.0/0", "::/0", "1.2.3.4/32"]);
        assert_eq!(ranges.len(), 2);
        assert!(ranges.contains("255.255.255.255".parse().unwrap()));
        assert!(ranges.contains("ffff::".parse().unwrap()));
    }
}
