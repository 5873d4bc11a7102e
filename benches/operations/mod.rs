//! The core's expensive operations, on a request's path and for a new list: fixtures and calls. `core.rs` and
//! `instructions.rs` measure them.

use std::fmt::Write;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use portcullis::config::Apis;
use portcullis::feed::abs::read_attack_list;
use portcullis::feed::entries::{EntrySink, Skipped};
use portcullis::identifier::{ClientIdentifier, Fingerprint, FingerprintKey, PerKind};
use portcullis::list::{AddressRanges, Blocklist, Builder, MembershipFilter};
use portcullis::list::{Loader, Manifest, Membership, NextValue};
use portcullis::request::{RequestHeaders, select_api, visit_readings};

const KEY: FingerprintKey =
    FingerprintKey::from_words([0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210]);
const LISTED_ADDRESSES: u32 = 1_000_000;
/// The number of clients, so that look-ups have cache misses as in production.
const CLIENTS: u32 = 4_096;
/// Distance between successive clients; prime.
const STRIDE: u32 = 7_919;

/// The part of a list of 1,000,000 addresses in every VM, and the part in shared data.
pub struct LookUp {
    manifest: Manifest,
    filter: MembershipFilter,
    ranges: AddressRanges,
    buckets: Vec<Vec<u8>>,
    next: u32,
}

impl LookUp {
    pub fn new() -> Self {
        let mut builder = Builder::new(KEY, u64::MAX);
        for number in 0..LISTED_ADDRESSES {
            builder.insert(listed(number).into(), None).unwrap();
        }
        let list = builder.finish().unwrap();
        let manifest = Manifest::new(&list, KEY, None, Duration::ZERO);
        let mut scratch = Vec::new();
        let buckets = (0..manifest.layout.buckets)
            .map(|index| manifest.bucket_to_bytes(&list, index, &mut scratch))
            .collect();
        let (manifest, filter, ranges) = load(manifest.clone(), &shards(&list, &manifest));
        Self {
            manifest,
            filter,
            ranges,
            buckets,
            next: 0,
        }
    }

    /// A clean address: its fingerprint, the ranges, the membership filter.
    pub fn allowed(&mut self) -> bool {
        let number = self.turn();
        self.contains(IpAddr::V4(Ipv4Addr::from(0xc612_0000 + number)))
    }

    /// A listed address: the same and its bucket.
    pub fn blocked(&mut self) -> bool {
        let number = self.turn() * STRIDE % LISTED_ADDRESSES;
        self.contains(listed(number))
    }

    fn turn(&mut self) -> u32 {
        self.next = (self.next + 1) % CLIENTS;
        self.next
    }

    fn contains(&self, address: IpAddr) -> bool {
        let fingerprint = KEY.ip(black_box(address));
        self.ranges.contains(address)
            || self.filter.may_contain(fingerprint) && self.in_bucket(fingerprint)
    }

    fn in_bucket(&self, fingerprint: Fingerprint) -> bool {
        let bucket = &self.buckets[self.manifest.bucket_index(fingerprint) as usize];
        self.manifest.look_up(bucket, fingerprint) == Some(Membership::Listed)
    }
}

/// A request with a bearer token, two cookies and an API key, and the default rules.
pub struct Extraction {
    apis: Apis,
    headers: RequestHeaders,
}

const HEADERS: [(&str, &str); 10] = [
    (":authority", "api.example.com"),
    (":path", "/shop/cart?item=17&count=2"),
    (":method", "GET"),
    (":scheme", "http"),
    (
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    ),
    ("accept", "*/*"),
    ("x-request-id", "6a1dd5d6-7c58-4f0a-9e6b-1f0a4dfc6a36"),
    (
        "authorization",
        "Bearer tok-cccccccc-000000000000000000000000000017",
    ),
    (
        "cookie",
        "theme=dark; SESSION=cccccccc000000000000000000000017",
    ),
    ("x-api-key", "key-cccccccc-00000000000000000000017"),
];

impl Extraction {
    pub fn new() -> Self {
        Self {
            apis: Apis::default(),
            headers: RequestHeaders::default(),
        }
    }

    /// Header bytes to the fingerprints of all kinds.
    pub fn run(&mut self) -> u64 {
        self.headers.clear();
        for (name, value) in black_box(HEADERS) {
            self.headers.add(name.as_bytes(), value.as_bytes());
        }
        let wanted = PerKind {
            ip: true,
            cookie: true,
            oauth_token: true,
            api_key: true,
            username: true,
            header: true,
            token_claims: true,
        };
        let mut sum = 0;
        let api = select_api(&self.apis, self.headers.authority(), self.headers.path());
        visit_readings(api, &self.headers, wanted, &mut |identifier| {
            sum ^= identifier.fingerprint(&KEY).0;
        });
        sum
    }
}

/// Entries of all five kinds in ABS's JSON.
pub fn attack_list_json(entries: u32) -> String {
    let each = entries / 5;
    let list = |make: &dyn Fn(u32) -> String| {
        let mut text = String::new();
        for number in 0..each {
            let comma = if number == 0 { "" } else { "," };
            write!(text, "{comma}\"{}\"", make(number)).unwrap();
        }
        text
    };
    format!(
        r#"{{"ips":[{}],"cookies":{{"SESSION":[{}]}},"oauth_tokens":[{}],"api_keys":[{}],"usernames":[{}]}}"#,
        list(&|n| listed(n).to_string()),
        list(&|n| format!("00000001{n:024x}")),
        list(&|n| format!("tok-00000001-{n:030x}")),
        list(&|n| format!("key-00000001-{n:023x}")),
        list(&|n| format!("user{n}.1@example.com")),
    )
}

/// ABS's JSON to a finished list: parse, fingerprint, sort.
pub fn parse(json: &str) -> Blocklist {
    let mut sink = Sink(Builder::new(KEY, u64::MAX));
    read_attack_list(&mut json.as_bytes(), &mut sink).unwrap();
    sink.0.finish().unwrap()
}

/// Builds the shards of the membership filter: the most expensive part of publishing a list.
pub fn build_filter(list: &Blocklist) -> Vec<Vec<u8>> {
    shards(list, &Manifest::new(list, KEY, None, Duration::ZERO))
}

/// Loads a new list in a worker: checks the shards and keeps them.
pub fn load_filter(list: &Blocklist, shards: &[Vec<u8>]) -> usize {
    load(Manifest::new(list, KEY, None, Duration::ZERO), shards)
        .1
        .memory_bytes()
}

fn listed(number: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + number))
}

fn shards(list: &Blocklist, manifest: &Manifest) -> Vec<Vec<u8>> {
    (0..manifest.layout.shards)
        .map(|index| manifest.shard_to_bytes(list, index).unwrap())
        .collect()
}

fn load(manifest: Manifest, shards: &[Vec<u8>]) -> (Manifest, MembershipFilter, AddressRanges) {
    let mut loader = Loader::new(manifest);
    while let NextValue::Shard(index) = loader.needs() {
        loader.add(&shards[index as usize]).unwrap();
    }
    loader.finish().unwrap()
}

struct Sink(Builder);

impl EntrySink for Sink {
    fn entry(&mut self, entry: ClientIdentifier<'_>, _: Option<Duration>) -> bool {
        self.0.insert(entry, None).is_ok()
    }

    fn skipped(&mut self, _: Skipped) {}
}
