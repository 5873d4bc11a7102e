//! No false blocks: a full list of 1,000,000 entries contains each of them, and none of 100,000,000 other identifiers.
//!
//! Needs an optimised build, `cargo test --release --test false_blocks`; otherwise both numbers are smaller.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests fail by panics"
)]

#[path = "support/published.rs"]
mod published;

use portcullis::identifier::{ClientIdentifier, Fingerprint, FingerprintKey};
use portcullis::list::Builder;

use published::Published;

const OPTIMISED: bool = !cfg!(debug_assertions);

const N_LISTED: u64 = if OPTIMISED { 1_000_000 } else { 100_000 };

const N_UNLISTED: u64 = if OPTIMISED { 100_000_000 } else { 500_000 };

/// Calls `act` with identifier `i`, of one of the four kinds with more than a million values; all differ.
fn with_identifier<T>(i: u64, act: impl FnOnce(ClientIdentifier<'_>) -> T) -> T {
    // As text: canonical forms decode white space and escapes.
    let digit = |shift: u32| b"0123456789abcdef"[usize::try_from(i >> shift & 0xf).unwrap()];
    let value: [u8; 16] = core::array::from_fn(|at| digit(60 - 4 * u32::try_from(at).unwrap()));
    act(match i % 4 {
        0 => ClientIdentifier::Cookie {
            name: b"JSESSIONID",
            value: &value,
        },
        1 => ClientIdentifier::OauthToken(&value),
        2 => ClientIdentifier::ApiKey(&value),
        _ => ClientIdentifier::Username(&value),
    })
}

fn fingerprint(key: &FingerprintKey, i: u64) -> Fingerprint {
    with_identifier(i, |identifier| identifier.fingerprint(key))
}

#[test]
fn a_full_list_contains_all_of_its_entries_and_none_of_a_hundred_million_others() {
    let key = FingerprintKey::from_words([0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210]);
    let mut builder = Builder::new(key, u64::MAX);
    for i in 0..N_LISTED {
        with_identifier(i, |identifier| builder.insert(identifier, None)).unwrap();
    }
    let list = Published::new(&builder.finish().unwrap(), key);
    assert_eq!(list.manifest.n_entries(), N_LISTED);
    assert!(list.ranges.is_empty());

    let n_found = (0..N_LISTED)
        .filter(|i| list.contains(fingerprint(&key, *i)))
        .count();
    assert_eq!(n_found as u64, N_LISTED);

    let unlisted = N_LISTED..N_LISTED + N_UNLISTED;
    let (mut n_maybe, mut n_blocked) = (0u64, 0u64);
    for i in unlisted {
        let clean = fingerprint(&key, i);
        if list.filter.may_contain(clean) {
            n_maybe += 1;
            n_blocked += u64::from(list.contains(clean));
        }
    }
    assert_eq!(n_blocked, 0, "false blocks in {N_UNLISTED} look-ups");
    // The membership filter was used: it returns "maybe" for about one clean identifier in 256.
    let share = N_UNLISTED / n_maybe.max(1);
    assert!(
        (128..512).contains(&share),
        "1 of {share} look-ups reads a bucket"
    );
}
