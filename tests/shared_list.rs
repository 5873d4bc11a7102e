//! A list that threads share: whole lists only, in order, while one thread replaces them. Wasm has no threads.

#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail loudly"
)]

use core::time::Duration;
use std::sync::Arc;

use portcullis::host::memory::MemoryHost;
use portcullis::identifier::{ClientIdentifier, Fingerprint, FingerprintKey};
use portcullis::list::{ActiveList, Builder, ExactList, ExactView};
use portcullis::process::SharedList;

const KEY: FingerprintKey = FingerprintKey::from_words([1, 2]);
const N_ENTRIES: u32 = 64;

fn fingerprint_of(list: u32, entry: u32) -> Fingerprint {
    let name = format!("{list}-{entry}");
    ClientIdentifier::Username(name.as_bytes()).fingerprint(&KEY)
}

/// The list with this number: its entries are on no other list.
fn list(number: u32) -> Arc<ExactList> {
    let mut builder = Builder::new(KEY, u64::MAX);
    for entry in 0..N_ENTRIES {
        let name = format!("{number}-{entry}");
        let name = ClientIdentifier::Username(name.as_bytes());
        builder.insert(name, None).unwrap();
    }
    let list = builder.finish().unwrap();
    Arc::new(ExactList::new(list, KEY, Duration::ZERO))
}

/// Every reader sees whole lists only, in the order in which they were published, and no list is freed while it is read.
#[test]
fn readers_see_whole_lists_in_order_while_one_thread_replaces_them() {
    const N_LISTS: u32 = 200;
    let shared = SharedList::default();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let clock = MemoryHost::default();
                let mut newest = 0;
                while newest < N_LISTS {
                    let guard = shared.read();
                    let Some(active) = guard.as_ref() else {
                        assert_eq!(newest, 0, "a list was there before");
                        continue;
                    };
                    let mut view = ExactView::new(active, false, &clock);
                    let found = (newest.max(1)..=N_LISTS)
                        .find(|number| view.contains(fingerprint_of(*number, 0)));
                    newest = found.expect("no older list");
                    for entry in 0..N_ENTRIES {
                        assert!(view.contains(fingerprint_of(newest, entry)), "{newest}");
                    }
                }
            });
        }
        let mut retired = Vec::new();
        for number in 1..=N_LISTS {
            retired.extend(shared.replace(Some(list(number))));
            retired.retain(|list| Arc::strong_count(list) > 1);
        }
    });
}
