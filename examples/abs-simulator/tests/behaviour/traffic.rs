use serde_json::{Value, json};

use crate::support::{ACTIVE, CREDENTIALS, Response, SIMULATOR, Server, gzip, with};

const BATCH: &str = "/portcullis/v1/traffic";

fn send(server: &Server, records: &[Value]) -> Response {
    let lines: Vec<String> = records.iter().map(Value::to_string).collect();
    server.request("POST", BATCH, &CREDENTIALS, lines.join("\n"))
}

fn record(status: &str, headers: Value) -> Value {
    json!({
        "correlation_id": "id-1", "source_ip": "192.0.2.7", "source_port": 52000, "method": "GET",
        "url": "/shop/cart?x=1", "http_version": "1.1", "headers": headers, "user_info": [],
        "response_code": status, "response_status": "", "response_headers": [{"content-type": "text/plain"}],
        "api_id": "shop", "time": 1_790_000_000_000_u64, "duration_ms": 12, "verdict": "allowed", "blocked": false,
    })
}

#[test]
fn a_batch_is_kept_unchanged() {
    let server = Server::simulator(&[]);
    let records: Vec<Value> = (0..5)
        .map(|number| {
            let mut record = record("200", json!([{"host": "api.example.com"}]));
            record["correlation_id"] = json!(number.to_string());
            record["more"] = json!("fields it does not know are kept");
            record
        })
        .collect();
    let response = send(&server, &records);
    assert_eq!(
        (response.status, response.json()),
        (200, json!({"accepted": 5}))
    );
    let kept = server.admin("GET", "/admin/records", "").json();
    assert_eq!(kept, Value::from(records.clone()));
    let page = server.admin("GET", "/admin/records?offset=3&limit=1", "");
    assert_eq!(page.json(), Value::from(&records[3..4]));
    let page = server.admin("GET", "/admin/records?offset=9", "");
    assert_eq!(page.json(), json!([]));
    server.admin("DELETE", "/admin/records", "");
    assert_eq!(server.admin("GET", "/admin/records", "").json(), json!([]));
    assert_eq!(server.counter("traffic_records"), 5);
    assert_eq!(server.counter("traffic_batches"), 1);
}

#[test]
fn a_batch_may_be_compressed() {
    let server = Server::simulator(&[]);
    let line = record("200", json!([])).to_string();
    let body = gzip(format!("{line}\n\n{line}\r\n").as_bytes());
    let headers = with(&CREDENTIALS, &[("content-encoding", "gzip")]);
    let response = server.request("POST", BATCH, &headers, &body);
    assert_eq!(
        (response.status, response.json()),
        (200, json!({"accepted": 2}))
    );
    assert_eq!(server.counter("traffic_bytes"), body.len() as u64);
    assert_eq!(server.request("POST", BATCH, &headers, &line).status, 400);
    let headers = with(&CREDENTIALS, &[("content-encoding", "br")]);
    assert_eq!(server.request("POST", BATCH, &headers, &line).status, 415);
    let bomb = gzip(&vec![b'\n'; (64 << 20) + 1]);
    let headers = with(&CREDENTIALS, &[("content-encoding", "gzip")]);
    assert_eq!(server.request("POST", BATCH, &headers, bomb).status, 413);
}

#[test]
fn a_batch_with_a_bad_line_is_refused_whole() {
    let server = Server::simulator(&[]);
    let good = record("200", json!([])).to_string();
    for bad in [
        "not json",
        "[]",
        r#"{"url":"/"}"#,
        r#"{"method":"GET","url":"/","response_code":200}"#,
        r#"{"method":"GET","url":"/","headers":{"host":"a"}}"#,
    ] {
        let response = server.request("POST", BATCH, &CREDENTIALS, format!("{good}\n{bad}\n"));
        assert_eq!(response.status, 400, "{bad}");
        assert!(response.error().contains("line 2"), "{}", response.error());
    }
    assert_eq!(server.counter("traffic_records"), 0);
    assert_eq!(server.counter("traffic_bytes"), 0);
}

#[test]
fn a_batch_needs_both_credentials() {
    let server = Server::simulator(&[]);
    for headers in [&CREDENTIALS[..1], &CREDENTIALS[1..], &[]] {
        let response = server.request("POST", BATCH, headers, record("200", json!([])).to_string());
        assert_eq!(response.status, 401);
    }
    assert_eq!(server.counter("traffic_unauthorized"), 3);
    assert_eq!(server.counter("attacklist_unauthorized"), 0);
    assert_eq!(server.counter("traffic_records"), 0);
}

#[test]
fn the_tenth_401_within_a_minute_lists_the_most_specific_identifier() {
    let authorization = |value: &str| json!([{"Authorization": value}, {"cookie": "SESSION=s1"}]);
    let table = [
        (
            authorization("bearer token-1"),
            json!([{"username": "bob"}]),
            ("oauth_tokens", json!(["token-1"])),
        ),
        (
            json!([{"cookie": "SESSION=\"s1\"; theme=dark"}, {"x-api-key": "key-1"}]),
            json!([]),
            ("cookies", json!({"SESSION": ["s1"]})),
        ),
        (
            json!([{"X-API-Key": "key-1"}]),
            json!([{"username": "bob"}]),
            ("api_keys", json!(["key-1"])),
        ),
        (
            json!([]),
            json!([{"username": "bob"}]),
            ("usernames", json!(["bob"])),
        ),
        (
            // "carol:secret"
            json!([{"authorization": "Basic Y2Fyb2w6c2VjcmV0"}]),
            json!([]),
            ("usernames", json!(["carol"])),
        ),
        (
            json!([{"authorization": "Basic !"}]),
            json!([]),
            ("ips", json!(["192.0.2.7"])),
        ),
    ];
    for (headers, user_info, (kind, expected)) in table {
        let server = Server::simulator(&[]);
        let mut denied = record("401", headers.clone());
        denied["user_info"] = user_info;
        let mut expected_list =
            json!({"ips": [], "cookies": {}, "oauth_tokens": [], "api_keys": [], "usernames": []});
        send(&server, &vec![denied.clone(); 9]);
        assert_eq!(server.active(), expected_list, "nine for {headers}");
        send(&server, &[denied]);
        expected_list[kind] = expected;
        assert_eq!(server.active(), expected_list, "ten for {headers}");
        assert_eq!(server.counter("detected"), 1);
    }
}

#[test]
fn statuses_other_than_401_denied_requests_and_slow_clients_are_not_listed() {
    let server = Server::simulator(&["--detect-unauthorized-per-minute", "3"]);
    let unauthorized = record("401", json!([]));
    let mut blocked = unauthorized.clone();
    blocked["blocked"] = json!(true);
    send(&server, &vec![blocked; 20]);
    send(&server, &vec![record("403", json!([])); 20]);
    assert_eq!(server.active()["ips"], json!([]));

    // One each 30 seconds never makes three within 60.
    let at = |seconds: u64| {
        let mut record = unauthorized.clone();
        record["time"] = json!(1_790_000_000_000_u64 + seconds * 1000);
        record
    };
    send(&server, &[at(0), at(30), at(60), at(90), at(120)]);
    assert_eq!(server.active()["ips"], json!([]));
    // A late record counts at its own time: 90, 100, 120.
    send(&server, &[at(100)]);
    assert_eq!(server.active()["ips"], json!(["192.0.2.7"]));

    // After removal from the list, the client starts again from zero.
    server.admin("DELETE", "/admin/list", "");
    send(&server, &[at(121), at(122)]);
    assert_eq!(server.active()["ips"], json!([]));
    send(&server, &[at(123)]);
    assert_eq!(server.active()["ips"], json!(["192.0.2.7"]));
}

#[test]
fn too_many_requests_list_a_client_only_with_the_flag() {
    let records = vec![record("200", json!([])); 50];
    let server = Server::simulator(&[]);
    send(&server, &records);
    assert_eq!(server.active()["ips"], json!([]));
    let server = Server::simulator(&[
        "--detect-requests-per-minute",
        "50",
        "--detect-unauthorized-per-minute",
        "0",
    ]);
    send(&server, &vec![record("401", json!([])); 49]);
    assert_eq!(server.active()["ips"], json!([]));
    send(&server, &records[..1]);
    assert_eq!(server.active()["ips"], json!(["192.0.2.7"]));
}

#[test]
fn the_session_cookie_can_be_named() {
    let headers = json!([{"cookie": "theme=dark; sid=s1"}]);
    let table: [(&[&str], Value); 3] = [
        (&[], json!({"theme": ["dark"]})),
        (&["--session-cookie", "sid"], json!({"sid": ["s1"]})),
        (&["--session-cookie", "SESSION"], json!({})),
    ];
    for (flags, expected) in table {
        let server = Server::simulator(flags);
        send(&server, &vec![record("401", headers.clone()); 10]);
        assert_eq!(server.active()["cookies"], expected, "{flags:?}");
    }
}

#[test]
fn addresses_are_listed_in_their_usual_spelling() {
    let server = Server::simulator(&["--detect-unauthorized-per-minute", "2"]);
    let mut first = record("401", json!([]));
    first["source_ip"] = json!("::ffff:192.0.2.7");
    send(&server, &[first, record("401", json!([]))]);
    assert_eq!(server.active()["ips"], json!(["192.0.2.7"]));
}

const REQUEST: &str = r#"{"source_ip":"192.0.2.7","source_port":52000,"method":"GET","url":"/shop",
    "http_version":"1.1","headers":[{"host":"api.example.com"}],"user_info":[{"username":"bob"}]}"#;
const RESPONSE: &str = r#"{"response_code":"401","response_status":"Unauthorized","http_version":"1.1",
    "headers":[{"content-type":"text/plain"}]}"#;

#[test]
fn sideband_calls_are_paired_into_a_record() {
    let server = Server::simulator(&[]);
    let id = [("X-CorrelationID", "id-7")];
    let response = server.sideband_call("/ase/request", &id, REQUEST);
    assert_eq!(response.status, 200);
    assert_eq!(server.admin("GET", "/admin/records", "").json(), json!([]));
    let other = [("X-CorrelationID", "id-8")];
    let response = server.sideband_call("/ase/response", &other, RESPONSE);
    assert_eq!(response.status, 400);
    let response = server.sideband_call("/ase/response", &id, RESPONSE);
    assert_eq!(response.status, 200);
    let records = server.admin("GET", "/admin/records", "").json();
    assert_eq!(records.as_array().unwrap().len(), 1);
    let expected = json!({
        "correlation_id": "id-7", "source_ip": "192.0.2.7", "method": "GET", "url": "/shop",
        "user_info": [{"username": "bob"}], "response_code": "401", "blocked": false,
        "response_headers": [{"content-type": "text/plain"}],
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&records[0][field], value, "{field}");
    }
    // A request has one response.
    let response = server.sideband_call("/ase/response", &id, RESPONSE);
    assert_eq!(response.status, 400);
    let counters = ["ase_request", "ase_response", "traffic_records"];
    assert_eq!(counters.map(|name| server.counter(name)), [1, 3, 1]);
}

#[test]
fn abs_and_ase_have_separate_addresses() {
    let server = Server::simulator(&[]);
    let id = [("X-CorrelationID", "id-7")];
    for path in ["/ase/request", "/ase/response"] {
        assert_eq!(server.request("POST", path, &id, REQUEST).status, 404);
    }
    for path in [BATCH, ACTIVE, "/admin/counters"] {
        assert_eq!(server.sideband_call(path, &CREDENTIALS, "").status, 404);
    }
    let table: [&[&str]; 2] = [&["--ase-nodes", "0"], &["--listen-sideband", "localhost"]];
    for flags in table {
        let output = std::process::Command::new(SIMULATOR).args(flags).output();
        assert!(!output.unwrap().status.success(), "{flags:?}");
    }
}

#[test]
fn a_node_knows_only_its_own_requests() {
    let server = Server::simulator(&["--ase-nodes", "2"]);
    let id = ("X-CorrelationID", "id-7");
    let response = server.sideband_call("/ase/request", &[id], REQUEST);
    assert_eq!(
        response.header("set-cookie"),
        Some("PISESSIONID=node-0; Max-Age=180")
    );
    for (headers, status) in [
        // This one goes to the other node.
        (&[id][..], 400),
        (&[id, ("cookie", "PISESSIONID=node-1")], 400),
        (&[id, ("cookie", "a=b; PISESSIONID=node-0")], 200),
    ] {
        let response = server.sideband_call("/ase/response", headers, RESPONSE);
        assert_eq!(response.status, status, "{headers:?}");
    }
}

#[test]
fn user_and_client_are_kept() {
    let server = Server::simulator(&[]);
    let id = [("X-CorrelationID", "id-7")];
    let mut request: Value = serde_json::from_str(REQUEST).unwrap();
    request["user_info"] = json!([{"username": "bob"}, {"client_id": "app-1"}]);
    server.sideband_call("/ase/request", &id, request.to_string());
    server.sideband_call("/ase/response", &id, RESPONSE);
    let records = server.admin("GET", "/admin/records", "").json();
    assert_eq!(records[0]["user_info"], request["user_info"]);
}

#[test]
fn the_sideband_detects_and_returns_403_to_listed_clients() {
    let server = Server::simulator(&["--detect-unauthorized-per-minute", "2"]);
    let call = |id: &str| {
        let id = [("x-correlationid", id)];
        let asked = server.sideband_call("/ase/request", &id, REQUEST).status;
        if asked == 200 {
            server.sideband_call("/ase/response", &id, RESPONSE);
        }
        asked
    };
    assert_eq!([call("1"), call("2"), call("3")], [200, 200, 403]);
    assert_eq!(server.active()["usernames"], json!(["bob"]));
    let records = server.admin("GET", "/admin/records?offset=2", "").json();
    assert_eq!(records[0]["blocked"], json!(true));
    assert_eq!(records[0]["correlation_id"], json!("3"));

    server.admin("POST", "/admin/load", r#"{"ips":["192.0.2.7"]}"#);
    assert_eq!(call("4"), 403);
    server.admin("DELETE", "/admin/list", "");
    assert_eq!(call("5"), 200);
}

#[test]
fn the_sideband_requires_its_token_and_the_id() {
    let server = Server::simulator(&["--ase-token", "secret"]);
    for path in ["/ase/request", "/ase/response"] {
        for headers in [
            &[("x-correlationid", "1")][..],
            &[("x-correlationid", "1"), ("ase-token", "wrong")],
        ] {
            assert_eq!(server.sideband_call(path, headers, REQUEST).status, 401);
        }
        let response = server.sideband_call(path, &[("ase-token", "secret")], REQUEST);
        assert_eq!(response.status, 400);
        assert!(response.error().contains("X-CorrelationID"));
    }
    let headers = [("x-correlationid", "1"), ("ASE-Token", "secret")];
    let response = server.sideband_call("/ase/request", &headers, REQUEST);
    assert_eq!(response.status, 200);
    let response = server.sideband_call("/ase/request", &headers, r#"{"method":"GET"}"#);
    assert_eq!(response.status, 400);
}
