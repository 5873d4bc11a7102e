//! Bodies that are not a list, and unusual lists.

use crate::background_traffic::{BackgroundTraffic, LISTED};
use crate::every_second;
use crate::harness::artefact::Artefact;
use crate::harness::{Setup, eventually, scenario, scenario_alone};
use crate::matrix::{List, Row, documented};
use crate::scripted_server::{ScriptedServer, length, ok};
use crate::watch::{Watch, inject, recovers};
use serde_json::json;

/// The rows that the tests below show.
pub const ROWS: &[Row] = &[
    Row {
        fault: "cut",
        what: "the body is cut in each of twenty places; `content-length` announces the whole",
        metrics: &["fetch.result=reset"],
        log: &[("it was interrupted", 1)],
        test: "bodies::a_body_cut_in_each_of_twenty_places_with_a_content_length",
        ..Row::BASE
    },
    Row {
        fault: "cut_without_length",
        what: "the same without `content-length`",
        metrics: &["fetch.result=malformed"],
        log: &[("the JSON of the attack list is truncated", 1)],
        test: "bodies::a_body_cut_in_each_of_twenty_places_without_a_content_length",
        ..Row::BASE
    },
    Row {
        fault: "cut_in_chunks",
        what: "the same within a chunk",
        metrics: &["fetch.result=reset"],
        log: &[("it was interrupted", 1)],
        test: "bodies::a_body_cut_in_each_of_twenty_places_in_chunks",
        ..Row::BASE
    },
    Row {
        fault: "not_json",
        what: "an HTML page",
        metrics: &["fetch.result=malformed"],
        log: &[("is not JSON", 1)],
        test: "bodies::bodies_that_are_not_a_list",
        ..Row::BASE
    },
    Row {
        fault: "no_known_key",
        what: "JSON, but no attack list",
        metrics: &["fetch.result=malformed"],
        log: &[("none of the keys", 1)],
        test: "bodies::bodies_that_are_not_a_list",
        ..Row::BASE
    },
    Row {
        fault: "nothing_usable",
        what: "an attack list without a usable entry",
        metrics: &["fetch.result=malformed"],
        log: &[("none of the entries", 1)],
        documented: documented::UNUSABLE_LIST,
        test: "bodies::bodies_that_are_not_a_list",
        ..Row::BASE
    },
    Row {
        fault: "another_shape",
        what: "an attack list with one kind in another shape",
        metrics: &["fetch.result=malformed"],
        log: &[("found a string under usernames", 1)],
        documented: documented::UNUSABLE_LIST,
        test: "bodies::bodies_that_are_not_a_list",
        ..Row::BASE
    },
    Row {
        fault: "raw_zero_byte",
        what: "a zero byte within the JSON",
        metrics: &["fetch.result=malformed"],
        log: &[("is not JSON", 1)],
        test: "bodies::unusual_bodies",
        ..Row::BASE
    },
    Row {
        fault: "gzip_bomb",
        what: "2 MB that unpack to 2 GB",
        metrics: &["fetch.result=malformed"],
        log: &[("has more than 1048576 bytes", 1)],
        test: "bodies::bodies_that_are_not_a_list",
        ..Row::BASE
    },
    Row {
        fault: "huge",
        what: "100 MB, over the limit of Envoy",
        metrics: &["fetch.result=too_large"],
        log: &[("http.async_response_buffer_limit", 1)],
        documented: documented::OVER_ENVOYS_LIMIT,
        test: "bodies::a_body_of_100_mb_over_the_limit_of_envoy",
        ..Row::BASE
    },
    Row {
        fault: "huge_and_allowed",
        what: "100 MB, with the limit raised by the runtime key",
        list: List::New,
        metrics: &["fetch.result=ok"],
        documented: documented::OVER_ENVOYS_LIMIT,
        test: "bodies::a_body_of_100_mb_within_the_limit_of_envoy",
        ..Row::BASE
    },
    Row {
        fault: "duplicates",
        what: "a million entries, two of them distinct",
        list: List::New,
        metrics: &["fetch.result=ok"],
        documented: documented::UNUSABLE_ENTRY,
        test: "bodies::unusual_bodies",
        ..Row::BASE
    },
    Row {
        fault: "deep_nesting",
        what: "lists in lists, 200,000 deep",
        list: List::New,
        metrics: &["fetch.result=ok", "entries_skipped"],
        documented: documented::UNUSABLE_ENTRY,
        test: "bodies::unusual_bodies",
        ..Row::BASE
    },
    Row {
        fault: "wrong_types",
        what: "nulls, booleans, lists and unknown objects among the entries",
        list: List::New,
        metrics: &["fetch.result=ok", "entries_skipped"],
        documented: documented::UNUSABLE_ENTRY,
        test: "bodies::unusual_bodies",
        ..Row::BASE
    },
    Row {
        fault: "bytes_that_are_no_text",
        what: "invalid UTF-8, escaped zero bytes, half characters",
        list: List::New,
        metrics: &["fetch.result=ok", "entries_skipped"],
        documented: documented::UNUSABLE_ENTRY,
        test: "bodies::unusual_bodies",
        ..Row::BASE
    },
];

/// Number of places at which a body is cut.
const PLACES: usize = 20;

/// A list with [`LISTED`], about 800 bytes long.
fn whole() -> Vec<u8> {
    let others = (0..40).map(|i| format!("192.0.2.{i}"));
    let ips: Vec<_> = others.chain([LISTED.to_owned()]).collect();
    let tokens: Vec<_> = (0..20).map(|i| format!("token-{i}")).collect();
    json!({"usernames": ["bob"], "oauth_tokens": tokens, "ips": ips})
        .to_string()
        .into_bytes()
}

/// Where to cut a body of this length: evenly from 0 bytes to one less than all.
fn cuts(length: usize) -> impl Iterator<Item = usize> {
    (0..PLACES).map(move |place| (length - 1) * place / (PLACES - 1))
}

/// ABS sends [`whole`], then each response that `cut` makes of it, then the whole again.
fn each_cut_is_refused(fault: &str, cut: impl Fn(&[u8], usize) -> Vec<u8>) {
    let whole = whole();
    let good = ok(&length(&whole), &whole);
    let server = ScriptedServer::start(&good);
    scenario(every_second().abs_at(server.address), async |harness| {
        let background = BackgroundTraffic::once_listed(harness).await;
        let watch = Watch::begin(harness, fault).await;
        let mut responses: Vec<_> = cuts(whole.len()).map(|at| cut(&whole, at)).collect();
        responses.push(good.clone());
        server.respond_in_turn(responses);
        eventually_slowly("every cut body was sent", async || server.waiting() == 1).await;
        recovers(harness).await;
        // The log has the line of the failure before the one of the recovery.
        watch.expect_effects(harness, PLACES as u64).await;
        background.stop(&[fault]).await;
    });
}

/// As `eventually`, with time for a fetch per place.
async fn eventually_slowly(what: &str, condition: impl AsyncFn() -> bool) {
    let deadline = std::time::Duration::from_secs(90);
    crate::harness::eventually_or(
        what,
        deadline,
        async || condition().await.then_some(()),
        String::new,
    )
    .await;
}

#[test]
fn a_body_cut_in_each_of_twenty_places_with_a_content_length() {
    each_cut_is_refused("cut", |whole, at| ok(&length(whole), &whole[..at]));
}

#[test]
fn a_body_cut_in_each_of_twenty_places_without_a_content_length() {
    each_cut_is_refused("cut_without_length", |whole, at| ok("", &whole[..at]));
}

#[test]
fn a_body_cut_in_each_of_twenty_places_in_chunks() {
    each_cut_is_refused("cut_in_chunks", |whole, at| {
        let chunk = [format!("{:x}\r\n", whole.len()).as_bytes(), &whole[..at]].concat();
        ok("transfer-encoding: chunked\r\n", &chunk)
    });
}

#[test]
fn bodies_that_are_not_a_list() {
    scenario(every_second(), async |harness| {
        let background = BackgroundTraffic::with_list(harness).await;
        inject(
            harness,
            "not_json",
            json!({"body": "<html><title>Sign in</title></html>"}),
        )
        .await;
        inject(
            harness,
            "no_known_key",
            json!({"body": "{\"message\": \"no\"}"}),
        )
        .await;
        inject(
            harness,
            "nothing_usable",
            json!({"body": "{\"ips\": [{\"value\": \"192.0.2.1\"}]}"}),
        )
        .await;
        inject(
            harness,
            "another_shape",
            json!({"body": "{\"ips\": [\"192.0.2.1\"], \"usernames\": \"bob,eve\"}"}),
        )
        .await;
        inject(harness, "gzip_bomb", json!({"gzip_bomb_megabytes": 2000})).await;
        background
            .stop(&[
                "not_json",
                "no_known_key",
                "nothing_usable",
                "another_shape",
                "gzip_bomb",
            ])
            .await;
    });
}

#[test]
fn a_body_of_100_mb_within_the_limit_of_envoy() {
    scenario_alone(
        every_second().plugin(json!({"abs": {"timeout": "20s"}})),
        async |harness| {
            let mut background = BackgroundTraffic::with_list(harness).await;
            let watch = Watch::begin(harness, "huge_and_allowed").await;
            // The new list does not have the listed client.
            background.stop_listed().await;
            harness
                .abs
                .fault(json!({"huge_megabytes": 100, "times": 1}))
                .await;
            harness
                .metric_reaches("attack_list.entries.kind=username", 100_000)
                .await;
            watch.expect_effects(harness, 1).await;
            harness.becomes_denied(&harness.get("/").from(LISTED)).await;
            background.stop(&["huge_and_allowed"]).await;
        },
    );
}

#[test]
fn a_body_of_100_mb_over_the_limit_of_envoy() {
    if Artefact::Wasm.is_left_out("Envoy does not buffer the response to a native module") {
        return;
    }
    let setup: Setup = every_second()
        .plugin(json!({"abs": {"timeout": "20s"}}))
        .bootstrap(|text| {
            text.replace(
                "http.async_response_buffer_limit: 268435456",
                "portcullis.unused: 1",
            )
        });
    scenario(setup, async |harness| {
        let background = BackgroundTraffic::with_list(harness).await;
        inject(harness, "huge", json!({"huge_megabytes": 100})).await;
        background.stop(&["huge"]).await;
    });
}

#[test]
fn unusual_bodies() {
    let list = |body: &[u8]| ok(&length(body), body);
    let server = ScriptedServer::start(&list(&whole()));
    scenario(every_second().abs_at(server.address), async |harness| {
        let background = BackgroundTraffic::once_listed(harness).await;
        let listed = format!("\"{LISTED}\"");
        let duplicates = format!("{listed},\"192.0.2.1\",").repeat(500_000);
        let nested = ["[".repeat(200_000), "]".repeat(200_000)].concat();
        let bodies: [(&str, Vec<u8>); 4] = [
            (
                "duplicates",
                format!("{{\"ips\": [{duplicates}{listed}]}}").into(),
            ),
            (
                "deep_nesting",
                format!("{{\"other\": {nested}, \"usernames\": [{nested}, \"bob\"], \"ips\": [{listed}]}}")
                    .into(),
            ),
            (
                "wrong_types",
                format!(
                    "{{\"ips\": [1, null, {{\"ip\": 5}}, [], true, \"999.1.1.1\", {listed}, \"192.0.2.2\"], \
                     \"cookies\": [], \"api_keys\": null, \"usernames\": [7, {{\"name\": \"bob\"}}]}}"
                )
                .into(),
            ),
            (
                "bytes_that_are_no_text",
                [
                    b"{\"usernames\": [\"\xff\xfe\", \"a\\u0000b\", \"\\ud800\"], \"ips\": [".as_slice(),
                    listed.as_bytes(),
                    b", \"192.0.2.3\"]}",
                ]
                .concat(),
            ),
        ];
        let mut faults = vec!["raw_zero_byte"];
        for (fault, body) in bodies {
            faults.push(fault);
            let watch = Watch::begin(harness, fault).await;
            server.respond(&list(&body));
            watch.expect_effects(harness, 1).await;
            eventually("the list is active", async || {
                (harness.envoy.count("attack_list.entries.kind=ip").await < 3).then_some(())
            })
            .await;
        }
        // A zero byte within a string is not JSON.
        let watch = Watch::begin(harness, "raw_zero_byte").await;
        server.respond(&list(
            format!("{{\"ips\": [{listed}, \"a\0b\"]}}").as_bytes(),
        ));
        watch.expect_effects(harness, 1).await;
        background.stop(&faults).await;
    });
}
