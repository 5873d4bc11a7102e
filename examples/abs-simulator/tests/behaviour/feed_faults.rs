use std::io::{ErrorKind, Read, Write};

use serde_json::{Value, json};

use crate::support::{LAPI_KEY, Response, Server, gunzip, request_bytes};

/// The endpoint's name, a path of it, and the content type of its lists.
const FEEDS: [(&str, &str, &str); 3] = [
    (
        "decisions",
        "/v1/decisions/stream?startup=true&scopes=ip,username",
        "application/json",
    ),
    ("lists", "/lists/a", "text/plain"),
    ("tokens", "/tokens/a", "application/json"),
];

fn simulator() -> Server {
    let server = Server::simulator(&[]);
    server.admin(
        "POST",
        "/admin/decisions",
        r#"[{"value":"192.0.2.1"},{"value":"192.0.2.2"},{"value":"192.0.2.3"}]"#,
    );
    server.admin("PUT", "/admin/lists/a", "192.0.2.1\n192.0.2.2\n192.0.2.3\n");
    server.admin("PUT", "/admin/tokens/a", r#"["t1",{"jti":"t2"},"t3"]"#);
    server
}

/// Sets a fault for one endpoint.
fn fault(server: &Server, endpoint: &str, fault: Value) {
    let mut fault = fault;
    fault["endpoint"] = endpoint.into();
    server.fault(&fault.to_string());
}

fn get(server: &Server, path: &str) -> Response {
    server.request("GET", path, &LAPI_KEY, "")
}

/// The bytes before the connection ended, and how it ended.
fn raw(server: &Server, path: &str) -> (Vec<u8>, std::io::Result<usize>) {
    let mut stream = server.connect();
    stream
        .write_all(&request_bytes("GET", path, &LAPI_KEY, b""))
        .unwrap();
    let mut bytes = Vec::new();
    let end = stream.read_to_end(&mut bytes);
    (bytes, end)
}

#[test]
fn every_feed_has_faults_of_its_own() {
    let server = simulator();
    let metrics = || {
        server
            .request("POST", "/v1/usage-metrics", &LAPI_KEY, "")
            .status
    };
    let statuses = || FEEDS.map(|(_, path, _)| get(&server, path).status);
    assert_eq!(statuses(), [200; 3]);
    for (index, (endpoint, ..)) in FEEDS.into_iter().enumerate() {
        fault(&server, endpoint, json!({"status": 503, "retry_after": 7}));
        let mut expected = [200; 3];
        expected[index] = 503;
        assert_eq!(statuses(), expected);
        server.admin("DELETE", "/admin/fault", "");
    }
    fault(&server, "usage_metrics", json!({"status": 404}));
    assert_eq!((metrics(), statuses()), (404, [200; 3]));
    fault(&server, "all", json!({"status": 500, "times": 1}));
    assert_eq!((metrics(), statuses()), (500, [500; 3]));
    assert_eq!((metrics(), statuses()), (400, [200; 3]));
}

#[test]
fn bodies_and_connections_are_damaged_on_every_feed() {
    let server = simulator();
    for (endpoint, path, _) in FEEDS {
        let page = "<html><body>Sign in</body></html>";
        fault(
            &server,
            endpoint,
            json!({"body": page, "content_type": "text/html"}),
        );
        let response = get(&server, path);
        assert_eq!((response.status, response.text()), (200, page));
        assert_eq!(response.header("content-type"), Some("text/html"));

        fault(&server, endpoint, json!({"body": ""}));
        let response = get(&server, path);
        assert_eq!((response.status, response.body.len()), (200, 0));

        fault(&server, endpoint, json!({"status": 204}));
        let response = get(&server, path);
        assert_eq!((response.status, response.body.len()), (204, 0));
        assert_eq!(response.header("content-type"), None);

        fault(
            &server,
            endpoint,
            json!({"redirect": "https://lists.example.com/new"}),
        );
        let response = get(&server, path);
        assert_eq!(response.status, 302);
        assert_eq!(
            response.header("location"),
            Some("https://lists.example.com/new")
        );
        fault(
            &server,
            endpoint,
            json!({"redirect": "/elsewhere", "status": 308}),
        );
        assert_eq!(get(&server, path).status, 308);

        fault(&server, endpoint, json!({"map": true}));
        let map = get(&server, path).json();
        let lists = map.as_object().unwrap();
        assert!(lists.values().all(Value::is_object), "{map}");

        fault(&server, endpoint, json!({"truncate_at": 10}));
        let (bytes, end) = raw(&server, path);
        end.expect("the connection is closed, not reset");
        let response = Response::parse(&bytes);
        assert_eq!(response.body.len(), 10);
        assert!(
            response
                .header("content-length")
                .unwrap()
                .parse::<usize>()
                .unwrap()
                > 10
        );

        fault(&server, endpoint, json!({"reset": true}));
        let (bytes, end) = raw(&server, path);
        assert!(bytes.is_empty());
        assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
}

#[test]
fn large_bodies_are_well_formed_in_the_format_of_the_feed() {
    let server = simulator();
    let entries = |endpoint: &str, body: &[u8]| -> usize {
        let text = std::str::from_utf8(body).unwrap();
        match endpoint {
            "decisions" => {
                let stream: Value = serde_json::from_str(text).unwrap();
                assert_eq!(stream["deleted"], json!([]));
                let new = stream["new"].as_array().unwrap();
                assert!(new.iter().all(|it| it["value"].is_string()));
                new.len()
            }
            "lists" => text
                .lines()
                .filter_map(|line| line.split(' ').next())
                .filter(|token| token.parse::<std::net::IpAddr>().is_ok())
                .collect::<std::collections::HashSet<_>>()
                .len(),
            _ => serde_json::from_str::<Vec<String>>(text).unwrap().len(),
        }
    };
    for (endpoint, path, content_type) in FEEDS {
        fault(&server, endpoint, json!({"huge_megabytes": 2}));
        let response = get(&server, path);
        assert_eq!(response.header("content-type"), Some(content_type));
        assert!((2 << 20..(2 << 20) + 1000).contains(&response.body.len()));
        assert_eq!(
            entries(endpoint, &response.body),
            2 * 1024 + 1,
            "{endpoint}"
        );

        fault(&server, endpoint, json!({"gzip_bomb_megabytes": 20}));
        let response = get(&server, path);
        assert_eq!(response.header("content-encoding"), Some("gzip"));
        assert!(response.body.len() < 100_000);
        let plain = gunzip(&response.body);
        assert!(plain.len() > 20 << 20);
        assert_eq!(entries(endpoint, &plain), 1, "{endpoint}");
    }
}

#[test]
fn a_short_list_is_valid() {
    let server = simulator();
    let gzip = [("x-api-key", "lapi_key"), ("accept-encoding", "gzip")];
    let short = |endpoint: &str, path: &str, entries: usize| {
        fault(&server, endpoint, json!({"short_after": entries}));
        let response = server.request("GET", path, &gzip, "");
        assert_eq!(response.status, 200);
        assert_eq!(response.header("etag"), None);
        assert_eq!(response.header("last-modified"), None);
        response
    };
    let [decisions, lists, tokens] = FEEDS;
    let response = short(decisions.0, decisions.1, 2);
    assert!(response.text().ends_with(r#"], "deleted": []}"#));
    let new = &response.json()["new"];
    assert_eq!(new.as_array().unwrap().len(), 2);
    assert_eq!(new[1]["value"], "192.0.2.2");
    assert_eq!(
        short(decisions.0, decisions.1, 9).json()["new"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    assert_eq!(short(lists.0, lists.1, 1).text(), "192.0.2.1\n");
    assert_eq!(
        short(tokens.0, tokens.1, 2).json(),
        json!(["t1", {"jti": "t2"}])
    );
    assert_eq!(short(tokens.0, tokens.1, 0).json(), json!([]));
    // A refusal stays as it is.
    fault(&server, decisions.0, json!({"short_after": 1}));
    assert_eq!(server.request("GET", decisions.1, &[], "").status, 403);
}

#[test]
fn invalid_faults_of_feeds_are_refused() {
    let server = simulator();
    for refused in [
        json!({"short_after": 1}),
        json!({"short_after": 1, "endpoint": "all"}),
        json!({"short_after": 1, "map": true, "endpoint": "lists"}),
        json!({"content_type": "text/html"}),
        json!({"status": 200, "content_type": "text/html"}),
        json!({"redirect": "/a", "body": "x"}),
        json!({"redirect": "a\nb"}),
        json!({"map": true, "reset": true}),
        json!({"status": 500, "endpoint": "list"}),
    ] {
        let response = server.request("POST", "/admin/fault", &[], refused.to_string());
        assert_eq!(response.status, 400, "{refused}");
        assert!(!response.error().is_empty());
    }
}
