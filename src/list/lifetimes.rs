//! How many entries of a list are left after a time, approximately. Knows no clock.

use super::frame::Reader;
use super::partition::NEVER;

/// The numbers of entries by the power of two of their time to live in seconds; the last is that of entries which do not end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lifetimes {
    classes: [u32; 32],
    lasting: u32,
}

impl Lifetimes {
    /// Counts an entry with this time to live, in seconds.
    pub(super) fn add(&mut self, time_to_live: u32) {
        let class = time_to_live.checked_ilog2().unwrap_or(0);
        let class = usize::try_from(class).ok();
        let count = match class.and_then(|class| self.classes.get_mut(class)) {
            Some(count) if time_to_live != NEVER => count,
            _ => &mut self.lasting,
        };
        *count = count.saturating_add(1);
    }

    /// The number of entries that have certainly not ended after `seconds`.
    pub(super) fn remaining(&self, seconds: u64) -> u64 {
        let classes = (0u32..).zip(self.classes);
        let longer = classes.filter(|(class, _)| 1u64.checked_shl(*class) > Some(seconds));
        let longer = longer.map(|(_, count)| u64::from(count));
        longer.fold(u64::from(self.lasting), u64::saturating_add)
    }

    /// The numbers, for the manifest.
    pub(super) fn to_numbers(self) -> impl Iterator<Item = u32> {
        self.classes.into_iter().chain([self.lasting])
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut lifetimes = Self::default();
        for class in &mut lifetimes.classes {
            *class = reader.u32()?;
        }
        lifetimes.lasting = reader.u32()?;
        Some(lifetimes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn entries_that_may_have_ended_are_not_counted() {
        let mut lifetimes = Lifetimes::default();
        for time_to_live in [0, 1, 59, 64, 127, 3_600, NEVER - 1, NEVER] {
            lifetimes.add(time_to_live);
        }
        for (seconds, expected) in [
            (0, 8),
            (1, 6),
            (31, 6),
            (32, 5),
            (60, 5),
            (64, 3),
            (4_000, 2),
            (u64::MAX, 1),
        ] {
            assert_eq!(lifetimes.remaining(seconds), expected, "{seconds}");
        }
    }
}
