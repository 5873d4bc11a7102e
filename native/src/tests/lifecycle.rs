//! Configurations, streams and calls, in the orders in which Envoy creates and destroys them.

use super::*;

/// Commands of `trap` are the process's: one test at a time.
static TRAP: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn logged(text: &str) -> bool {
    let log = fake::LOG.lock().unwrap();
    log.iter().any(|line| line.contains(text))
}

#[test]
fn a_listed_client_is_denied() {
    let config = Config::new("portcullis", &fetching("denied")).unwrap();
    assert_eq!(config.request("192.0.2.1:5000", &[]), None);
    config.fetch("192.0.2.1");
    {
        let calls = config.envoy.calls.lock().unwrap();
        assert_eq!(calls[0].cluster, "denied");
        assert!(calls[0].body.is_empty());
        assert!(calls[0].headers.iter().any(|(name, _)| name == "x-abs-ak"));
    }
    let stream = config.stream("192.0.2.1:5000", &[]);
    assert_eq!(stream.headers(), number::STOP);
    let state = (
        "wasm.portcullis.verdict".to_owned(),
        "denied abs ip".to_owned(),
    );
    assert_eq!(*stream.envoy.state.lock().unwrap(), [state]);
    let reply = stream.envoy.replies.lock().unwrap().pop().unwrap();
    assert_eq!(
        (reply.status, &*reply.details),
        (403, "portcullis_denied_abs_ip")
    );
    assert!(!reply.headers.iter().any(|(name, _)| name == "grpc-status"));
    assert_eq!(config.value("portcullis.denied.source=abs.kind=ip"), 1);
    assert_eq!(config.request("192.0.2.2:5000", &[]), None);
    drop(stream);
    config.destroy();
}

#[test]
fn a_call_with_a_body_has_its_length() {
    let json = r#"{"enable_abs": true, "abs": {"cluster": "records", "access_key": "a", "secret_key": "s"},
        "traffic": {"format": "batch"}}"#;
    let config = Config::new("portcullis", json).unwrap();
    assert_eq!(config.request("192.0.2.1:5000", &[]), None);
    config.await_call(1);
    {
        let calls = config.envoy.calls.lock().unwrap();
        let length = ("content-length".to_owned(), calls[0].body.len().to_string());
        assert!(!calls[0].body.is_empty());
        assert!(calls[0].headers.contains(&length), "{:?}", calls[0].headers);
    }
    config.destroy();
}

#[test]
fn a_grpc_client_gets_a_grpc_status() {
    let json = r#"{"deny_list": {"ips": ["192.0.2.1"]}}"#;
    let config = Config::new("portcullis", json).unwrap();
    let status = |content_type: &str| {
        let headers = [("content-type", content_type)];
        let reply = config.request("192.0.2.1:5000", &headers).unwrap();
        let mut headers = reply.headers.into_iter();
        headers
            .find(|(name, _)| name == "grpc-status")
            .map(|(_, status)| status)
    };
    for grpc in ["application/grpc", "application/grpc+proto"] {
        assert_eq!(status(grpc).as_deref(), Some("7"), "{grpc}");
    }
    for other in [
        "application/grpc-web",
        "application/json",
        "application/grpcx",
    ] {
        assert_eq!(status(other), None, "{other}");
    }
    config.destroy();
}

#[test]
fn another_name_and_a_wrong_configuration_are_refused() {
    assert!(Config::new("other", "{}").is_none());
    assert!(logged("filter_name: \"other\""));
    assert!(Config::new("portcullis", r#"{"enable_firewal": true}"#).is_none());
    assert!(logged("enable_firewal"));
}

#[test]
fn a_panic_costs_its_request_only() {
    let _trap = TRAP.lock().unwrap();
    let config = Config::new("portcullis", &fetching("panic")).unwrap();
    let reply = config
        .request("192.0.2.1:1", &[("x-portcullis-trap", "request")])
        .unwrap();
    assert_eq!((reply.status, &*reply.details), (503, "portcullis_panic"));
    assert_eq!(config.request("192.0.2.1:1", &[]), None);
    assert_eq!(config.value("portcullis.panics"), 1);
    assert!(logged("panicked at"));
    config.destroy();
}

#[test]
fn a_panic_of_a_tick_or_of_a_parser_does_not_end_the_fetches() {
    let _trap = TRAP.lock().unwrap();
    let config = Config::new("portcullis", &fetching("panics")).unwrap();
    config.request("192.0.2.1:1", &[("x-portcullis-trap", "tick")]);
    config.run_until(|config| config.value("portcullis.panics") == 1);
    config.request("192.0.2.1:1", &[("x-portcullis-trap", "parse")]);
    config.await_call(1);
    config.headers(1, "200");
    config.complete(1);
    // The second fetch, after the first backoff.
    config.await_call(2);
    config.headers(2, "200");
    config.data(2, "{\"ips\": [\"192.0.2.1\"]}");
    config.complete(2);
    config.run_until(|config| config.value("portcullis.fetch.result=ok") == 1);
    config.destroy();
}

#[test]
fn a_response_that_is_broken_off_is_a_failure() {
    let config = Config::new("portcullis", &fetching("broken")).unwrap();
    config.await_call(1);
    config.headers(1, "200");
    config.data(1, "{\"ips\": [\"192.0.2.1\"");
    config.reset(1);
    config.run_until(|config| config.value("portcullis.fetch.result=reset") == 1);
    assert_eq!(config.request("192.0.2.1:1", &[]), None);
    config.destroy();
}

#[test]
fn a_response_that_can_t_be_used_is_not_read_to_its_end() {
    let config = Config::new("portcullis", &fetching("unusable")).unwrap();
    config.await_call(1);
    config.headers(1, "200");
    config.data(1, "<html>");
    config.run_until(|config| config.value("portcullis.fetch.result=malformed") == 1);
    config.data(1, "more");
    assert_eq!(*config.envoy.resets.lock().unwrap(), [1]);
    config.reset(1);
    assert_eq!(config.value("portcullis.fetch.result=reset"), 0);
    config.destroy();
}

#[test]
fn a_configuration_is_destroyed_on_the_thread_of_its_last_stream() {
    let config = Config::new("portcullis", &fetching("thread")).unwrap();
    config.fetch("192.0.2.1");
    let stream = config.stream("192.0.2.1:1", &[]);
    assert_eq!(stream.headers(), number::STOP);
    drop(stream);
    std::thread::spawn(move || config.destroy()).join().unwrap();
}

/// Envoy crashes if a worker resets them.
#[test]
fn the_main_thread_resets_the_calls_of_a_configuration_that_a_worker_destroys() {
    let old = Config::new("portcullis", &fetching("worker")).unwrap();
    old.await_call(1);
    old.headers(1, "200");
    let new = Config::new("portcullis", &fetching("main")).unwrap();
    let resets = old.envoy.resets.clone();
    let worker = std::thread::spawn(move || old.destroy());
    // Only this thread runs the hooks of `new`.
    new.run_until(|_| *resets.lock().unwrap() == [1]);
    worker.join().unwrap();
    new.destroy();
}

#[test]
fn no_thread_reaches_envoy_for_a_destroyed_configuration() {
    let config = Config::new("portcullis", &fetching("destroyed")).unwrap();
    config.await_call(1);
    config.headers(1, "200");
    // A thread waits for the rest of the body.
    let events = config.destroy();
    events.lock().unwrap().clear();
    // Another configuration's ticks show that time goes on.
    let other = Config::new("portcullis", &fetching("destroyed")).unwrap();
    other.await_call(1);
    other.destroy();
    assert!(events.lock().unwrap().is_empty());
}

#[test]
fn a_new_configuration_has_the_list_of_the_one_it_replaces() {
    let json = fetching("replaced");
    let old = Config::new("portcullis", &json).unwrap();
    old.fetch("192.0.2.9");
    let new = Config::new("portcullis", &json).unwrap();
    assert!(new.request("192.0.2.9:1", &[]).is_some());
    old.destroy();
    assert!(new.request("192.0.2.9:1", &[]).is_some());
    new.destroy();
}

#[test]
#[allow(unsafe_code, reason = "the hooks of tests, with pointers that live")]
fn a_route_changes_what_it_names() {
    let json = r#"{"deny_list": {"ips": ["192.0.2.1"]}}"#;
    let config = Config::new("portcullis", json).unwrap();
    let route = |name: &str, json: &str| {
        let (name, json) = (Buffer::of(name.as_bytes()), Buffer::of(json.as_bytes()));
        envoy_dynamic_module_on_http_filter_per_route_config_new(name, json)
    };
    let shadow = route("portcullis", r#"{"mode": "shadow"}"#);
    assert!(!shadow.is_null());
    assert!(route("other", "{}").is_null());
    assert!(logged("per_route_config_name: \"other\""));
    assert!(route("portcullis", r#"{"mode": "off"}"#).is_null());
    assert!(logged("typed_per_filter_config refused: mode"));
    let mut stream = config.stream("192.0.2.1:1", &[]);
    stream.envoy.route = shadow.expose_provenance();
    assert_eq!(stream.headers(), number::CONTINUE);
    assert_eq!(
        config.value("portcullis.would_deny.source=manual.kind=ip"),
        1
    );
    // A configuration of another library.
    let foreign = [0_usize; 16];
    let mut other = config.stream("192.0.2.1:1", &[]);
    other.envoy.route = (&raw const foreign).expose_provenance();
    assert_eq!(other.headers(), number::STOP);
    assert!(logged("another file of this module"));
    drop((stream, other));
    unsafe { envoy_dynamic_module_on_http_filter_per_route_config_destroy(shadow) };
    assert!(config.request("192.0.2.1:1", &[]).is_some());
    config.destroy();
}
