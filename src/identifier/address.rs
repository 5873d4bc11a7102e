//! Parses addresses and ranges from ABS, an operator or Envoy into one canonical form. Knows no list.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv6Net};

/// The IPv4 address of an IPv4-mapped IPv6 address (RFC 4291, 2.5.5.2); any other address unchanged.
pub fn fold_mapped(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

/// Reads an IPv4 address, or an IPv6 address with or without brackets and zone. The zone is removed: it names an interface
/// of one host and does not identify a client. `None` for anything else.
pub fn parse_address(text: &str) -> Option<IpAddr> {
    let inner = match text.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?,
        None => text,
    };
    if let Ok(v4) = inner.parse::<Ipv4Addr>() {
        // Only IPv6 has brackets.
        return (inner.len() == text.len()).then_some(IpAddr::V4(v4));
    }
    let without_zone = match inner.split_once('%') {
        Some((_, "")) => return None,
        Some((address, _)) => address,
        None => inner,
    };
    without_zone
        .parse::<Ipv6Addr>()
        .ok()
        .map(|v6| fold_mapped(IpAddr::V6(v6)))
}

/// Reads an address or a range in CIDR notation; an address is a range of one. Host bits are kept. IPv4-mapped IPv6 is folded:
/// `::ffff:192.0.2.0/120` is `192.0.2.0/24`; a range wider than all of IPv4 (a prefix under 96) stays IPv6. `None` for
/// anything else, such as a prefix with a leading zero or a sign.
pub fn parse_range(text: &str) -> Option<IpNet> {
    let Some((address_text, prefix_text)) = text.split_once('/') else {
        return parse_address(text).map(IpNet::from);
    };
    let leading_zero = prefix_text.starts_with('0') && prefix_text.len() > 1;
    // The number parser would accept a sign.
    if leading_zero || !prefix_text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let prefix: u8 = prefix_text.parse().ok()?;
    // The prefix of an IPv4-mapped range counts the bits of the IPv6 address.
    let is_ipv6_text = address_text.contains(':');
    let (address, prefix) = match (parse_address(address_text)?, prefix.checked_sub(96)) {
        (IpAddr::V4(v4), Some(prefix)) if is_ipv6_text => (IpAddr::V4(v4), prefix),
        (IpAddr::V4(v4), None) if is_ipv6_text => (IpAddr::V6(v4.to_ipv6_mapped()), prefix),
        (address, _) => (address, prefix),
    };
    IpNet::new(address, prefix).ok()
}

/// Reads Envoy's `source.address` (`192.0.2.1:443`, `[2001:db8::1]:443`) without its port. `None` if the peer has no IP
/// address, such as a Unix domain socket.
pub fn parse_source_address(text: &[u8]) -> Option<IpAddr> {
    let text = core::str::from_utf8(text).ok()?;
    let (address, _port) = text.rsplit_once(':')?;
    if address.contains(':') && !address.starts_with('[') {
        // The last group of an IPv6 address without brackets is not a port.
        return parse_address(text);
    }
    parse_address(address)
}

/// The IPv4 address embedded in an IPv6 address: of NAT64 with the well-known prefix (`64:ff9b::/96`, RFC 6052, 2.1), or of
/// 6to4 (`2002::/16`, RFC 3056, 2). `None` for any other address.
pub fn embedded_ipv4(address: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(v6) = address else {
        return None;
    };
    let v4 = match v6.octets() {
        [0x00, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d] => [a, b, c, d],
        [0x20, 0x02, a, b, c, d, ..] => [a, b, c, d],
        _ => return None,
    };
    Some(IpAddr::V4(Ipv4Addr::from(v4)))
}

/// The first address of the IPv6 network of `prefix` bits that contains `address`; an IPv4 address unchanged. Clients of one
/// network are compared by it.
pub fn host_of_prefix(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V6(v6) => match Ipv6Net::new(v6, prefix) {
            Ok(network) => IpAddr::V6(network.network()),
            Err(_) => address,
        },
        IpAddr::V4(_) => address,
    }
}

/// The form of a listed range that is compared with [`host_of_prefix`]: an IPv6 range of at least `prefix` bits becomes the
/// first address of its network. Any other range is unchanged.
pub fn range_of_prefix(range: IpNet, prefix: u8) -> IpNet {
    match range {
        IpNet::V6(v6) if v6.prefix_len() >= prefix => {
            IpNet::from(host_of_prefix(IpAddr::V6(v6.addr()), prefix))
        }
        _ => range,
    }
}
