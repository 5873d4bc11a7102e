//! The input controls a VM: ticks, requests, configurations, and the responses to its fetches and traffic calls.
//!
//! The configurations contain credentials; the host searches everything that the filter outputs for them.

use core::time::Duration;

use portcullis::codec::gzip::compress;
use portcullis::host::{CallToken, RootId, StreamId};
use portcullis::vm::Vm;

use super::host::{FuzzHost, Headers};
use super::input::Input;

const CONFIGURATIONS: [&str; 4] = [
    r#"{"enable_abs_attack": true, "enable_abs": true, "abs_attack_request_minutes": 0.05, "attack_list_memory": "4KB",
        "abs": {"cluster": "abs", "access_key": "pl4nted-access", "secret_key": "pl4nted-secret"},
        "traffic": {"format": "batch", "queue_memory": "64KB", "batch_bytes": "1KB", "flush_interval": "1s"}}"#,
    r#"{"enable_abs_attack": true, "abs_attack_request_minutes": 0.05,
        "abs": {"cluster": "abs", "access_key": "pl4nted-access", "secret_key": "pl4nted-secret"},
        "allow_list": {"ips": ["10.0.0.0/8"], "usernames": ["bob"]},
        "guard": {"never_block": ["192.0.2.1"], "max_change_percent": 10, "max_denied_percent": 1}}"#,
    r#"{"enable_abs": true, "abs": {"cluster": "abs"},
        "traffic": {"format": "sideband", "cluster": "ase", "ase_token": "pl4nted-token"}}"#,
    r#"{"enable_abs_attack": true, "enable_abs": true, "abs": {"cluster": "abs"}, "apis": [{"mode": "shadow"}],
        "before_first_list": "deny", "attack_list_max_age": "2s", "when_stale": "drop", "traffic": {"format": "batch", "gzip": true}}"#,
];

const NAMES: [&[u8]; 8] = [
    b":status",
    b"content-length",
    b"content-encoding",
    b"etag",
    b"retry-after",
    b"content-type",
    b"x-other",
    b"",
];

pub fn responses(data: &[u8]) {
    let mut input = Input(data);
    let host = FuzzHost::default();
    for secret in ["pl4nted-access", "pl4nted-secret", "pl4nted-token"] {
        host.keep_secret(secret);
    }
    let mut vm = Vm::new(&host);
    let mut root = RootId(1);
    let mut calls: Vec<CallToken> = Vec::new();
    let first = CONFIGURATIONS[usize::from(input.byte()) % CONFIGURATIONS.len()];
    vm.configure(&host, root, first.as_bytes()).expect("valid");
    for step in 0..64 {
        if input.is_empty() {
            break;
        }
        match input.byte() % 8 {
            0..=2 => {
                host.pass(Duration::from_millis(u64::from(input.byte()) * 20));
                vm.tick(&host, root);
            }
            3 | 4 => {
                let choice = input.byte();
                let token = match calls.is_empty() {
                    true => CallToken(u32::from(choice)),
                    false => calls.swap_remove(usize::from(choice) % calls.len()),
                };
                set_response(&host, &mut input);
                vm.on_call_response(&host, root, token);
            }
            5 => {
                request(&host, &mut input);
                let _ = vm.request(&host, root, StreamId(step));
                set_response(&host, &mut input);
                vm.stream_ended(&host, StreamId(step));
            }
            6 => host.set_refusals(u64::from(input.byte())),
            _ => {
                let choice = input.byte();
                root = RootId(1 + u32::from(choice >> 7));
                let json = CONFIGURATIONS[usize::from(choice) % CONFIGURATIONS.len()];
                vm.configure(&host, root, json.as_bytes()).expect("valid");
            }
        }
        calls.extend(host.take_calls());
    }
}

/// Sets a response from the input; returns the size of its body, or a wrong one.
fn set_response(host: &FuzzHost, input: &mut Input<'_>) {
    let shape = input.byte();
    let text = input.piece();
    let body = match shape & 1 {
        0 => text.to_vec(),
        _ => compress(text),
    };
    let mut headers: Headers = Vec::new();
    let mut header = |name: &[u8], value: &[u8]| headers.push((name.to_vec(), value.to_vec()));
    if shape & 2 == 0 {
        header(b":status", b"200");
        if shape & 1 == 1 {
            header(b"content-encoding", b"gzip");
        }
    }
    if shape & 4 != 0 {
        header(b"content-length", body.len().to_string().as_bytes());
    }
    for _ in 0..shape >> 5 {
        let name = NAMES[usize::from(input.byte()) % NAMES.len()];
        let length = usize::from(input.byte());
        let mut value = input.take(length).to_vec();
        if name == b"etag" {
            // An ETag from the input must not contain a planted secret: the filter stores ETags unchanged.
            value.retain(u8::is_ascii_hexdigit);
        }
        header(name, &value);
    }
    let slice = match shape & 16 {
        0 => usize::MAX,
        _ => usize::from(input.byte()),
    };
    host.set_response(headers, body, slice);
}

fn request(host: &FuzzHost, input: &mut Input<'_>) {
    const REQUEST_NAMES: [&[u8]; 8] = [
        b":authority",
        b":path",
        b":method",
        b"cookie",
        b"authorization",
        b"x-api-key",
        b"content-type",
        b"x-other",
    ];
    let shape = input.byte();
    if shape & 8 != 0 {
        let length = usize::from(input.byte());
        host.set_address(input.take(length));
    } else {
        host.set_address(b"192.0.2.7:4711");
    }
    let mut headers: Headers = vec![(b":method".to_vec(), b"GET".to_vec())];
    for _ in 0..shape % 8 {
        let name = REQUEST_NAMES[usize::from(input.byte()) % REQUEST_NAMES.len()];
        let length = usize::from(input.byte());
        headers.push((name.to_vec(), input.take(length).to_vec()));
    }
    host.set_request(headers);
}
