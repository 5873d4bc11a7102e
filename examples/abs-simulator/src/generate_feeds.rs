//! Large lists for feeds by a fixed scheme, so that a test can compute the i-th entry. README.md describes the scheme.
//!
//! Unlike `generate`, it uses public addresses: filters skip private ranges in lists from the Internet.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::generate::{GenerateError, check_entries};

/// The distance between the numbers of two successive seeds.
const SEED_STRIDE: u32 = 1 << 20;

/// Scope and value of each decision: addresses, or five scopes in turn.
///
/// # Errors
///
/// The number of entries is not allowed.
pub fn decisions(
    entries: u32,
    mixed: bool,
    seed: u32,
) -> Result<impl Iterator<Item = (&'static str, String)>, GenerateError> {
    check_entries(entries)?;
    Ok((0..entries).map(move |index| {
        if !mixed {
            return ("Ip", ipv4(seed, index));
        }
        let number = index / 5;
        match index % 5 {
            0 => ("Ip", ipv4(seed, number)),
            1 => ("Ip", ipv6(seed, number)),
            2 => ("Range", range(seed, number)),
            3 => ("username", format!("user{number}.{seed}@example.com")),
            _ => ("session", format!("{seed:08x}{number:024x}")),
        }
    }))
}

/// A text list: addresses, or IPv4 address, IPv6 address and range in turn.
///
/// # Errors
///
/// The number of entries is not allowed.
pub fn lines(entries: u32, mixed: bool, seed: u32) -> Result<String, GenerateError> {
    check_entries(entries)?;
    let mut text = String::from("# generated\n");
    for index in 0..entries {
        let line = match (mixed, index % 3) {
            (false, _) => ipv4(seed, index),
            (true, 0) => ipv4(seed, index / 3),
            (true, 1) => ipv6(seed, index / 3),
            (true, _) => range(seed, index / 3),
        };
        text.push_str(&line);
        text.push('\n');
    }
    Ok(text)
}

/// Tokens as in generated attack lists.
///
/// # Errors
///
/// The number of entries is not allowed.
pub fn tokens(entries: u32, seed: u32) -> Result<impl Iterator<Item = String>, GenerateError> {
    check_entries(entries)?;
    Ok((0..entries).map(move |number| format!("tok-{seed:08x}-{number:030x}")))
}

fn position(seed: u32, number: u32) -> u32 {
    let first = seed.wrapping_sub(1).wrapping_mul(SEED_STRIDE);
    first.wrapping_add(number) % (1 << 24)
}

fn ipv4(seed: u32, number: u32) -> String {
    let network = u32::from(Ipv4Addr::new(11, 0, 0, 0));
    Ipv4Addr::from(network | position(seed, number)).to_string()
}

fn ipv6(seed: u32, number: u32) -> String {
    let network = u128::from(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0));
    let value = network | u128::from(seed) << 32 | u128::from(number);
    Ipv6Addr::from(value).to_string()
}

fn range(seed: u32, number: u32) -> String {
    let network = u32::from(Ipv4Addr::new(32, 0, 0, 0));
    let block = position(seed, number) << 4;
    format!("{}/28", Ipv4Addr::from(network | block))
}
