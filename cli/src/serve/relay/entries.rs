//! The entries of a list, sorted and compact: about 20 bytes for an address. Knows no format and no server. What is in a key is
//! decided by `entries/key.rs`.

mod key;

use portcullis::identifier::{ClientIdentifier, PerKind};

pub use self::key::Parts;
use self::key::{kind_of, write_key};

/// The end of an entry that does not end by itself.
pub const FOREVER: u32 = u32::MAX;

/// Two servers, or two responses of one, round the same end differently.
const SAME_END: u32 = 5;

/// Entries, each with its end in seconds since 1970.
#[derive(Debug, Default)]
pub struct Entries {
    /// All keys, one after the other.
    keys: Vec<u8>,
    slots: Vec<Slot>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    start: u32,
    length: u32,
    end: u32,
}

impl Entries {
    /// Appends an entry; `false` if there is no space for it. Call [`Self::sort`] after the last one.
    pub fn push(&mut self, identifier: ClientIdentifier<'_>, end: u32) -> bool {
        let before = self.keys.len();
        write_key(identifier, &mut self.keys);
        let start = u32::try_from(before);
        let length = u32::try_from(self.keys.len().saturating_sub(before));
        let (Ok(start), Ok(length)) = (start, length) else {
            self.keys.truncate(before);
            return false;
        };
        self.slots.push(Slot { start, length, end });
        true
    }

    /// Appends entries. Call [`Self::sort`] after the last one.
    pub fn extend(&mut self, others: &Self) {
        for (key, end) in others.iter() {
            self.append(key, end);
        }
    }

    /// Sorts the entries. Of equal ones, the one with the last end stays.
    pub fn sort(&mut self) {
        let keys = &self.keys;
        self.slots.sort_unstable_by(|one, other| {
            let by_key = key(keys, *one).cmp(key(keys, *other));
            by_key.then(other.end.cmp(&one.end))
        });
        self.slots
            .dedup_by(|later, kept| key(keys, *later) == key(keys, *kept));
        self.slots.shrink_to_fit();
        self.keys.shrink_to_fit();
    }

    /// The keys of the entries, each with its end.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], u32)> {
        let slots = self.slots.iter();
        slots.map(|slot| (key(&self.keys, *slot), slot.end))
    }

    /// Those that have not ended.
    pub fn live(&self, now: u32) -> impl Iterator<Item = (&[u8], u32)> {
        self.iter().filter(move |(_, end)| *end > now)
    }

    /// The numbers of entries that have not ended.
    pub fn counts(&self, now: u32) -> PerKind<u64> {
        let mut counts = PerKind::<u64>::default();
        for (key, _) in self.live(now) {
            if let Some(kind) = kind_of(key) {
                let count = counts.get_mut(kind);
                *count = count.saturating_add(1);
            }
        }
        counts
    }

    /// These entries without `deleted` and those that have ended, and with `new`. All must be sorted.
    pub fn merged(&self, deleted: &Self, new: &Self, now: u32) -> Self {
        let mut merged = Self {
            keys: Vec::with_capacity(self.keys.len()),
            slots: Vec::with_capacity(self.slots.len()),
        };
        let mut added = new.live(now).peekable();
        let mut removed = deleted.iter().peekable();
        for (known, end) in self.live(now) {
            while let Some((key, end)) = added.next_if(|(key, _)| *key < known) {
                merged.append(key, end);
            }
            while removed.next_if(|(key, _)| *key < known).is_some() {}
            let is_removed = removed.peek().is_some_and(|(key, _)| *key == known);
            match added.next_if(|(key, _)| *key == known) {
                Some((_, new_end)) if is_removed => merged.append(known, new_end),
                Some((_, new_end)) => merged.append(known, latest(end, new_end)),
                None if is_removed => {}
                None => merged.append(known, end),
            }
        }
        for (key, end) in added {
            merged.append(key, end);
        }
        merged
    }

    /// Whether the same entries are live with the same ends. Ends that differ by rounding only become those of `before`.
    pub fn settle(&mut self, before: &Self, now: u32) -> bool {
        let mut known = before.live(now).peekable();
        let mut is_same = true;
        let Self { keys, slots } = self;
        for slot in slots.iter_mut().filter(|slot| slot.end > now) {
            let key = key(keys, *slot);
            while known.next_if(|(known, _)| *known < key).is_some() {
                is_same = false;
            }
            match known.next_if(|(known, _)| *known == key) {
                Some((_, end)) if is_same_end(slot.end, end) => slot.end = end,
                _ => is_same = false,
            }
        }
        is_same && known.next().is_none()
    }

    fn append(&mut self, key: &[u8], end: u32) {
        let start = u32::try_from(self.keys.len());
        let length = u32::try_from(key.len());
        if let (Ok(start), Ok(length)) = (start, length) {
            self.keys.extend_from_slice(key);
            self.slots.push(Slot { start, length, end });
        }
    }
}

fn is_same_end(one: u32, other: u32) -> bool {
    let is_endless = |end| end == FOREVER;
    is_endless(one) == is_endless(other) && one.abs_diff(other) <= SAME_END
}

/// Rounding does not move an end.
fn latest(known: u32, new: u32) -> u32 {
    match is_same_end(known, new) {
        true => known,
        false => known.max(new),
    }
}

fn key(keys: &[u8], slot: Slot) -> &[u8] {
    let bounds = (usize::try_from(slot.start), usize::try_from(slot.length));
    let (Ok(start), Ok(length)) = bounds else {
        return &[];
    };
    let from = keys.get(start..).unwrap_or_default();
    from.get(..length).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(of: &[(&str, u32)]) -> Entries {
        let mut entries = Entries::default();
        for (range, end) in of {
            assert!(entries.push(ClientIdentifier::Ip(range.parse().unwrap()), *end));
        }
        entries.sort();
        entries
    }

    fn shown(entries: &Entries) -> Vec<(String, u32)> {
        let entries = entries.iter().map(|(key, end)| {
            let Some((_, Parts::Ip(range))) = Parts::of(key) else {
                panic!("not an address")
            };
            (range.to_string(), end)
        });
        entries.collect()
    }

    #[test]
    fn entries_are_sorted_and_of_equal_ones_the_last_end_stays() {
        let list = entries(&[
            ("203.0.113.0/24", 7),
            ("2001:db8::1/128", FOREVER),
            ("192.0.2.1/32", 5),
            ("203.0.113.0/24", 9),
            ("203.0.113.0/24", 8),
        ]);
        let expected = [
            ("192.0.2.1/32", 5),
            ("203.0.113.0/24", 9),
            ("2001:db8::1/128", FOREVER),
        ];
        assert_eq!(
            shown(&list),
            expected.map(|(range, end)| (range.to_owned(), end))
        );
        assert_eq!(list.counts(7).ip, 2);
    }

    #[test]
    fn a_delta_deletes_adds_extends_and_drops_what_has_ended() {
        let list = entries(&[
            ("192.0.2.1/32", 100),
            ("192.0.2.2/32", 100),
            ("192.0.2.3/32", 10),
            ("192.0.2.4/32", 100),
            ("192.0.2.5/32", 100),
            ("192.0.2.6/32", 100),
        ]);
        let deleted = entries(&[
            ("192.0.2.0/32", 0),
            ("192.0.2.2/32", 0),
            ("192.0.2.5/32", 0),
        ]);
        let new = entries(&[
            ("192.0.2.4/32", 200),
            ("192.0.2.5/32", 50),
            ("192.0.2.6/32", 102),
            ("192.0.2.9/32", 90),
            ("192.0.2.8/32", 9),
        ]);
        let merged = list.merged(&deleted, &new, 10);
        let expected = [
            ("192.0.2.1/32", 100),
            ("192.0.2.4/32", 200),
            ("192.0.2.5/32", 50),
            ("192.0.2.6/32", 100),
            ("192.0.2.9/32", 90),
        ];
        assert_eq!(
            shown(&merged),
            expected.map(|(range, end)| (range.to_owned(), end))
        );
    }

    #[test]
    fn rounding_and_ended_entries_are_no_change() {
        let before = entries(&[("192.0.2.1/32", 100), ("192.0.2.2/32", 50)]);
        let mut rounded = entries(&[("192.0.2.1/32", 102)]);
        assert!(rounded.settle(&before, 50));
        assert_eq!(shown(&rounded), [("192.0.2.1/32".to_owned(), 100)]);
        for (changed, now) in [
            (entries(&[("192.0.2.1/32", 102)]), 49),
            (entries(&[("192.0.2.1/32", 106)]), 50),
            (entries(&[("192.0.2.1/32", FOREVER)]), 50),
            (entries(&[("192.0.2.1/32", 100), ("192.0.2.3/32", 60)]), 50),
            (entries(&[]), 50),
        ] {
            let mut changed = changed;
            assert!(!changed.settle(&before, now));
        }
    }
}
