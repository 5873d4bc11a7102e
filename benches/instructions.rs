//! Instructions of the core's operations, counted by Valgrind's callgrind: `cargo bench --bench instructions`.
//!
//! Counts are the same in each run, even on a busy machine, so a change of a few percent is a change of the code. The
//! program runs itself under Valgrind with few and with many repeats of an operation; the difference divided by the
//! repeats is the cost of one operation without its set-up.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "a benchmark that fails stops loudly"
)]

use std::env;
use std::hint::black_box;
use std::process::Command;

mod operations;
use operations::{Extraction, LookUp};

const ENTRIES: u32 = 100_000;

/// Name and repeats. An operation on a whole list needs few repeats.
const OPERATIONS: [(&str, u64); 6] = [
    ("allowed_look_up", 10_000),
    ("blocked_look_up", 10_000),
    ("header_extraction", 10_000),
    ("parse_100_000_entries", 2),
    ("build_filter_of_100_000", 2),
    ("load_filter_of_100_000", 2),
];

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.as_slice() {
        [operation, repeats] if !operation.starts_with('-') => {
            repeat(operation, repeats.parse().unwrap())
        }
        _ => table(),
    }
}

fn table() {
    println!("{:<24} {:>16}", "operation", "instructions");
    for (operation, repeats) in OPERATIONS {
        let counted = count(operation, 2 * repeats).abs_diff(count(operation, repeats));
        println!("{operation:<24} {:>16}", counted / repeats);
    }
}

/// Number of instructions of a whole run of this program.
fn count(operation: &str, repeats: u64) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe().unwrap())
        .args([operation, &repeats.to_string()])
        .output()
        .unwrap_or_else(|error| {
            panic!(
                "valgrind did not start ({error}): install it (Debian: apt-get install valgrind)"
            )
        });
    let text = String::from_utf8_lossy(&output.stderr);
    text.lines()
        .find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok())
        .unwrap_or_else(|| panic!("valgrind counted nothing:\n{text}"))
}

fn repeat(operation: &str, repeats: u64) {
    match operation {
        "allowed_look_up" => {
            let mut look_up = LookUp::new();
            run(repeats, || assert!(!look_up.allowed()));
        }
        "blocked_look_up" => {
            let mut look_up = LookUp::new();
            run(repeats, || assert!(look_up.blocked()));
        }
        "header_extraction" => {
            let mut extraction = Extraction::new();
            run(repeats, || extraction.run());
        }
        "parse_100_000_entries" => {
            let json = operations::attack_list_json(ENTRIES);
            run(repeats, || operations::parse(black_box(&json)));
        }
        "build_filter_of_100_000" => {
            let list = operations::parse(&operations::attack_list_json(ENTRIES));
            run(repeats, || operations::build_filter(black_box(&list)));
        }
        "load_filter_of_100_000" => {
            let list = operations::parse(&operations::attack_list_json(ENTRIES));
            let shards = operations::build_filter(&list);
            run(repeats, || {
                operations::load_filter(black_box(&list), black_box(&shards))
            });
        }
        other => panic!("no operation is called {other}"),
    }
}

fn run<T>(repeats: u64, mut operation: impl FnMut() -> T) {
    for _ in 0..repeats {
        black_box(operation());
    }
}
