//! The page over HTTP: what it shows of the server, and what its forms refuse. A real browser is in browser.rs.

use serde_json::{Value, json};
use ureq::http::Response;

use crate::relay::relay;
use crate::relay::upstream::Upstream;
use crate::support::{Fleet, body, eventually, filter};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

fn html(response: &Response<Vec<u8>>) -> String {
    String::from_utf8(response.body().clone()).unwrap()
}

fn post(fleet: &Fleet, path: &str, form: &str) -> Response<Vec<u8>> {
    fleet.send("POST", path, &[FORM], form)
}

/// Blocks on ABS's list and on another one, which one server relays.
fn with_feeds() -> Value {
    json!({
        "enable_abs_attack": true,
        "abs": {"cluster": "fleet"},
        "feeds": [{"name": "drop", "format": "text", "cluster": "fleet", "path": "/v1/feeds/drop"}],
    })
}

#[test]
fn relayed_feeds_are_shown_and_explain_who_is_blocked() {
    let abs = Upstream::of_json(
        &json!({"ips": ["203.0.113.7"], "cookies": {"SID": ["a-secret-of-abs"]}}),
    );
    let drop = Upstream::of("text/plain", "198.51.100.0/24\n203.0.113.9\n");
    let mut configuration = with_feeds();
    configuration["abs_attack_request_minutes"] = json!(0.0167);
    configuration["upstreams"] = json!({"fleet": abs.url, "drop": drop.url});
    configuration["feeds"][0]["cluster"] = json!("drop");
    let fleet = relay(&configuration);
    fleet.write("portcullis.json", &filter(&with_feeds()).to_string());
    let page = eventually("both lists", || {
        let page = html(&fleet.get("/", &[]));
        let fresh = page.matches("✓ fresh").count() == 2;
        (fresh && page.contains("The fleet is protected")).then_some(page)
    });
    for text in ["1 ip, 1 cookie", "2 ip", "<th scope=\"row\">drop</th>"] {
        assert!(page.contains(text), "{text}");
    }
    assert!(!page.contains("a-secret-of-abs"));
    let explained = |form: &str| {
        let response = post(
            &fleet,
            "/page/explain",
            &format!("filter=portcullis&{form}"),
        );
        assert_eq!(response.status(), 200);
        let page = html(&response);
        let result = page.split("id=\"explain-result\"").nth(1).unwrap();
        result.split("</div>").next().unwrap().to_owned()
    };
    let result = explained("address=198.51.100.4");
    for text in [
        "Blocked",
        "the feed drop names ip 198.51.100.4 by its entry 198.51.100.0/24",
    ] {
        assert!(result.contains(text), "{text}: {result}");
    }
    let result = explained("address=203.0.113.7");
    assert!(
        result.contains("ABS's attack list names ip 203.0.113.7"),
        "{result}"
    );
    let result = explained("headers=Cookie:+SID%3Da-secret-of-abs");
    assert!(result.contains("Blocked"), "{result}");
    assert!(!result.contains("a-secret-of-abs"));
    assert!(explained("address=192.0.2.1").contains("Allowed"));
    abs.goes_away();
    eventually("the reason", || {
        let page = html(&fleet.get("/", &[]));
        let named = page.contains("Feed abs: the last fetch failed")
            || page.contains("Feed abs: its list is stale");
        (named && page.contains("The fleet needs attention")).then_some(())
    });
}

#[test]
fn what_a_node_says_of_itself_is_only_text() {
    let fleet = Fleet::started();
    let hostile = "<script>alert(1)</script>\"'><img src=x>";
    fleet.discover(hostile, "portcullis", "");
    let report = format!("v=1;node=b;module={hostile};denied=<b>.ip:1;lists=<i>:1:2");
    for _ in 0..2 {
        fleet.get("/v4/abs/attacklist", &[("x-portcullis-node", &report)]);
    }
    let page = html(&fleet.get("/", &[]));
    assert!(page.contains("&lt;script&gt;alert(1)"));
    for tag in ["<script>", "<img", "<b>", "<i>"] {
        assert!(!page.contains(tag), "{tag}");
    }
}

#[test]
fn a_form_that_is_not_valid_changes_nothing() {
    let mut fleet = Fleet::new();
    let operator = "an-operator-token-of-a-test-0123456789";
    let reader = "a-read-token-of-a-test-0123456789-abcd";
    for (name, token) in [
        ("PORTCULLIS_OPERATOR_TOKEN", operator),
        ("PORTCULLIS_READ_TOKEN", reader),
    ] {
        fleet.environment.push((name.to_owned(), token.to_owned()));
    }
    fleet.start();
    let before = body(&fleet.discover("a", "portcullis", ""));
    let switch = "filter=portcullis&switch=firewall&on=false";
    let entry = "filter=portcullis&list=deny_list&kind=ip&action=add&value=";
    let remove = "filter=portcullis&list=deny_list&index=0&etag=";
    let large = format!("{entry}{}", "1".repeat(100_000));
    let table = [
        (operator, "/page/switch", "", 422),
        (
            operator,
            "/page/switch",
            "filter=portcullis&switch=engine&on=true",
            422,
        ),
        (
            operator,
            "/page/switch",
            "filter=nobody&switch=firewall&on=false",
            404,
        ),
        (operator, "/page/remove", remove, 412),
        (operator, "/page/entry", &format!("{entry}nonsense"), 422),
        (operator, "/page/entry", entry, 422),
        (
            operator,
            "/page/entry",
            &format!("{entry}1.1.1.1").replace("=ip", "=shoe"),
            422,
        ),
        (
            operator,
            "/page/entry",
            &format!("{entry}192.0.2.1").replace("=add", "=remove"),
            422,
        ),
        (
            operator,
            "/page/entry",
            &format!("{entry}192.0.2.1&name=x"),
            422,
        ),
        (
            operator,
            "/page/entry",
            &format!("{entry}v").replace("=ip", "=cookie"),
            422,
        ),
        (operator, "/page/entry", &large, 413),
        (reader, "/page/switch", switch, 403),
        (reader, "/page/entry", &format!("{entry}192.0.2.1"), 403),
        (reader, "/page/remove", remove, 403),
        ("", "/page/switch", switch, 401),
    ];
    for (token, path, form, status) in table {
        let token = format!("Bearer {token}");
        let headers = [FORM, ("authorization", token.as_str())];
        let headers = match token.len() > 7 {
            true => &headers[..],
            false => &headers[..1],
        };
        let response = fleet.send("POST", path, headers, form);
        assert_eq!(
            response.status(),
            status,
            "{path} {form}: {}",
            html(&response)
        );
    }
    assert_eq!(body(&fleet.discover("a", "portcullis", "")), before);
}

#[test]
fn a_message_comes_from_the_server_and_not_from_the_link() {
    let fleet = Fleet::started();
    let page = html(&fleet.get("/?done=firewall-on&filter=portcullis", &[]));
    assert!(page.contains("portcullis: the firewall is on."));
    for link in [
        "/?done=call-me&filter=portcullis",
        "/?done=firewall-on&filter=call-me",
        "/?done=firewall-on",
    ] {
        let page = html(&fleet.get(link, &[]));
        assert!(
            !page.contains("call-me") && !page.contains("the firewall is on."),
            "{link}"
        );
    }
}

#[test]
fn an_address_of_a_form_leads_to_the_page() {
    let fleet = Fleet::started();
    for path in [
        "/page/switch",
        "/page/entry",
        "/page/remove",
        "/page/explain",
    ] {
        let response = fleet.get(path, &[]);
        assert_eq!(
            (response.status().as_u16(), &response.headers()["location"]),
            (303, &"/".parse().unwrap())
        );
    }
}
