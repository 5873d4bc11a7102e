use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{self, ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::support::{
    ACTIVE, CREDENTIALS, DEADLINE, Response, SAMPLE_API, SIMULATOR, Server, request_bytes,
    wait_until,
};

#[test]
fn the_first_line_has_the_address() {
    let server = Server::simulator(&[]);
    assert_eq!(
        server.first_line,
        format!("abs-simulator listening on http://{}\n", server.address)
    );
    assert!(server.address.starts_with("127.0.0.1:"));
    assert!(!server.address.ends_with(":0"));
    let server = Server::start(SAMPLE_API, &[]);
    assert_eq!(
        server.first_line,
        format!("sample-api listening on http://{}\n", server.address)
    );
}

#[test]
fn sigterm_ends_the_program_even_with_connections_open() {
    for program in [SIMULATOR, SAMPLE_API] {
        let mut server = Server::start(program, &[]);
        let _open = server.connect();
        let pid = server.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        assert!(sent.success());
        wait_until("the program ends", || {
            server.child.try_wait().unwrap().is_some()
        });
        assert!(server.child.wait().unwrap().success());
    }
}

#[test]
fn wrong_flags_are_refused() {
    let table: [&[&str]; 6] = [
        &["--access-key", "a:b"],
        &["--ttl-minutes", "0"],
        &["--ttl-minutes", "soon"],
        &["--tls-cert", "cert.pem"],
        &[
            "--tls-cert",
            "/nowhere/cert.pem",
            "--tls-key",
            "/nowhere/key.pem",
        ],
        &["--listen", "localhost"],
    ];
    for flags in table {
        let mut child = Command::new(SIMULATOR)
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let start = Instant::now();
        while child.try_wait().unwrap().is_none() && start.elapsed() < DEADLINE {
            std::thread::sleep(Duration::from_millis(5));
        }
        // No effect if the program has ended.
        let _ = child.kill();
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.code().is_some_and(|code| code > 0),
            "{flags:?}"
        );
        assert!(output.stdout.is_empty(), "{flags:?}");
        assert!(!output.stderr.is_empty(), "{flags:?}");
    }
}

#[test]
fn requests_are_logged_only_with_verbose_and_without_secrets() {
    for (flags, expected) in [
        (&[][..], ""),
        (&["--verbose"], "GET /v4/abs/attacklist -> 200\n"),
    ] {
        let mut child = Command::new(SIMULATOR)
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') {
            let mut byte = [0];
            stdout.read_exact(&mut byte).unwrap();
            line.push(byte[0]);
        }
        let line = String::from_utf8(line).unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let server = Server {
            child,
            address: line.trim().rsplit_once("//").unwrap().1.to_owned(),
            first_line: line,
            sideband: String::new(),
        };
        server.attack_list(ACTIVE);
        drop(server);
        let mut log = String::new();
        stderr.read_to_string(&mut log).unwrap();
        assert_eq!(log, expected);
    }
}

#[test]
fn a_connection_serves_many_requests() {
    let server = Server::simulator(&[]);
    let mut stream = server.connect();
    for _ in 0..3 {
        stream
            .write_all(b"GET /admin/counters HTTP/1.1\r\nhost: abs\r\n\r\n")
            .unwrap();
        let mut bytes = vec![0; 4096];
        let read = stream.read(&mut bytes).unwrap();
        assert_eq!(Response::parse(&bytes[..read]).status, 200);
    }
}

#[test]
fn with_a_certificate_the_simulator_uses_tls() {
    let certified = rcgen::generate_simple_self_signed(vec!["abs.example.com".to_owned()]).unwrap();
    let directory = std::env::temp_dir().join(format!("abs-simulator-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let certificate = directory.join("cert.pem");
    let key = directory.join("key.pem");
    std::fs::write(&certificate, certified.cert.pem()).unwrap();
    std::fs::write(&key, certified.signing_key.serialize_pem()).unwrap();
    let server = Server::simulator(&[
        "--tls-cert",
        certificate.to_str().unwrap(),
        "--tls-key",
        key.to_str().unwrap(),
    ]);
    std::fs::remove_dir_all(&directory).unwrap();
    assert!(
        server
            .first_line
            .contains("listening on https://127.0.0.1:")
    );

    let mut roots = RootCertStore::empty();
    roots.add(certified.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let config = Arc::new(config);
    let request = || {
        let name = ServerName::try_from("abs.example.com").unwrap();
        let connection = ClientConnection::new(Arc::clone(&config), name).unwrap();
        let mut stream = StreamOwned::new(connection, server.connect());
        stream
            .write_all(&request_bytes("GET", ACTIVE, &CREDENTIALS, b""))
            .unwrap();
        let mut bytes = Vec::new();
        let end = stream.read_to_end(&mut bytes);
        (bytes, end)
    };
    let raw_admin = |body: &str| {
        let name = ServerName::try_from("abs.example.com").unwrap();
        let connection = ClientConnection::new(Arc::clone(&config), name).unwrap();
        let mut stream = StreamOwned::new(connection, server.connect());
        stream
            .write_all(&request_bytes("POST", "/admin/fault", &[], body.as_bytes()))
            .unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        assert_eq!(Response::parse(&bytes).status, 200);
    };
    let (bytes, end) = request();
    end.unwrap();
    assert_eq!(Response::parse(&bytes).json()["ips"], serde_json::json!([]));

    // Connection faults work under TLS.
    raw_admin(r#"{"truncate_at":10}"#);
    let (bytes, end) = request();
    assert_eq!(Response::parse(&bytes).body.len(), 10);
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
    raw_admin(r#"{"reset":true}"#);
    let (bytes, end) = request();
    assert!(bytes.is_empty());
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
}
