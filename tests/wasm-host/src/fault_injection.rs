//! Wrong results of hostcalls: statuses, bytes and numbers that Envoy never returns, and effects that are skipped or
//! denied.
//!
//! Never injected, because no module could detect it: bytes written outside the memory that the module allocated.

use std::collections::BTreeMap;

use crate::seeded::Random;

impl Random {
    /// `n` bytes.
    pub fn bytes(&mut self, n: u64) -> Vec<u8> {
        (0..n).map(|_| self.number() as u8).collect()
    }

    /// A number as a broken host returns it: small, at a bound, or any.
    pub fn extreme_number(&mut self) -> u64 {
        match self.below(5) {
            0 => self.below(16),
            1 => u64::MAX - self.below(3),
            2 => u64::from(u32::MAX) - self.below(3),
            3 => 1u64 << self.below(64),
            _ => self.number(),
        }
    }
}

/// The result of a hostcall that returns bytes.
#[derive(Clone, Debug)]
pub struct BytesResult {
    /// Its status.
    pub status: u32,
    /// Bytes written to memory that the module allocates; `None`: no memory is requested.
    pub bytes: Option<Vec<u8>>,
    /// The reported size; `None`: neither pointer nor size is written.
    pub reported: Option<u32>,
}

impl BytesResult {
    /// As Envoy returns it: an empty value is a null pointer.
    pub fn honest(result: Result<Vec<u8>, u32>) -> Self {
        match result {
            Ok(bytes) => Self {
                status: 0,
                reported: Some(u32::try_from(bytes.len()).expect("a sound size")),
                bytes: (!bytes.is_empty()).then_some(bytes),
            },
            Err(status) => Self {
                status,
                bytes: None,
                reported: None,
            },
        }
    }
}

/// Chooses which hostcalls fail, and how.
#[derive(Clone, Debug)]
pub struct FaultInjector {
    /// Its source of randomness.
    pub random: Random,
    /// One in this many hostcalls gets a fault.
    pub one_in: u64,
    /// Results may also contradict themselves or the effect: memory that is requested and then not named, sizes below
    /// the allocated one, effects denied or only claimed; and callbacks may come within a hostcall. The module can't
    /// free memory that is not named.
    pub lies: bool,
    /// Number of faults, by hostcall.
    pub times: BTreeMap<&'static str, u64>,
}

/// What a hostcall with an effect does and reports.
#[derive(Clone, Copy, Debug)]
pub struct Effect {
    /// Whether the effect happens.
    pub done: bool,
    /// The reported status, if it is not the true one.
    pub reported: Option<u32>,
}

impl Effect {
    /// No fault.
    pub const HONEST: Self = Self {
        done: true,
        reported: None,
    };
}

impl FaultInjector {
    /// Injects a fault into one in `one_in` hostcalls.
    pub fn new(seed: u64, one_in: u64, lies: bool) -> Self {
        Self {
            random: Random::new(seed),
            one_in,
            lies,
            times: BTreeMap::new(),
        }
    }

    /// Whether this hostcall gets a fault.
    pub fn strikes(&mut self, hostcall: &'static str) -> bool {
        let strikes = self.random.below(self.one_in) == 0;
        if strikes {
            *self.times.entry(hostcall).or_default() += 1;
        }
        strikes
    }

    /// What happens in place of the honest effect.
    pub fn effect(&mut self) -> Effect {
        let status = self.status();
        let (done, reported) = match self.random.below(if self.lies { 4 } else { 1 }) {
            0 | 1 => (false, status),
            2 => (true, status),
            _ => (false, 0),
        };
        Effect {
            done,
            reported: Some(reported),
        }
    }

    /// A status that is not 0.
    pub fn status(&mut self) -> u32 {
        let status = match self.random.below(3) {
            0 => self.random.extreme_number() as u32,
            _ => self.random.below(16) as u32,
        };
        status.max(1)
    }

    /// A result in place of the honest one.
    pub fn bytes(&mut self, honest: &Result<Vec<u8>, u32>) -> BytesResult {
        let kinds = if self.lies { 8 } else { 5 };
        let bytes = match self.random.below(kinds) {
            0 => {
                return BytesResult {
                    status: self.status(),
                    bytes: None,
                    reported: None,
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
                let reported = self.random.extreme_number() as u32;
                return BytesResult {
                    status: 0,
                    bytes: None,
                    reported: (!reported.is_multiple_of(3)).then_some(reported),
                };
            }
            // Less than there is, or more.
            6 => {
                let bytes = self.changed(honest);
                let reported = match self.random.below(2) {
                    0 => self.random.below(bytes.len() as u64 + 1) as u32,
                    _ => bytes.len() as u32 | self.random.extreme_number() as u32,
                };
                return BytesResult {
                    status: 0,
                    bytes: (!bytes.is_empty()).then_some(bytes),
                    reported: Some(reported),
                };
            }
            // A failure, but with bytes.
            _ => {
                let bytes = self.changed(honest);
                return BytesResult {
                    status: self.status(),
                    reported: Some(bytes.len() as u32),
                    bytes: (!bytes.is_empty()).then_some(bytes),
                };
            }
        };
        BytesResult::honest(Ok(bytes))
    }

    fn changed(&mut self, honest: &Result<Vec<u8>, u32>) -> Vec<u8> {
        let mut bytes = honest.clone().unwrap_or_default();
        for _ in 0..=self.random.below(8) {
            let at = self.random.below(bytes.len() as u64 + 1) as usize;
            match bytes.get_mut(at) {
                Some(byte) => *byte = self.random.extreme_number() as u8,
                None => bytes.push(self.random.number() as u8),
            }
        }
        bytes
    }
}
