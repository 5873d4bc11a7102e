//! What a parser reports, and the addresses of all models.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use ipnet::IpNet;
use portcullis::feed::entries::{EntrySink, Skipped};
use portcullis::identifier::ClientIdentifier;
use proptest::prelude::*;

/// What a parser reports, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Reported {
    Ip(IpNet, Option<Duration>),
    Username(String, Option<Duration>),
    Cookie(String, Option<Duration>),
    Header(String, String, Option<Duration>),
    Claims(Vec<(String, String)>),
    Skipped,
    Ignored,
}

#[derive(Default)]
pub struct Reports(pub Vec<Reported>);

impl EntrySink for Reports {
    fn entry(&mut self, entry: ClientIdentifier<'_>, time: Option<Duration>) -> bool {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        self.0.push(match entry {
            ClientIdentifier::Ip(range) => Reported::Ip(range, time),
            ClientIdentifier::Username(name) => Reported::Username(text(name), time),
            ClientIdentifier::Cookie { name, value } => {
                assert_eq!(name, b"SID");
                Reported::Cookie(text(value), time)
            }
            ClientIdentifier::Header { name, value } => {
                Reported::Header(name.to_owned(), text(value), time)
            }
            ClientIdentifier::TokenClaims(claims) => {
                assert_eq!(time, None);
                let claims = claims.iter();
                let claims = claims.map(|(name, value)| ((*name).to_owned(), text(value)));
                Reported::Claims(claims.collect())
            }
            _ => panic!("no list has this kind"),
        });
        true
    }

    fn skipped(&mut self, _: Skipped) {
        self.0.push(Reported::Skipped);
    }

    fn ignored(&mut self) {
        self.0.push(Reported::Ignored);
    }
}

/// Addresses that are close together, near special-purpose ranges or at the ends of the address space. None is IPv4-mapped.
pub fn address() -> impl Strategy<Value = IpAddr> {
    let v4 = prop_oneof![
        0u32..8,
        0x0900_fff0u32..0x0a00_0010,
        0xc000_0200u32..0xc000_0300,
        u32::MAX - 64..=u32::MAX,
        any::<u32>(),
    ];
    let v6 = prop_oneof![
        0u128..8,
        (0x2001_0db8u128 << 96)..(0x2001_0db8u128 << 96) + 0x400,
        (0xfe7f_ffffu128 << 96)..(0xfe80_0001u128 << 96),
        u128::MAX - 64..=u128::MAX,
        any::<u128>(),
    ];
    prop_oneof![
        v4.prop_map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits))),
        v6.prop_map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits)))
            .prop_filter("IPv4-mapped", |address| {
                let IpAddr::V6(v6) = address else { return true };
                v6.to_ipv4_mapped().is_none()
            }),
    ]
}

/// First and last address, as numbers, of an address family's bits.
pub type Ends = (u8, u128, u128);

pub fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_bits().into(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

pub fn ends(range: IpNet) -> Ends {
    (
        range.max_prefix_len(),
        number(range.network()),
        number(range.broadcast()),
    )
}

pub fn written(bits: u8, number: u128) -> String {
    match bits {
        32 => Ipv4Addr::from_bits(number.try_into().unwrap()).to_string(),
        _ => Ipv6Addr::from_bits(number).to_string(),
    }
}

pub fn is_unspecified(ends: Ends) -> bool {
    matches!(ends, (_, 0, 0))
}
