//! Wrong tokens, counted for each address: who tries many is refused for a while.
//!
//! Different tokens count. A node that repeats one wrong token, perhaps that of before a rotation, guesses nothing, and
//! must not lock out the other nodes behind its address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::super::listener::client;

/// How many different wrong tokens an address may try in a window.
const MOST_GUESSES: usize = 20;

/// The window, and how long an address is refused.
const WINDOW: Duration = Duration::from_secs(60);

/// How many addresses are remembered.
const MOST_ADDRESSES: usize = 10_000;

/// The addresses that sent wrong tokens.
#[derive(Default)]
pub struct Guesses(Mutex<HashMap<IpAddr, Burst>>);

/// The wrong tokens of an address; it ends after a window without one.
struct Burst {
    /// The first wrong token of this window.
    since: Instant,
    /// The last wrong token.
    last: Instant,
    /// Hashes of the wrong tokens in this window.
    tokens: Vec<u64>,
    /// Until when the address is refused.
    refused_until: Option<Instant>,
    /// Whether it was refused in this burst.
    reported: bool,
}

/// What is to be logged about a wrong token: nothing, for most.
#[derive(Debug, PartialEq, Eq)]
pub enum Noted {
    /// The first one of a burst.
    First,
    /// The address is refused from now on, for the first time in this burst.
    Refused,
    /// One of many.
    Repeated,
}

impl Guesses {
    /// For how long the address is refused; none if it is not.
    pub fn refused_for(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let mut bursts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let burst = bursts.get_mut(&client(address))?;
        let rest = burst.refused_until?.checked_duration_since(now)?;
        burst.last = now;
        Some(rest).filter(|rest| !rest.is_zero())
    }

    /// Counts a wrong token.
    pub fn note(&self, address: IpAddr, token: u64, now: Instant) -> Noted {
        let address = client(address);
        let mut bursts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = |burst: &Burst| now.saturating_duration_since(burst.last) > WINDOW;
        if bursts.get(&address).is_some_and(ended) {
            bursts.remove(&address);
        }
        if bursts.len() >= MOST_ADDRESSES && !bursts.contains_key(&address) {
            bursts.retain(|_, burst| !ended(burst));
            if bursts.len() >= MOST_ADDRESSES
                && let Some(any) = bursts.keys().next().copied()
            {
                bursts.remove(&any);
            }
        }
        let mut noted = Noted::Repeated;
        let burst = bursts.entry(address).or_insert_with(|| {
            noted = Noted::First;
            Burst {
                since: now,
                last: now,
                tokens: Vec::new(),
                refused_until: None,
                reported: false,
            }
        });
        burst.last = now;
        if now.saturating_duration_since(burst.since) > WINDOW {
            burst.since = now;
            burst.tokens.clear();
        }
        if !burst.tokens.contains(&token) {
            burst.tokens.push(token);
        }
        if burst.tokens.len() >= MOST_GUESSES {
            burst.tokens.clear();
            burst.refused_until = now.checked_add(WINDOW);
            if !std::mem::replace(&mut burst.reported, true) {
                noted = Noted::Refused;
            }
        }
        noted
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn many_different_tokens_are_refused_and_reported_once() {
        let guesses = Guesses::default();
        let now = Instant::now();
        let mut noted = Vec::new();
        for token in 0..1000 {
            if guesses.refused_for(address(1), now).is_none() {
                noted.push(guesses.note(address(1), token, now));
            }
        }
        assert_eq!(noted.len(), MOST_GUESSES);
        assert_eq!(noted.first(), Some(&Noted::First));
        assert_eq!(noted.last(), Some(&Noted::Refused));
        assert_eq!(guesses.refused_for(address(1), now), Some(WINDOW));
        assert_eq!(guesses.refused_for(address(2), now), None);
        let later = now + WINDOW;
        assert_eq!(guesses.refused_for(address(1), later), None);
        for token in 0..30 {
            assert_eq!(guesses.note(address(1), token, later), Noted::Repeated);
        }
        assert!(guesses.refused_for(address(1), later).is_some());
    }

    #[test]
    fn one_token_repeated_is_never_refused() {
        let guesses = Guesses::default();
        let mut now = Instant::now();
        assert_eq!(guesses.note(address(1), 7, now), Noted::First);
        for _ in 0..1000 {
            now += Duration::from_secs(5);
            assert_eq!(guesses.note(address(1), 7, now), Noted::Repeated);
            assert_eq!(guesses.refused_for(address(1), now), None);
        }
        now += WINDOW + Duration::from_secs(1);
        assert_eq!(guesses.note(address(1), 7, now), Noted::First);
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_are_one_client() {
        let guesses = Guesses::default();
        let now = Instant::now();
        for number in 0..20_u16 {
            let address = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, number, 0, 0, 1);
            guesses.note(address.into(), number.into(), now);
        }
        let refused = |text: &str| guesses.refused_for(text.parse().unwrap(), now).is_some();
        assert!(refused("2001:db8::ffff"));
        assert!(!refused("2001:db8:0:1::1"));
    }

    #[test]
    fn the_memory_is_bounded() {
        let guesses = Guesses::default();
        let now = Instant::now();
        for number in 0..20_000_u32 {
            guesses.note(IpAddr::from(number.to_be_bytes()), 1, now);
        }
        assert_eq!(guesses.0.lock().unwrap().len(), MOST_ADDRESSES);
    }
}
