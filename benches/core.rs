//! Wall time of the core's operations in native code: `cargo bench --bench core`.
//!
//! `benches/envoy` measures their cost in Envoy.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a benchmark that fails stops loudly"
)]

use divan::{Bencher, black_box};

mod operations;
use operations::{Extraction, LookUp};

const ENTRIES: u32 = 100_000;
/// Number of calls in a sample, where one call is too short for the clock.
const CALLS: u32 = 4_096;

fn main() {
    divan::main();
}

#[divan::bench(sample_size = CALLS)]
fn allowed_look_up(bencher: Bencher) {
    let mut look_up = LookUp::new();
    bencher.bench_local(|| look_up.allowed());
}

#[divan::bench(sample_size = CALLS)]
fn blocked_look_up(bencher: Bencher) {
    let mut look_up = LookUp::new();
    bencher.bench_local(|| look_up.blocked());
}

#[divan::bench(sample_size = CALLS)]
fn header_extraction(bencher: Bencher) {
    let mut extraction = Extraction::new();
    bencher.bench_local(|| extraction.run());
}

#[divan::bench]
fn parse_100_000_entries(bencher: Bencher) {
    let json = operations::attack_list_json(ENTRIES);
    bencher.bench(|| operations::parse(black_box(&json)));
}

#[divan::bench]
fn build_filter_of_100_000(bencher: Bencher) {
    let list = operations::parse(&operations::attack_list_json(ENTRIES));
    bencher.bench(|| operations::build_filter(black_box(&list)));
}

#[divan::bench]
fn load_filter_of_100_000(bencher: Bencher) {
    let list = operations::parse(&operations::attack_list_json(ENTRIES));
    let shards = operations::build_filter(&list);
    bencher.bench(|| operations::load_filter(black_box(&list), black_box(&shards)));
}
