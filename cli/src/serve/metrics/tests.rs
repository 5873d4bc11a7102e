use std::time::Duration;

use serde_json::json;

use super::*;

fn filter(name: &str, problem: bool) -> Filter {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("a.json"), "{}").unwrap();
    let filters = crate::serve::filters::Filters::open(directory.path(), directory.path());
    let mut filter = filters.unwrap().list().remove(0);
    filter.name = name.to_owned();
    filter.problem = problem.then(|| json!({"error": "x"}));
    filter
}

#[test]
fn labels_are_escaped() {
    let mut text = Text::default();
    text.family("metric", "gauge", "Help.");
    text.sample(&[("a", "\\\"\n"), ("b", "")], u64::MAX);
    text.sample(&[], 0);
    let expected = "# HELP metric Help.\n# TYPE metric gauge\nmetric{a=\"\\\\\\\"\\n\",b=\"\"} 18446744073709551615\nmetric 0\n";
    assert_eq!(text.0, expected);
}

#[test]
fn feeds_that_no_configuration_has_are_one() {
    let nodes = Nodes::default();
    nodes.know_feeds(["drop"]);
    nodes.reported(
        "v=1;node=a;denied=drop.ip:1,forged.ip:2,forged_too.ip:3",
        Duration::from_secs(1),
    );
    let mut text = Text::default();
    write_nodes(&mut text, &nodes);
    let lines: Vec<_> = text
        .0
        .lines()
        .filter(|line| line.contains("kind="))
        .collect();
    let expected = [
        "portcullis_fleet_denied_total{feed=\"drop\",kind=\"ip\"} 1",
        "portcullis_fleet_denied_total{feed=\"other\",kind=\"ip\"} 5",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_refused_file_is_marked() {
    let mut text = Text::default();
    write_filters(&mut text, &[filter("bad", true), filter("good", false)]);
    let has = |line: &str| text.0.lines().any(|found| found == line);
    assert!(has("portcullis_fleet_filter_invalid{filter=\"bad\"} 1"));
    assert!(has("portcullis_fleet_filter_invalid{filter=\"good\"} 0"));
}

#[test]
fn a_relayed_feed_has_metrics() {
    let mut feed = FeedStatus {
        name: "drop".to_owned(),
        last_success: Some(100),
        ..FeedStatus::default()
    };
    feed.fetches.insert("timeout", 3);
    *feed.entries.get_mut(IdentifierKind::Ip) = 7;
    let never = FeedStatus {
        name: "new".to_owned(),
        ..FeedStatus::default()
    };
    let mut text = Text::default();
    write_relay(&mut text, &[feed, never], 130);
    let has = |line: &str| text.0.lines().any(|found| found == line);
    assert!(has(
        "portcullis_fleet_relay_fetches_total{feed=\"drop\",result=\"timeout\"} 3"
    ));
    assert!(has(
        "portcullis_fleet_relay_list_age_seconds{feed=\"drop\"} 30"
    ));
    assert!(has(
        "portcullis_fleet_relay_entries{feed=\"drop\",kind=\"ip\"} 7"
    ));
    assert!(has(
        "portcullis_fleet_relay_entries{feed=\"drop\",kind=\"cookie\"} 0"
    ));
    assert!(!text.0.contains("age_seconds{feed=\"new\"}"));
}
