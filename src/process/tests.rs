use std::sync::Arc;

use super::*;
use crate::config::Route;
use crate::host::memory::{MadeCall, MemoryHost, MemoryProcess, MemoryRequest, MemoryResponse};
use crate::judge::Disposition;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const FEED: &str = r#"{"enable_firewall": true,
    "feeds": [{"name": "drop", "format": "text", "cluster": "lists", "path": "/", "interval": "60s", "max_age": "10m"}]}"#;

/// A process whose first configuration is `json`.
fn started(json: &str) -> (MemoryHost, Arc<Process>, Arc<Filter>) {
    let start = Duration::from_secs(100);
    let host = MemoryHost::new(&MemoryProcess::new(
        start,
        Duration::from_secs(1_000_000),
        1,
    ));
    let process = Arc::new(Process::new(&host));
    let filter = process.configure(&host, RootId(1), json.as_bytes());
    (host, process, filter.unwrap())
}

fn response(status: &str, body: &str) -> MemoryResponse {
    MemoryResponse {
        headers: vec![(b":status".to_vec(), status.as_bytes().to_vec())],
        body: body.as_bytes().to_vec(),
    }
}

/// Delivers a response to a fetch, as an adapter does.
fn respond(host: &MemoryHost, filter: &Filter, call: &MadeCall, response: MemoryResponse) {
    let body = response.body.clone();
    host.set_response(response);
    let job = filter.begin_response(host, call.token).unwrap();
    let fetched = job.run(&mut body.as_slice());
    filter.finish_fetch(host, call.token, fetched);
}

fn only_call(host: &MemoryHost) -> MadeCall {
    let mut calls = host.take_calls();
    assert_eq!(calls.len(), 1);
    calls.pop().unwrap()
}

fn request(host: &MemoryHost, filter: &Filter, address: &str) -> Disposition {
    host.set_request(MemoryRequest {
        source_address: address.as_bytes().to_vec(),
        ..MemoryRequest::default()
    });
    let stream = StreamState::default();
    let disposition = filter.request(host, &Route::NONE, &stream);
    filter.stream_ended(host, &stream);
    disposition
}

#[test]
fn a_process_and_its_filters_are_shared_by_threads() {
    fn is_shared<T: Send + Sync>() {}
    fn is_sent<T: Send>() {}
    is_shared::<Process>();
    is_shared::<Filter>();
    is_sent::<FetchJob>();
    is_sent::<Fetched>();
}

#[test]
fn a_list_is_fetched_once_an_interval_and_enforced() {
    let (host, _process, filter) = started(FEED);
    assert_eq!(
        request(&host, &filter, "192.0.2.1:5"),
        Disposition::Continue
    );
    filter.tick(&host);
    let call = only_call(&host);
    filter.tick(&host);
    assert!(host.take_calls().is_empty(), "one call at a time");
    respond(
        &host,
        &filter,
        &call,
        response("200", "192.0.2.0/24\n8.8.8.8\n"),
    );
    assert_eq!(request(&host, &filter, "192.0.2.1:5"), Disposition::Stop);
    assert_eq!(request(&host, &filter, "8.8.8.8:5"), Disposition::Stop);
    assert_eq!(request(&host, &filter, "8.8.8.9:5"), Disposition::Continue);
    let metric = |name: &str| host.process().metric(name);
    assert_eq!(metric("portcullis.denied.source=drop.kind=ip"), 2);
    assert_eq!(
        metric("portcullis.attack_list.source=drop.entries.kind=ip"),
        2
    );
    host.process().pass(Duration::from_secs(59));
    filter.tick(&host);
    assert!(host.take_calls().is_empty());
    host.process().pass(Duration::from_secs(8));
    filter.tick(&host);
    let call = only_call(&host);
    respond(&host, &filter, &call, response("500", ""));
    assert_eq!(request(&host, &filter, "8.8.8.8:5"), Disposition::Stop);
    assert_eq!(metric("portcullis.fetch.source=drop.result=status"), 1);
}

#[test]
fn an_interrupted_body_changes_nothing() {
    struct Interrupted;
    impl std::io::Read for Interrupted {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::ConnectionReset.into())
        }
    }
    let (host, _process, filter) = started(FEED);
    filter.tick(&host);
    let call = only_call(&host);
    host.set_response(response("200", ""));
    let job = filter.begin_response(&host, call.token).unwrap();
    filter.finish_fetch(&host, call.token, job.run(&mut Interrupted));
    assert_eq!(
        host.process()
            .metric("portcullis.fetch.source=drop.result=reset"),
        1
    );
    assert_eq!(
        request(&host, &filter, "192.0.2.1:5"),
        Disposition::Continue
    );
}

#[test]
fn a_new_configuration_takes_over_the_list_and_a_deleted_call_is_repeated() {
    let (host, process, first) = started(FEED);
    first.tick(&host);
    let lost = only_call(&host);
    let second = process
        .configure(&host, RootId(2), FEED.as_bytes())
        .unwrap();
    first.destroyed();
    host.set_response(response("200", "8.8.8.8\n"));
    assert!(second.begin_response(&host, lost.token).is_none());
    host.process().pass(Duration::from_secs(2));
    second.tick(&host);
    let call = only_call(&host);
    respond(&host, &second, &call, response("200", "8.8.8.8\n"));
    let third = process
        .configure(&host, RootId(3), FEED.as_bytes())
        .unwrap();
    second.destroyed();
    assert_eq!(request(&host, &third, "8.8.8.8:5"), Disposition::Stop);
}

#[test]
fn a_list_that_no_configuration_uses_is_dropped() {
    let (host, process, first) = started(FEED);
    first.tick(&host);
    let call = only_call(&host);
    respond(&host, &first, &call, response("200", "8.8.8.8\n"));
    let second = process.configure(&host, RootId(2), b"{}").unwrap();
    first.destroyed();
    second.tick(&host);
    let third = process
        .configure(&host, RootId(3), FEED.as_bytes())
        .unwrap();
    assert_eq!(request(&host, &third, "8.8.8.8:5"), Disposition::Continue);
}

#[test]
fn records_of_all_threads_go_to_one_queue_and_the_books_balance() {
    let json = r#"{"enable_abs": true, "abs": {"cluster": "abs"}, "traffic": {"format": "batch", "path": "/", "flush_interval": "1s", "gzip": false}}"#;
    let (host, _process, filter) = started(json);
    for port in 0..10 {
        request(&host, &filter, &format!("192.0.2.1:{port}"));
    }
    filter.tick(&host);
    host.process().pass(Duration::from_secs(2));
    filter.tick(&host);
    let calls = host.take_calls();
    let call = calls.iter().find(|call| !call.body.is_empty()).unwrap();
    host.set_response(response("200", ""));
    filter.on_call_response(&host, call.token);
    assert_eq!(host.process().metric("portcullis.traffic.sent"), 10);
    assert_eq!(host.process().metric("portcullis.traffic.dropped"), 0);
}

#[test]
fn the_admin_page_says_what_the_lists_have_and_why_a_client_is_blocked() {
    let (host, process, filter) = started(
        r#"{"deny_list": {"api_keys": ["K-1"], "usernames": ["eve"]}, "allow_list": {"ips": ["8.8.4.4"]},
        "feeds": [{"name": "drop", "format": "text", "cluster": "lists", "path": "/"},
                  {"name": "try", "format": "text", "cluster": "others", "path": "/", "mode": "shadow"}]}"#,
    );
    let page = |target: &str| process.admin_page(&host, target);
    assert!(!process.has_first_lists());
    assert!(
        page("/portcullis")
            .1
            .contains("feed drop (enforce): no list yet")
    );
    filter.tick(&host);
    for call in host.take_calls() {
        let body = match call.cluster.as_str() {
            "lists" => "8.8.8.8\n8.8.4.4\n2001:4860::/32\n",
            _ => "9.9.9.9\n",
        };
        respond(&host, &filter, &call, response("200", body));
    }
    assert!(process.has_first_lists());
    let (status, text) = page("/portcullis");
    assert_eq!(status, 200);
    assert!(
        text.contains("feed drop (enforce): ip 3; list 1, "),
        "{text}"
    );
    assert!(text.contains("feed try (shadow): ip 1; "), "{text}");
    assert!(!text.contains("K-1") && !text.contains("eve"), "{text}");
    for (query, expected) in [
        ("ip=8.8.8.8", "denied: source=drop kind=ip"),
        ("ip=2001:4860::1", "denied: source=drop kind=ip"),
        ("ip=8.8.4.4", "passes: it is on the allow list"),
        ("ip=8.8.8.9", "passes: no enforced list has it"),
        ("ip=9.9.9.9", "otherwise denied: source=try kind=ip"),
        ("header=X-Api-Key:K-1", "denied: source=manual kind=api_key"),
        (
            "header=x-api-key%3A+K-1&ip=1.1.1.1",
            "denied: source=manual kind=api_key",
        ),
        ("username=eve", "denied: source=manual kind=username"),
    ] {
        let (status, text) = page(&format!("/portcullis?{query}"));
        assert!(status == 200 && text.contains(expected), "{query}: {text}");
    }
    for query in ["ip=x", "header=K-1", "key=K-1"] {
        let (status, text) = page(&format!("/portcullis?{query}"));
        assert!(
            status == 400 && text.contains("?ip=") && !text.contains("K-1"),
            "{query}: {text}"
        );
    }
    assert_eq!(
        host.process()
            .metric("portcullis.denied.source=drop.kind=ip"),
        0
    );
}

#[test]
fn a_list_that_changed_at_its_source_is_fetched_at_the_next_tick() {
    let (host, process, filter) = started(FEED);
    filter.tick(&host);
    let call = only_call(&host);
    process.source_changed("lists");
    filter.tick(&host);
    assert!(host.take_calls().is_empty(), "one call at a time");
    respond(&host, &filter, &call, response("200", "8.8.8.8\n"));
    filter.tick(&host);
    let call = only_call(&host);
    respond(&host, &filter, &call, response("200", "8.8.8.9\n"));
    assert_eq!(request(&host, &filter, "8.8.8.9:5"), Disposition::Stop);
    process.source_changed("others");
    filter.tick(&host);
    assert!(host.take_calls().is_empty());
}

#[test]
fn a_list_that_takes_longer_than_the_timeout_to_read_is_used() {
    let (host, _process, filter) = started(FEED);
    filter.tick(&host);
    let call = only_call(&host);
    host.set_response(response("200", ""));
    let job = filter.begin_response(&host, call.token).unwrap();
    host.process().pass(Duration::from_secs(50));
    filter.tick(&host);
    assert!(host.take_calls().is_empty());
    filter.finish_fetch(&host, call.token, job.run(&mut b"8.8.8.8\n".as_slice()));
    assert_eq!(request(&host, &filter, "8.8.8.8:5"), Disposition::Stop);
}

#[test]
fn a_filter_without_feeds_releases_what_a_deleted_one_leaves_behind() {
    let (host, process, first) = started("{}");
    first.tick(&host);
    assert_eq!(host.tick_period(RootId(1)), None, "there is nothing to do");
    let second = process
        .configure(&host, RootId(2), FEED.as_bytes())
        .unwrap();
    second.tick(&host);
    let call = only_call(&host);
    respond(&host, &second, &call, response("200", "8.8.8.8\n"));
    second.destroyed();
    assert!(host.tick_period(RootId(1)).is_some(), "it ticks again");
    first.tick(&host);
    let third = process
        .configure(&host, RootId(3), FEED.as_bytes())
        .unwrap();
    assert_eq!(request(&host, &third, "8.8.8.8:5"), Disposition::Continue);
}

#[test]
fn a_response_to_another_filter_with_the_same_number_confirms_no_record() {
    let json = r#"{"enable_abs": true, "abs": {"cluster": "abs"}, "traffic": {"format": "batch", "path": "/", "flush_interval": "1s", "gzip": false}}"#;
    let (host, process, second) = started(json);
    let first = process
        .configure(&host, RootId(2), json.as_bytes())
        .unwrap();
    request(&host, &first, "192.0.2.1:5");
    first.tick(&host);
    host.process().pass(Duration::from_secs(2));
    first.tick(&host);
    let calls = host.take_calls();
    let call = calls.iter().find(|call| !call.body.is_empty()).unwrap();
    host.set_response(response("200", ""));
    // Each filter's calls have numbers of their own.
    second.on_call_response(&host, call.token);
    let sent = || host.process().metric("portcullis.traffic.sent");
    assert_eq!(sent(), 0);
    first.on_call_response(&host, call.token);
    assert_eq!(sent(), 1);
}

#[test]
fn a_list_that_older_rules_accepted_is_fetched_without_its_validators() {
    let (host, process, first) = started(FEED);
    first.tick(&host);
    let call = only_call(&host);
    let mut list = response("200", "");
    list.headers.push((b"etag".to_vec(), b"\"1\"".to_vec()));
    host.set_response(list);
    let job = first.begin_response(&host, call.token).unwrap();
    let stricter = FEED.replace(r#""path""#, r#""guard": {"widest_ipv4": 32}, "path""#);
    let second = process.configure(&host, RootId(2), stricter.as_bytes());
    let second = second.unwrap();
    first.finish_fetch(&host, call.token, job.run(&mut &b"8.8.8.0/24\n"[..]));
    host.process().pass(Duration::from_secs(67));
    second.tick(&host);
    let call = only_call(&host);
    let mut headers = call.headers.iter();
    assert!(!headers.any(|(name, _)| name == b"if-none-match"));
}

#[test]
fn the_newest_filter_sends_the_records_of_all_until_it_is_deleted() {
    let json = r#"{"enable_abs": true, "abs": {"cluster": "abs"}, "traffic": {"format": "batch", "path": "/", "flush_interval": "1s", "gzip": false}}"#;
    let (host, process, first) = started(json);
    let second = process
        .configure(&host, RootId(2), json.as_bytes())
        .unwrap();
    request(&host, &first, "192.0.2.1:5");
    let sends = |filter: &Filter| {
        host.process().pass(Duration::from_secs(3));
        filter.tick(&host);
        let calls = host.take_calls();
        calls.iter().any(|call| !call.body.is_empty())
    };
    second.tick(&host);
    assert!(!sends(&first), "it would be destroyed with its calls");
    assert!(sends(&second));
    second.destroyed();
    first.tick(&host);
    assert!(sends(&first), "the call that was interrupted is repeated");
}

#[test]
fn each_filter_has_its_sample() {
    let json = r#"{"enable_abs": true, "abs": {"cluster": "abs"}, "traffic": {"format": "batch", "path": "/", "sample": 0.5, "flush_interval": "1s", "gzip": false}}"#;
    let (host, process, first) = started(json);
    let second = process
        .configure(&host, RootId(2), json.as_bytes())
        .unwrap();
    for _ in 0..4 {
        request(&host, &first, "192.0.2.1:5");
        request(&host, &second, "192.0.2.2:5");
    }
    second.tick(&host);
    host.process().pass(Duration::from_secs(2));
    second.tick(&host);
    let calls = host.take_calls();
    let call = calls.iter().find(|call| !call.body.is_empty()).unwrap();
    let records = String::from_utf8_lossy(&call.body);
    for client in ["192.0.2.1", "192.0.2.2"] {
        assert_eq!(records.lines().filter(|it| it.contains(client)).count(), 2);
    }
}

#[test]
fn records_of_open_streams_are_bounded_and_their_memory_is_released() {
    let json = r#"{"enable_abs": true, "abs": {"cluster": "abs"},
        "traffic": {"format": "batch", "path": "/", "queue_memory": "1MB"}}"#;
    let (host, _process, filter) = started(json);
    host.set_request(MemoryRequest {
        source_address: b"192.0.2.1:5".to_vec(),
        ..MemoryRequest::default()
    });
    let dropped = || host.process().metric("portcullis.traffic.dropped");
    let mut streams = Vec::new();
    while dropped() == 0 {
        assert!(streams.len() < 100_000, "nothing bounds open records");
        let stream = StreamState::default();
        filter.request(&host, &Route::NONE, &stream);
        streams.push(stream);
    }
    let n_open = streams.len();
    drop(streams);
    for _ in 1..n_open {
        filter.request(&host, &Route::NONE, &StreamState::default());
    }
    assert_eq!(dropped(), 1, "the memory of lost streams is released");
}
