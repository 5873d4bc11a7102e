use core::time::Duration;

use super::*;
use crate::host::memory::{MemoryHost, MemoryProcess};
use crate::identifier::{ClientIdentifier, FingerprintKey, IdentifierKind};
use crate::judge::verdict::{DenyKind, DenyReason, ListOrigin};
use crate::list::{Builder, Manifest};
use crate::metrics::Metrics;
use crate::sync::ListId;
use crate::sync::store::{Store, write};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const MODULE: &str = concat!(";module=", env!("CARGO_PKG_VERSION"));

fn config(json: &str) -> Config {
    Config::parse(json.as_bytes(), &|_| None).unwrap()
}

/// ABS's list and a list of addresses.
fn two_feeds() -> Config {
    config(
        r#"{"enable_abs_attack": true, "abs": {"cluster": "abs", "access_key": "SECRET"},
        "feeds": [{"name": "drop", "format": "text", "cluster": "lists", "path": "/"}]}"#,
    )
}

fn host() -> MemoryHost {
    MemoryHost::new(&MemoryProcess::new(Duration::ZERO, Duration::ZERO, 1))
}

fn reason(origin: ListOrigin, kind: IdentifierKind) -> DenyReason {
    let kind = DenyKind::Listed(kind);
    DenyReason { origin, kind }
}

fn feed(name: &str) -> ListOrigin {
    ListOrigin::Feed(name.into())
}

/// Publishes the manifest of a list.
fn publish(host: &MemoryHost, config: &Config, name: &str, change: impl FnOnce(&mut Manifest)) {
    let key = FingerprintKey::from_words([1, 2]);
    let mut builder = Builder::new(key, u64::MAX);
    for entry in [b"SECRET".as_slice(), b"SECRET-2"] {
        builder
            .insert(ClientIdentifier::ApiKey(entry), None)
            .unwrap();
    }
    let list = builder.finish().unwrap();
    let mut manifest = Manifest::new(&list, key, None, Duration::ZERO);
    change(&mut manifest);
    let feeds = config.all_feeds();
    let feed = feeds.iter().find(|feed| *feed.name == *name).unwrap();
    let store = Store::new(ListId::of(feed));
    write(host, &store.keys().manifest(), &manifest.to_bytes()).unwrap();
}

/// The metrics of these configurations.
fn metrics(host: &MemoryHost, configs: &[&Config]) -> Metrics {
    let mut metrics = Metrics::default();
    for config in configs {
        metrics.define(host, Metric::common());
        for feed in config.all_feeds() {
            metrics.define(host, Metric::of_feed(&feed.name, feed.kinds));
        }
    }
    metrics
}

fn text_of(host: MeteredHost<'_>, config: &Config) -> String {
    text(host.of_root().system(), config, |feed| {
        let store = Store::new(ListId::of(feed));
        store.manifest(&*host).as_ref().map(ListState::from)
    })
}

#[test]
fn fields_have_the_order_of_the_contract() {
    let (host, config_of_node) = (host(), two_feeds());
    let other =
        config(r#"{"feeds": [{"name": "other", "format": "text", "cluster": "c", "path": "/"}]}"#);
    let (config, metrics) = (&config_of_node, metrics(&host, &[&config_of_node, &other]));
    host.process().set_node_id(b"edge-1");
    let metered = MeteredHost::new(&host, &metrics);
    let counts = [
        (Metric::AllowListed, 5),
        (
            Metric::WouldDeny(reason(feed("drop"), IdentifierKind::Ip)),
            3,
        ),
        (
            Metric::Denied(reason(feed("abs"), IdentifierKind::Username)),
            1,
        ),
        (Metric::Denied(reason(feed("abs"), IdentifierKind::Ip)), 12),
        (
            Metric::Denied(reason(ListOrigin::Manual, IdentifierKind::ApiKey)),
            u64::MAX,
        ),
        // Of a feed that another configuration has.
        (Metric::Denied(reason(feed("other"), IdentifierKind::Ip)), 9),
        (Metric::Requests, 1_000),
    ];
    for (metric, by) in counts {
        metered.add(&metric, by);
    }
    publish(&host, config, "abs", |manifest| manifest.generation = 7);
    publish(&host, config, "drop", |_| {});
    assert_eq!(
        text_of(metered, config),
        format!(
            "v=1;node=edge-1{MODULE};denied=manual.api_key:18446744073709551615,abs.ip:12,abs.username:1;\
             would_deny=drop.ip:3;allow_listed=5;lists=abs:7:2,drop:1:2"
        )
    );
}

#[test]
fn what_is_missing_is_left_out() {
    let (host, config) = (host(), two_feeds());
    let metrics = metrics(&host, &[&config]);
    let metered = MeteredHost::new(&host, &metrics);
    let expected = format!("v=1{MODULE};allow_listed=0");
    assert_eq!(text_of(metered, &config), expected);
    host.process().set_node_id(b"");
    assert_eq!(text_of(metered, &config), expected);
    publish(&host, &config, "drop", |_| {});
    assert_eq!(text_of(metered, &config), expected + ";lists=drop:1:2");
}

#[test]
fn any_node_id_is_escaped_and_cut() {
    let (host, config) = (host(), two_feeds());
    let metrics = metrics(&host, &[&config]);

    let long = vec![b'a'; 1 << 20];
    let quotes = vec![b'"'; 1 << 20];
    let mixed = [b"a".as_slice(), &quotes].concat();
    for (id, expected) in [
        (b"Az09.-_".as_slice(), "Az09.-_".to_owned()),
        (b"a;v=2,b", "a%3Bv%3D2%2Cb".to_owned()),
        (b"a\r\nx: y\0", "a%0D%0Ax%3A%20y%00".to_owned()),
        (b"sidecar~10.0.0.1~a", "sidecar%7E10.0.0.1%7Ea".to_owned()),
        (b"%41", "%2541".to_owned()),
        (b"\xFF\xC3\xA9", "%FF%C3%A9".to_owned()),
        (&long, "a".repeat(128)),
        // No escape is cut.
        (&quotes, "%22".repeat(42)),
        (&mixed, "a".to_owned() + &"%22".repeat(42)),
    ] {
        host.process().set_node_id(id);
        let text = text_of(MeteredHost::new(&host, &metrics), &config);
        assert_eq!(text, format!("v=1;node={expected}{MODULE};allow_listed=0"));
    }
}

/// Sixteen feeds with the longest names and numbers.
#[test]
fn what_does_not_fit_is_left_out_whole() {
    let host = host();
    let names = (0..16).map(|n| format!("{n:032}"));
    let feeds = names.clone().map(|name| {
        format!(
            r#"{{"name": "{name}", "format": "crowdsec", "cluster": "{name}", "session_cookie": "s"}}"#
        )
    });
    let feeds = feeds.collect::<Vec<_>>().join(",");
    let config = config(&format!(r#"{{"feeds": [{feeds}]}}"#));
    let metrics = metrics(&host, &[&config]);
    let metered = MeteredHost::new(&host, &metrics);
    host.process().set_node_id(&[b'"'; 1_000]);
    metered.add(&Metric::AllowListed, u64::MAX);
    let mut whole = vec![format!("allow_listed={}", u64::MAX)];
    for (index, name) in names.enumerate() {
        publish(&host, &config, &name, |manifest| {
            manifest.generation = u64::MAX;
            manifest.counts.api_key = u64::MAX;
        });
        whole.push(format!("{name}:{0}:{0}", u64::MAX));
        // Shorter values fit after longer ones.
        for kind in [IdentifierKind::Ip, IdentifierKind::Username] {
            let count = if index < 8 { u64::MAX } else { 7 };
            metered.add(&Metric::Denied(reason(feed(&name), kind)), count);
            metered.add(&Metric::WouldDeny(reason(feed(&name), kind)), count);
            whole.push(format!("{name}.{}:{count}", kind.as_str()));
        }
    }
    let text = text_of(metered, &config);
    assert!((2_000..=2_048).contains(&text.len()), "{}", text.len());
    assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
    let (start, fields) = text.split_once(MODULE).unwrap();
    assert_eq!(start, ["v=1;node=", &"%22".repeat(42)].concat());
    let mut n_values = 0;
    for field in fields.split(';').skip(1) {
        let values = field
            .strip_prefix("denied=")
            .or(field.strip_prefix("would_deny="))
            .or(field.strip_prefix("lists="))
            .unwrap_or(field);
        for value in values.split(',') {
            assert!(whole.iter().any(|known| known == value), "{value}");
            n_values += 1;
        }
    }
    assert!((20..whole.len()).contains(&n_values), "{n_values}");
}
