//! Templates are tested from views, without a server.

use std::time::Duration;

use super::super::super::nodes::{ActiveList, Node, NodeFilter};
use super::super::headline::judge;
use super::super::view::{
    Change, Denied, Entry, EntryForm, ExplainForm, Explained, Feed, Filter, List, Minute, Nodes,
    Served, View,
};
use super::*;

const HOSTILE: &str = "<script>alert(1)</script>\"'&";

fn filter(name: &str) -> Filter {
    Filter {
        name: name.to_owned(),
        file: format!("/filters/{name}.json"),
        problems: Vec::new(),
        served: Some(Served {
            version: "0123456789abcdef".to_owned(),
            etag: "\"0123456789abcdef\"".to_owned(),
            firewall: true,
            abs_attack: true,
            ..Served::default()
        }),
    }
}

fn operator(filters: Vec<Filter>) -> View {
    View {
        may_change: true,
        headline: judge(&filters, None, &Nodes::default()),
        filters,
        ..View::default()
    }
}

fn rendered(view: &View) -> String {
    page(view).into_string()
}

/// Every string of the view is `text`.
fn of_text(text: &str) -> View {
    let text = || text.to_owned();
    let mut filter = filter(&text());
    filter.file = text();
    filter.problems = vec![text()];
    if let Some(served) = &mut filter.served {
        served.version = text();
        served.etag = text();
        served.shadow = vec![text()];
        served.deny = List {
            count: 1,
            entries: vec![Entry {
                index: 0,
                kind: "cookie",
                name: Some(text()),
                value: text(),
            }],
        };
    }
    let feed = Feed {
        name: text(),
        entries: vec![(text(), 3)],
        last_result: text(),
        is_failing: true,
        ..Feed::default()
    };
    let mut node = Node::default();
    (node.id, node.cluster) = (text(), text());
    (node.envoy, node.module) = (text(), text());
    node.filters.push(NodeFilter {
        name: text(),
        served: text(),
        accepted: format!("{}!", text()),
        ..NodeFilter::default()
    });
    node.lists.push(ActiveList {
        feed: text(),
        generation: 1,
        entries: 2,
    });
    let nodes = Nodes {
        count: 1,
        behind: 1,
        shown: vec![node],
        ..Nodes::default()
    };
    let denied = Denied {
        series: vec![text()],
        minutes: vec![Minute {
            start: Duration::from_secs(60),
            counts: vec![u64::MAX],
        }],
    };
    let mut view = View {
        headline: judge(
            std::slice::from_ref(&filter),
            Some(std::slice::from_ref(&feed)),
            &nodes,
        ),
        notice: Some(Notice {
            text: text(),
            is_error: true,
        }),
        feeds: Some(vec![feed]),
        nodes,
        denied,
        ..operator(vec![filter.clone()])
    };
    // Its forms are not locked.
    view.filters.push(Filter {
        problems: Vec::new(),
        ..filter
    });
    view.filters[0].name.push('2');
    view.changes = vec![Change {
        who: text(),
        what: text(),
        ..Change::default()
    }];
    view.entry_form = Some(EntryForm {
        filter: text(),
        list: text(),
        kind: text(),
        name: text(),
        value: text(),
        name_error: Some(text()),
        value_error: Some(text()),
    });
    view.explain = ExplainForm {
        filter: text(),
        address: text(),
        url: text(),
        address_error: Some(text()),
        headers_error: Some(text()),
        url_error: Some(text()),
        error: Some(text()),
        result: Some(Explained {
            verdict: text(),
            is_blocked: true,
            reason: text(),
            api: text(),
            identifiers: vec![(text(), text())],
            notes: vec![text()],
        }),
    };
    view
}

#[test]
fn hostile_text_changes_no_markup() {
    let tags = |html: &str| -> Vec<String> {
        let tags = html.split('<').skip(1);
        let name = |tag: &str| {
            tag.split(|c: char| !c.is_ascii_alphanumeric() && c != '/')
                .next()
                .unwrap()
                .to_owned()
        };
        tags.map(name).collect()
    };
    let hostile = rendered(&of_text(HOSTILE));
    assert!(!hostile.contains(HOSTILE) && !hostile.contains("<script>"));
    assert!(!hostile.contains("\"'&\""));
    assert_eq!(tags(&hostile), tags(&rendered(&of_text("plain"))));
}

#[test]
fn the_policy_for_content_has_nothing_to_refuse() {
    let html = rendered(&of_text("plain"));
    assert!(html.contains("<script src=\"/assets/script.js\" defer></script>"));
    for inline in [
        "<style",
        " style=",
        " onclick=",
        " onload=",
        "javascript:",
        "src=\"http",
        "href=\"http",
    ] {
        assert!(!html.contains(inline), "{inline}");
    }
    assert_eq!(html.matches("<script").count(), 1);
}

#[test]
fn ids_are_unique_and_each_reference_has_its_element() {
    let html = rendered(&of_text("plain"));
    let values = |attribute: &str| -> Vec<String> {
        let pattern = format!(" {attribute}=\"");
        let parts = html.split(&pattern).skip(1);
        parts
            .map(|part| part.split('"').next().unwrap().to_owned())
            .collect()
    };
    let ids: std::collections::BTreeSet<_> = values("id").into_iter().collect();
    assert_eq!(values("id").len(), ids.len());
    for attribute in ["for", "aria-labelledby", "aria-describedby"] {
        for reference in values(attribute).iter().flat_map(|all| all.split(' ')) {
            assert!(ids.contains(reference), "{attribute}: {reference}");
        }
    }
    for reference in values("href")
        .iter()
        .filter_map(|href| href.strip_prefix('#'))
    {
        assert!(ids.contains(reference), "href: {reference}");
    }
}

#[test]
fn each_control_has_a_label() {
    let html = rendered(&of_text("plain"));
    for tag in ["<input ", "<select ", "<textarea "] {
        for part in html.split(tag).skip(1) {
            let element = part.split('>').next().unwrap();
            if element.contains("type=\"hidden\"") {
                continue;
            }
            let id = element
                .split("id=\"")
                .nth(1)
                .unwrap()
                .split('"')
                .next()
                .unwrap();
            assert!(
                html.contains(&format!("<label for=\"{id}\"")),
                "{tag}{element}"
            );
        }
    }
    assert_eq!(html.matches("<th>").count(), 0, "each header has a scope");
}

#[test]
fn empty_states_say_what_to_do() {
    let html = rendered(&operator(Vec::new()));
    assert!(html.contains("The fleet is not protected"));
    for text in [
        "Put a file NAME.json or NAME.yaml",
        "--relay FILE",
        "No Envoy has asked",
        "fleet.report",
        "Nothing changed since",
    ] {
        assert!(html.contains(text), "{text}");
    }
    let html = rendered(&operator(vec![filter("edge")]));
    assert!(html.contains("<title>The fleet is protected – Portcullis</title>"));
    assert!(html.contains("No entries."));
}

#[test]
fn many_nodes_are_counted_and_the_table_is_bounded() {
    let node = |number: usize| {
        let mut node = Node::default();
        node.id = format!("node-{number}");
        node
    };
    let nodes = Nodes {
        count: 1_000,
        current: 990,
        behind: 3,
        silent: 7,
        shown: (0..100).map(node).collect(),
        ..Nodes::default()
    };
    let view = View {
        nodes,
        ..operator(vec![filter("edge")])
    };
    let html = rendered(&view);
    assert!(html.contains("1,000 nodes: 990 current, 3 behind, 7 silent."));
    assert!(html.contains("The table shows 100 of them"));
}

#[test]
fn an_invalid_file_shows_every_error_and_locks_its_forms() {
    let mut invalid = filter("edge");
    invalid.problems = vec![
        "enable_abs: first".to_owned(),
        "apis[2].url: second".to_owned(),
    ];
    let html = rendered(&operator(vec![invalid]));
    for text in [
        "/filters/edge.json",
        "enable_abs: first",
        "apis[2].url: second",
    ] {
        assert!(html.contains(text), "{text}");
    }
    assert_eq!(html.matches("role=\"switch\"").count(), 3);
    assert_eq!(html.matches(" disabled").count(), 3);
    assert!(!html.contains("/page/entry"));
}

#[test]
fn a_reader_can_change_nothing() {
    let view = View {
        may_change: false,
        ..operator(vec![filter("edge")])
    };
    let html = rendered(&view);
    assert_eq!(html.matches(" disabled").count(), 3);
    assert!(!html.contains("/page/entry") && !html.contains("/page/remove"));
    assert!(html.contains("/page/explain") && html.contains("href=\"/login\""));
}

#[test]
fn an_error_is_at_its_field() {
    let view = View {
        entry_form: Some(EntryForm {
            filter: "edge".to_owned(),
            kind: "ip".to_owned(),
            value: "localhost".to_owned(),
            value_error: Some("not an address".to_owned()),
            ..EntryForm::default()
        }),
        ..operator(vec![filter("edge"), filter("other")])
    };
    let html = rendered(&view);
    assert_eq!(html.matches("aria-invalid=\"true\"").count(), 1);
    assert!(html.contains("id=\"entry-edge-value-error\">not an address"));
    assert!(html.contains("aria-describedby=\"entry-edge-value-error entry-edge-value-hint\""));
    assert!(html.contains("value=\"localhost\""));
    assert!(html.contains("id=\"lists\" aria-labelledby=\"lists-title\" data-keep=\"\""));
}

#[test]
fn the_chart_has_a_table_with_the_same_numbers() {
    let minute = |number: u64, counts: &[u64]| Minute {
        start: Duration::from_secs((number + 100) * 60),
        counts: counts.to_vec(),
    };
    let view = View {
        denied: Denied {
            series: vec!["abs ip".to_owned(), "drop ip".to_owned()],
            minutes: vec![
                minute(0, &[0, 0]),
                minute(1, &[30, 10]),
                minute(2, &[0, 20]),
            ],
        },
        ..operator(vec![filter("edge")])
    };
    let html = rendered(&view);
    assert_eq!(html.matches("<rect").count(), 3);
    // 30 of at most 40 in a height of 160.
    // The newest minute is at the right edge.
    assert!(html.contains("x=\"580\" y=\"40\" width=\"9\" height=\"120\""));
    assert!(html.contains("x=\"590\""));
    assert!(html.contains("<td>30</td><td>10</td>") && html.contains("<td>0</td><td>20</td>"));
    assert!(html.contains("abs ip: 30") && html.contains("drop ip: 30"));
}

#[test]
fn the_login_says_what_failed() {
    assert!(!login(false).into_string().contains("aria-invalid"));
    let html = login(true).into_string();
    assert!(html.contains("This is not the token") && html.contains("aria-invalid=\"true\""));
}
