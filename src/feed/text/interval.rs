//! Addresses from a first to a last one, and the ranges that no feed should block.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, IpSubnets, Ipv4Subnets, Ipv6Subnets};

/// Private networks, the host itself and the link, multicast and reserved addresses (RFC 6890, RFC 5771, RFC 4291): no client
/// on the Internet has one, and a list that blocks a private network blocks a proxy's own.
pub const SPECIAL_RANGES: [IpNet; 12] = [
    v4([0, 0, 0, 0], 8),
    v4([10, 0, 0, 0], 8),
    v4([100, 64, 0, 0], 10),
    v4([127, 0, 0, 0], 8),
    v4([169, 254, 0, 0], 16),
    v4([172, 16, 0, 0], 12),
    v4([192, 168, 0, 0], 16),
    v4([224, 0, 0, 0], 3),
    v6(1, 128),
    v6(0xfc00 << 112, 7),
    v6(0xfe80 << 112, 10),
    v6(0xff00 << 112, 8),
];

const fn v4(octets: [u8; 4], prefix: u8) -> IpNet {
    let [a, b, c, d] = octets;
    IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(a, b, c, d)), prefix)
}

const fn v6(bits: u128, prefix: u8) -> IpNet {
    IpNet::new_assert(IpAddr::V6(Ipv6Addr::from_bits(bits)), prefix)
}

/// Addresses of one family from a first to a last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interval {
    V4(Ipv4Addr, Ipv4Addr),
    V6(Ipv6Addr, Ipv6Addr),
}

impl Interval {
    /// `None` if the addresses are of both families, or the last one is before the first.
    pub(super) fn new(first: IpAddr, last: IpAddr) -> Option<Self> {
        match (first, last) {
            (IpAddr::V4(first), IpAddr::V4(last)) if first <= last => Some(Self::V4(first, last)),
            (IpAddr::V6(first), IpAddr::V6(last)) if first <= last => {
                // IPv4-mapped addresses are IPv4, so that neither end is one.
                let mapped = Ipv4Addr::UNSPECIFIED.to_ipv6_mapped();
                (mapped < first || last < mapped).then_some(Self::V6(first, last))
            }
            _ => None,
        }
    }

    fn ends(self) -> (IpAddr, IpAddr) {
        match self {
            Interval::V4(first, last) => (first.into(), last.into()),
            Interval::V6(first, last) => (first.into(), last.into()),
        }
    }

    /// Whether it is exactly the range of `prefix` bits.
    pub(super) fn has_prefix(self, prefix: u8) -> bool {
        IpNet::new(self.ends().0, prefix).is_ok_and(|range| Self::from(range) == self)
    }

    /// Whether it overlaps one of [`SPECIAL_RANGES`].
    pub(super) fn is_special(self) -> bool {
        let (first, last) = self.ends();
        // In the order of addresses, IPv4 is before IPv6.
        SPECIAL_RANGES
            .iter()
            .any(|range| range.network() <= last && first <= range.broadcast())
    }

    /// The smallest set of ranges that contains the same addresses.
    pub(super) fn ranges(self) -> IpSubnets {
        match self {
            Interval::V4(first, last) => IpSubnets::V4(Ipv4Subnets::new(first, last, 0)),
            Interval::V6(first, last) => IpSubnets::V6(Ipv6Subnets::new(first, last, 0)),
        }
    }
}

impl From<IpNet> for Interval {
    fn from(range: IpNet) -> Self {
        match range {
            IpNet::V4(range) => Self::V4(range.network(), range.broadcast()),
            IpNet::V6(range) => Self::V6(range.network(), range.broadcast()),
        }
    }
}
