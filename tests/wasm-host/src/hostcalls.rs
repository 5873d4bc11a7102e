//! Every import that the module may have (`wasm-target/imports.txt`), with the rules of Envoy or with injected faults.
//!
//! `environ_get` and `environ_sizes_get` never fail, but they may say too much or nothing: the C library behind Rust's
//! `std::env` reads them once and ends the process where they fail, before any of our code sees it. Envoy's can't fail.

use anyhow::{Result, bail};
use wasmtime::{Caller, Engine, Extern, Linker};

use crate::fault_injection::{BytesResult, Effect};
use crate::memory::{pairs_from_bytes, pairs_to_bytes, place, read, write};
use crate::process::{Call, Headers};
use crate::vm::{Guest, Reply};

const OK: u32 = 0;
const NOT_FOUND: u32 = 1;
const BAD_ARGUMENT: u32 = 2;
const CAS_MISMATCH: u32 = 8;

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

fn contexts(linker: &mut Linker<Guest>) -> Result<()> {
    linker.func_wrap(
        "env",
        "proxy_log",
        |mut host: Host<'_>, level: u32, at: u32, size: u32| {
            let message = read(&mut host, at, size)?;
            let mut state = host.data().process.state();
            state.say("a log line", &message);
            let line = String::from_utf8_lossy(&message).into_owned();
            state.logs.push((level, line));
            drop(state);
            Ok(effect(&mut host, "proxy_log").reported.unwrap_or(OK))
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_get_log_level",
        |mut host: Host<'_>, level_at: u32| {
            let level = host.data().process.state().log_level;
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
            let unix = host.data().process.state().unix;
            give_time(&mut host, "proxy_get_current_time_nanoseconds", at, unix)
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_set_effective_context",
        |mut host: Host<'_>, context: u32| {
            let effect = effect(&mut host, "proxy_set_effective_context");
            if effect.done && !host.data().roots.contains_key(&context) {
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
                let now = host.data().process.state().monotonic;
                let context = host.data().effective;
                let period = u64::from(period) * 1_000_000;
                host.data_mut()
                    .roots
                    .insert(context, (period, now.saturating_add(period)));
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
            let key = read(&mut host, key_at, key_size)?;
            let found = host.data().process.state().data.get(&key).cloned();
            let bytes = match &found {
                Some((bytes, _)) => Ok(bytes.clone()),
                None => Err(NOT_FOUND),
            };
            let status = give(&mut host, "proxy_get_shared_data", bytes, data_at, size_at)?;
            let cas = found.map_or(0, |(_, cas)| cas);
            give_word(&mut host, "proxy_get_shared_data", cas_at, cas)?;
            Ok(status)
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_set_shared_data",
        |mut host: Host<'_>, key_at: u32, key_size: u32, at: u32, size: u32, cas: u32| {
            let key = read(&mut host, key_at, key_size)?;
            let bytes = read(&mut host, at, size)?;
            {
                let mut state = host.data().process.state();
                state.say("a shared-data key", &key);
                state.say("a shared-data value", &bytes);
            }
            let effect = effect(&mut host, "proxy_set_shared_data");
            let written = !effect.done || host.data().process.state().set(&key, &bytes, cas);
            let honest = if written { OK } else { CAS_MISMATCH };
            Ok(effect.reported.unwrap_or(honest))
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_get_buffer_bytes",
        |mut host: Host<'_>, buffer: u32, start: u32, limit: u32, data_at: u32, size_at: u32| {
            let guest = host.data();
            let whole = match buffer {
                PLUGIN_CONFIGURATION => Ok(&guest.configuration),
                CALL_RESPONSE_BODY => Ok(&guest.answer.body),
                _ => Err(NOT_FOUND),
            };
            let part = whole.map(|whole| {
                let rest = whole.get(start as usize..).unwrap_or_default();
                rest[..rest.len().min(limit as usize)].to_vec()
            });
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
            let guest = host.data();
            let no_headers = Headers::new();
            let request = guest.request.as_ref();
            let pairs = match map {
                HTTP_REQUEST_HEADERS => Ok(request.map_or(&no_headers, |request| &request.headers)),
                HTTP_RESPONSE_HEADERS => Ok(&guest.response),
                CALL_RESPONSE_HEADERS => Ok(&guest.answer.headers),
                _ => Err(BAD_ARGUMENT),
            };
            let bytes = pairs.map(pairs_to_bytes);
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
            let value = match (&host.data().request, path.as_slice()) {
                (Some(request), b"source\0address") => Ok(request.address.clone().into_bytes()),
                (Some(_), b"request\0protocol") => Ok(b"HTTP/1.1".to_vec()),
                _ => Err(NOT_FOUND),
            };
            give(&mut host, "proxy_get_property", value, data_at, size_at)
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_set_property",
        |mut host: Host<'_>, path_at: u32, path_size: u32, at: u32, size: u32| {
            let path = read(&mut host, path_at, path_size)?;
            let value = read(&mut host, at, size)?;
            {
                let mut state = host.data().process.state();
                state.say("a property's path", &path);
                state.say("filter state", &value);
            }
            let effect = effect(&mut host, "proxy_set_property");
            if host.data().request.is_none() {
                return Ok(effect.reported.unwrap_or(NOT_FOUND));
            }
            if effect.done {
                let verdict = String::from_utf8_lossy(&value).into_owned();
                host.data_mut().outcome.verdict = Some(verdict);
            }
            Ok(effect.reported.unwrap_or(OK))
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
    _grpc_status: i32,
) -> Result<u32> {
    let details = read(&mut host, details_at, details_size)?;
    let body = read(&mut host, body_at, body_size)?;
    let headers = read(&mut host, headers_at, headers_size)?;
    {
        let mut state = host.data().process.state();
        state.say("a reply's details", &details);
        state.say("a reply's body", &body);
        state.say("a reply's headers", &headers);
    }
    pairs_from_bytes(&headers)?;
    let effect = effect(&mut host, "proxy_send_local_response");
    if effect.done {
        host.data_mut().outcome.reply = Some(Reply {
            status,
            details: String::from_utf8_lossy(&details).into_owned(),
            body: String::from_utf8_lossy(&body).into_owned(),
        });
    }
    Ok(effect.reported.unwrap_or(OK))
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
    _timeout: u32,
    token_at: u32,
) -> Result<u32> {
    let cluster = read(&mut host, cluster_at, cluster_size)?;
    let headers = pairs_from_bytes(&read(&mut host, headers_at, headers_size)?)?;
    let body = read(&mut host, body_at, body_size)?;
    pairs_from_bytes(&read(&mut host, trailers_at, trailers_size)?)?;
    let effect = effect(&mut host, "proxy_http_call");
    if !effect.done {
        return Ok(effect.reported.unwrap_or(OK));
    }
    let guest = host.data_mut();
    guest.n_calls += 1;
    let call = Call {
        vm: guest.vm,
        root: guest.effective,
        token: guest.n_calls,
        cluster: String::from_utf8_lossy(&cluster).into_owned(),
        headers,
        body,
    };
    let token = call.token;
    guest.process.state().calls.push(call);
    give_word(&mut host, "proxy_http_call", token_at, token)?;
    Ok(effect.reported.unwrap_or(OK))
}

fn metrics(linker: &mut Linker<Guest>) -> Result<()> {
    linker.func_wrap(
        "env",
        "proxy_define_metric",
        |mut host: Host<'_>, _kind: u32, at: u32, size: u32, metric_at: u32| {
            let name = read(&mut host, at, size)?;
            host.data().process.state().say("a metric's name", &name);
            let effect = effect(&mut host, "proxy_define_metric");
            if effect.done {
                let mut state = host.data().process.state();
                state
                    .definitions
                    .push(String::from_utf8_lossy(&name).into_owned());
                let number = u32::try_from(state.definitions.len() - 1)?;
                drop(state);
                give_word(&mut host, "proxy_define_metric", metric_at, number)?;
            }
            Ok(effect.reported.unwrap_or(OK))
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_increment_metric",
        |mut host: Host<'_>, metric: u32, by: i64| {
            let by = u64::try_from(by).unwrap_or(0);
            let effect = effect(&mut host, "proxy_increment_metric");
            change_metric(&host, effect, metric, |value| value.saturating_add(by))
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_record_metric",
        |mut host: Host<'_>, metric: u32, value: u64| {
            let effect = effect(&mut host, "proxy_record_metric");
            change_metric(&host, effect, metric, |_| value)
        },
    )?;
    Ok(())
}

fn change_metric(
    host: &Host<'_>,
    effect: Effect,
    metric: u32,
    change: impl FnOnce(u64) -> u64,
) -> u32 {
    let mut state = host.data().process.state();
    let Some(name) = state.definitions.get(metric as usize).cloned() else {
        return effect.reported.unwrap_or(BAD_ARGUMENT);
    };
    if effect.done {
        let value = state.metrics.entry(name).or_default();
        *value = change(*value);
    }
    effect.reported.unwrap_or(OK)
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
            {
                let mut state = host.data().process.state();
                state.say("output", &text);
                let line = String::from_utf8_lossy(&text).into_owned();
                state.logs.push((u32::MAX, line));
            }
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
            let state = host.data().process.state();
            let time = if clock == 0 {
                state.unix
            } else {
                state.monotonic
            };
            drop(state);
            give_time(&mut host, "clock_time_get", at, time)
        },
    )?;
    linker.func_wrap(
        MODULE,
        "random_get",
        |mut host: Host<'_>, at: u32, size: u32| {
            let mut bytes = host.data().process.state().random.bytes(u64::from(size));
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
    let state = host.data().process.state();
    let lines = state.environment.iter();
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

/// A callback within a hostcall, now and then, as no sound host makes. What it answers does not count, but it must
/// not trap.
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
    // None within this one.
    let faults = host.data_mut().faults.take();
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
    let guest = host.data_mut();
    guest.faults = faults;
    guest.effective = effective;
    guest.n_callbacks += 1;
    if let Some(Err(error)) = result {
        guest.trap_within.get_or_insert(error);
    }
}

/// Writes a time; with faults injected another one, or none.
fn give_time(host: &mut Host<'_>, hostcall: &'static str, at: u32, honest: u64) -> Result<u32> {
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

/// Hands bytes over in room that the module allocates.
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
