//! A plugin configuration, as JSON and as a `google.protobuf.Struct`; a VM runs with each valid one.

use portcullis::config::Config;
use portcullis::host::{RootId, StreamId};
use portcullis::vm::Vm;
use serde_json::Value;

use super::host::FuzzHost;

const ROOT: RootId = RootId(1);

pub fn configuration(data: &[u8]) {
    let environment = |name: &str| name.len().is_multiple_of(2).then(|| "key".to_owned());
    let parsed = Config::parse(data, &environment);
    match &parsed {
        Ok(config) => {
            let last = config.apis.iter().last();
            assert!(last.is_some_and(|api| api.hostname.is_none() && api.url.is_empty()));
            if config.enable_abs || config.enable_abs_attack {
                assert!(config.abs.is_some());
            }
        }
        Err(errors) => {
            assert!(!errors.is_empty());
            for error in errors {
                assert!(!error.to_string().is_empty());
            }
        }
    }
    if let Ok(value @ Value::Object(_)) = serde_json::from_slice::<Value>(data)
        && is_exact(&value, 0)
    {
        // Both forms have the same meaning. Not `data` itself: it may have repeated keys.
        let json = Config::parse(value.to_string().as_bytes(), &environment);
        let message = Config::parse(&struct_bytes(&value), &environment);
        match (json, message) {
            (Ok(json), Ok(message)) => assert_eq!(json, message),
            (Err(_), Err(_)) => (),
            (json, message) => panic!("JSON: {json:?}\nStruct: {message:?}"),
        }
    }
    if parsed.is_ok() {
        run(data);
    }
}

/// Runs a VM with this configuration.
fn run(json: &[u8]) {
    let host = FuzzHost::default();
    host.set_node_id(json);
    let mut vm = Vm::new(&host);
    vm.configure(&host, ROOT, json).expect("it is valid");
    host.set_request(vec![
        (b":authority".to_vec(), b"api.example.com".to_vec()),
        (b":path".to_vec(), b"/shop?api_key=1".to_vec()),
        (b"cookie".to_vec(), b"sid=1".to_vec()),
        (
            b"authorization".to_vec(),
            b"Basic Ym9iOnNlY3JldA==".to_vec(),
        ),
    ]);
    for stream in 0..3 {
        vm.tick(&host, ROOT);
        let _ = vm.request(&host, ROOT, StreamId(stream));
        vm.stream_ended(&host, StreamId(stream));
        host.pass(core::time::Duration::from_millis(300));
    }
}

/// Whether both forms can represent the value: numbers are doubles, and nesting is limited.
fn is_exact(value: &Value, depth: usize) -> bool {
    match value {
        Value::Number(number) => number
            .as_f64()
            .is_some_and(|number| number.abs() < 9.0e15 && number.to_bits() != (-0.0f64).to_bits()),
        Value::Array(list) => depth < 60 && list.iter().all(|one| is_exact(one, depth + 1)),
        Value::Object(map) => depth < 60 && map.values().all(|one| is_exact(one, depth + 1)),
        _ => true,
    }
}

/// A JSON object as the bytes of a `google.protobuf.Struct`.
pub fn struct_bytes(object: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (key, value) in object.as_object().expect("an object") {
        let mut entry = field(1, key.as_bytes());
        entry.extend(field(2, &value_bytes(value)));
        bytes.extend(field(1, &entry));
    }
    bytes
}

fn value_bytes(value: &Value) -> Vec<u8> {
    match value {
        Value::Null => vec![1 << 3, 0],
        Value::Bool(is) => vec![4 << 3, u8::from(*is)],
        Value::Number(number) => {
            let mut bytes = vec![2 << 3 | 1];
            bytes.extend(number.as_f64().expect("a double").to_le_bytes());
            bytes
        }
        Value::String(text) => field(3, text.as_bytes()),
        Value::Array(list) => {
            let values = list.iter().flat_map(|one| field(1, &value_bytes(one)));
            field(6, &values.collect::<Vec<u8>>())
        }
        Value::Object(_) => field(5, &struct_bytes(value)),
    }
}

fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut message = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        message.push(0x80 | (length & 0x7F) as u8);
        length >>= 7;
    }
    message.push(length as u8);
    message.extend_from_slice(bytes);
    message
}
