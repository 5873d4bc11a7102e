use serde_json::{Value, json};

use super::*;

fn values(text: &str) -> Vec<Value> {
    read(text).unwrap().iter().map(Tree::value).collect()
}

/// tests/e2e compares the same words with a real Envoy.
#[test]
fn scalars_are_read_as_envoy_reads_them() {
    let words = include_str!("../../../../tests/fixtures/yaml/words.yaml");
    let expected: Value =
        serde_json::from_str(include_str!("../../../../tests/fixtures/yaml/words.json")).unwrap();
    let [read] = values(words).try_into().unwrap();
    let list = |value: &Value| value["words"].as_array().unwrap().clone();
    for (index, (read, expected)) in list(&read).iter().zip(list(&expected)).enumerate() {
        assert_eq!(*read, expected, "word {index}");
    }
    assert_eq!(read, expected);
}

#[test]
fn scalars_of_manifests_are_read_as_kubernetes_reads_them() {
    let table = [
        ("no", json!(false)),
        ("y", json!(true)),
        ("On", json!(true)),
        ("nO", json!("nO")),
        ("~", json!(null)),
        ("007", json!(7)),
        ("08", json!(8.0)),
        ("0o17", json!(15)),
        ("0b11", json!(3)),
        ("1_000", json!(1000)),
        ("1e3", json!(1000.0)),
        ("1.5", json!(1.5)),
        (".5", json!(0.5)),
        ("2147483648", json!(2_147_483_648_i64)),
        ("2001-12-14", json!("2001-12-14")),
        ("12:30:45", json!("12:30:45")),
        ("192.0.2.1", json!("192.0.2.1")),
        ("\"no\"", json!("no")),
        ("!!str no", json!("no")),
        ("!!int \"7\"", json!(7)),
        ("e3", json!("e3")),
        ("1e", json!("1e")),
        (".", json!(".")),
        ("-", json!([null])),
    ];
    for (text, expected) in table {
        let manifest = format!("kind: ConfigMap\nvalue: {text}\n");
        let manifest = match text {
            "-" => "kind: ConfigMap\nvalue:\n-\n".to_owned(),
            _ => manifest,
        };
        assert_eq!(values(&manifest)[0]["value"], expected, "{text}");
    }
    assert_eq!(
        values("kind: x\nno: 1\n007: 2\nbase: &b {k: 1, l: 2}\nmerged: {<<: *b, k: 3}\n"),
        [
            json!({"kind": "x", "false": 1, "7": 2, "base": {"k": 1, "l": 2}, "merged": {"k": 3, "l": 2}})
        ]
    );
}

#[test]
fn each_document_is_read_by_its_own_reader() {
    assert_eq!(
        values("a: 1e3\n---\nkind: x\na: 1e3\n---\na: 1e3\n"),
        [
            json!({"a": "1e3"}),
            json!({"kind": "x", "a": 1000.0}),
            json!({"a": "1e3"})
        ]
    );
    assert!(values("").is_empty());
}

#[test]
fn duplicate_keys_are_kept_in_json() {
    let [tree] = read("a: {x: 1, x: [no]}\n").unwrap().try_into().unwrap();
    assert_eq!(tree.to_json(), r#"{"a":{"x":1,"x":[false]}}"#);
}

#[test]
fn hostile_texts_are_errors() {
    let deep = "[".repeat(100_000);
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let alias = format!("*a{}", level - 1);
        laughs += &format!(
            "a{level}: &a{level} [{}]\n",
            [alias.as_str(); 10].join(", ")
        );
    }
    for text in [
        deep.as_str(),
        &laughs,
        "a: &a [*a]\n",
        "? [a]\n: b\n",
        "a: *b\n",
        "a: \"\n",
        "kind: x\n<<: 1\n",
    ] {
        let error = read(text).unwrap_err();
        assert!(error.starts_with("line "), "{error}");
    }
}
