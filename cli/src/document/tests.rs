use serde_json::json;

use super::*;

/// Changes the first value of `text` by `edit` and returns the removed (-) and added (+) lines.
fn lines_changed(text: &str, edit: impl Fn(&mut Value)) -> String {
    let document = Document::parse(text).unwrap();
    let mut value = document.values()[0].clone();
    edit(&mut value);
    let changed = document.replace(&ValuePath::default(), value).unwrap();
    let (old, new): (Vec<_>, Vec<_>) = (text.lines().collect(), changed.lines().collect());
    let removed = old.iter().filter(|line| !new.contains(line));
    let added = new.iter().filter(|line| !old.contains(line));
    removed
        .map(|line| format!("-{line}\n"))
        .chain(added.map(|line| format!("+{line}\n")))
        .collect()
}

/// A change, and the lines that differ after it.
type Case<'a> = (&'a dyn Fn(&mut Value), &'a str);

const JSON: &str = r#"{
  "a" : 1.0,
  "one_line": ["x", "y"],
  "lines": [
    "p",
    "q"
  ],
  "empty": {},
  "nested": [{"name":"n","deep":{"k":true}}]
}
"#;

#[test]
fn an_edit_of_json_changes_only_its_lines() {
    let table: [Case<'_>; 6] = [
        (
            &|v| v["nested"][0]["deep"]["k"] = json!(false),
            "-  \"nested\": [{\"name\":\"n\",\"deep\":{\"k\":true}}]\n+  \"nested\": [{\"name\":\"n\",\"deep\":{\"k\":false}}]\n",
        ),
        (
            &|v| v["one_line"] = json!(["y", "z"]),
            "-  \"one_line\": [\"x\", \"y\"],\n+  \"one_line\": [ \"y\", \"z\"],\n",
        ),
        (
            &|v| v["lines"] = json!(["p", "q", "r"]),
            "-    \"q\"\n+    \"q\",\n+    \"r\"\n",
        ),
        (&|v| v["lines"] = json!(["q"]), "-    \"p\",\n"),
        (
            &|v| v["empty"]["ips"] = json!(["192.0.2.1"]),
            "-  \"empty\": {},\n+  \"empty\": {\n+    \"ips\": [\"192.0.2.1\"]\n+  },\n",
        ),
        (
            &|v| {
                v.as_object_mut().unwrap().remove("a");
            },
            "-  \"a\" : 1.0,\n",
        ),
    ];
    for (edit, expected) in table {
        assert_eq!(lines_changed(JSON, edit), expected);
    }
}

const YAML: &str = r#"# top
spec:
  config: # why
    flag: true   # keep on
    deny:
      ips:
        - 192.0.2.1 # bad guy
        - "192.0.2.2"
      flow: [a, b]
      empty: []
      none: {}
  after: 1
---
second: 1
"#;

#[test]
fn an_edit_of_yaml_keeps_comments() {
    let table: [Case<'_>; 7] = [
        (
            &|v| v["spec"]["config"]["flag"] = json!(false),
            "-    flag: true   # keep on\n+    flag: false   # keep on\n",
        ),
        (
            &|v| v["spec"]["config"]["new"] = json!(true),
            "+    new: true\n",
        ),
        (
            &|v| v["spec"]["config"]["deny"]["ips"] = json!(["192.0.2.1", "192.0.2.2", "::/1"]),
            "+        - '::/1'\n",
        ),
        (
            &|v| v["spec"]["config"]["deny"]["ips"] = json!(["192.0.2.2"]),
            "-        - 192.0.2.1 # bad guy\n",
        ),
        (
            &|v| v["spec"]["config"]["deny"]["flow"] = json!(["b", "c: #"]),
            "-      flow: [a, b]\n+      flow: [b, 'c: #']\n",
        ),
        (
            &|v| v["spec"]["config"]["deny"]["empty"] = json!(["on"]),
            "-      empty: []\n+      empty: [\"on\"]\n",
        ),
        (
            &|v| v["spec"]["config"]["deny"]["none"]["k"] = json!(["v"]),
            "-      none: {}\n+      none: {k: [\"v\"]}\n",
        ),
    ];
    for (edit, expected) in table {
        assert_eq!(lines_changed(YAML, edit), expected);
    }
}

#[test]
fn strings_that_yaml_reads_as_other_values_are_quoted() {
    let words = [
        "no",
        "On",
        "y",
        "~",
        "null",
        "",
        "007",
        "0x1F",
        "0o17",
        "0b11",
        "1_000",
        "1e3",
        "1.5",
        "-1",
        "2147483648",
        ".inf",
        "<<",
        "a: b",
        "#",
        "- x",
        "*a",
        "&a",
        "!a",
        "%a",
        "@a",
        "`a",
        "'a",
        "\"a",
        "[a]",
        "{a",
        "a\\",
        " a ",
        "12:30:45",
        "2001-12-14",
        "=",
        "|",
        ">",
        "?",
        "-",
        "...",
        "---",
        "é",
        "\u{85}",
        "\u{2028}",
        "\t",
        "plain",
    ];
    for text in [
        "list: [first]\n",
        "list:\n  - first\n",
        "kind: x\nlist:\n- first # why\n",
    ] {
        for word in words {
            let document = Document::parse(text).unwrap();
            let mut value = document.values()[0].clone();
            value["list"] = json!(["first", word]);
            value["key"] = json!(word);
            let changed = document
                .replace(&ValuePath::default(), value.clone())
                .unwrap_or_else(|error| panic!("{word:?}: {error}"));
            assert_eq!(
                Document::parse(&changed).unwrap().values()[0],
                value,
                "{changed}"
            );
        }
    }
}

#[test]
fn a_byte_order_mark_is_kept_in_yaml_and_refused_in_json() {
    let text = "\u{FEFF}a: 1 # why\n";
    let document = Document::parse(text).unwrap();
    let changed = document
        .replace(&ValuePath::default(), json!({"a": 2}))
        .unwrap();
    assert_eq!(changed, "\u{FEFF}a: 2 # why\n");
    let error = Document::parse("\u{FEFF}{\"a\": 1}")
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "not valid JSON: it starts with a byte order mark, which Envoy does not accept; remove it"
    );
}

#[test]
fn the_second_yaml_document_can_be_edited() {
    let document = Document::parse(YAML).unwrap();
    let second = ValuePath {
        document: 1,
        steps: Vec::new(),
    };
    let changed = document.replace(&second, json!({"second": 2})).unwrap();
    assert_eq!(changed, YAML.replace("second: 1", "second: 2"));
}

#[test]
fn a_long_list_is_rewritten() {
    for text in ["{\"list\": [\"old\"]}", "list:\n  - old\n"] {
        let document = Document::parse(text).unwrap();
        let long: Vec<_> = (0..10_000).map(|number| number.to_string()).collect();
        let new = json!({ "list": long });
        let changed = document
            .replace(&ValuePath::default(), new.clone())
            .unwrap();
        assert_eq!(Document::parse(&changed).unwrap().values()[0], new);
    }
}

#[test]
fn an_edit_that_is_impossible_in_place_is_refused() {
    let aliased = "a: &x {k: 1}\nb: *x\n";
    let document = Document::parse(aliased).unwrap();
    let mut value = document.values()[0].clone();
    value["b"]["k"] = json!(2);
    assert_eq!(
        document.replace(&ValuePath::default(), value).unwrap_err(),
        LAYOUT
    );
    let twice = r#"{"a": 1, "a": 2}"#;
    let document = Document::parse(twice).unwrap();
    assert_eq!(
        document
            .replace(&ValuePath::default(), json!({"a": 3}))
            .unwrap_err(),
        LAYOUT
    );
}

#[test]
fn errors_name_their_place() {
    let table = [
        (
            "{\"a\": }",
            "not valid JSON: expected value at line 1 column 7",
        ),
        (
            "{",
            "not valid JSON: EOF while parsing an object at line 1 column 1",
        ),
        ("a: [", "not valid YAML: "),
    ];
    for (text, expected) in table {
        let error = Document::parse(text).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{text:?}: {error}");
    }
}
