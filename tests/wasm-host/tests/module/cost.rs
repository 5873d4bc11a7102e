//! The cost of a request in the module, in wasm instructions: the same on every machine.

use std::fmt::Write as _;

use serde_json::json;

use crate::fake_host::Request;
use crate::scenarios::process::Process;
use crate::seeded::Random;
use crate::support::{config, listed, started};

/// Envoy accepts header blocks of 60 KiB by default.
const BLOCK: usize = 59 * 1024;

/// The bound of one header block: 2.3 to 3.1 ms in the V8 of Envoy 1.40; see benches/RESULTS.md.
const MOST: u64 = 57_000_000;

/// The bounds of a clean request, with a list of all kinds and with one of addresses.
const MOST_CLEAN: u64 = 27_500;
const MOST_CLEAN_ADDRESS: u64 = 3_200;

/// The number of blocks that the search tries.
const TRIES: u64 = 150;

/// A block that repeats `part`, in which `#` is another number each time, in the header or pseudo-header `name`.
fn block(name: &'static str, start: &str, part: &str) -> (&'static str, String) {
    let mut value = start.to_owned();
    let mut number = 0_u32;
    while value.len() < BLOCK {
        match part.split_once('#') {
            Some((before, after)) => write!(value, "{before}{number:x}{after}").unwrap(),
            None => value.push_str(part),
        }
        number += 1;
    }
    value.truncate(BLOCK);
    (name, value)
}

/// Expensive header blocks, one for each way in which a header is parsed.
fn blocks() -> Vec<(&'static str, String)> {
    let bearer = |part| block("authorization", "Bearer", part);
    let cookies = |part| block("cookie", "", part);
    let query = |part| block(":path", "/?", part);
    vec![
        bearer(" t"),
        bearer(" #"),
        bearer(" #=x:y"),
        bearer(" Bearer #,"),
        bearer(" e30.e30"),
        bearer(" eyJhbGciOjF9.eyJzdWIiOlsxLDIsMywxLDIsMywxLDIsM119.#"),
        bearer("."),
        bearer("bd"),
        block("authorization", "", "Bearer "),
        block("authorization", "", "Basic Ym9iOng- "),
        block("authorization", "Basic ", "Ym_-="),
        block("authorization", "Basic Basic Basic ", "Ym_-="),
        block("authorization", "Basic ", "zIrMiQ"),
        block("authorization", "Digest Digest Digest ", "username"),
        block("authorization", "Digest ", "username=\"\\\\\", "),
        cookies("sid=#;"),
        cookies("#=1;"),
        cookies("#=+;"),
        cookies("#=1,"),
        cookies("a=b c=d "),
        cookies("#=\"\\\\+\";"),
        cookies("a=j:\"\\u0061\";"),
        cookies("a=j:\"\\u0061bc\";"),
        cookies("a=j:[1,2,3];"),
        cookies("%=%;"),
        cookies("a[=\"\\1;"),
        cookies("a[=\"\\123;"),
        cookies("[a=\\123;"),
        cookies("[a=\"\\123;"),
        cookies("a[=\"\\1234\";"),
        query("api_key=#&"),
        query("api_key=%+%00;&"),
        query("%=;"),
        query("access_token=%25;&"),
        block(":path", "/", ";jsessionid=%+"),
        block(":path", "/", "/..;%2e"),
        block("x-api-key", "", "#,"),
    ]
}

/// What a request with this header costs one worker that has a list of all kinds.
fn cost(process: &Process, name: &str, value: &[u8]) -> u64 {
    let request = match name {
        ":path" => Request::get(&String::from_utf8_lossy(value)),
        name => Request::get("/").header(name, value),
    };
    let (denied, instructions) = measure(process, &request.from("192.0.2.9"));
    assert!(!denied, "no block names a listed client");
    instructions
}

/// Whether the worker denies the request, and the number of wasm instructions of it.
fn measure(process: &Process, request: &Request) -> (bool, u64) {
    process.enter(1, |vm| vm.0.take_instructions());
    let denied = process.denies(1, request);
    let instructions = process.enter(1, |vm| vm.0.take_instructions());
    (denied, instructions.unwrap())
}

#[test]
fn no_header_block_costs_more_than_its_bound() {
    let (process, _abs) = started(&config(), listed());
    let mut table = String::new();
    let mut highest = 0;
    for (name, value) in blocks() {
        let instructions = cost(&process, name, value.as_bytes());
        highest = highest.max(instructions);
        let start: String = value.chars().take(40).collect();
        writeln!(table, "{instructions:>10} {name}: {start}").unwrap();
    }
    println!("{table}");
    assert!(highest <= MOST, "{highest} instructions\n{table}");
}

#[test]
fn a_search_finds_no_header_block_that_costs_more() {
    let (process, _abs) = started(&config(), listed());
    let mut random = Random::new(7);
    let pieces: [&[u8]; 24] = [
        b"Bearer ",
        b"Basic ",
        b"Digest username=",
        b"a=",
        b"sid=",
        b"\"",
        b"\\",
        b"j:",
        b";",
        b",",
        b" ",
        b"%",
        b"+",
        b"=",
        b".",
        b"e30",
        b"\xc2\xa0",
        b"\xff",
        b"[",
        b"]",
        b"1",
        b"api_key=",
        b"&",
        b"\xe3\x80\x80",
    ];
    let mut highest = (0, Vec::new());
    for _ in 0..TRIES {
        let name = ["authorization", "cookie", ":path", "x-api-key"][random.below(4) as usize];
        let mut part = Vec::new();
        for _ in 0..=random.below(6) {
            part.extend_from_slice(pieces[random.below(24) as usize]);
        }
        let mut value = match name {
            ":path" => b"/?".to_vec(),
            _ => Vec::new(),
        };
        while value.len() < BLOCK {
            value.extend_from_slice(&part);
        }
        let instructions = cost(&process, name, &value);
        if instructions > highest.0 {
            highest = (instructions, [name.as_bytes(), b": ", &part].concat());
        }
    }
    println!("{} {}", highest.0, highest.1.escape_ascii());
    assert!(
        highest.0 <= MOST,
        "{} instructions: {}",
        highest.0,
        highest.1.escape_ascii()
    );
}

#[test]
fn a_clean_request_costs_no_more_than_its_bound() {
    let addresses = json!({"ips": ["192.0.2.1", "198.51.100.0/24"]});
    for (name, list, most) in [
        ("all kinds", listed(), MOST_CLEAN),
        ("addresses", addresses, MOST_CLEAN_ADDRESS),
    ] {
        let (process, _abs) = started(&config(), list);
        let request = Request::get("/shop/cart")
            .from("198.18.0.7")
            .header("user-agent", "wrk/4")
            .header("accept", "*/*")
            .header("authorization", format!("Bearer tok-cccccccc-{:030x}", 7))
            .header("cookie", format!("theme=dark; SESSION=cccccccc{:024x}", 7))
            .header("x-api-key", format!("key-cccccccc-{:023x}", 7));
        // The first requests of a VM allocate what later ones reuse.
        for _ in 0..2 {
            measure(&process, &request);
        }
        let (denied, instructions) = measure(&process, &request);
        assert!(!denied);
        println!("{instructions:>10} {name}");
        assert!(instructions <= most, "{name}: {instructions} instructions");
    }
}
