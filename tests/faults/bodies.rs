//! What comes is no list, or an odd one.

use crate::background_traffic::{BackgroundTraffic, LISTED};
use crate::every_second;
use crate::harness::{Setup, eventually, scenario};
use crate::scripted_server::{ScriptedServer, length, ok};
use crate::watch::{Watch, recovers, strike};
use serde_json::json;

/// In how many places a body is cut.
const PLACES: usize = 20;

/// A list that names [`LISTED`], some 800 bytes long.
fn whole() -> Vec<u8> {
    let others = (0..40).map(|i| format!("192.0.2.{i}"));
    let ips: Vec<_> = others.chain([LISTED.to_owned()]).collect();
    let tokens: Vec<_> = (0..20).map(|i| format!("token-{i}")).collect();
    json!({"usernames": ["bob"], "oauth_tokens": tokens, "ips": ips})
        .to_string()
        .into_bytes()
}

/// Where to cut a body of this length, from nothing of it to all but a byte.
fn cuts(length: usize) -> impl Iterator<Item = usize> {
    (0..PLACES).map(move |place| (length - 1) * place / (PLACES - 1))
}

/// ABS gives [`whole`], then one answer after the other of those that `cut` makes of it, then the whole again.
fn each_cut_is_refused(fault: &str, cut: impl Fn(&[u8], usize) -> Vec<u8>) {
    let whole = whole();
    let good = ok(&length(&whole), &whole);
    let server = ScriptedServer::start(&good);
    scenario(every_second().abs_at(server.address), async |harness| {
        let background = BackgroundTraffic::once_listed(harness).await;
        let watch = Watch::begin(harness, fault).await;
        let mut answers: Vec<_> = cuts(whole.len()).map(|at| cut(&whole, at)).collect();
        answers.push(good.clone());
        server.answer_in_turn(answers);
        eventually_slowly("every cut body was sent", async || server.waiting() == 1).await;
        recovers(harness).await;
        // The one that recovers is logged as well again; the line of the failure comes before.
        watch.sees_its_effects(harness, PLACES as u64).await;
        background.stop(&[fault]).await;
    });
}

/// As `eventually`, for what takes a fetch for each place.
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
fn a_body_cut_in_each_of_twenty_places_with_its_length_announced() {
    each_cut_is_refused("cut", |whole, at| ok(&length(whole), &whole[..at]));
}

#[test]
fn a_body_cut_in_each_of_twenty_places_with_no_length_announced() {
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
fn bodies_that_are_no_list() {
    scenario(every_second(), async |harness| {
        let background = BackgroundTraffic::with_list(harness).await;
        strike(
            harness,
            "not_json",
            json!({"body": "<html><title>Sign in</title></html>"}),
        )
        .await;
        strike(
            harness,
            "no_known_key",
            json!({"body": "{\"message\": \"no\"}"}),
        )
        .await;
        strike(
            harness,
            "nothing_usable",
            json!({"body": "{\"ips\": [{\"value\": \"192.0.2.1\"}]}"}),
        )
        .await;
        strike(
            harness,
            "another_shape",
            json!({"body": "{\"ips\": [\"192.0.2.1\"], \"usernames\": \"bob,eve\"}"}),
        )
        .await;
        strike(harness, "gzip_bomb", json!({"gzip_bomb_megabytes": 2000})).await;
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
fn a_body_of_100_mb_where_envoy_takes_it() {
    scenario(
        every_second().plugin(json!({"abs": {"timeout": "20s"}})),
        async |harness| {
            let mut background = BackgroundTraffic::with_list(harness).await;
            let watch = Watch::begin(harness, "huge_and_allowed").await;
            // The list that comes does not name the listed client.
            background.stop_listed().await;
            harness
                .abs
                .fault(json!({"huge_megabytes": 100, "times": 1}))
                .await;
            harness
                .metric_reaches("attack_list.entries.kind=username", 100_000)
                .await;
            watch.sees_its_effects(harness, 1).await;
            harness.becomes_denied(&harness.get("/").from(LISTED)).await;
            background.stop(&["huge_and_allowed"]).await;
        },
    );
}

#[test]
fn a_body_of_100_mb_where_envoy_does_not_take_it() {
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
        strike(harness, "huge", json!({"huge_megabytes": 100})).await;
        background.stop(&["huge"]).await;
    });
}

#[test]
fn odd_bodies_that_are_lists_all_the_same() {
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
            server.answer(&list(&body));
            watch.sees_its_effects(harness, 1).await;
            eventually("the list is in force", async || {
                (harness.envoy.count("attack_list.entries.kind=ip").await < 3).then_some(())
            })
            .await;
        }
        // A byte of zero within a string is no JSON.
        let watch = Watch::begin(harness, "raw_zero_byte").await;
        server.answer(&list(
            format!("{{\"ips\": [{listed}, \"a\0b\"]}}").as_bytes(),
        ));
        watch.sees_its_effects(harness, 1).await;
        background.stop(&faults).await;
    });
}
