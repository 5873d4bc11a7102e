//! Every import that the module may have (`wasm-target/imports.txt`): the proxy-wasm ABI in front of a
//! [`FakeHost`], which has the rules. Faults are injected here.
//!
//! `environ_get` and `environ_sizes_get` may return too much or nothing, but do not fail: the C library behind Rust's
//! `std::env` reads them once and ends the process if they fail, before any of our code runs. Envoy's can't fail.

use core::time::Duration;
use std::rc::Rc;

use anyhow::{Result, bail};
use log::Level;
use portcullis::host::{
    CallResponse, HostError, HttpCall, LocalReply, MetricHandle, MetricStore, MetricType,
    RootContext, RootId, SharedData, Stream, System, WriteCondition,
};
use wasmtime::{Caller, Engine, Extern, Linker};

use crate::fake_host::FakeHost;
use crate::fault_injection::{BytesResult, Effect};
use crate::memory::{pairs_from_bytes, pairs_to_bytes, place, read, write};
use crate::vm::Guest;

const OK: u32 = 0;
const NOT_FOUND: u32 = 1;
const BAD_ARGUMENT: u32 = 2;
const CAS_MISMATCH: u32 = 8;
const INTERNAL_FAILURE: u32 = 10;

const HTTP_REQUEST_HEADERS: u32 = 0;
const HTTP_RESPONSE_HEADERS: u32 = 2;
const CALL_RESPONSE_HEADERS: u32 = 6;
const CALL_RESPONSE_BODY: u32 = 4;
const PLUGIN_CONFIGURATION: u32 = 7;

type Host<'a> = Caller<'a, Guest>;

/// All of them.
pub(crate) fn linker(engine: &Engine) -> Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    contexts(&mut linker)?;
    data(&mut linker)?;
    requests(&mut linker)?;
    metrics(&mut linker)?;
    wasi(&mut linker)?;
    Ok(linker)
}

/// The host with the rules, behind the ABI.
fn backend(host: &Host<'_>) -> Rc<FakeHost> {
    host.data().host.clone()
}

fn status_of(result: Result<(), HostError>) -> u32 {
    match result {
        Ok(()) => OK,
        Err(HostError::CasMismatch) => CAS_MISMATCH,
        Err(HostError::BadArgument) => BAD_ARGUMENT,
        Err(HostError::InternalFailure) => INTERNAL_FAILURE,
        Err(HostError::Status(status)) => status,
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).expect("a time of this age")
}

/// Log levels by their numbers in the ABI.
fn level(number: u32) -> Level {
    match number {
        0 => Level::Trace,
        1 => Level::Debug,
        2 => Level::Info,
        3 => Level::Warn,
        _ => Level::Error,
    }
}

fn contexts(linker: &mut Linker<Guest>) -> Result<()> {
    linker.func_wrap(
        "env",
        "proxy_log",
        |mut host: Host<'_>, number: u32, at: u32, size: u32| {
            let message = read(&mut host, at, size)?;
            let backend = backend(&host);
            backend.world().inspect("a log line", &message);
            let line = String::from_utf8_lossy(&message).into_owned();
            backend.world().log(level(number), line);
            Ok(effect(&mut host, "proxy_log").reported.unwrap_or(OK))
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_get_log_level",
        |mut host: Host<'_>, level_at: u32| {
            let level = backend(&host).world().log_level();
            give_word(&mut host, "proxy_get_log_level", level_at, level)?;
            Ok(effect(&mut host, "proxy_get_log_level")
                .reported
                .unwrap_or(OK))
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_get_current_time_nanoseconds",
        |mut host: Host<'_>, at: u32| {
            let unix = nanoseconds(backend(&host).unix_now());
            give_number(&mut host, "proxy_get_current_time_nanoseconds", at, unix)
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_set_effective_context",
        |mut host: Host<'_>, context: u32| {
            let effect = effect(&mut host, "proxy_set_effective_context");
            if effect.done && !backend(&host).has_root(RootId(context)) {
                return effect.reported.unwrap_or(BAD_ARGUMENT);
            }
            if effect.done {
                host.data_mut().effective = context;
            }
            effect.reported.unwrap_or(OK)
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_set_tick_period_milliseconds",
        |mut host: Host<'_>, period: u32| {
            let effect = effect(&mut host, "proxy_set_tick_period_milliseconds");
            if effect.done {
                let root = RootId(host.data().effective);
                let period = Duration::from_millis(u64::from(period));
                backend(&host).set_tick_period(root, period);
            }
            effect.reported.unwrap_or(OK)
        },
    )?;
    Ok(())
}

fn data(linker: &mut Linker<Guest>) -> Result<()> {
    linker.func_wrap(
        "env",
        "proxy_get_shared_data",
        |mut host: Host<'_>,
         key_at: u32,
         key_size: u32,
         data_at: u32,
         size_at: u32,
         cas_at: u32| {
            let key = String::from_utf8(read(&mut host, key_at, key_size)?)?;
            let (bytes, cas) = match backend(&host).shared_data(&key) {
                Ok(Some(value)) => (Ok(value.bytes), value.cas),
                Ok(None) => (Err(NOT_FOUND), 0),
                Err(error) => (Err(status_of(Err(error))), 0),
            };
            let status = give(&mut host, "proxy_get_shared_data", bytes, data_at, size_at)?;
            give_word(&mut host, "proxy_get_shared_data", cas_at, cas)?;
            Ok(status)
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_set_shared_data",
        |mut host: Host<'_>, key_at: u32, key_size: u32, at: u32, size: u32, cas: u32| {
            let key = String::from_utf8(read(&mut host, key_at, key_size)?)?;
            let bytes = read(&mut host, at, size)?;
            let effect = effect(&mut host, "proxy_set_shared_data");
            // Of the ABI: 0 is unconditional.
            let condition = match cas {
                0 => WriteCondition::Always,
                cas => WriteCondition::Unchanged(cas),
            };
            let honest = match effect.done {
                true => status_of(backend(&host).set_shared_data(&key, &bytes, condition)),
                false => OK,
            };
            Ok(effect.reported.unwrap_or(honest))
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_get_buffer_bytes",
        |mut host: Host<'_>, buffer: u32, start: u32, limit: u32, data_at: u32, size_at: u32| {
            let (start, limit) = (start as usize, limit as usize);
            let part = match buffer {
                PLUGIN_CONFIGURATION => {
                    let rest = host.data().configuration.get(start..).unwrap_or_default();
                    Ok(rest[..rest.len().min(limit)].to_vec())
                }
                CALL_RESPONSE_BODY => Ok(backend(&host).call_body(start, limit)),
                _ => Err(NOT_FOUND),
            };
            give(&mut host, "proxy_get_buffer_bytes", part, data_at, size_at)
        },
    )?;
    Ok(())
}

fn requests(linker: &mut Linker<Guest>) -> Result<()> {
    linker.func_wrap(
        "env",
        "proxy_get_header_map_pairs",
        |mut host: Host<'_>, map: u32, data_at: u32, size_at: u32| {
            let backend = backend(&host);
            let bytes = match map {
                HTTP_REQUEST_HEADERS => {
                    Ok(pairs_to_bytes(|visit| backend.visit_request_headers(visit)))
                }
                HTTP_RESPONSE_HEADERS => Ok(pairs_to_bytes(|visit| {
                    backend.visit_response_headers(visit)
                })),
                CALL_RESPONSE_HEADERS => {
                    Ok(pairs_to_bytes(|visit| backend.visit_call_headers(visit)))
                }
                _ => Err(BAD_ARGUMENT),
            };
            give(
                &mut host,
                "proxy_get_header_map_pairs",
                bytes,
                data_at,
                size_at,
            )
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_get_property",
        |mut host: Host<'_>, path_at: u32, path_size: u32, data_at: u32, size_at: u32| {
            let path = read(&mut host, path_at, path_size)?;
            let backend = backend(&host);
            let mut value = Err(NOT_FOUND);
            let mut keep = |bytes: &[u8]| value = Ok(bytes.to_vec());
            match path.as_slice() {
                b"source\0address" => backend.visit_source_address(&mut keep),
                b"request\0protocol" => backend.visit_request_protocol(&mut keep),
                b"xds\0node\0id" => backend.visit_node_id(&mut keep),
                _ => {}
            }
            give(&mut host, "proxy_get_property", value, data_at, size_at)
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_set_property",
        |mut host: Host<'_>, path_at: u32, path_size: u32, at: u32, size: u32| {
            let path = read(&mut host, path_at, path_size)?;
            if path != b"portcullis.verdict" {
                bail!("the module sets the property {}", path.escape_ascii());
            }
            let value = String::from_utf8(read(&mut host, at, size)?)?;
            let effect = effect(&mut host, "proxy_set_property");
            let honest = match effect.done {
                true => status_of(backend(&host).set_filter_state(&value)),
                false => OK,
            };
            Ok(effect.reported.unwrap_or(honest))
        },
    )?;
    linker.func_wrap("env", "proxy_send_local_response", send_local_response)?;
    linker.func_wrap("env", "proxy_http_call", http_call)?;
    Ok(())
}

#[allow(clippy::too_many_arguments, reason = "they are the ABI's")]
fn send_local_response(
    mut host: Host<'_>,
    status: u32,
    details_at: u32,
    details_size: u32,
    body_at: u32,
    body_size: u32,
    headers_at: u32,
    headers_size: u32,
    grpc_status: i32,
) -> Result<u32> {
    let details = String::from_utf8(read(&mut host, details_at, details_size)?)?;
    let body = read(&mut host, body_at, body_size)?;
    let pairs = pairs_from_bytes(&read(&mut host, headers_at, headers_size)?)?;
    let mut headers = Vec::new();
    for (name, value) in pairs {
        headers.push((name, String::from_utf8(value)?));
    }
    let effect = effect(&mut host, "proxy_send_local_response");
    let reply = LocalReply {
        status,
        headers: &headers,
        body: &body,
        details: &details,
        // Of the ABI: -1 is none.
        grpc_status: u32::try_from(grpc_status).ok(),
    };
    let honest = match effect.done {
        true => status_of(backend(&host).send_local_reply(&reply)),
        false => OK,
    };
    Ok(effect.reported.unwrap_or(honest))
}

#[allow(clippy::too_many_arguments, reason = "they are the ABI's")]
fn http_call(
    mut host: Host<'_>,
    cluster_at: u32,
    cluster_size: u32,
    headers_at: u32,
    headers_size: u32,
    body_at: u32,
    body_size: u32,
    trailers_at: u32,
    trailers_size: u32,
    timeout: u32,
    token_at: u32,
) -> Result<u32> {
    let cluster = String::from_utf8(read(&mut host, cluster_at, cluster_size)?)?;
    let headers = pairs_from_bytes(&read(&mut host, headers_at, headers_size)?)?;
    let body = read(&mut host, body_at, body_size)?;
    pairs_from_bytes(&read(&mut host, trailers_at, trailers_size)?)?;
    let effect = effect(&mut host, "proxy_http_call");
    if !effect.done {
        return Ok(effect.reported.unwrap_or(OK));
    }
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_slice()))
        .collect();
    let call = HttpCall {
        cluster: &cluster,
        headers: &headers,
        body: &body,
        timeout: Duration::from_millis(u64::from(timeout)),
    };
    let backend = backend(&host);
    // A stream's call belongs to its root context, which the backend knows.
    let effective = RootId(host.data().effective);
    if backend.has_root(effective) {
        backend.enter_root(effective);
    }
    match backend.dispatch_http_call(&call) {
        Ok(token) => {
            give_word(&mut host, "proxy_http_call", token_at, token.0)?;
            Ok(effect.reported.unwrap_or(OK))
        }
        Err(error) => Ok(effect.reported.unwrap_or(status_of(Err(error)))),
    }
}

fn metrics(linker: &mut Linker<Guest>) -> Result<()> {
    linker.func_wrap(
        "env",
        "proxy_define_metric",
        |mut host: Host<'_>, kind: u32, at: u32, size: u32, metric_at: u32| {
            let name = String::from_utf8(read(&mut host, at, size)?)?;
            let kind = match kind {
                0 => MetricType::Counter,
                _ => MetricType::Gauge,
            };
            let effect = effect(&mut host, "proxy_define_metric");
            if !effect.done {
                return Ok(effect.reported.unwrap_or(OK));
            }
            match backend(&host).define_metric(kind, &name) {
                Ok(metric) => {
                    give_word(&mut host, "proxy_define_metric", metric_at, metric.0)?;
                    Ok(effect.reported.unwrap_or(OK))
                }
                Err(error) => Ok(effect.reported.unwrap_or(status_of(Err(error)))),
            }
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_increment_metric",
        |mut host: Host<'_>, metric: u32, by: i64| {
            let by = u64::try_from(by).unwrap_or(0);
            let effect = effect(&mut host, "proxy_increment_metric");
            let honest = match effect.done {
                true => status_of(backend(&host).increment_metric(MetricHandle(metric), by)),
                false => OK,
            };
            effect.reported.unwrap_or(honest)
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_record_metric",
        |mut host: Host<'_>, metric: u32, value: u64| {
            let effect = effect(&mut host, "proxy_record_metric");
            let honest = match effect.done {
                true => status_of(backend(&host).record_metric(MetricHandle(metric), value)),
                false => OK,
            };
            effect.reported.unwrap_or(honest)
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_get_metric",
        |mut host: Host<'_>, metric: u32, value_at: u32| match backend(&host)
            .metric_value(MetricHandle(metric))
        {
            Ok(value) => give_number(&mut host, "proxy_get_metric", value_at, value),
            Err(error) => Ok(status_of(Err(error))),
        },
    )?;
    Ok(())
}

fn wasi(linker: &mut Linker<Guest>) -> Result<()> {
    const MODULE: &str = "wasi_snapshot_preview1";
    linker.func_wrap(
        MODULE,
        "fd_write",
        |mut host: Host<'_>, _file: u32, vectors_at: u32, n_vectors: u32, written_at: u32| {
            let mut text = Vec::new();
            for index in 0..n_vectors {
                let vector = read(&mut host, vectors_at + index * 8, 8)?;
                let (at, size) = vector.split_at(4);
                let word = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("four bytes"));
                text.extend(read(&mut host, word(at), word(size))?);
            }
            let written = u32::try_from(text.len())?;
            let backend = backend(&host);
            backend.world().inspect("output", &text);
            let line = String::from_utf8_lossy(&text).into_owned();
            backend.world().log(Level::Error, line);
            write(&mut host, written_at, &written.to_le_bytes())?;
            Ok(OK)
        },
    )?;
    linker.func_wrap(
        MODULE,
        "environ_sizes_get",
        |mut host: Host<'_>, number_at: u32, size_at: u32| {
            let lines = environment(&host);
            let mut number = u32::try_from(lines.len())?;
            let mut size = u32::try_from(lines.iter().map(Vec::len).sum::<usize>())?;
            if let Some(faults) = &mut host.data_mut().faults
                && faults.strikes("environ_sizes_get")
            {
                // Never less than there is: the rest would be written over the module's own memory.
                number += faults.random.below(1_000) as u32;
                size += faults.random.below(100_000) as u32;
            }
            write(&mut host, number_at, &number.to_le_bytes())?;
            write(&mut host, size_at, &size.to_le_bytes())?;
            Ok(OK)
        },
    )?;
    linker.func_wrap(
        MODULE,
        "environ_get",
        |mut host: Host<'_>, pointers_at: u32, texts_at: u32| {
            if let Some(faults) = &mut host.data_mut().faults
                && faults.strikes("environ_get")
            {
                return Ok(OK);
            }
            let (mut pointer_at, mut text_at) = (pointers_at, texts_at);
            for line in environment(&host) {
                write(&mut host, pointer_at, &text_at.to_le_bytes())?;
                write(&mut host, text_at, &line)?;
                pointer_at += 4;
                text_at += u32::try_from(line.len())?;
            }
            Ok(OK)
        },
    )?;
    linker.func_wrap(
        MODULE,
        "clock_time_get",
        |mut host: Host<'_>, clock: u32, _precision: u64, at: u32| {
            let backend = backend(&host);
            let time = match clock {
                0 => backend.unix_now(),
                _ => backend.monotonic_now(),
            };
            give_number(&mut host, "clock_time_get", at, nanoseconds(time))
        },
    )?;
    linker.func_wrap(
        MODULE,
        "random_get",
        |mut host: Host<'_>, at: u32, size: u32| {
            let backend = backend(&host);
            let numbers = core::iter::repeat_with(|| backend.random().to_le_bytes()).flatten();
            let mut bytes: Vec<u8> = numbers.take(size as usize).collect();
            if let Some(faults) = &mut host.data_mut().faults
                && faults.strikes("random_get")
            {
                match faults.random.below(4) {
                    0 => return Ok(faults.status()),
                    // Success, and nothing written.
                    1 => return Ok(OK),
                    2 => bytes.fill(0),
                    _ => bytes.fill(u8::MAX),
                }
            }
            write(&mut host, at, &bytes)?;
            Ok(OK)
        },
    )?;
    linker.func_wrap(MODULE, "proc_exit", |status: u32| -> Result<()> {
        bail!("the module ended itself with status {status}")
    })?;
    Ok(())
}

fn environment(host: &Host<'_>) -> Vec<Vec<u8>> {
    let lines = backend(host).world().raw_environment().into_iter();
    lines
        .map(|line| [line.as_slice(), b"\0"].concat())
        .collect()
}

/// What a hostcall with an effect does. With faults injected, the host may call the module back first.
fn effect(host: &mut Host<'_>, hostcall: &'static str) -> Effect {
    call_back(host);
    if let Some(faults) = &mut host.data_mut().faults
        && faults.strikes(hostcall)
    {
        return faults.effect();
    }
    Effect::HONEST
}

/// Sometimes makes a callback during a hostcall, as no correct host does. Its result is ignored, but it must not trap.
fn call_back(host: &mut Host<'_>) {
    let Some(faults) = &mut host.data_mut().faults else {
        return;
    };
    if !faults.lies || faults.random.below(200) != 0 {
        return;
    }
    let number = faults.random.extreme_number() as u32;
    let root = 1 + faults.random.below(3) as u32;
    let which = faults.random.below(4);
    let effective = host.data().effective;
    // No faults during this callback.
    let faults = host.data_mut().faults.take();
    let backend = backend(host);
    let was_in_request = backend.is_in_request();
    backend.set_in_request(false);
    let export = |host: &mut Host<'_>, name: &str| match host.get_export(name) {
        Some(Extern::Func(function)) => Some(function),
        _ => None,
    };
    let result = match which {
        0 => export(host, "proxy_on_tick")
            .map(|function| function.typed(&host)?.call(&mut *host, root)),
        1 => export(host, "proxy_on_configure").map(|function| {
            let function = function.typed::<(u32, u32), u32>(&host)?;
            function.call(&mut *host, (root, number)).map(drop)
        }),
        2 => export(host, "proxy_on_http_call_response").map(|function| {
            let arguments = (root, number, 1u32, number, 0u32);
            function.typed(&host)?.call(&mut *host, arguments)
        }),
        _ => export(host, "proxy_on_log")
            .map(|function| function.typed(&host)?.call(&mut *host, number)),
    };
    backend.set_in_request(was_in_request);
    let guest = host.data_mut();
    guest.faults = faults;
    guest.effective = effective;
    guest.n_callbacks += 1;
    if let Some(Err(error)) = result {
        guest.trap_within.get_or_insert(error);
    }
}

/// Writes a number of 64 bits; with faults injected another one, or none.
fn give_number(host: &mut Host<'_>, hostcall: &'static str, at: u32, honest: u64) -> Result<u32> {
    let mut number = honest;
    if let Some(faults) = &mut host.data_mut().faults
        && faults.strikes(hostcall)
    {
        number = faults.random.extreme_number();
        if number.is_multiple_of(4) {
            return Ok(faults.status());
        }
    }
    write(host, at, &number.to_le_bytes())?;
    Ok(OK)
}

/// Writes a number that the module passes back later; with faults injected another one.
fn give_word(host: &mut Host<'_>, hostcall: &'static str, at: u32, honest: u32) -> Result<()> {
    let mut number = honest;
    if let Some(faults) = &mut host.data_mut().faults
        && faults.strikes(hostcall)
    {
        number = faults.random.extreme_number() as u32;
    }
    write(host, at, &number.to_le_bytes())
}

/// Returns bytes in memory that the module allocates.
fn give(
    host: &mut Host<'_>,
    hostcall: &'static str,
    honest: Result<Vec<u8>, u32>,
    data_at: u32,
    size_at: u32,
) -> Result<u32> {
    call_back(host);
    let injected = match &mut host.data_mut().faults {
        Some(faults) => faults.strikes(hostcall).then(|| faults.bytes(&honest)),
        None => None,
    };
    let result = injected.unwrap_or_else(|| BytesResult::honest(honest));
    let pointer = match &result.bytes {
        Some(bytes) => place(host, bytes)?,
        None => 0,
    };
    if let Some(reported) = result.reported {
        write(host, data_at, &pointer.to_le_bytes())?;
        write(host, size_at, &reported.to_le_bytes())?;
    }
    Ok(result.status)
}
