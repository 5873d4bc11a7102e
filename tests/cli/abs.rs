use std::fs;

use crate::support::{Abs, Workspace, assert_session};

const LIST: &str = r#"{"ips": ["192.0.2.1", "10.0.0.7"], "cookies": {"SESSION": ["session-of-mallory"]},
    "oauth_tokens": ["token-of-mallory"], "api_keys": ["key-of-mallory"], "usernames": ["mallory"]}"#;

#[test]
fn the_attack_list_is_shown_imported_and_corrected() {
    let abs = Abs::start(&[]);
    abs.admin("POST", "/admin/load", LIST);
    let workspace = abs.workspace();
    workspace.write(
        "false-positives.json",
        r#"{"usernames": ["mallory", "nobody"]}"#,
    );
    assert_session(&workspace, "attack_list");
    let left: serde_json::Value =
        serde_json::from_str(&abs.admin("GET", "/admin/list", "")).unwrap();
    assert_eq!(
        left["active"],
        serde_json::json!({
            "ips": ["10.0.0.7"], "cookies": {}, "oauth_tokens": ["token-of-mallory"],
            "api_keys": ["key-of-mallory"], "usernames": [],
        })
    );
}

#[test]
fn an_error_of_abs_is_reported_and_changes_nothing() {
    let abs = Abs::start(&[]);
    abs.admin("POST", "/admin/load", LIST);
    let workspace = abs.workspace();
    let before = workspace.read("envoy/filter.json");
    let table = [
        (
            r#"{"status": 500}"#,
            "error: ABS at http://abs returned status 500; is this ABS's management address?\n",
        ),
        (
            r#"{"body": "<html>"}"#,
            "error: ABS at http://abs: the attack list is not JSON: expected value at line 1 column 1; \
            check that abs.cluster and abs.authority lead to ABS itself\n",
        ),
        (
            r#"{"body": "{}"}"#,
            "error: ABS at http://abs: the attack list has none of the keys ips, cookies, oauth_tokens, \
            api_keys and usernames, at the top level or under attacklist: found an empty object; check that the \
            response is ABS's attack list\n",
        ),
        (
            r#"{"hang_after_headers": true}"#,
            "error: ABS at http://abs did not respond: timed out after 1s\n",
        ),
    ];
    for (fault, words) in table {
        abs.admin("POST", "/admin/fault", fault);
        // Only a response that hangs may time out.
        let timeout = if fault.contains("hang") { "1s" } else { "60s" };
        workspace.assert_refused(
            &["attack_list", "--import-deny", "--timeout", timeout],
            1,
            words,
        );
        abs.admin("DELETE", "/admin/fault", "");
    }
    for fault in [r#"{"reset": true}"#, r#"{"truncate_at": 20}"#] {
        abs.admin("POST", "/admin/fault", fault);
        let output = workspace.run(&["attack_list", "--import-deny"]);
        let words = String::from_utf8(output.stderr).unwrap();
        assert!(
            words.starts_with("error: ABS at http://127.0.0.1:"),
            "{words}"
        );
        assert_eq!(output.status.code(), Some(1));
        abs.admin("DELETE", "/admin/fault", "");
    }
    assert_eq!(workspace.read("envoy/filter.json"), before);
}

/// A workspace whose blacklist contains 192.0.2.99, and an ABS that returns this body as its list.
fn with_body(abs: &Abs, body: &str) -> Workspace {
    let workspace = abs.workspace();
    let added = workspace.run(&["add_blacklist", "ip", "192.0.2.99"]);
    assert!(added.status.success());
    let fault = serde_json::json!({ "body": body });
    abs.admin("POST", "/admin/fault", &fault.to_string());
    workspace
}

#[test]
fn an_import_adds_usable_entries_and_reports_the_others() {
    let abs = Abs::start(&[]);
    let body = r#"{"ips": ["0.0.0.0/0", "192.0.2.1\n", "::/0", "hunter2", "0.0.0.0/1", "198.51.100.0/24", "192.0.2.1"],
                   "cookies": {"S": ["x; y", " v "], "a b": ["w"]}, "oauth_tokens": ["Bearer T", "Bearer"],
                   "usernames": [1001, "1001"]}"#;
    let workspace = with_body(&abs, body);
    let output = workspace.run(&["attack_list", "--import-deny"]);
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "note: entries of ABS's list that can't be used are skipped: entry 1 of ips: a range wider than /8 \
         (guard.widest_ipv4); entry 3 of ips: a range wider than /32 (guard.widest_ipv6); entry 4 of ips: not an \
         address or a CIDR range; entry 5 of ips: a range wider than /8 (guard.widest_ipv4); entry 1 of cookies: a \
         character that no request can carry there; entry 2 of oauth_tokens: the name of an authentication scheme\n"
    );
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "6 entries of ABS's active attack list added to blacklist, 0 were in it already\n"
    );
    let file: serde_json::Value =
        serde_json::from_str(&workspace.read("envoy/filter.json")).unwrap();
    let written = file.to_string();
    for part in [
        r#""ips":["192.0.2.99","192.0.2.1","198.51.100.0/24"]"#,
        r#""oauth_tokens":["T"]"#,
        r#""usernames":["1001"]"#,
        r#""S":["v"]"#,
        r#""a b":["w"]"#,
    ] {
        assert!(written.contains(part), "{part}: {written}");
    }
    assert!(workspace.run(&["check_config"]).status.success());
}

#[test]
fn an_import_obeys_the_guard_of_the_configuration() {
    let abs = Abs::start(&[]);
    for (widest, taken) in [(1, true), (2, false)] {
        let workspace = with_body(&abs, r#"{"ips": ["0.0.0.0/1", "192.0.2.1"]}"#);
        let file = workspace.read("envoy/filter.json");
        let guarded = file.replacen(
            "\"deny_list\"",
            &format!("\"guard\": {{\"widest_ipv4\": {widest}}}, \"deny_list\""),
            1,
        );
        assert_ne!(file, guarded);
        workspace.write("envoy/filter.json", &guarded);
        assert!(
            workspace
                .run(&["attack_list", "--import-deny"])
                .status
                .success()
        );
        let file = workspace.read("envoy/filter.json");
        assert_eq!(file.contains("0.0.0.0/1"), taken, "{file}");
        assert!(file.contains("192.0.2.1\""), "{file}");
    }
}

#[test]
fn an_empty_list_never_replaces_the_blacklist() {
    let abs = Abs::start(&[]);
    let many: Vec<_> = (0..101).map(|i| format!("10.0.0.{}", i * 3)).collect();
    let many = serde_json::json!({ "ips": many }).to_string();
    let table = [
        (
            r#"{"ips": ["0.0.0.0/0", "::/0"]}"#,
            "error: nothing of ABS's active attack list can be imported: entry 1 of ips: a range wider than /8 \
             (guard.widest_ipv4); entry 2 of ips: a range wider than /32 (guard.widest_ipv6); the blacklist was not \
             changed\n",
        ),
        (
            r#"{"ips": ["hunter2"]}"#,
            "error: ABS at http://abs: none of the entries of the attack list can be used: ips 1 of 1 (entry 1 of \
             ips: not an address or a CIDR range); check that the response is ABS's attack list\n",
        ),
        (
            r#"{"ips": ["192.0.2.1"], "usernames": "hunter2,bob"}"#,
            "error: ABS at http://abs: the attack list has an unexpected shape: found a string under usernames; expected a \
             list of user names; check that the response is ABS's attack list\n",
        ),
        (
            r#"{"message": "hunter2"}"#,
            "error: ABS at http://abs: the attack list has none of the keys ips, cookies, oauth_tokens, api_keys \
             and usernames, at the top level or under attacklist: found an object with 1 key; check that the \
             response is ABS's attack list\n",
        ),
        (
            &many,
            "error: ABS at http://abs: 15 of the 101 entries can't be used, more than guard.max_skipped_percent \
             allows: ips 15 of 101 (entry 87 of ips: not an address or a CIDR range)\n",
        ),
    ];
    for (body, words) in table {
        let workspace = with_body(&abs, body);
        let before = workspace.read("envoy/filter.json");
        for arguments in [
            &["attack_list", "--import-deny"][..],
            &["attack_list", "--import-deny", "--replace"],
        ] {
            workspace.assert_refused(arguments, 1, words);
        }
        assert_eq!(workspace.read("envoy/filter.json"), before, "{body}");
    }
    let workspace = with_body(&abs, r#"{"attacklist": {}}"#);
    let before = workspace.read("envoy/filter.json");
    workspace.assert_refused(
        &["attack_list", "--import-deny", "--replace"],
        1,
        "error: ABS's active attack list is empty: the blacklist was not replaced; clear_blacklist empties it\n",
    );
    assert!(
        workspace
            .run(&["attack_list", "--import-deny"])
            .status
            .success()
    );
    assert_eq!(workspace.read("envoy/filter.json"), before);
}

#[test]
fn wrong_keys_are_reported() {
    let abs = Abs::start(&["--access-key", "another", "--secret-key", "pair"]);
    abs.workspace().assert_refused(
        &["attack_list"],
        1,
        "error: ABS at http://abs refused the keys (status 401); check ABS_ACCESS_KEY and ABS_SECRET_KEY\n",
    );
}

#[test]
fn an_unreachable_abs_is_reported() {
    // Nobody listens on port 1, and the system assigns it to no test.
    let mut workspace = Workspace::new();
    let url = "http://127.0.0.1:1";
    workspace.set("ABS_ACCESS_KEY", "a");
    workspace.set("ABS_SECRET_KEY", "b");
    workspace.show_as(url, "http://abs");
    workspace.assert_refused(
        &["attack_list", "--abs", url],
        1,
        "error: ABS at http://abs did not respond: io: Connection refused (os error 111)\n",
    );
}

#[test]
fn a_list_of_the_largest_size_is_imported_completely() {
    let abs = Abs::start(&[]);
    abs.admin(
        "POST",
        "/admin/generate",
        r#"{"entries": 5000, "kinds": "mixed", "seed": 1}"#,
    );
    let workspace = abs.workspace();
    let output = workspace.run(&["attack_list", "--import-deny"]);
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "5000 entries of ABS's active attack list added to blacklist, 0 were in it already\n"
    );
    let valid = workspace.run(&["check_config"]);
    assert!(valid.status.success());
}

#[test]
fn a_list_that_is_too_long_is_not_imported() {
    let abs = Abs::start(&[]);
    abs.admin(
        "POST",
        "/admin/generate",
        r#"{"entries": 20000, "kinds": "mixed", "seed": 1}"#,
    );
    let workspace = abs.workspace();
    let before = workspace.read("envoy/filter.json");
    let output = workspace.run(&["attack_list", "--import-deny"]);
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(
        words.contains("deny_list: found 20000 entries") && words.contains("enable_abs_attack"),
        "{words}"
    );
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(workspace.read("envoy/filter.json"), before);
}

#[test]
fn the_certificate_of_abs_is_checked() {
    let workspace = Workspace::new();
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_certificate = authority.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()])
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    workspace.write("ca.pem", &authority_certificate.pem());
    workspace.write("abs.pem", &certificate.pem());
    workspace.write("abs.key", &key.serialize_pem());
    workspace.write("empty.pem", "");
    let path = |name: &str| workspace.path(name).display().to_string();
    let abs = Abs::start(&[
        "--tls-cert",
        &path("abs.pem"),
        "--tls-key",
        &path("abs.key"),
    ]);
    assert!(abs.url.starts_with("https://"), "{}", abs.url);
    let trusting = abs.workspace();
    fs::copy(path("ca.pem"), trusting.path("ca.pem")).unwrap();
    fs::copy(path("empty.pem"), trusting.path("empty.pem")).unwrap();
    for arguments in [&["--ca", "ca.pem"][..], &["--insecure"]] {
        let output = trusting.run(&[&["attack_list"], arguments].concat());
        assert_eq!(
            String::from_utf8(output.stdout).unwrap(),
            "ABS's active attack list is empty\n"
        );
        assert!(output.status.success());
    }
    let unknown = trusting.run(&["attack_list"]);
    let words = String::from_utf8(unknown.stderr).unwrap();
    assert!(
        words.contains("UnknownIssuer") && words.contains("a certificate that this machine trusts"),
        "{words}"
    );
    assert_eq!(unknown.status.code(), Some(1));
    // The reverse: TLS to a server without it.
    let plain = Abs::start(&[]);
    let url = plain.url.replace("http://", "https://");
    let no_tls = trusting.run(&["attack_list", "--abs", &url]);
    let words = String::from_utf8(no_tls.stderr).unwrap();
    assert!(words.contains("check that the server uses TLS"), "{words}");
    assert_eq!(no_tls.status.code(), Some(1));
    trusting.assert_refused(
        &["attack_list", "--ca", "empty.pem"],
        1,
        "error: empty.pem can't be read as certificates in PEM form: it holds no certificate\n",
    );
}
