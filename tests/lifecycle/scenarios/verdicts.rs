use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::abs::{Abs, ips};
use super::process::{Outcome, Process};
use super::*;
use crate::fake_host::{Reply, Response};
use crate::secrets::secret;

pub fn jwt(claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.c2ln", part(&json!({"alg": "none"})), part(claims))
}

/// A client identifier, requests that carry it (`carriers`), and requests with similar identifiers (`neighbours`).
struct Client {
    kind: &'static str,
    /// The identifier as an attack list.
    listed: Value,
    carriers: Vec<Request>,
    neighbours: Vec<Request>,
}

fn clients() -> Vec<Client> {
    let get = || Request::get("/shop/cart?x=1");
    let (token, key) = (secret("token"), secret("key"));
    let (name, value) = (secret("mallory"), secret("cookie"));
    let token_of_mallory = jwt(&json!({"sub": name}));
    vec![
        Client {
            kind: "ip",
            listed: json!({"ips": ["192.0.2.1"]}),
            carriers: vec![get().from("192.0.2.1"), get().from("::ffff:192.0.2.1")],
            neighbours: vec![
                get().from("192.0.2.2"),
                get()
                    .from("192.0.2.2")
                    .header("x-forwarded-for", "192.0.2.1"),
                get().from("::192.0.2.1"),
            ],
        },
        Client {
            kind: "ip",
            listed: json!({"ips": ["198.51.100.0/24", "2001:db8::1"]}),
            carriers: vec![
                get().from("198.51.100.0"),
                get().from("198.51.100.255"),
                get().from("2001:db8:0::1"),
            ],
            neighbours: vec![
                get().from("198.51.99.255"),
                get().from("198.51.101.0"),
                get().from("2001:db8::2"),
            ],
        },
        Client {
            kind: "cookie",
            listed: json!({"cookies": {"SID": [value]}}),
            carriers: vec![
                get().cookie("SID", &value),
                get().cookie("SID", &format!("\"{value}\"")),
                get().cookie("a", &format!("1; SID={value}; b=2")),
                get().cookie("SID", "other").cookie("SID", &value),
            ],
            neighbours: vec![
                get().cookie("SID2", &value),
                get().cookie("OTHER", &value),
                get().cookie("SID", &format!("{value}x")),
                get().cookie("SID", ""),
                get().bearer(&value),
            ],
        },
        Client {
            kind: "oauth_token",
            listed: json!({"oauth_tokens": [token]}),
            carriers: vec![
                get().bearer(&token),
                get().header("authorization", format!("bEARER   {token} ")),
                get().header("authorization", token.clone()),
                get().header("authorization", format!("Token {token}")),
            ],
            neighbours: vec![
                get().bearer(&token.to_uppercase()),
                get().bearer(&format!("{token}x")),
                get().header("x-api-key", token.clone()),
            ],
        },
        Client {
            kind: "api_key",
            listed: json!({"api_keys": [key]}),
            carriers: vec![
                // Some servers accept keys there too.
                get().bearer(&key),
                get().header("x-api-key", key.clone()),
                Request::get(&format!("/shop?api_key={key}")),
                Request::get(&format!("/shop?a=1&api%5Fkey={}", key.replace('-', "%2d"))),
            ],
            neighbours: vec![
                get().header("x-other-key", key.clone()),
                Request::get(&format!("/shop?apikey={key}")),
                Request::get(&format!("/api_key={key}")),
            ],
        },
        Client {
            kind: "username",
            listed: json!({"usernames": [name]}),
            carriers: vec![get().basic(&name), get().bearer(&token_of_mallory)],
            neighbours: vec![
                get().basic(&secret("Mallory")),
                get().header("x-user", name.clone()),
                get().bearer(&jwt(&json!({"name": name, "sub": "someone"}))),
                get().header("x-api-key", name.clone()),
            ],
        },
    ]
}

fn verdict(process: &Process, request: &Request) -> (bool, Option<String>) {
    let Outcome {
        denied,
        filter_state,
    } = process.request(1, request);
    (denied.is_some(), filter_state)
}

#[test]
fn every_kind_on_the_list_of_abs_is_denied_and_no_other_client() {
    for client in clients() {
        let (process, _abs) = started(1, &config(), client.listed.clone());
        let expected = (true, Some(format!("denied abs {}", client.kind)));
        for carrier in &client.carriers {
            assert_eq!(
                verdict(&process, carrier),
                expected,
                "{} {carrier:?}",
                client.listed
            );
        }
        for neighbour in &client.neighbours {
            assert_eq!(
                verdict(&process, neighbour),
                (false, None),
                "{} {neighbour:?}",
                client.listed
            );
        }
        let counted = process
            .world()
            .metric(&format!("denied.source=abs.kind={}", client.kind));
        assert_eq!(counted, client.carriers.len() as u64);
    }
}

#[test]
fn every_kind_on_the_deny_list_is_denied_without_a_fetch() {
    for client in clients() {
        let process = Process::new(1);
        process.configure(&json!({"deny_list": client.listed}));
        let expected = (true, Some(format!("denied manual {}", client.kind)));
        for carrier in &client.carriers {
            assert_eq!(
                verdict(&process, carrier),
                expected,
                "{} {carrier:?}",
                client.listed
            );
        }
        for neighbour in &client.neighbours {
            assert_eq!(
                verdict(&process, neighbour),
                (false, None),
                "{} {neighbour:?}",
                client.listed
            );
        }
        process.advance(seconds(10));
        assert_eq!(gets(&process), 0);
    }
}

#[test]
fn every_kind_on_the_allow_list_passes_despite_the_other_lists() {
    for client in clients() {
        for other in clients() {
            // A request with an allowed identifier and one in both other lists.
            let config =
                config_with(json!({"allow_list": client.listed, "deny_list": other.listed}));
            let (process, _abs) = started(1, &config, other.listed.clone());
            for carrier in &client.carriers {
                let mut request = carrier.clone();
                if other.kind != "ip" {
                    let more = other.carriers[0].headers.iter();
                    let more = more.filter(|(name, _)| !name.starts_with(':'));
                    request.headers.extend(more.cloned());
                } else if client.kind != "ip" {
                    request
                        .source_address
                        .clone_from(&other.carriers[0].source_address);
                }
                assert_eq!(
                    verdict(&process, &request),
                    (false, None),
                    "{} {request:?}",
                    client.listed
                );
            }
            let counted = process.world().metric("allow_listed");
            assert_eq!(counted, client.carriers.len() as u64);
        }
    }
}

#[test]
fn an_allowed_address_in_a_listed_range_passes_and_the_rest_does_not() {
    for (listed, allowed, passes, denied) in [
        (
            "198.51.100.0/24",
            "198.51.100.7",
            vec!["198.51.100.7", "::ffff:198.51.100.7"],
            vec!["198.51.100.6", "198.51.100.8"],
        ),
        (
            "198.51.100.0/24",
            "198.51.100.64/26",
            vec!["198.51.100.64", "198.51.100.127"],
            vec!["198.51.100.63", "198.51.100.128"],
        ),
        (
            "2001:db8::/32",
            "2001:db8:1::/48",
            vec!["2001:db8:1::1"],
            vec!["2001:db8:2::1"],
        ),
        // The reverse: a listed address in an allowed range.
        (
            "198.51.100.7",
            "198.51.100.0/24",
            vec!["198.51.100.7"],
            vec![],
        ),
    ] {
        let (process, _abs) = started(2, &config(), ips(&[listed]));
        let all: Vec<_> = passes.iter().chain(&denied).copied().collect();
        assert_denies_only(&process, &all, &[]);
        let allowing = config_with(json!({
            "allow_list": {"ips": [allowed]},
            "deny_list": {"ips": ["203.0.113.0/24"]},
        }));
        process.configure(&allowing);
        // With the active list, and with the next.
        assert_denies_only(&process, &denied, &passes);
        assert_eq!(gets(&process), 1);
        process.advance(seconds(65));
        assert_eq!(gets(&process), 2);
        assert_denies_only(&process, &denied, &passes);
    }
}

#[test]
fn the_reply_does_not_reveal_the_list_or_the_kind() {
    let mut replies = Vec::new();
    for client in clients() {
        let (by_abs, _abs) = started(1, &config(), client.listed.clone());
        let by_hand = Process::new(1);
        by_hand.configure(&json!({"deny_list": client.listed}));
        for process in [by_abs, by_hand] {
            replies.extend(process.request(1, &client.carriers[0]).denied);
        }
    }
    let no_list = Process::new(1);
    no_list.configure(&config_with(json!({"before_first_list": "deny"})));
    replies.extend(no_list.request(1, &Request::get("/")).denied);
    assert_eq!(replies.len(), 2 * clients().len() + 1);
    for reply in &mut replies {
        // Only for the access log; not sent.
        assert!(reply.details.starts_with("portcullis_denied_"));
        reply.details.clear();
    }
    assert!(replies.windows(2).all(|pair| pair[0] == pair[1]));
    let Reply { headers, body, .. } = &replies[0];
    let sent = format!("{headers:?}{}", String::from_utf8_lossy(body)).to_lowercase();
    for word in ["portcullis", "abs", "list", "pingintelligence"] {
        assert!(!sent.contains(word), "{sent}");
    }
}

#[test]
fn a_client_removed_from_the_allow_list_is_denied_with_the_next_list() {
    for client in clients() {
        let allowing = config_with(json!({"allow_list": client.listed}));
        let (process, _abs) = started(1, &config(), client.listed.clone());
        process.configure(&allowing);
        assert_eq!(verdict(&process, &client.carriers[0]), (false, None));
        process.advance(seconds(65));
        process.configure(&config());
        // While the client was allowed, its entry was omitted from the list. The next list contains it again.
        process.advance(seconds(65));
        assert!(
            verdict(&process, &client.carriers[0]).0,
            "{}",
            client.listed
        );
    }
}

#[test]
fn the_order_of_judgement_is_that_of_the_reference() {
    let client = || Request::get("/shop/cart").from("192.0.2.1");
    let listed = json!({"ips": ["192.0.2.1"]});
    // (firewall, allow list, deny list, enable_blocking, shadow, ABS's list) -> filter state
    for bits in 0..64u32 {
        let [firewall, allowed, denied, blocking, shadow, abs] =
            [1, 2, 4, 8, 16, 32].map(|bit| bits & bit != 0);
        let list = |on: bool| if on { listed.clone() } else { json!({}) };
        let config = config_with(json!({
            "enable_firewall": firewall,
            "allow_list": list(allowed),
            "deny_list": list(denied),
            "apis": [{
                "url": "/shop",
                "enable_blocking": blocking,
                "mode": if shadow { "shadow" } else { "enforce" },
            }],
        }));
        let abs_list = if abs { listed.clone() } else { ips(&[]) };
        let (process, _abs) = started(1, &config, abs_list);
        let reason = match (denied, abs && blocking) {
            _ if !firewall || allowed => None,
            (true, _) => Some("manual ip"),
            (false, true) => Some("abs ip"),
            (false, false) => None,
        };
        let word = if shadow { "would_deny" } else { "denied" };
        let state = reason.map(|reason| format!("{word} {reason}"));
        let stopped = reason.is_some() && !shadow;
        assert_eq!(verdict(&process, &client()), (stopped, state), "{config:#}");
    }
}

#[test]
fn any_of_several_identifiers_denies_in_the_order_of_kinds() {
    let list = json!({"oauth_tokens": [secret("token")], "usernames": [secret("mallory")], "ips": ["192.0.2.1"]});
    let (process, _abs) = started(1, &config(), list);
    let request = from("192.0.2.9")
        .bearer(&secret("token"))
        .basic(&secret("mallory"));
    assert_eq!(
        verdict(&process, &request),
        (true, Some("denied abs oauth_token".into()))
    );
    let request = request.from("192.0.2.1");
    assert_eq!(
        verdict(&process, &request),
        (true, Some("denied abs ip".into()))
    );
}

#[test]
fn every_api_judges_by_its_own_rules() {
    let list = json!({
        "cookies": {"SID": [secret("cookie")]},
        "oauth_tokens": [secret("token")],
        "api_keys": [secret("key")],
        "usernames": [secret("mallory")],
        "ips": ["192.0.2.1"],
    });
    let config = config_with(json!({"apis": [
        {"url": "/open", "enable_blocking": false},
        {"url": "/watched", "mode": "shadow"},
        {"hostname": "partner.example.com", "url": "/", "apikey_header": ["x-partner"], "apikey_qs": ["k"],
         "cookie": ["OTHER"], "oauth2_access_token": false, "username": [{"header": "x-user"}]},
        {"url": "/shop"},
    ]}));
    let (process, _abs) = started(1, &config, list);
    let token = secret("token");
    let key = secret("key");
    let at = |host: &str, path: &str| {
        let mut request = Request::get(path);
        request.headers[2].1 = host.into();
        request
    };
    let denied = |request: Request| process.denies(1, &request);
    let (own, partner) = ("api.example.com", "partner.example.com");

    assert!(denied(at(own, "/shop").bearer(&token)));
    assert!(!denied(at(own, "/open/x").bearer(&token)));
    assert!(!denied(at(own, "/watched?q").bearer(&token)));
    assert!(
        denied(at(own, "/opening").bearer(&token)),
        "whole segments only"
    );
    assert!(!denied(at(partner, "/").bearer(&token)));
    assert!(!denied(at(partner, "/").cookie("SID", &secret("cookie"))));
    assert!(!denied(at(partner, "/").header("x-api-key", key.clone())));
    assert!(denied(at(partner, "/").header("x-partner", key.clone())));
    assert!(denied(
        at("PARTNER.example.com:8443", "/any?k=").header("x-partner", key.clone())
    ));
    assert!(denied(at(partner, &format!("/?k={key}"))));
    assert!(!denied(at(partner, "/").basic(&secret("mallory"))));
    assert!(denied(at(partner, "/").header("x-user", secret("mallory"))));
    assert!(denied(at(partner, "/").from("192.0.2.1")));
    assert!(
        !denied(at(partner, "/watched").from("192.0.2.1")),
        "the longest base path counts"
    );
}

#[test]
fn a_denied_request_gets_the_configured_reply() {
    let (process, _abs) = started(1, &config(), ips(&["192.0.2.1"]));
    let reply = process.request(1, &from("192.0.2.1")).denied.unwrap();
    assert_eq!(
        (reply.status, reply.body.as_slice()),
        (403, &b"Error: Unauthorized"[..])
    );
    assert_eq!(reply.headers, Vec::new());
    assert_eq!(reply.details, "portcullis_denied_abs_ip");
    assert_eq!(reply.grpc_status, Some(7));
    process.configure(&config_with(json!({
        "deny_response": {"status": 429, "body": "", "headers": {"X-Why": "listed"}},
    })));
    let reply = process.request(1, &from("192.0.2.1")).denied.unwrap();
    assert_eq!((reply.status, reply.body.as_slice()), (429, &b""[..]));
    assert_eq!(reply.headers, [("x-why".to_owned(), "listed".to_owned())]);
}

#[test]
fn bytes_that_are_not_utf8_match_no_client() {
    let list = json!({"ips": ["192.0.2.1"], "usernames": ["x"], "api_keys": ["x"], "cookies": {"a": ["x"]}, "oauth_tokens": ["x"]});
    let (process, _abs) = started(1, &config(), list);
    let junk: &[&[u8]] = &[
        b"\xff\xfe\x00",
        b"",
        b"\xff=\xff;=;;a",
        b"Basic \xff",
        b"Bearer ",
        b"Bearer a.\xff.b",
        b"%zz%",
    ];
    for bytes in junk {
        for name in [
            "cookie",
            "authorization",
            "x-api-key",
            ":path",
            ":authority",
        ] {
            let mut request = Request::get("/?api_key=%");
            request.headers.retain(|(known, _)| known != name);
            assert!(
                !process.denies(1, &request.header(name, *bytes)),
                "{name} {bytes:?}"
            );
        }
    }
    for address in [
        "",
        "/run/envoy.sock",
        "192.0.2.1",
        "192.0.2.1:x:y",
        "[::1",
        "\u{fffd}:1",
    ] {
        let mut request = Request::get("/");
        request.source_address = address.to_owned();
        assert!(!process.denies(1, &request), "{address}");
    }
}

#[test]
fn a_request_without_listed_identifiers_reads_no_shared_data() {
    let (process, _abs) = started(1, &config(), ips(&["192.0.2.1"]));
    process.advance(seconds(2));
    let vm = process.vm(1);
    let before = process.world().effects(vm);
    let mut asked = 0;
    for i in 0..=255u32 {
        for j in 0..4 {
            assert!(!process.denies(1, &from(&format!("198.18.{j}.{i}"))));
        }
        asked += 4;
    }
    let after = process.world().effects(vm);
    assert_eq!(after.writes, before.writes);
    // The filter has about one false positive in 256.
    let reads = after.reads - before.reads;
    assert!(reads * 50 < asked, "{reads} reads for {asked} requests");
}

#[test]
fn manual_lists_are_enforced_while_abs_is_down() {
    let process = Process::new(1);
    let abs = Abs::serving(process.world(), ips(&[]));
    abs.respond(Response::reset());
    process.configure(&config_with(json!({"deny_list": {"ips": ["192.0.2.5"]}})));
    process.advance(seconds(30));
    assert_denies_only(&process, &["192.0.2.5"], &["192.0.2.1"]);
}

#[test]
fn ipv6_clients_are_compared_by_the_configured_prefix() {
    let list = json!({"ips": ["2001:db8:1:2::5", "2001:db8:9::/48", "192.0.2.1"]});
    let (single, neighbour, stranger) =
        ("2001:db8:1:2::5", "2001:db8:1:2:ffff::1", "2001:db8:1:3::5");
    let (process, _abs) = started(1, &config(), list.clone());
    assert_denies_only(
        &process,
        &[single, "2001:db8:9:1::1", "192.0.2.1"],
        &[neighbour, stranger, "192.0.2.2"],
    );
    let (process, _abs) = started(1, &config_with(json!({"ipv6_prefix": 64})), list);
    assert_denies_only(
        &process,
        &[single, neighbour, "2001:db8:9:1::1", "192.0.2.1"],
        &[stranger, "192.0.2.2", "2001:db8:a::1"],
    );
    let manual = json!({"ipv6_prefix": 64, "deny_list": {"ips": [single, "2001:db8:4:4::/64"]},
        "allow_list": {"ips": ["2001:db8:4:4::7"]}});
    let (process, _abs) = started(1, &config_with(manual), json!({"ips": []}));
    assert_denies_only(
        &process,
        &[single, neighbour],
        &[stranger, "2001:db8:4:4::9"],
    );
}

#[test]
fn a_listed_ipv4_address_is_denied_behind_nat64_and_6to4() {
    let listed = ["192.0.2.1", "64:ff9b::c000:201", "2002:c000:201::7"];
    let others = [
        "192.0.2.2",
        "64:ff9b::c000:202",
        "2002:c000:202::7",
        "64:ff9b:1::c000:201",
    ];
    let (process, _abs) = started(1, &config(), json!({"ips": ["192.0.2.1"]}));
    assert_denies_only(&process, &listed, &others);
    let deny =
        json!({"deny_list": {"ips": ["192.0.2.0/31"]}, "allow_list": {"ips": ["192.0.2.1"]}});
    let (process, _abs) = started(1, &config_with(deny), json!({"ips": []}));
    assert_denies_only(
        &process,
        &["64:ff9b::c000:201", "2002:c000:201::7"],
        &["192.0.2.1"],
    );
}

#[test]
fn an_ambiguous_path_is_judged_by_the_stricter_api() {
    let apis = json!({"apis": [
        {"api_id": "shop", "url": "/shop"},
        {"api_id": "open", "url": "/open", "enable_blocking": false},
        {"api_id": "watched", "url": "/watched", "mode": "shadow"},
        {"api_id": "rest", "enable_blocking": false}]});
    let (process, _abs) = started(1, &config_with(apis), ips(&["192.0.2.1"]));
    let state = |path: &str| {
        let request = Request::get(path).from("192.0.2.1");
        process.request(1, &request).filter_state
    };
    for path in [
        "/shop",
        "/SHOP",
        "/shop;x=1",
        "/open/..;/shop",
        "/open/%2e%2e;/shop",
        "/open/../shop",
        "/watched/%2e%2e/shop",
    ] {
        assert_eq!(state(path).as_deref(), Some("denied abs ip"), "{path}");
    }
    for (path, expected) in [
        ("/open", None),
        ("/shopping", None),
        ("/open/shop;x", None),
        ("/open/..;/watched", Some("would_deny abs ip")),
        ("/watched", Some("would_deny abs ip")),
    ] {
        assert_eq!(state(path).as_deref(), expected, "{path}");
    }
}

#[test]
fn a_repeated_listed_value_is_looked_up_once() {
    let (process, _abs) = started(
        1,
        &config(),
        json!({"oauth_tokens": ["t-listed", "t-other"], "usernames": ["bob"]}),
    );
    let reads = |value: String| {
        let before = process.world().effects(process.vm(1)).reads;
        let request = Request::get("/")
            .from("192.0.2.9")
            .header("authorization", value);
        assert!(process.denies(1, &request));
        process.world().effects(process.vm(1)).reads - before
    };
    let once = reads("Bearer t-listed".to_owned());
    assert_eq!(once, 1);
    assert_eq!(reads(format!("Bearer{}", " t-listed".repeat(6_000))), once);
    // The first listed one decides: the other and the user are not looked up.
    assert_eq!(
        reads("Bearer t-listed t-other, Basic Ym9iOng=".to_owned()),
        once
    );
}

#[test]
fn repeated_false_positives_of_the_filter_are_looked_up_once() {
    let (process, _abs) = started(1, &config(), json!({"oauth_tokens": ["t-listed"]}));
    let reads = |value: &str| {
        let before = process.world().effects(process.vm(1)).reads;
        let request = Request::get("/")
            .from("192.0.2.9")
            .header("authorization", value);
        assert!(!process.denies(1, &request));
        process.world().effects(process.vm(1)).reads - before
    };
    // About one unlisted token in several hundred is a false positive of the filter.
    let tokens = (0..100_000).map(|number| format!("t-{number}"));
    let passed: Vec<_> = tokens
        .filter(|token| reads(&format!("Bearer {token}")) == 1)
        .take(2)
        .collect();
    let [one, other] = passed.as_slice() else {
        panic!("two false positives of the filter, not {passed:?}");
    };
    let repeated = format!("Bearer{}", format!(" {one} {other}").repeat(100));
    assert_eq!(reads(&repeated), 2);
}
