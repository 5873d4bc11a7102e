//! The JSON Schema of the configuration: it agrees with the filter's loader and with the reference.
//!
//! What the loader accepts without a warning about white space, the schema accepts. What the loader refuses for a reason that
//! a schema can express, the schema refuses; `is_expressible` has these reasons.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use jsonschema::Validator;
use portcullis::config::{Config, ConfigError, KNOWN_KEYS, Notice, Problem};
use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, TestRunner};
use serde_json::{Map, Value, json};

use crate::support::{Workspace, repository};

/// What `portcullis schema` prints.
pub fn schema() -> Value {
    serde_json::from_str(include_str!("../../cli/src/commands/schema.json")).unwrap()
}

fn validator(schema: &Value) -> Validator {
    jsonschema::draft7::new(schema).unwrap()
}

/// Where the schema describes the section of [`KNOWN_KEYS`].
fn definition(section: &str) -> String {
    let name = match section {
        "" => return String::new(),
        "apis[]" => "api",
        "apis[].username[]" => "username_source",
        "apis[].jwt" => "jwt",
        "allow_list" | "deny_list" => "list",
        "feeds[]" => "feed",
        name => name,
    };
    format!("/definitions/{name}")
}

/// Every key of the loader, with its section.
fn keys() -> impl Iterator<Item = (&'static str, &'static str)> {
    let sections = KNOWN_KEYS.iter();
    sections.flat_map(|(section, keys)| keys.iter().map(|key| (*section, *key)))
}

/// How the loader and the schema disagree about a configuration, if they do.
fn disagreement(validator: &Validator, configuration: &Value) -> Option<String> {
    let text = configuration.to_string();
    let refused_by_schema = validator.validate(configuration).err();
    match (Config::parse(text.as_bytes(), &|_| None), refused_by_schema) {
        (Ok(config), Some(error)) => {
            let trimmed = config
                .warnings
                .iter()
                .any(|warning| warning.notice == Notice::Trimmed);
            let place = error.instance_path();
            (!trimmed).then(|| format!("only the schema refuses {text}: {place}: {error}"))
        }
        (Err(errors), None) => {
            let error = errors
                .iter()
                .find(|error| is_expressible(error, configuration))?;
            Some(format!("only the loader refuses {text}: {error}"))
        }
        _ => None,
    }
}

/// Whether a schema can refuse this: keys, types, words of a choice, ranges of numbers, the form of durations and sizes, empty
/// strings, and numbers of elements.
fn is_expressible(error: &ConfigError, configuration: &Value) -> bool {
    const TYPES: [&str; 6] = [
        "null",
        "a boolean",
        "a number",
        "a string",
        "a list",
        "an object",
    ];
    let (found, allowed) = match &error.problem {
        Problem::UnknownKey { .. } | Problem::Missing { .. } => return true,
        Problem::Invalid { found, allowed } => (found.as_str(), *allowed),
        _ => return false,
    };
    let units = |units: &[&str], text: &str| {
        let number = text.trim_start_matches(|digit: char| digit.is_ascii_digit());
        number.len() < text.len() && units.contains(&number)
    };
    match at(configuration, &error.path) {
        _ if TYPES.contains(&found) || found.starts_with("a key of the format") => true,
        Value::Number(_) => true,
        Value::Bool(_) => found == "false",
        Value::String(text) if allowed.contains("a duration") => {
            !units(&["ms", "s", "m", "h", "d"], text)
        }
        Value::String(text) if allowed.contains("a size") => !units(&["B", "KB", "MB", "GB"], text),
        Value::String(text) if text.is_empty() => found == "an empty string",
        // A choice shows the word that it does not know.
        Value::String(_) => found.starts_with('"') && allowed.starts_with('"'),
        Value::Object(_) => found.contains("object") || found.ends_with(" names"),
        Value::Array(_) => found.ends_with(" names"),
        Value::Null => false,
    }
}

/// The value at a path as in an error: `apis[1].cookie`, `headers["a b"]`.
fn at<'v>(mut value: &'v Value, mut path: &str) -> &'v Value {
    while !path.is_empty() {
        if let Some(rest) = path.strip_prefix('[') {
            let (inside, rest) = rest.split_once(']').unwrap();
            value = match inside.parse::<usize>() {
                Ok(index) => &value[index],
                Err(_) => {
                    let key: Option<String> = serde_json::from_str(inside).ok();
                    key.and_then(|key| value.get(key)).unwrap_or(&Value::Null)
                }
            };
            path = rest;
        } else {
            path = path.strip_prefix('.').unwrap_or(path);
            let end = path.find(['.', '[']).unwrap_or(path.len());
            value = value.get(&path[..end]).unwrap_or(&Value::Null);
            path = &path[end..];
        }
    }
    value
}

/// Values of every type, valid for some key or for none.
fn values() -> Vec<Value> {
    let list = r##"[
        null, true, false, 0, 1, 0.5, -1, 8, 16, 32, 33, 64, 99.5, 100, 101, 128, 129, 199, 200, 204, 205, 304, 403, 403.5, 599,
        600, 0.016, 0.017, 10, 525600, 525601, 1e30,
        "", "0.5", "1.5", "403.0", "64.0", "00.5", "5", "true", "x", "X", "a b", "a:b", "a,b", "a=b", "a;b", "drop", "abs",
        "allow", "deny", "keep", "enforce", "shadow", "sideband", "batch", "crowdsec", "text", "tokens", "ip", "token_claims",
        "username", "10m", "1h", "1ms", "30d", "1w", "10", "m", "64KB", "1GB", "1TB", "1 MB", "/", "/shop", "shop", "/a b",
        "/a#b", "*", "api.example.com", "api.example.com:80", "[2001:db8::7]", "192.0.2.7", "2001:db8::/32", "10.0.0.1/8",
        "h:x-jwt", "qs:token", "header", "x-api-key", "NAME", " keep", "caf\u00e9",
        [], [null], [1], [""], ["ip"], ["jti"], ["jti", "jti"], ["a", "b", "c", "d", "e"], ["abs"], ["192.0.2.7"], ["x-user"],
        [[]], [{}], [{"basic_auth": true}], [{"basic_auth": false}], [{"header": "x-user", "jwt_claim": "sub"}],
        [{"name": "g", "format": "text", "cluster": "c", "path": "/g"}], [{"api_id": "shop"}],
        {}, {"x": 1}, {"a": "b"}, {"a": ["b"]}, {"a": null}, {"a": []}, {"a": [1]}, {"Country": "cf-ipcountry"},
        {"x-key": {"env": "KEY"}}, {"x-key": {}}, {"x-key": {"env": "KEY", "more": 1}},
        {"basic": {"user": "u", "password_env": "P"}}, {"basic": {"user": "u"}}, {"basic": "text"}, {"env": "KEY"},
        {"a b": "c"}, {"cluster": "c"}, {"cluster": ""}, {"format": "batch"}, {"report": true}, {"status": 403},
        {"ips": ["192.0.2.7"]}, {"cookies": {"a": null}}, {"api_keys": {"n": ["k"]}}, {"widest_ipv4": 8}, {"username": "sub"}
    ]"##;
    serde_json::from_str(list).unwrap()
}

/// Valid configurations with every section, one for each format of feeds.
fn bases() -> Vec<Value> {
    let formats = ["text", "tokens", "crowdsec", "abs"].into_iter();
    let base = |format| {
        json!({
            "abs": {"cluster": "c"}, "traffic": {"format": "batch"}, "allow_list": {}, "deny_list": {}, "deny_response": {},
            "guard": {}, "fleet": {}, "apis": [{"username": [{"header": "x-user"}], "jwt": {}}],
            "feeds": [{"name": "f", "format": format, "cluster": "c", "path": "/list"}],
        })
    };
    formats.map(base).collect()
}

/// Each valid configuration with each value for the key, and without the key.
fn configurations_with(section: &str, key: &str) -> Vec<Value> {
    let pointer = match section {
        "" => String::new(),
        "apis[].username[]" => "/apis/0/username/0".to_owned(),
        section => format!("/{}", section.replace("[]", "/0").replace('.', "/")),
    };
    let mut configurations = Vec::new();
    let bases = bases();
    let bases = match section {
        "feeds[]" => &bases[..],
        _ => &bases[..1],
    };
    for base in bases {
        let changed = |change: &dyn Fn(&mut Map<String, Value>)| {
            let mut configuration = base.clone();
            change(
                configuration
                    .pointer_mut(&pointer)
                    .unwrap()
                    .as_object_mut()
                    .unwrap(),
            );
            configuration
        };
        configurations.push(changed(&|object| {
            object.remove(key);
        }));
        for value in values() {
            configurations.push(changed(&|object| {
                if section.ends_with("username[]") {
                    object.clear();
                }
                object.insert(key.to_owned(), value.clone());
            }));
        }
    }
    configurations
}

/// Keys that depend on others.
fn conditions() -> Vec<Value> {
    let list = json!([
        null, {}, [], "x", 1,
        {"enable_abs": true},
        {"enable_abs": true, "abs": {}, "traffic": {"format": "batch"}},
        {"enable_abs": true, "abs": null, "traffic": {"format": "batch"}},
        {"enable_abs": true, "abs": {"cluster": "c"}},
        {"enable_abs": true, "abs": {"cluster": "c"}, "traffic": null},
        {"enable_abs": true, "abs": {"cluster": "c"}, "traffic": {}},
        {"enable_abs": true, "abs": {"cluster": "c"}, "traffic": {"format": "batch"}},
        {"enable_abs_attack": true},
        {"enable_abs_attack": true, "abs": {}},
        {"enable_abs_attack": true, "abs": {"cluster": "c"}},
        {"enable_abs": false, "enable_abs_attack": false, "abs": {}, "traffic": {}},
        {"feeds": [{"name": "f", "format": "text", "cluster": "c"}]},
        {"feeds": [{"name": "f", "format": "tokens", "cluster": "c"}]},
        {"feeds": [{"name": "f", "format": "crowdsec", "cluster": "c"}]},
        {"feeds": [{"name": "f", "format": "abs", "cluster": "c"}]},
        {"feeds": [{"name": "f", "format": "abs", "cluster": "c", "claims": ["jti"]}]},
        {"feeds": [{"name": "f", "format": "crowdsec", "cluster": "c", "window": "1d"}]},
        {"feeds": [{"format": "abs", "cluster": "c"}]},
        {"feeds": [{"name": "f", "cluster": "c"}]},
        {"feeds": [{"name": "f", "format": "abs"}]},
        {"apis": [{"username": [{}]}]},
    ]);
    list.as_array().unwrap().clone()
}

#[test]
fn each_value_of_each_key_is_accepted_or_refused_by_both() {
    let validator = validator(&schema());
    for base in bases() {
        let accepted = Config::parse(base.to_string().as_bytes(), &|_| None);
        assert!(accepted.is_ok(), "{base}: {accepted:?}");
    }
    let configurations = keys().flat_map(|(section, key)| configurations_with(section, key));
    for configuration in configurations.chain(conditions()) {
        if let Some(disagreement) = disagreement(&validator, &configuration) {
            panic!("{disagreement}");
        }
    }
}

#[test]
fn a_schema_without_one_of_its_keys_or_rules_is_found() {
    let is_found = |schema: &Value, configurations: &[Value]| {
        let validator = validator(schema);
        let mut configurations = configurations.iter();
        configurations.any(|it| disagreement(&validator, it).is_some())
    };
    for (section, key) in keys() {
        let configurations = configurations_with(section, key);
        let changed = |change: &dyn Fn(&mut Map<String, Value>)| {
            let mut schema = schema();
            let section = schema.pointer_mut(&definition(section)).unwrap();
            change(section["properties"].as_object_mut().unwrap());
            schema
        };
        let without = changed(&|properties| {
            properties.remove(key).unwrap();
        });
        assert!(is_found(&without, &configurations), "no {section} {key}");
        let any = changed(&|properties| {
            properties.insert(key.to_owned(), Value::Bool(true));
        });
        assert!(
            is_found(&any, &configurations),
            "{section} {key}: any value"
        );
    }
    for section in ["", "/definitions/feed"] {
        let rules = schema().pointer(section).unwrap()["allOf"]
            .as_array()
            .unwrap()
            .len();
        for rule in 0..rules {
            let mut schema = schema();
            let list = &mut schema.pointer_mut(section).unwrap()["allOf"];
            list.as_array_mut().unwrap().remove(rule);
            let mut configurations = conditions();
            configurations.extend(configurations_with("feeds[]", "claims"));
            configurations.extend(configurations_with("feeds[]", "window"));
            assert!(is_found(&schema, &configurations), "{section} allOf {rule}");
        }
    }
}

/// The configurations of the documents, the examples and the loader's own tests, valid and invalid ones.
fn samples() -> Vec<Value> {
    let mut found = Vec::new();
    let mut add = |text: &str| {
        if let Ok(value @ Value::Object(_)) = serde_json::from_str(text) {
            found.push(value);
        }
    };
    for document in ["README.md", "docs/configuration.md", "docs/feeds.md"] {
        let text = fs::read_to_string(repository().join(document)).unwrap();
        for block in text.split("```json\n").skip(1) {
            add(block.split("```").next().unwrap());
        }
    }
    for_each_file(&repository().join("src/config"), &mut |text| {
        for literal in text.split("r#\"").skip(1) {
            add(literal.split("\"#").next().unwrap());
        }
    });
    for file in [
        "envoy/filter.json",
        "examples/kubernetes-sidecar/component/filter.json",
        "examples/crowdsec/envoy/filter.json",
    ] {
        let text = fs::read_to_string(repository().join(file)).unwrap();
        let filter: Value = serde_json::from_str(&text).unwrap();
        let pointer = "/resources/0/typed_config/config/configuration/value";
        add(&filter.pointer(pointer).unwrap().to_string());
    }
    found
}

fn for_each_file(directory: &Path, use_text: &mut dyn FnMut(&str)) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            for_each_file(&path, use_text);
        } else {
            use_text(&fs::read_to_string(path).unwrap());
        }
    }
}

/// A change of one value, whose place is chosen among all.
#[derive(Clone, Debug)]
enum Change {
    Replace(Value),
    Insert(String, Value),
    Remove,
    Rename,
    Wrap,
}

fn change() -> impl Strategy<Value = Change> {
    let value = proptest::sample::select(values());
    let key = proptest::sample::select(keys().map(|(_, key)| key.to_owned()).collect::<Vec<_>>());
    prop_oneof![
        value.clone().prop_map(Change::Replace),
        (key, value).prop_map(|(key, value)| Change::Insert(key, value)),
        Just(Change::Remove),
        Just(Change::Rename),
        Just(Change::Wrap),
    ]
}

/// The pointers to all values below a value.
fn pointers(value: &Value, here: &str, found: &mut Vec<String>) {
    found.push(here.to_owned());
    match value {
        Value::Array(list) => {
            for (index, inner) in list.iter().enumerate() {
                pointers(inner, &format!("{here}/{index}"), found);
            }
        }
        Value::Object(object) => {
            for (key, inner) in object {
                let key = key.replace('~', "~0").replace('/', "~1");
                pointers(inner, &format!("{here}/{key}"), found);
            }
        }
        _ => {}
    }
}

fn apply(configuration: &mut Value, place: prop::sample::Index, change: Change) {
    let mut places = Vec::new();
    pointers(configuration, "", &mut places);
    let pointer = place.get(&places);
    let value = configuration.pointer_mut(pointer).unwrap();
    match change {
        Change::Replace(new) => *value = new,
        Change::Insert(key, new) => {
            if let Some(object) = value.as_object_mut() {
                object.insert(key, new);
            }
        }
        Change::Wrap => *value = Value::Array(vec![value.take()]),
        Change::Remove | Change::Rename => {
            let Some((parent, key)) = pointer.rsplit_once('/') else {
                return;
            };
            let parent = configuration.pointer_mut(parent).unwrap();
            let Some(object) = parent.as_object_mut() else {
                return;
            };
            let removed = object.remove(key);
            if let (Change::Rename, Some(value)) = (change, removed) {
                object.insert(format!("{key}s"), value);
            }
        }
    }
}

#[test]
fn the_loader_and_the_schema_agree_about_changed_configurations() {
    let samples = samples();
    let accepted = samples
        .iter()
        .filter(|sample| Config::parse(sample.to_string().as_bytes(), &|_| None).is_ok());
    assert!(accepted.count() > 50, "of {}", samples.len());
    let validator = validator(&schema());
    let changes = prop::collection::vec((any::<prop::sample::Index>(), change()), 0..4);
    let mut runner = TestRunner::new(Cases {
        cases: 10_000,
        failure_persistence: None,
        ..Cases::default()
    });
    let strategy = (proptest::sample::select(samples), changes);
    let outcome = runner.run(&strategy, |(mut configuration, changes)| {
        for (place, change) in changes {
            apply(&mut configuration, place, change);
        }
        match disagreement(&validator, &configuration) {
            None => Ok(()),
            Some(text) => Err(TestCaseError::fail(text)),
        }
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

/// The text of a cell without its Markdown.
fn plain(cell: &str) -> String {
    let mut text = String::new();
    let mut rest = cell;
    while let Some((before, link)) = rest.split_once('[') {
        let Some((shown, (_, after))) = link
            .split_once("](")
            .and_then(|(shown, target)| Some((shown, target.split_once(')')?)))
            .filter(|(shown, _)| !shown.contains(['[', ']']))
        else {
            text.push_str(before);
            text.push('[');
            rest = link;
            continue;
        };
        text.push_str(before);
        text.push_str(shown);
        rest = after;
    }
    text.push_str(rest);
    text.replace('`', "")
}

#[test]
fn each_key_has_the_description_of_the_reference() {
    let schema = schema();
    for (section, keys) in KNOWN_KEYS {
        let properties = &schema.pointer(&definition(section)).unwrap()["properties"];
        let known: BTreeSet<_> = keys.iter().copied().collect();
        let described = properties.as_object().unwrap().keys();
        assert_eq!(
            described.map(String::as_str).collect::<BTreeSet<_>>(),
            known
        );
    }
    let mut n_compared = 0;
    for (document, first) in [("configuration", "Top-level keys"), ("feeds", "Keys")] {
        let text = fs::read_to_string(repository().join(format!("docs/{document}.md"))).unwrap();
        let mut heading = "";
        for line in text.lines() {
            if let Some(new) = line.strip_prefix("## ") {
                heading = new;
            }
            let Some((key, cells)) = line
                .strip_prefix("| `")
                .and_then(|row| row.split_once("` | "))
            else {
                continue;
            };
            let sections: &[&str] = match heading {
                "`apis`" => &["apis[]", "apis[].username[]", "apis[].jwt"],
                "`allow_list` and `deny_list`" => &["allow_list"],
                "Keys" => &["feeds[]"],
                "Top-level keys" => &[""],
                heading => &[heading.trim_matches('`')],
            };
            if document == "feeds" && heading != first {
                continue;
            }
            // A table of formats has two columns.
            let Some((_, meaning)) = cells.split_once(" | ") else {
                continue;
            };
            let expected = plain(meaning.trim_end_matches(" |"));
            let found = sections.iter().filter_map(|section| {
                let section = schema.pointer(&definition(section))?;
                section["properties"].get(key)?["description"].as_str()
            });
            let found: Vec<_> = found.collect();
            assert!(
                found.contains(&&*expected),
                "{heading} {key}: {found:?} instead of {expected:?}"
            );
            n_compared += 1;
        }
    }
    assert!(n_compared > 100, "{n_compared}");
}

#[test]
fn the_command_prints_the_schema() {
    let workspace = Workspace::new();
    for arguments in [&["schema"][..], &["schema", "-o", "json"]] {
        let output = workspace.run(arguments);
        let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(printed, schema());
    }
}
