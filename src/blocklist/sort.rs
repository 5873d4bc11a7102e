//! Sorts 64-bit numbers by radix. For fingerprints, of which a list may have millions, it is faster than the sort of
//! std, and takes a tenth of its room in the module.

/// Sorts, and drops duplicates.
pub(super) fn sort_and_dedup(numbers: &mut Vec<u64>) {
    if !numbers.is_sorted() {
        sort(numbers);
    }
    numbers.dedup();
}

/// Byte by byte from the lowest: each pass keeps the order that the one before has made among equal bytes.
fn sort(numbers: &mut Vec<u64>) {
    let mut sorted = vec![0; numbers.len()];
    for shift in (0..u64::BITS).step_by(8) {
        let byte = |number: u64| usize::from((number >> shift) as u8);
        let mut places = [0usize; 256];
        for number in numbers.iter() {
            if let Some(count) = places.get_mut(byte(*number)) {
                *count = count.saturating_add(1);
            }
        }
        // From how many there are of each byte to where the first of them goes.
        let mut before = 0usize;
        for place in &mut places {
            let count = core::mem::replace(place, before);
            before = before.saturating_add(count);
        }
        for number in numbers.iter() {
            if let Some(place) = places.get_mut(byte(*number)) {
                if let Some(slot) = sorted.get_mut(*place) {
                    *slot = *number;
                }
                *place = place.saturating_add(1);
            }
        }
        core::mem::swap(numbers, &mut sorted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn numbers_come_out_as_a_set_of_them_would() {
        let spread = |n: u64| n.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(17);
        let mut tables: Vec<Vec<u64>> = vec![
            vec![],
            vec![3],
            vec![2, 1],
            vec![u64::MAX, 0, u64::MAX, 0, 1 << 63, 255, 256],
            vec![7; 1_000],
            (0..1_000).rev().collect(),
        ];
        tables.extend((0..200).map(|length| (0..length).map(spread).collect()));
        tables.push((0..50_000).map(|n| spread(n % 40_000)).collect());
        // Some bytes the same in all, as the highest are in a partition.
        tables.push((0..5_000).map(|n| spread(n) >> 20 & !0xFF00).collect());
        for mut numbers in tables {
            let set: std::collections::BTreeSet<u64> = numbers.iter().copied().collect();
            sort_and_dedup(&mut numbers);
            assert!(numbers.iter().eq(&set), "{} numbers", set.len());
        }
    }
}
