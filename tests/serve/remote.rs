//! The commands with `--server`: the same as with `--config`, at the server.

use std::fs;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::listener::Authority;
use crate::relay::upstream::Upstream;
use crate::support::{Fleet, eventually, filter};

const PORTCULLIS: &str = env!("CARGO_BIN_EXE_portcullis");

/// Variables of an environment.
type Pairs<'a> = &'a [(&'a str, &'a str)];

fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(PORTCULLIS)
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn started_with(configuration: &Value) -> Fleet {
    let mut fleet = Fleet::new();
    fleet.write("portcullis.json", &format!("{:#}\n", filter(configuration)));
    fleet.start();
    fleet
}

#[test]
fn every_command_does_at_the_server_what_it_does_to_a_file() {
    let configuration = json!({
        "enable_firewall": false,
        "abs": {"cluster": "abs", "secret_key": "SECRET-KEY"},
        "deny_list": {"usernames": ["SECRET-NAME"]},
    });
    let fleet = started_with(&configuration);
    let local = fleet.path("local.json");
    fs::copy(fleet.path("filters/portcullis.json"), &local).unwrap();
    let commands: [&[&str]; 35] = [
        &["enable_firewall"],
        &["enable_firewall"],
        &["enable_firewall", "--dry-run"],
        &["disable_firewall", "--dry-run"],
        &["enable_abs"],
        &["disable_abs"],
        &["enable_abs_attack"],
        &["disable_abs_attack"],
        &["add_blacklist", "ip", "192.0.2.0/24"],
        &["add_blacklist", "ip", "192.0.2.0/24"],
        &["add_blacklist", "cookie", "S", "SECRET-COOKIE"],
        &["add_blacklist", "token", "SECRET-TOKEN", "--output", "json"],
        &["add_blacklist", "api_key", "SECRET-API-KEY"],
        &["add_whitelist", "username", "SECRET-USER"],
        &["add_whitelist", "ip", "not-an-address"],
        &["view_blacklist", "manual"],
        &[
            "view_blacklist",
            "manual",
            "--show-secrets",
            "--output",
            "json",
        ],
        &["view_whitelist"],
        &["delete_blacklist", "ip", "192.0.2.0/24"],
        &["delete_blacklist", "ip", "192.0.2.0/24"],
        &["clear_whitelist"],
        &["check_config"],
        &["set", "abs_attack_request_minutes", "2.5"],
        &["set", "abs_attack_request_minutes", "0"],
        &["set", "abs.secret_key", "SECRET-KEY-2", "--output", "json"],
        &["get", "abs_attack_request_minutes"],
        &["get", "abs.secret_key"],
        &["get"],
        &["shadow", "on"],
        &["shadow", "off"],
        &[
            "explain",
            "--ip",
            "192.0.2.1",
            "-H",
            "cookie: S=SECRET-COOKIE",
        ],
        &["feeds", "list", "--output", "json"],
        &["disable_firewall"],
        &["clear_blacklist"],
        &["clear_blacklist"],
    ];
    for command in commands {
        let of_file: Vec<&str> = [&["--config", local.to_str().unwrap()], command].concat();
        let of_server: Vec<&str> = [&["--server", fleet.url()], command].concat();
        let (of_file, of_server) = (run(&of_file, &[]), run(&of_server, &[]));
        let plain = |text: String| {
            let file = local.display().to_string();
            let server = format!("the filter of {}", fleet.url());
            text.replace(&file, "FILE").replace(&server, "FILE")
        };
        assert_eq!(of_server.status, of_file.status, "{command:?}");
        assert_eq!(
            plain(stderr(&of_server)),
            plain(stderr(&of_file)),
            "{command:?}"
        );
        match command[0] {
            // The server knows more.
            "feeds" => assert!(stdout(&of_server).contains("relayed")),
            // The command names its own options.
            "explain" => {
                assert!(stdout(&of_server).contains("denied manual cookie"));
                assert!(stdout(&of_file).contains("denied manual cookie"));
            }
            _ => assert_eq!(
                plain(stdout(&of_server)),
                plain(stdout(&of_file)),
                "{command:?}"
            ),
        }
        assert_eq!(
            fs::read_to_string(fleet.path("filters/portcullis.json")).unwrap(),
            fs::read_to_string(&local).unwrap(),
            "{command:?}"
        );
    }
    assert!(!fleet.log().contains("SECRET"), "{}", fleet.log());
}

#[test]
fn edits_of_several_operators_at_once_all_count() {
    let fleet = started_with(&json!({}));
    std::thread::scope(|scope| {
        for n in 1..=3 {
            let url = fleet.url();
            scope.spawn(move || {
                let address = format!("192.0.2.{n}");
                let added = run(&["--server", url, "add_blacklist", "ip", &address], &[]);
                assert!(added.status.success(), "{}", stderr(&added));
            });
        }
    });
    let listed = stdout(&run(
        &["--server", fleet.url(), "view_blacklist", "manual"],
        &[],
    ));
    assert_eq!(listed.lines().count(), 4, "{listed}");
}

#[test]
fn the_server_describes_the_fleet() {
    let fleet = started_with(&json!({}));
    let first = fleet.discover("edge-1", "portcullis", "");
    assert_eq!(first.status(), 200);
    let status = run(&["--server", fleet.url(), "status"], &[]);
    let text = stdout(&status);
    assert!(
        text.contains("firewall                : enabled"),
        "{text}{}",
        stderr(&status)
    );
    assert!(
        text.lines()
            .any(|line| line.starts_with("nodes ") && line.contains('1'))
    );
    let nodes = stdout(&run(&["--server", fleet.url(), "nodes"], &[]));
    assert!(nodes.contains("edge-1"), "{nodes}");
    let feeds = stdout(&run(&["--server", fleet.url(), "feeds", "list"], &[]));
    assert!(feeds.contains("the server relays no feeds"), "{feeds}");
}

#[test]
fn one_place_counts_and_mistakes_are_explained() {
    let fleet = started_with(&json!({}));
    let url = fleet.url();
    let file = fleet.path("local.json");
    fs::copy(fleet.path("filters/portcullis.json"), &file).unwrap();
    let file = file.to_str().unwrap();
    let of_server = [("PORTCULLIS_SERVER", url)];
    let of_both = [("PORTCULLIS_SERVER", url), ("PORTCULLIS_CONFIG", file)];

    let refused: [(&[&str], Pairs, i32, &str); 7] = [
        (
            &["--server", url, "--config", file, "status"],
            &[],
            2,
            "--server and --config",
        ),
        (
            &["status"],
            &of_both,
            2,
            "PORTCULLIS_SERVER and PORTCULLIS_CONFIG",
        ),
        (
            &["--server", url, "--name", "other", "status"],
            &[],
            1,
            "there is: portcullis",
        ),
        (
            &["--server", url, "--name", "../x", "status"],
            &[],
            1,
            "there is: portcullis",
        ),
        (
            &["--server", "ftp://x", "status"],
            &[],
            2,
            "the server of a fleet",
        ),
        (
            &["--server", "http://127.0.0.1:1", "status"],
            &[],
            1,
            "did not respond",
        ),
        (&["nodes"], &[], 2, "--server URL is missing"),
    ];
    for (arguments, environment, code, words) in refused {
        let output = run(arguments, environment);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
    }
    // An option counts more than an environment variable.
    let output = run(&["--config", file, "disable_firewall"], &of_server);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(
        fs::read_to_string(file)
            .unwrap()
            .contains("enable_firewall")
    );
    let output = run(&["--server", url, "disable_abs", "--dry-run"], &of_both);
    assert!(stdout(&output).contains(url), "{}", stderr(&output));

    fleet.write("second.json", &filter(&json!({})).to_string());
    let several = crate::support::eventually("both filters", || {
        let output = run(&["status"], &of_server);
        stderr(&output).contains("several").then_some(output)
    });
    assert!(stderr(&several).contains("portcullis, second"));
    assert!(
        run(&["--name", "second", "enable_firewall"], &of_server)
            .status
            .success()
    );
}

#[test]
fn the_certificate_of_the_server_is_checked() {
    let mut fleet = Fleet::new();
    let authority = Authority::new();
    let (certificate, key) = authority.issue("fleet.example");
    for (name, text) in [
        ("tls.crt", &certificate),
        ("tls.key", &key),
        ("ca.pem", &authority.1),
        ("other.pem", &Authority::new().1),
    ] {
        fs::write(fleet.path(name), text).unwrap();
    }
    let path = |name: &str| fleet.path(name).display().to_string();
    let (certificate, key) = (path("tls.crt"), path("tls.key"));
    let (ca, other, token) = (path("ca.pem"), path("other.pem"), path("token"));
    let options = ["--tls-certificate", &certificate, "--tls-key", &key];
    fleet.arguments = options.map(str::to_owned).to_vec();
    let operator = "operator-0123456789";
    fs::write(&token, operator).unwrap();
    let variable = "PORTCULLIS_OPERATOR_TOKEN".to_owned();
    fleet.environment.push((variable, operator.to_owned()));
    fleet.start();
    let with = |ca: &str| {
        let url = fleet.url();
        // After the command too.
        let options = ["--server", url, "--server-ca", ca, "--token-file", &token];
        run(&[&["disable_firewall"], options.as_slice()].concat(), &[])
    };
    let refused = with(&other);
    assert_eq!(refused.status.code(), Some(1), "{}", stderr(&refused));
    assert!(
        stderr(&refused).contains("certificate"),
        "{}",
        stderr(&refused)
    );
    let done = with(&ca);
    assert_eq!(
        stdout(&done),
        "Firewall is now disabled\n",
        "{}",
        stderr(&done)
    );
}

#[test]
fn a_server_without_filters_shows_what_it_relays() {
    let upstream = Upstream::of_json(&json!(["token-1"]));
    let mut fleet = Fleet::new();
    fs::remove_file(fleet.path("filters/portcullis.json")).unwrap();
    let relay = json!({
        "feeds": [{"name": "revoked", "format": "tokens", "cluster": "auth", "path": "/revoked.json"}],
        "upstreams": {"auth": upstream.url},
    });
    fs::write(fleet.path("relay.json"), relay.to_string()).unwrap();
    let file = fleet.path("relay.json").display().to_string();
    fleet.arguments = vec!["--relay".to_owned(), file];
    fleet.start();
    let environment = [("PORTCULLIS_SERVER", fleet.url())];
    for command in [&["status"][..], &["feeds", "list"]] {
        let output = eventually("the list", || {
            let output = run(command, &environment);
            stdout(&output).contains("token_claims 1").then_some(output)
        });
        assert_eq!(output.status.code(), Some(0));
        let text = stdout(&output);
        assert!(text.contains("the server has no filter"), "{text}");
        let json = run(&[command, &["--output", "json"]].concat(), &environment);
        let json: Value = serde_json::from_slice(&json.stdout).unwrap();
        assert!(json.to_string().contains("revoked"), "{json}");
    }
    let changed = run(&["disable_firewall"], &environment);
    assert_eq!(changed.status.code(), Some(1));
    let message = stderr(&changed);
    assert!(
        message.contains("it has no filter; put a filter's file"),
        "{message}"
    );
    // A name that does not exist is an error as everywhere.
    let named = run(&["--name", "other", "status"], &environment);
    assert_eq!(named.status.code(), Some(1));
    assert!(stderr(&named).contains("there is no filter \"other\""));
}
