//! Tokens: wrong ones, those of files, and what the server needs before it starts.

use std::fs;

use super::{NODE, OPERATOR, TOKENS, bearer, cookie, header, log_in, protected, with_token};
use crate::support::{Fleet, eventually};

#[test]
fn a_thousand_wrong_tokens_are_refused_and_logged_once() {
    let fleet = protected();
    let mut statuses = Vec::new();
    for number in 0..1000 {
        let token = format!("guess-0123456789-{number}");
        let path = "/v3/discovery:extension_configs";
        statuses.push(with_token(&fleet, "POST", path, &token));
    }
    assert!(statuses[..20].iter().all(|status| *status == 401));
    assert!(statuses[20..].iter().all(|status| *status == 429));
    let refused = fleet.get(
        "/unknown",
        &[("authorization", &bearer("guess-0123456789"))],
    );
    assert_eq!(refused.status(), 429);
    let seconds: u64 = header(&refused, "retry-after").parse().unwrap();
    assert!((1..=61).contains(&seconds));
    assert_eq!(log_in(&fleet, "guess-0123456789").status(), 429);
    // The right token passes: behind a proxy all clients have one address.
    let right = fleet.get("/unknown", &[("authorization", &bearer(OPERATOR))]);
    assert_eq!(right.status(), 404);
    assert_eq!(log_in(&fleet, OPERATOR).status(), 303);
    let log = fleet.log();
    assert_eq!(log.matches("wrong token").count(), 2, "{log}");
    assert_eq!(log.matches("\"log\":\"audit\"").count(), 2, "{log}");
    assert!(!log.contains("guess-"), "{log}");
}

#[test]
fn a_node_that_repeats_one_wrong_token_locks_no_other_out() {
    let fleet = protected();
    let path = "/v3/discovery:extension_configs";
    for _ in 0..100 {
        assert_eq!(with_token(&fleet, "POST", path, "before-the-rotation"), 401);
    }
    assert_ne!(with_token(&fleet, "POST", path, NODE), 429);
}

#[test]
fn a_token_file_that_changes_is_read_again_and_a_bad_one_changes_nothing() {
    let mut fleet = Fleet::new();
    let file = fleet.path("operator");
    fs::write(&file, format!("{OPERATOR}\r\n")).unwrap();
    fleet.arguments = vec![
        "--operator-token-file".to_owned(),
        file.display().to_string(),
    ];
    fleet
        .environment
        .push(("PORTCULLIS_NODE_TOKEN".to_owned(), NODE.to_owned()));
    fleet.start();
    let path = "/v3/discovery:extension_configs";
    let status = |token: &str| with_token(&fleet, "POST", path, token);
    assert_eq!(status(OPERATOR), 400);
    let session = cookie(&log_in(&fleet, OPERATOR));
    let session = [("cookie", session.as_str()), ("origin", fleet.url())];
    assert_eq!(fleet.send("POST", path, &session, "{}").status(), 400);

    for (bad, reason) in [
        ("", "is empty"),
        ("short\n", "has 5 characters"),
        ("with a space 0123456789", "has a space"),
        (NODE, "same token"),
    ] {
        fs::write(&file, bad).unwrap();
        eventually("the reason", || fleet.log().contains(reason).then_some(()));
        assert_eq!(status(OPERATOR), 400);
    }
    let new = "operator-the-second-one";
    fs::write(&file, new).unwrap();
    eventually("the new token", || (status(new) == 400).then_some(()));
    assert_eq!(status(OPERATOR), 401);
    assert_eq!(fleet.send("POST", path, &session, "{}").status(), 401);
    assert!(!fleet.log().contains(new) && !fleet.log().contains(NODE));
}

#[test]
fn a_role_without_a_token_is_open_on_loopback() {
    let mut fleet = Fleet::new();
    fleet
        .environment
        .push(("PORTCULLIS_NODE_TOKEN".to_owned(), NODE.to_owned()));
    fleet.start();
    let path = "/v3/discovery:extension_configs";
    assert_eq!(fleet.send("POST", path, &[], "{}").status(), 401);
    assert_eq!(with_token(&fleet, "POST", path, NODE), 400);
    assert_eq!(fleet.get("/unknown", &[]).status(), 404);
    assert!(fleet.log().contains("there is no operator token"));
}

/// What the program prints before it ends.
fn refusal(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let mut fleet = Fleet::new();
    fleet.arguments = arguments.iter().map(|one| (*one).to_owned()).collect();
    let mut command = fleet.command();
    command.envs(environment.iter().copied());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn an_address_that_others_reach_needs_tokens_and_tls() {
    let everywhere = ["--listen", "0.0.0.0:0"];
    let message = refusal(&everywhere, &[]);
    for part in [
        "other machines can reach 0.0.0.0:0",
        "--operator-token-file FILE or PORTCULLIS_OPERATOR_TOKEN",
        "--read-token-file FILE or PORTCULLIS_READ_TOKEN",
        "--node-token-file FILE or PORTCULLIS_NODE_TOKEN",
        "--tls-certificate FILE and --tls-key FILE",
        "--without-tls",
        "--listen 127.0.0.1:0",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    let message = refusal(&everywhere, &TOKENS);
    assert!(
        message.contains("TLS") && !message.contains("FILE or"),
        "{message}"
    );
    let message = refusal(&["--listen", "[::]:0", "--without-tls"], &TOKENS[..2]);
    assert!(
        message.contains("--node-token-file") && !message.contains("TLS"),
        "{message}"
    );

    let mut fleet = Fleet::new();
    fleet.arguments = ["--listen", "0.0.0.0:0", "--without-tls"]
        .map(str::to_owned)
        .to_vec();
    for (name, token) in TOKENS {
        fleet.environment.push((name.to_owned(), token.to_owned()));
    }
    fleet.start();
    assert!(fleet.url().starts_with("http://0.0.0.0:"));
}

#[test]
fn a_token_that_cannot_be_used_ends_the_start() {
    let long = "x".repeat(2000);
    for (token, reason) in [
        ("", "PORTCULLIS_READ_TOKEN is empty"),
        ("fifteen-letters", "has 15 characters"),
        (long.as_str(), "is too long"),
        ("umlaut-ä-0123456789", "outside of ASCII"),
        ("two-lines-01234567\nx", "a control character"),
    ] {
        let message = refusal(&[], &[("PORTCULLIS_READ_TOKEN", token)]);
        assert!(message.contains(reason), "{message}");
        assert!(token.is_empty() || !message.contains(token), "{message}");
    }
    let same = [
        ("PORTCULLIS_READ_TOKEN", OPERATOR),
        ("PORTCULLIS_OPERATOR_TOKEN", OPERATOR),
    ];
    assert!(refusal(&[], &same).contains("hold the same token"));
    let message = refusal(&["--node-token-file", "/nonexistent/token"], &[]);
    assert!(
        message.contains("/nonexistent/token can't be read"),
        "{message}"
    );
}
