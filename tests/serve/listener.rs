//! The process and its sockets: limits on time and size, TLS, and the graceful stop.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::support::{Fleet, eventually};

const PATH: &str = "/v3/discovery:extension_configs";

fn connect(fleet: &Fleet) -> TcpStream {
    let address = fleet.url().rsplit('/').next().unwrap();
    let stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    stream
}

/// Everything until the server closes the connection.
fn rest(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    match stream.read_to_end(&mut text) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("the connection is still open: {error}"),
    }
    String::from_utf8(text).unwrap()
}

fn terminate(fleet: &Fleet) {
    let pid = fleet.pid().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn headers_that_come_byte_by_byte_are_cut_off() {
    let fleet = Fleet::started();
    let mut stream = connect(&fleet);
    let started = Instant::now();
    let mut sent = 0_u32;
    // A client that keeps the connection busy for as long as it can.
    while stream
        .write_all(if sent == 0 { b"G" } else { b"x" })
        .is_ok()
    {
        sent += 1;
        assert!(started.elapsed() < Duration::from_secs(20), "still open");
        thread::sleep(Duration::from_millis(100));
    }
    assert!(sent > 50, "closed too early: {sent}");
}

#[test]
fn a_body_that_never_completes_is_cut_off() {
    let fleet = Fleet::started();
    let mut stream = connect(&fleet);
    write!(
        stream,
        "POST {PATH} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{{"
    )
    .unwrap();
    let started = Instant::now();
    let response = rest(&mut stream);
    assert!(response.starts_with("HTTP/1.1 408 "), "{response}");
    assert!(started.elapsed() < Duration::from_secs(40));
}

#[test]
fn an_idle_connection_is_kept_longer_than_a_slow_one() {
    let fleet = Fleet::started();
    let mut stream = connect(&fleet);
    let ask = |stream: &mut TcpStream| {
        write!(stream, "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
        let mut response = Vec::new();
        while !response.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            assert_eq!(stream.read(&mut byte).unwrap(), 1, "closed");
            response.push(byte[0]);
        }
        assert!(response.starts_with(b"HTTP/1.1 200 "));
    };
    ask(&mut stream);
    // Longer than the headers of a request may take: time is what this is about.
    thread::sleep(Duration::from_secs(12));
    ask(&mut stream);
}

#[test]
fn requests_that_are_sent_together_are_served_in_order() {
    let fleet = Fleet::started();
    let mut stream = connect(&fleet);
    let body = r#"{"node":{"id":"a"},"resource_names":["portcullis"]}"#;
    let length = body.len();
    let post = format!(
        "POST {PATH} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    let health = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let last = "GET /nothing HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    // The last one in two parts: the connection is idle for the server between them.
    let (start, end) = last.split_at(9);
    stream
        .write_all(format!("{health}{post}{health}{start}").as_bytes())
        .unwrap();
    thread::sleep(Duration::from_millis(200));
    stream.write_all(end.as_bytes()).unwrap();
    let responses = rest(&mut stream);
    let statuses: Vec<&str> = responses.split("HTTP/1.1 ").skip(1).collect();
    let statuses: Vec<&str> = statuses.iter().map(|response| &response[..3]).collect();
    assert_eq!(statuses, ["200", "200", "200", "404"], "{responses}");
}

#[test]
fn what_follows_a_body_that_is_not_read_is_no_request() {
    let fleet = Fleet::started();
    let mut stream = connect(&fleet);
    // No handler reads the body, and its end comes after the response.
    write!(
        stream,
        "POST /nothing HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99\r\n\r\n"
    )
    .unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 404");
    let _ = stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n");
    let response = rest(&mut stream);
    assert!(!response.contains("HTTP/1.1"), "{response}");
    assert!(response.contains("connection: close"), "{response}");
}

/// Whether a request on this connection is served.
fn is_served(stream: &mut TcpStream) -> bool {
    let sent = stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n");
    let mut status = [0; 12];
    sent.is_ok() && stream.read_exact(&mut status).is_ok()
}

#[test]
fn one_address_has_no_more_connections_than_allowed() {
    let mut fleet = Fleet::new();
    fleet.arguments = ["--connections-per-address", "3"]
        .map(str::to_owned)
        .to_vec();
    fleet.start();
    let mut open: Vec<TcpStream> = (0..3).map(|_| connect(&fleet)).collect();
    assert!(open.iter_mut().all(is_served));
    for _ in 0..5 {
        assert!(!is_served(&mut connect(&fleet)));
    }
    let log = fleet.log();
    assert_eq!(
        log.matches("127.0.0.1 has 3 connections").count(),
        1,
        "{log}"
    );
    open.pop();
    eventually("room for another", || {
        let mut stream = connect(&fleet);
        is_served(&mut stream).then_some(())
    });
}

#[test]
fn connections_above_the_most_wait_until_another_is_closed() {
    let mut fleet = Fleet::new();
    // 200 files are for other purposes.
    fleet.open_files = Some(204);
    fleet.start();
    eventually("the number of connections", || {
        fleet.log().contains("at most 4 connections").then_some(())
    });
    let mut open: Vec<TcpStream> = (0..4).map(|_| connect(&fleet)).collect();
    assert!(open.iter_mut().all(is_served));
    let mut waiting = connect(&fleet);
    waiting
        .set_read_timeout(Some(Duration::from_secs(1)))
        .unwrap();
    assert!(!is_served(&mut waiting));
    eventually("the message", || {
        fleet.log().contains("the most connections").then_some(())
    });
    open.pop();
    waiting
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    // The request was sent above.
    let mut status = [0; 12];
    waiting.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
}

#[test]
fn an_idle_connection_has_no_buffer() {
    const CONNECTIONS: u64 = 400;
    let fleet = Fleet::started();
    let resident = || -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", fleet.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.unwrap().split_whitespace().next().unwrap();
        kilobytes.parse().unwrap()
    };
    // What the first requests need is not of the connections.
    let mut first: Vec<TcpStream> = (0..50).map(|_| connect(&fleet)).collect();
    assert!(first.iter_mut().all(is_served));
    let before = resident();
    let mut open: Vec<TcpStream> = (0..CONNECTIONS).map(|_| connect(&fleet)).collect();
    assert!(open.iter_mut().all(is_served));
    let each = resident().saturating_sub(before) * 1024 / CONNECTIONS;
    // hyper's two buffers have 16 KB.
    assert!(each < 6 * 1024, "{each} bytes");
}

#[test]
fn a_second_server_on_the_same_address_does_nothing() {
    let mut fleet = Fleet::started();
    let address = fleet.url().rsplit('/').next().unwrap().to_owned();
    let state = fleet.path("other");
    fleet.arguments = ["--listen", &address].map(str::to_owned).to_vec();
    fleet.state.clone_from(&state);
    let output = fleet.command().output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("--listen"), "{message}");
    assert!(!state.exists(), "it wrote its state");
}

#[test]
fn a_body_of_a_megabyte_is_refused() {
    let fleet = Fleet::started();
    let response = fleet.send("POST", PATH, &[], vec![b' '; 1 << 20]);
    assert_eq!(response.status(), 413);
    assert_eq!(fleet.discover("a", "portcullis", "").status(), 200);
}

#[test]
fn headers_without_end_are_refused() {
    let fleet = Fleet::started();
    let mut stream = connect(&fleet);
    let header = format!(
        "GET / HTTP/1.1\r\nhost: localhost\r\nx: {}",
        "x".repeat(1 << 20)
    );
    // The server may close before it has read everything.
    let _ = stream.write_all(header.as_bytes());
    let response = rest(&mut stream);
    assert!(
        response.is_empty() || response.starts_with("HTTP/1.1 431 "),
        "{response}"
    );
    assert_eq!(fleet.discover("a", "portcullis", "").status(), 200);
}

#[test]
fn a_request_that_is_open_at_sigterm_is_finished() {
    let mut fleet = Fleet::started();
    let mut idle = connect(&fleet);
    let mut stream = connect(&fleet);
    let body = r#"{"node":{"id":"a"},"resource_names":["portcullis"]}"#;
    let (first, second) = body.split_at(10);
    let length = body.len();
    write!(
        stream,
        "POST {PATH} HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
    )
    .unwrap();
    // The handler waits for the body now.
    let mut proceed = [0; 25];
    stream.read_exact(&mut proceed).unwrap();
    assert!(proceed.starts_with(b"HTTP/1.1 100 "));
    stream.write_all(first.as_bytes()).unwrap();
    terminate(&fleet);
    eventually("the message", || {
        fleet.log().contains("stopping").then_some(())
    });
    eventually("no new connection", || {
        let address = fleet.url().rsplit('/').next().unwrap();
        TcpStream::connect(address).is_err().then_some(())
    });
    assert_eq!(rest(&mut idle), "");
    stream.write_all(second.as_bytes()).unwrap();
    let response = rest(&mut stream);
    assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
    assert!(response.contains("version_info"), "{response}");
    assert_eq!(fleet.wait(), Some(0));
}

/// Whether the server has read everything that was sent on this connection: the kernel holds nothing for it.
fn has_read(stream: &TcpStream) -> Option<()> {
    let port = |address: std::net::SocketAddr| format!(":{:04X}", address.port());
    let (client, server) = (stream.local_addr().unwrap(), stream.peer_addr().unwrap());
    let sockets = fs::read_to_string("/proc/net/tcp").unwrap();
    let socket = sockets.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_it = fields[1].ends_with(&port(server)) && fields[2].ends_with(&port(client));
        is_it.then(|| fields[4].to_owned())
    });
    socket.unwrap().ends_with(":00000000").then_some(())
}

#[test]
fn a_server_that_stops_is_not_ready() {
    let mut fleet = Fleet::started();
    // Its request begins before the stop and ends after it.
    let mut stream = connect(&fleet);
    write!(stream, "GET /readyz HTTP/1.1\r\nhost: localhost\r\n").unwrap();
    eventually("the start of the request", || has_read(&stream));
    terminate(&fleet);
    eventually("the message", || {
        fleet.log().contains("stopping").then_some(())
    });
    stream.write_all(b"\r\n").unwrap();
    let response = rest(&mut stream);
    assert!(response.starts_with("HTTP/1.1 503 "), "{response}");
    assert_eq!(fleet.wait(), Some(0));
}

#[test]
fn a_request_that_does_not_finish_ends_with_the_time_limit() {
    let mut fleet = Fleet::started();
    let mut stream = connect(&fleet);
    write!(
        stream,
        "POST {PATH} HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n"
    )
    .unwrap();
    stream.read_exact(&mut [0; 25]).unwrap();
    let started = Instant::now();
    terminate(&fleet);
    assert_eq!(fleet.wait(), Some(0));
    assert!(started.elapsed() > Duration::from_secs(8));
    assert!(fleet.log().contains("cut off"), "{}", fleet.log());
}

/// A certificate authority, and its certificate.
pub struct Authority(Issuer<'static, KeyPair>, pub String);

impl Authority {
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = parameters.self_signed(&key).unwrap().pem();
        Self(Issuer::new(parameters, key), pem)
    }

    /// A certificate and its key.
    pub fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let names = vec!["127.0.0.1".to_owned(), name.to_owned()];
        let mut certificate = CertificateParams::new(names).unwrap();
        // The name of the authority would make it look self-signed.
        certificate
            .distinguished_name
            .push(DnType::CommonName, name);
        let certificate = certificate.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

/// A GET of `/healthz` as `name` that trusts the certificates in `ca`.
fn curl(fleet: &Fleet, ca: &str, name: &str) -> bool {
    let port = fleet.url().rsplit(':').next().unwrap();
    let file = fleet.path("ca.pem");
    fs::write(&file, ca).unwrap();
    let output = Command::new("curl")
        .args(["--silent", "--fail", "--max-time", "10", "--cacert"])
        .arg(file)
        .args(["--resolve", &format!("{name}:{port}:127.0.0.1")])
        .arg(format!("https://{name}:{port}/healthz"))
        .output()
        .unwrap();
    output.status.success()
}

#[test]
fn a_new_certificate_is_served_and_a_bad_one_changes_nothing() {
    let mut fleet = Fleet::new();
    let authority = Authority::new();
    let (certificate, key) = (fleet.path("tls.crt"), fleet.path("tls.key"));
    let install = |(chain, secret): (String, String)| {
        fs::write(&certificate, chain).unwrap();
        fs::write(&key, secret).unwrap();
    };
    install(authority.issue("first.example"));
    let paths = [&certificate, &key].map(|path| path.display().to_string());
    let [certificate_path, key_path] = paths;
    fleet.arguments = [
        "--tls-certificate",
        &certificate_path,
        "--tls-key",
        &key_path,
    ]
    .map(str::to_owned)
    .to_vec();
    fleet.environment.push((
        "PORTCULLIS_OPERATOR_TOKEN".to_owned(),
        "operator-0123456789".to_owned(),
    ));
    fleet.start();
    assert!(fleet.url().starts_with("https://"));
    assert!(curl(&fleet, &authority.1, "first.example"));
    assert!(!curl(&fleet, &Authority::new().1, "first.example"));

    // A key of another certificate, and no PEM at all.
    let (chain, _) = authority.issue("second.example");
    fs::write(&certificate, chain).unwrap();
    eventually("the mismatch", || {
        fleet.log().contains("do not belong together").then_some(())
    });
    fs::write(&key, "no key").unwrap();
    eventually("the bad key", || {
        fleet.log().contains("no private key in PEM").then_some(())
    });
    assert!(curl(&fleet, &authority.1, "first.example"));

    install(authority.issue("third.example"));
    eventually("the new certificate", || {
        curl(&fleet, &authority.1, "third.example").then_some(())
    });
    assert!(!curl(&fleet, &authority.1, "first.example"));

    // The cookie is for TLS only.
    let port = fleet.url().rsplit(':').next().unwrap();
    let login = Command::new("curl")
        .args(["--silent", "--insecure", "--include", "--data"])
        .args([
            "token=operator-0123456789",
            &format!("https://127.0.0.1:{port}/login"),
        ])
        .output()
        .unwrap();
    let login = String::from_utf8_lossy(&login.stdout).to_lowercase();
    assert!(login.contains("samesite=strict; secure"), "{login}");
}

#[test]
fn a_handshake_that_never_comes_is_cut_off() {
    let mut fleet = Fleet::new();
    let (chain, key) = Authority::new().issue("a.example");
    fs::write(fleet.path("tls.crt"), chain).unwrap();
    fs::write(fleet.path("tls.key"), key).unwrap();
    for (option, file) in [("--tls-certificate", "tls.crt"), ("--tls-key", "tls.key")] {
        fleet.arguments.push(option.to_owned());
        fleet.arguments.push(fleet.path(file).display().to_string());
    }
    fleet.start();
    let started = Instant::now();
    rest(&mut connect(&fleet));
    assert!(started.elapsed() < Duration::from_secs(20));
}
