use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{ACTIVE, CREDENTIALS, Response, Server, request_bytes, wait_until, with};

fn simulator() -> Server {
    let server = Server::simulator(&[]);
    server.list(r#"{"ips":["192.0.2.1","192.0.2.2"],"usernames":["bob"]}"#);
    server
}

/// The bytes before the connection ended, and how it ended.
fn raw_attack_list(server: &Server) -> (Vec<u8>, std::io::Result<usize>) {
    let mut stream = server.connect();
    stream
        .write_all(&request_bytes("GET", ACTIVE, &CREDENTIALS, b""))
        .unwrap();
    let mut bytes = Vec::new();
    let end = stream.read_to_end(&mut bytes);
    (bytes, end)
}

#[test]
fn a_status_replaces_the_response() {
    let server = simulator();
    server.fault(r#"{"status":503,"retry_after":7}"#);
    for _ in 0..3 {
        let response = server.attack_list(ACTIVE);
        assert_eq!(response.status, 503);
        assert_eq!(response.header("retry-after"), Some("7"));
        assert!(response.json().is_object());
    }
    assert_eq!(server.counter("attacklist_get"), 3);
    assert_eq!(server.counter("faults"), 3);
    server.admin("DELETE", "/admin/fault", "");
    assert_eq!(server.attack_list(ACTIVE).status, 200);
}

#[test]
fn a_fault_clears_itself_after_its_times() {
    let server = simulator();
    server.fault(r#"{"status":500,"times":2}"#);
    let statuses = [0; 4].map(|_| server.attack_list(ACTIVE).status);
    assert_eq!(statuses, [500, 500, 200, 200]);
}

#[test]
fn a_fault_affects_only_its_endpoints() {
    let server = simulator();
    let statuses = || {
        let list = server.attack_list(ACTIVE).status;
        let batch = server.request("POST", "/portcullis/v1/traffic", &CREDENTIALS, "");
        let sideband = server.sideband_call(
            "/ase/request",
            &[("x-correlationid", "1")],
            r#"{"method":"GET","url":"/"}"#,
        );
        [list, batch.status, sideband.status]
    };
    assert_eq!(statuses(), [200, 200, 200]);
    server.fault(r#"{"status":500}"#);
    assert_eq!(statuses(), [500, 200, 200]);
    server.admin("DELETE", "/admin/fault", "");
    server.fault(r#"{"status":500,"endpoint":"traffic"}"#);
    assert_eq!(statuses(), [200, 500, 500]);
    server.fault(r#"{"status":502,"endpoint":"all"}"#);
    assert_eq!(statuses(), [502, 502, 502]);
    // The admin endpoints never fail.
    assert!(server.counter("faults") > 0);
}

#[test]
fn a_batch_with_a_status_fault_is_not_kept() {
    let server = simulator();
    server.fault(r#"{"status":503,"endpoint":"traffic","times":1}"#);
    let batch = r#"{"method":"GET","url":"/"}"#;
    let send = || server.request("POST", "/portcullis/v1/traffic", &CREDENTIALS, batch);
    assert_eq!(send().status, 503);
    assert_eq!(server.counter("traffic_records"), 0);
    assert_eq!(send().status, 200);
    assert_eq!(server.counter("traffic_records"), 1);
    assert_eq!(server.counter("traffic_batches"), 2);
}

#[test]
fn a_body_replaces_the_list() {
    let server = simulator();
    server.fault(r#"{"body":"not json"}"#);
    let response = server.attack_list(ACTIVE);
    assert_eq!(response.status, 200);
    assert_eq!(response.header("content-type"), Some("application/json"));
    assert_eq!(response.body, b"not json");
    server.fault(r#"{"body":"","status":404}"#);
    let response = server.attack_list(ACTIVE);
    assert_eq!((response.status, response.body.len()), (404, 0));
}

#[test]
fn a_delay_is_before_the_response() {
    let server = simulator();
    server.fault(r#"{"delay_ms":300}"#);
    let start = Instant::now();
    let response = server.attack_list(ACTIVE);
    assert!(start.elapsed() >= Duration::from_millis(300));
    assert_eq!(response.status, 200);
    assert_eq!(response.json()["usernames"], json!(["bob"]));
    // Other connections are served while this one waits.
    server.fault(r#"{"delay_ms":600000}"#);
    let mut slow = server.connect();
    slow.write_all(&request_bytes("GET", ACTIVE, &CREDENTIALS, b""))
        .unwrap();
    wait_until("the slow request is in", || server.counter("faults") == 2);
    server.fault(r#"{"delay_ms":0}"#);
    assert_eq!(server.attack_list(ACTIVE).status, 200);
    slow.set_nonblocking(true).unwrap();
    let waits = slow.read(&mut [0]).unwrap_err();
    assert_eq!(waits.kind(), ErrorKind::WouldBlock);
}

#[test]
fn a_truncated_body_is_announced_whole_and_ends_early() {
    let server = simulator();
    let whole = server.attack_list(ACTIVE).body;
    let etag = server
        .attack_list(ACTIVE)
        .header("etag")
        .unwrap()
        .to_owned();
    for (at, sent) in [(0, 0), (10, 10), (1_000_000, whole.len() - 1)] {
        server.fault(&format!(r#"{{"truncate_at":{at}}}"#));
        let (bytes, end) = raw_attack_list(&server);
        let response = Response::parse(&bytes);
        assert_eq!(response.status, 200);
        assert_eq!(
            response.header("content-length"),
            Some(whole.len().to_string().as_str())
        );
        assert_eq!(response.body, whole[..sent], "truncated at {at}");
        end.expect("the connection is closed, not reset");
    }
    // A response without a body would hide the fault.
    let headers = with(&CREDENTIALS, &[("if-none-match", &etag)]);
    let mut stream = server.connect();
    stream
        .write_all(&request_bytes("GET", ACTIVE, &headers, b""))
        .unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    assert_eq!(Response::parse(&bytes).status, 200);
}

#[test]
fn a_large_body_is_truncated_to_the_byte() {
    let server = simulator();
    server.admin("POST", "/admin/generate", r#"{"entries":500000}"#);
    server.fault(r#"{"truncate_at":5000000}"#);
    let (bytes, end) = raw_attack_list(&server);
    end.expect("the connection is closed, not reset");
    assert_eq!(Response::parse(&bytes).body.len(), 5_000_000);
}

#[test]
fn a_reset_is_before_any_byte() {
    let server = simulator();
    server.fault(r#"{"reset":true,"times":1}"#);
    let (bytes, end) = raw_attack_list(&server);
    assert!(bytes.is_empty());
    assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
    let (bytes, _) = raw_attack_list(&server);
    assert_eq!(Response::parse(&bytes).status, 200);
}

#[test]
fn a_huge_body_is_a_well_formed_list() {
    let server = simulator();
    server.fault(r#"{"huge_megabytes":3}"#);
    let response = server.attack_list(ACTIVE);
    assert!(response.body.len() >= 3 << 20);
    assert!(response.body.len() < (3 << 20) + 100);
    assert_eq!(
        response.json()["usernames"].as_array().unwrap().len(),
        3 * 1024 + 1
    );
}

#[test]
fn a_hanging_response_sends_its_headers_and_keeps_the_connection_open() {
    let server = simulator();
    let length = server.attack_list(ACTIVE).body.len();
    server.fault(r#"{"hang_after_headers":true}"#);
    let mut stream = server.connect();
    stream
        .write_all(&request_bytes("GET", ACTIVE, &CREDENTIALS, b""))
        .unwrap();
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        bytes.extend(byte);
    }
    stream
        .set_read_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let silence = stream.read(&mut byte);
    assert_eq!(silence.unwrap_err().kind(), ErrorKind::WouldBlock);
    let response = Response::parse(&bytes);
    assert_eq!(response.status, 200);
    assert_eq!(
        response.header("content-length"),
        Some(length.to_string().as_str())
    );
    assert!(response.body.is_empty());
}

#[test]
fn a_gzip_bomb_is_small_on_the_wire_and_one_valid_member() {
    let server = simulator();
    server.fault(r#"{"gzip_bomb_megabytes":20}"#);
    let response = server.attack_list(ACTIVE);
    assert_eq!(response.header("content-encoding"), Some("gzip"));
    assert!(response.body.len() < 100_000, "{}", response.body.len());
    let mut plain = Vec::new();
    let mut decoder = flate2::bufread::GzDecoder::new(response.body.as_slice());
    decoder.read_to_end(&mut plain).unwrap();
    assert!(decoder.into_inner().is_empty(), "more than one gzip member");
    assert!(plain.len() > 20 << 20);
    let list: serde_json::Value = serde_json::from_slice(&plain).unwrap();
    assert_eq!(list, json!({"ips": ["198.51.100.1"]}));
}

#[test]
fn retry_after_combines_with_the_real_response() {
    let server = simulator();
    server.fault(r#"{"retry_after":3}"#);
    let response = server.attack_list(ACTIVE);
    assert_eq!(response.status, 200);
    assert_eq!(response.header("retry-after"), Some("3"));
    assert_eq!(response.json()["usernames"], json!(["bob"]));
}

#[test]
fn an_invalid_fault_is_refused() {
    let server = simulator();
    for refused in [
        "",
        "{}",
        r#"{"times":3}"#,
        r#"{"status":99}"#,
        r#"{"status":600}"#,
        r#"{"status":500,"times":0}"#,
        r#"{"status":500,"reset":true}"#,
        r#"{"stauts":500}"#,
        r#"{"status":500,"endpoint":"admin"}"#,
    ] {
        let response = server.request("POST", "/admin/fault", &[], refused);
        assert_eq!(response.status, 400, "{refused}");
        assert!(!response.error().is_empty());
    }
    assert_eq!(server.attack_list(ACTIVE).status, 200);
}
