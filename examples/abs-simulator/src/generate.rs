//! Large lists by a fixed scheme, so that a test can compute the i-th entry. README.md describes the scheme.

use std::net::Ipv4Addr;

use serde::Deserialize;
use thiserror::Error;

use crate::attack_list::Identifier;

/// The number of addresses in 10.0.0.0/8, so that generated addresses are unique.
pub const MAX_ENTRIES: u32 = 1 << 24;

/// The name of every generated cookie.
pub const COOKIE_NAME: &str = "SESSION";

/// The distance between the first addresses of two successive seeds.
const SEED_STRIDE: u32 = 1 << 20;

/// The kinds to generate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kinds {
    /// Only IP addresses.
    #[default]
    Ips,
    /// Each kind in turn: IP address, cookie, bearer token, API key, user name.
    Mixed,
}

/// An invalid number of entries.
#[derive(Debug, Error)]
#[error("entries: found {found}, allowed are 1 to {MAX_ENTRIES}")]
pub struct GenerateError {
    found: u32,
}

/// The entries of the list, in order.
///
/// # Errors
///
/// The number of entries is not allowed.
pub fn generate(
    entries: u32,
    kinds: Kinds,
    seed: u32,
) -> Result<impl Iterator<Item = Identifier>, GenerateError> {
    check_entries(entries)?;
    Ok((0..entries).map(move |index| match kinds {
        Kinds::Ips => ip(seed, index),
        Kinds::Mixed => {
            let number = index / 5;
            match index % 5 {
                0 => ip(seed, number),
                1 => Identifier::Cookie {
                    name: COOKIE_NAME.to_owned(),
                    value: format!("{seed:08x}{number:024x}"),
                },
                2 => Identifier::OauthToken(format!("tok-{seed:08x}-{number:030x}")),
                3 => Identifier::ApiKey(format!("key-{seed:08x}-{number:023x}")),
                _ => Identifier::Username(format!("user{number}.{seed}@example.com")),
            }
        }
    }))
}

/// Refuses lists that are empty or would repeat an address.
pub(crate) fn check_entries(entries: u32) -> Result<(), GenerateError> {
    match entries {
        1..=MAX_ENTRIES => Ok(()),
        found => Err(GenerateError { found }),
    }
}

fn ip(seed: u32, number: u32) -> Identifier {
    let first = seed.wrapping_sub(1).wrapping_mul(SEED_STRIDE);
    let host = first.wrapping_add(number) % MAX_ENTRIES;
    let network = u32::from(Ipv4Addr::new(10, 0, 0, 0));
    Identifier::Ip(Ipv4Addr::from(network | host).to_string())
}
