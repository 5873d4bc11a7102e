//! Wall time of the core's operations, on this machine's own instruction set: `cargo bench --bench core`.
//!
//! What the same costs within Envoy is measured by `benches/envoy`.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark that can't go on stops loudly"
)]

use divan::{Bencher, black_box};

mod operations;
use operations::{Extraction, LookUp};

const ENTRIES: u32 = 100_000;
/// As many calls make one sample where one is too short for the clock.
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
fn build_gate_of_100_000(bencher: Bencher) {
    let list = operations::parse(&operations::attack_list_json(ENTRIES));
    bencher.bench(|| operations::build_gate(black_box(&list)));
}

#[divan::bench]
fn load_gate_of_100_000(bencher: Bencher) {
    let list = operations::parse(&operations::attack_list_json(ENTRIES));
    let shards = operations::build_gate(&list);
    bencher.bench(|| operations::load_gate(black_box(&list), black_box(&shards)));
}
