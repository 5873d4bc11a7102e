//! The facts about LAPI that the filter and the simulator rely on.

use crate::harness::client::Reply;
use crate::harness::lapi::Lapi;
use crate::harness::{eventually, run};
use serde_json::{Value, json};

const STARTUP: &str = "/v1/decisions/stream?startup=true";
const EVERY_SCOPE: &str =
    "/v1/decisions/stream?startup=true&scopes=ip,range,username,country,as,session";

fn json_of(reply: &Reply) -> Value {
    assert_eq!(reply.status, 200, "{}", reply.body);
    serde_json::from_str(&reply.body).unwrap()
}

async fn get(lapi: &Lapi, path: &str) -> Value {
    json_of(&lapi.request(path).send().await)
}

/// Scope, value and type of each decision, sorted.
fn triples(decisions: &Value) -> Vec<String> {
    let mut triples: Vec<_> = decisions
        .as_array()
        .into_iter()
        .flatten()
        .map(|it| format!("{} {} {}", it["scope"], it["value"], it["type"]).replace('"', ""))
        .collect();
    triples.sort();
    triples
}

#[test]
fn decisions_are_added_filtered_deleted_and_survive_a_restart() {
    run(async {
        let mut lapi = Lapi::start("key-1").await;
        assert_eq!(
            get(&lapi, STARTUP).await,
            json!({"new": null, "deleted": null})
        );

        lapi.add("Ip", "192.0.2.1", "10m", "ban");
        lapi.add("Ip", "192.0.2.1", "5h", "ban");
        lapi.add("Ip", "192.0.2.1", "10m", "captcha");
        lapi.add("Ip", "2001:db8::1", "90s", "ban");
        lapi.add("Range", "198.51.100.0/24", "1h", "ban");
        lapi.add("username", "bob", "10m", "ban");
        lapi.add("Country", "FR", "10m", "ban");
        lapi.add("AS", "64496", "10m", "ban");
        lapi.add("session", "s1", "10m", "ban");

        let stream = get(&lapi, EVERY_SCOPE).await;
        assert_eq!(stream["deleted"], Value::Null);
        assert_eq!(
            triples(&stream["new"]),
            [
                "AS 64496 ban",
                "Country FR ban",
                "Ip 192.0.2.1 ban",
                "Ip 192.0.2.1 captcha",
                "Ip 2001:db8::1 ban",
                "Range 198.51.100.0/24 ban",
                "session s1 ban",
                "username bob ban",
            ]
        );
        let longest = stream["new"]
            .as_array()
            .unwrap()
            .iter()
            .find(|it| it["value"] == "192.0.2.1" && it["type"] == "ban");
        assert!(
            longest.unwrap()["duration"]
                .as_str()
                .unwrap()
                .starts_with("4h59m"),
            "LAPI serves the longest decision of a value: {longest:?}"
        );

        // Without `scopes`, addresses and ranges only. Of several `scopes`, the first counts.
        let without = triples(&get(&lapi, STARTUP).await["new"]);
        assert_eq!(without.len(), 4);
        let several = "/v1/decisions/stream?startup=true&scopes=username&scopes=ip";
        assert_eq!(
            triples(&get(&lapi, several).await["new"]),
            ["username bob ban"]
        );

        lapi.delete("Ip", "2001:db8::1");
        lapi.delete("Range", "198.51.100.0/24");
        lapi.delete("username", "bob");
        let stream = get(&lapi, EVERY_SCOPE).await;
        assert_eq!(triples(&stream["new"]).len(), 5);
        assert_eq!(
            triples(&stream["deleted"]),
            [
                "Ip 2001:db8::1 ban",
                "Range 198.51.100.0/24 ban",
                "username bob ban"
            ],
            "a startup reply names what was deleted"
        );

        lapi.stop();
        lapi.request(STARTUP).try_send().await.unwrap_err();
        lapi.restart().await;
        assert_eq!(triples(&get(&lapi, EVERY_SCOPE).await["new"]).len(), 5);
        // cscli lists the shorter ban of 192.0.2.1 too.
        assert_eq!(lapi.list().as_array().unwrap().len(), 6);
        lapi.delete_all();
        assert_eq!(get(&lapi, EVERY_SCOPE).await["new"], Value::Null);
    });
}

#[test]
fn a_decision_ends_by_itself() {
    run(async {
        let lapi = Lapi::start("key-1").await;
        lapi.add("Ip", "192.0.2.1", "1s", "ban");
        let stream = eventually("the decision ends", async || {
            let stream = get(&lapi, STARTUP).await;
            stream["new"].is_null().then_some(stream)
        })
        .await;
        assert_eq!(triples(&stream["deleted"]), ["Ip 192.0.2.1 ban"]);
        assert!(
            stream["deleted"][0]["duration"]
                .as_str()
                .unwrap()
                .starts_with('-'),
            "{stream}"
        );
    });
}

#[test]
fn an_import_without_flags_lists_ranges_with_the_scope_ip() {
    run(async {
        let lapi = Lapi::start("key-1").await;
        lapi.import_with("duration,scope,value\n1h,range,198.51.100.0/24\n", &[]);
        let stream = get(&lapi, STARTUP).await;
        assert_eq!(triples(&stream["new"]), ["Ip 198.51.100.0/24 ban"]);
    });
}

#[test]
fn a_longer_decision_of_another_origin_hides_a_decision_except_with_dedup_false() {
    run(async {
        let lapi = Lapi::start("key-1").await;
        lapi.add("Ip", "192.0.2.1", "1h", "ban");
        lapi.import("duration,scope,value\n4h,Ip,192.0.2.1\n");
        let of_cscli = format!("{STARTUP}&origins=cscli");
        let stream = get(&lapi, &of_cscli).await;
        assert_eq!(stream["new"], Value::Null);
        let stream = get(&lapi, &format!("{of_cscli}&dedup=false")).await;
        assert_eq!(triples(&stream["new"]), ["Ip 192.0.2.1 ban"]);
        let of_scenario = format!("{STARTUP}&scenarios_containing=from&dedup=false");
        let stream = get(&lapi, &of_scenario).await;
        assert_eq!(triples(&stream["new"]), ["Ip 192.0.2.1 ban"]);
        assert_eq!(stream["new"][0]["scenario"], "manual 'ban' from 'tests'");
    });
}

#[test]
fn a_deleted_bouncer_is_refused_at_once() {
    run(async {
        let lapi = Lapi::start("key-1").await;
        lapi.cscli(&["bouncers", "delete", "tests"]).unwrap();
        assert_eq!(lapi.request(STARTUP).send().await.status, 403);
        lapi.cscli(&["bouncers", "add", "tests", "--key", "key-1"])
            .unwrap();
        assert_eq!(lapi.request(STARTUP).send().await.status, 200);
    });
}
