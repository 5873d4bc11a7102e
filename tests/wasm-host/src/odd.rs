//! Wrong answers to hostcalls: statuses, bytes and numbers that no sound host would give, and deeds that it does not do,
//! or does and denies.
//!
//! What is never odd, since no module could tell: bytes written elsewhere than into room that it handed out.

use std::collections::BTreeMap;

use crate::seeded::Random;

impl Random {
    /// So many bytes.
    pub fn bytes(&mut self, n: u64) -> Vec<u8> {
        (0..n).map(|_| self.number() as u8).collect()
    }

    /// A number as a broken host would give it: small, at a bound, or any.
    pub fn odd_number(&mut self) -> u64 {
        match self.below(5) {
            0 => self.below(16),
            1 => u64::MAX - self.below(3),
            2 => u64::from(u32::MAX) - self.below(3),
            3 => 1u64 << self.below(64),
            _ => self.number(),
        }
    }
}

/// How a hostcall that returns bytes is answered.
#[derive(Clone, Debug)]
pub struct BytesAnswer {
    /// Its status.
    pub status: u32,
    /// What is written to room that the module allocates; `None`: no room is asked for.
    pub bytes: Option<Vec<u8>>,
    /// The size that is told; `None`: neither pointer nor size is written.
    pub told: Option<u32>,
}

impl BytesAnswer {
    /// As Envoy answers: no bytes are a null pointer.
    pub fn honest(answer: Result<Vec<u8>, u32>) -> Self {
        match answer {
            Ok(bytes) => Self {
                status: 0,
                told: Some(u32::try_from(bytes.len()).expect("a sound size")),
                bytes: (!bytes.is_empty()).then_some(bytes),
            },
            Err(status) => Self {
                status,
                bytes: None,
                told: None,
            },
        }
    }
}

/// How odd a host is.
#[derive(Clone, Debug)]
pub struct Oddness {
    /// What it chooses by.
    pub random: Random,
    /// One in so many hostcalls is answered oddly.
    pub one_in: u64,
    /// Answers may contradict themselves or the truth, too: room that is asked for and then not named, sizes below the
    /// room's, deeds denied or only claimed; and callbacks may come within a hostcall. The module can't give back room
    /// that is not named.
    pub lies: bool,
    /// How many times it was, by hostcall.
    pub times: BTreeMap<&'static str, u64>,
}

/// What a hostcall does that has an effect, and what it says of it.
#[derive(Clone, Copy, Debug)]
pub struct Deed {
    /// Whether it does it.
    pub done: bool,
    /// What it says, where not what is true.
    pub told: Option<u32>,
}

impl Deed {
    /// As an honest host does.
    pub const HONEST: Self = Self {
        done: true,
        told: None,
    };
}

impl Oddness {
    /// One that strikes one in so many hostcalls.
    pub fn new(seed: u64, one_in: u64, lies: bool) -> Self {
        Self {
            random: Random::new(seed),
            one_in,
            lies,
            times: BTreeMap::new(),
        }
    }

    /// Whether this hostcall is answered oddly.
    pub fn strikes(&mut self, hostcall: &'static str) -> bool {
        let strikes = self.random.below(self.one_in) == 0;
        if strikes {
            *self.times.entry(hostcall).or_default() += 1;
        }
        strikes
    }

    /// What is done in place of an honest deed.
    pub fn deed(&mut self) -> Deed {
        let status = self.status();
        let (done, told) = match self.random.below(if self.lies { 4 } else { 1 }) {
            0 | 1 => (false, status),
            2 => (true, status),
            _ => (false, 0),
        };
        Deed {
            done,
            told: Some(told),
        }
    }

    /// A status that is not 0.
    pub fn status(&mut self) -> u32 {
        let status = match self.random.below(3) {
            0 => self.random.odd_number() as u32,
            _ => self.random.below(16) as u32,
        };
        status.max(1)
    }

    /// An answer in place of an honest one.
    pub fn bytes(&mut self, honest: &Result<Vec<u8>, u32>) -> BytesAnswer {
        let kinds = if self.lies { 8 } else { 5 };
        let bytes = match self.random.below(kinds) {
            0 => {
                return BytesAnswer {
                    status: self.status(),
                    bytes: None,
                    told: None,
                };
            }
            1 => Vec::new(),
            2 => {
                let most = [40, 400, 70_000][self.random.below(3) as usize];
                let size = self.random.below(most);
                self.random.bytes(size)
            }
            // The honest bytes, changed.
            3 => self.changed(honest),
            4 => {
                let mut bytes = honest.clone().unwrap_or_default();
                bytes.truncate(self.random.below(bytes.len() as u64 + 1) as usize);
                bytes
            }
            // Null, but with a size; or success, and nothing written.
            5 => {
                let told = self.random.odd_number() as u32;
                return BytesAnswer {
                    status: 0,
                    bytes: None,
                    told: (!told.is_multiple_of(3)).then_some(told),
                };
            }
            // Less than there is, or more.
            6 => {
                let bytes = self.changed(honest);
                let told = match self.random.below(2) {
                    0 => self.random.below(bytes.len() as u64 + 1) as u32,
                    _ => bytes.len() as u32 | self.random.odd_number() as u32,
                };
                return BytesAnswer {
                    status: 0,
                    bytes: (!bytes.is_empty()).then_some(bytes),
                    told: Some(told),
                };
            }
            // A failure, but with bytes.
            _ => {
                let bytes = self.changed(honest);
                return BytesAnswer {
                    status: self.status(),
                    told: Some(bytes.len() as u32),
                    bytes: (!bytes.is_empty()).then_some(bytes),
                };
            }
        };
        BytesAnswer::honest(Ok(bytes))
    }

    fn changed(&mut self, honest: &Result<Vec<u8>, u32>) -> Vec<u8> {
        let mut bytes = honest.clone().unwrap_or_default();
        for _ in 0..=self.random.below(8) {
            let at = self.random.below(bytes.len() as u64 + 1) as usize;
            match bytes.get_mut(at) {
                Some(byte) => *byte = self.random.odd_number() as u8,
                None => bytes.push(self.random.number() as u8),
            }
        }
        bytes
    }
}
