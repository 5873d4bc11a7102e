//! What operators expect of any command line tool: several values, second spellings, quiet and verbose, colours, progress.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::Stdio;

use crate::support::{Abs, PORTCULLIS, Workspace, assert_session};

#[test]
fn commands_take_several_values_and_second_spellings() {
    let workspace = Workspace::new();
    workspace.write("addresses.txt", "192.0.2.1\n\n192.0.2.2\n");
    workspace.write("wrong.txt", "192.0.2.1\nlocalhost\n");
    let many: Vec<_> = (1..=30)
        .map(|number| format!("203.0.113.{number}\n"))
        .collect();
    workspace.write("many.txt", &many.concat());
    workspace.write("valid.json", "{}");
    workspace.write("wrong.json", "{\"enable_firewal\": true}");
    workspace.write("cut.json", "{");
    assert_session(&workspace, "habits");
}

#[test]
fn the_attack_list_is_filtered_and_shown_in_pages() {
    let abs = Abs::start(&[]);
    let workspace = abs.workspace();
    let list = r#"{"ips": ["192.0.2.1", "198.51.100.0/24", "192.0.2.3"], "cookies": {"SESSION": ["session-of-mallory"]},
        "usernames": ["mallory"]}"#;
    abs.admin("POST", "/admin/load", list);
    assert_session(&workspace, "attack_list_pages");
}

#[test]
fn a_terminal_has_colours() {
    let workspace = Workspace::new();
    let run = format!("{PORTCULLIS} --config nowhere.json status");
    let on_terminal = |environment: &str| {
        workspace.replay(&format!("$ {environment} script -qec '{run}' /dev/null"))
    };
    assert!(on_terminal("").contains("\u{1b}[31merror: nowhere.json does not exist"));
    assert!(!on_terminal("NO_COLOR=1").contains('\u{1b}'));
    assert!(!on_terminal("TERM=dumb").contains('\u{1b}'));
    assert!(!workspace.replay(&format!("$ {run}")).contains('\u{1b}'));
}

#[test]
fn what_takes_long_is_reported_while_it_runs() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", server.local_addr().unwrap());
    let mut workspace = Workspace::new();
    workspace.set("ABS_ACCESS_KEY", "abs_ak");
    workspace.set("ABS_SECRET_KEY", "abs_sk");
    let mut command = workspace.command(&["--verbose", "attack_list", "--abs", &url]);
    let mut command = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut connection, _) = server.accept().unwrap();
    let mut request = [0; 4096];
    assert!(connection.read(&mut request).unwrap() > 0);
    // The response comes only after the report.
    let stderr = BufReader::new(command.stderr.take().unwrap());
    let mut lines = stderr.lines().map(Result::unwrap);
    let waiting = lines.next().unwrap();
    assert_eq!(waiting, format!("waiting for ABS at {url}: 2 s"));
    let body = r#"{"ips": ["192.0.2.1"]}"#;
    let length = body.len();
    write!(
        connection,
        "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    assert!(command.wait().unwrap().success());
    let called = lines.find(|line| line.contains("/v4/abs/attacklist: status 200"));
    assert!(called.is_some());
}
