use serde_json::{Value, json};

use crate::support::{Server, gunzip};

fn get(server: &Server, path: &str, headers: &[(&str, &str)]) -> crate::support::Response {
    server.request("GET", path, headers, "")
}

#[test]
fn a_stored_list_is_served_as_it_was_sent() {
    let server = Server::simulator(&[]);
    let text = "# comment\r\n192.0.2.1\n198.51.100.0/24 ; SBL1\n";
    for (path, content_type) in [
        ("/lists/drop", "text/plain; charset=utf-8"),
        ("/tokens/revoked", "application/json"),
    ] {
        assert_eq!(get(&server, path, &[]).status, 404);
        server.admin("PUT", &format!("/admin{path}"), text);
        let response = get(&server, path, &[]);
        assert_eq!(response.status, 200);
        assert_eq!(response.text(), text);
        assert_eq!(response.header("content-type"), Some(content_type));
        assert_eq!(response.header("vary"), Some("accept-encoding"));
        let head = server.request("HEAD", path, &[], "");
        assert_eq!(head.status, 200);
        server.admin("DELETE", &format!("/admin{path}"), "");
        assert_eq!(get(&server, path, &[]).status, 404);
        let again = server.request("DELETE", &format!("/admin{path}"), &[], "");
        assert_eq!(again.status, 404);
    }
    assert_eq!(server.counter("lists_get"), 3);
    assert_eq!(server.counter("tokens_get"), 3);
}

#[test]
fn an_unchanged_list_is_not_sent_again() {
    let server = Server::simulator(&[]);
    server.admin("PUT", "/admin/lists/a", "192.0.2.1\n");
    let first = get(&server, "/lists/a", &[]);
    let etag = first.header("etag").unwrap();
    let modified = first.header("last-modified").unwrap();
    let old = "Thu, 01 Jan 2026 00:00:00 GMT";
    let table: [(&[(&str, &str)], u16); 8] = [
        (&[("if-none-match", etag)], 304),
        (&[("if-none-match", "\"other\", W/\"x\"")], 200),
        (&[("if-none-match", "*")], 304),
        (&[("if-modified-since", modified)], 304),
        (&[("if-modified-since", old)], 200),
        (&[("if-modified-since", "yesterday")], 200),
        // Tags take precedence over the date.
        (
            &[
                ("if-none-match", "\"other\""),
                ("if-modified-since", modified),
            ],
            200,
        ),
        (&[("if-none-match", etag), ("if-modified-since", old)], 304),
    ];
    for (headers, status) in table {
        let response = get(&server, "/lists/a", headers);
        assert_eq!(response.status, status, "{headers:?}");
        assert_eq!(response.header("etag"), Some(etag));
        assert_eq!(response.header("last-modified"), Some(modified));
        assert_eq!(response.body.is_empty(), status == 304);
    }
    assert_eq!(server.counter("documents_not_modified"), 4);

    // The same bytes are no change; others are, even within the same second.
    server.admin("PUT", "/admin/lists/a", "192.0.2.1\n");
    let headers = [("if-modified-since", modified)];
    assert_eq!(get(&server, "/lists/a", &headers).status, 304);
    server.admin("PUT", "/admin/lists/a", "192.0.2.2\n");
    assert_eq!(get(&server, "/lists/a", &headers).status, 200);
    let headers = [("if-none-match", etag)];
    assert_eq!(get(&server, "/lists/a", &headers).status, 200);
}

#[test]
fn validators_and_credentials_are_options_of_a_list() {
    let server = Server::simulator(&[]);
    server.admin("PUT", "/admin/lists/dates?etag=false", "192.0.2.1\n");
    server.admin(
        "PUT",
        "/admin/lists/tags?last_modified=false",
        "192.0.2.1\n",
    );
    let dates = get(&server, "/lists/dates", &[]);
    assert_eq!(dates.header("etag"), None);
    let modified = dates.header("last-modified").unwrap();
    let tags = get(&server, "/lists/tags", &[]);
    assert_eq!(tags.header("last-modified"), None);
    let etag = tags.header("etag").unwrap();
    let both = [("if-none-match", etag), ("if-modified-since", modified)];
    assert_eq!(get(&server, "/lists/dates", &both).status, 304);
    assert_eq!(get(&server, "/lists/tags", &both[1..]).status, 200);
    assert_eq!(get(&server, "/lists/tags", &both).status, 304);

    let target = "/admin/lists/paid?header=authorization&value=Basic%20dTpw";
    server.admin("PUT", target, "192.0.2.1\n");
    assert_eq!(get(&server, "/lists/paid", &[]).status, 401);
    let wrong = [("authorization", "Basic eDp5")];
    assert_eq!(get(&server, "/lists/paid", &wrong).status, 401);
    let right = [("authorization", "Basic dTpw")];
    assert_eq!(get(&server, "/lists/paid", &right).status, 200);
    assert_eq!(server.counter("documents_unauthorized"), 2);
    let refused = server.request("PUT", "/admin/lists/a?tag=false", &[], "");
    assert_eq!(refused.status, 400);
}

#[test]
fn large_lists_are_generated_and_compressed() {
    let server = Server::simulator(&[]);
    let generate = |path: &str, body: &str| server.admin("POST", path, body);
    generate("/admin/lists/a/generate", r#"{"entries":100000,"seed":2}"#);
    let gzip = [("accept-encoding", "gzip")];
    let response = get(&server, "/lists/a", &gzip);
    assert_eq!(response.header("content-encoding"), Some("gzip"));
    let etag = response.header("etag").unwrap();
    let text = String::from_utf8(gunzip(&response.body)).unwrap();
    assert_eq!(text.lines().count(), 100_001);
    assert!(text.starts_with("# generated\n11.16.0.0\n11.16.0.1\n"));
    assert!(text.ends_with("\n11.17.134.159\n"));
    let headers = [("accept-encoding", "gzip"), ("if-none-match", etag)];
    assert_eq!(get(&server, "/lists/a", &headers).status, 304);

    generate(
        "/admin/lists/b/generate",
        r#"{"entries":6,"kinds":"mixed"}"#,
    );
    assert_eq!(
        get(&server, "/lists/b", &[]).text(),
        "# generated\n11.0.0.0\n2001:db8::1:0:0\n32.0.0.0/28\n11.0.0.1\n2001:db8::1:0:1\n32.0.0.16/28\n"
    );
    generate("/admin/tokens/t/generate", r#"{"entries":2}"#);
    assert_eq!(
        get(&server, "/tokens/t", &[]).json(),
        json!([
            "tok-00000001-000000000000000000000000000000",
            "tok-00000001-000000000000000000000000000001",
        ])
    );
    let refused = server.request("POST", "/admin/tokens/t/generate", &[], r#"{"entries":0}"#);
    assert_eq!(refused.status, 400);
}

#[test]
fn lists_and_tokens_of_one_name_are_different() {
    let server = Server::simulator(&[]);
    server.admin("PUT", "/admin/lists/a", "192.0.2.1\n");
    server.admin("PUT", "/admin/tokens/a", r#"[{"jti":"1","aud":"a"},"2"]"#);
    assert_eq!(get(&server, "/lists/a", &[]).text(), "192.0.2.1\n");
    let tokens: Value = get(&server, "/tokens/a", &[]).json();
    assert_eq!(tokens, json!([{"jti": "1", "aud": "a"}, "2"]));
}
