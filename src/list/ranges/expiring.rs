//! Intervals of addresses that end by themselves. Knows no clock.

use core::cmp::Reverse;
use std::collections::BinaryHeap;

/// The first and the last address, and the time to live in seconds.
pub type Expiring = (u128, u128, u32);

/// Replaces the intervals with disjoint ones, sorted: every address has the longest time to live of those that contain it.
pub(super) fn flatten(intervals: &mut Vec<Expiring>) {
    let mut rest: BinaryHeap<_> = intervals.drain(..).map(Reverse).collect();
    // The intervals that contain the address `at` or end before it, the longest time to live first.
    let mut open: BinaryHeap<(u32, u128)> = BinaryHeap::new();
    let mut at = 0;
    loop {
        while let Some((_, last, time_to_live)) = next_if(&mut rest, |first| first <= at) {
            open.push((time_to_live, last));
        }
        while open.peek().is_some_and(|(_, last)| *last < at) {
            open.pop();
        }
        let next_start = rest.peek().map(|Reverse((first, _, _))| *first);
        let Some((time_to_live, last)) = open.peek().copied() else {
            match next_start {
                Some(first) => at = first,
                None => return,
            }
            continue;
        };
        let last = next_start.map_or(last, |first| last.min(first.saturating_sub(1)));
        match intervals.last_mut() {
            Some((_, end, known)) if *known == time_to_live && end.checked_add(1) == Some(at) => {
                *end = last;
            }
            _ => intervals.push((at, last, time_to_live)),
        }
        match last.checked_add(1) {
            Some(next) => at = next,
            None => return,
        }
    }
}

/// The first interval, if its first address is one of those.
fn next_if(
    rest: &mut BinaryHeap<Reverse<Expiring>>,
    is_wanted: impl Fn(u128) -> bool,
) -> Option<Expiring> {
    let Reverse((first, _, _)) = rest.peek()?;
    if !is_wanted(*first) {
        return None;
    }
    rest.pop().map(|Reverse(interval)| interval)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_random::random_below;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn flat(mut intervals: Vec<Expiring>) -> Vec<Expiring> {
        flatten(&mut intervals);
        intervals
    }

    #[test]
    fn each_address_has_the_longest_time_to_live() {
        assert_eq!(
            flat(vec![(10, 19, 5), (15, 30, 9), (0, 9, 5)]),
            [(0, 14, 5), (15, 30, 9)]
        );
        assert_eq!(
            flat(vec![(0, 99, 1), (40, 49, 3)]),
            [(0, 39, 1), (40, 49, 3), (50, 99, 1)]
        );
        let end = u128::MAX;
        assert_eq!(
            flat(vec![(end - 1, end, 2), (end, end, 7)]),
            [(end - 1, end - 1, 2), (end, end, 7)]
        );
        assert_eq!(flat(vec![]), []);
    }

    #[test]
    fn random_intervals_agree_with_a_plain_model() {
        let mut next = random_below();
        for _ in 0..500 {
            let intervals: Vec<Expiring> = (0..next(12))
                .map(|_| {
                    let first = next(64) as u128;
                    (first, first + next(20) as u128, next(5) as u32)
                })
                .collect();
            let found = flat(intervals.clone());
            assert!(
                found
                    .iter()
                    .zip(found.iter().skip(1))
                    .all(|(a, b)| a.1 < b.0),
                "{found:?}"
            );
            for address in 0..100 {
                let within = |all: &[Expiring]| {
                    let within = all.iter().filter(|it| (it.0..=it.1).contains(&address));
                    within.map(|it| it.2).max()
                };
                assert_eq!(
                    within(&found),
                    within(&intervals),
                    "{address}: {intervals:?}"
                );
            }
        }
    }
}
