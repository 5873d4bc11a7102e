//! Events and errors of the JSON reader.

use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Records events; skips the value of the key `skip`, and stops at the string `stop`.
#[derive(Default)]
struct Recorded(Vec<String>);

impl Handler for Recorded {
    fn scalar(&mut self, value: Scalar<'_>) -> bool {
        self.0.push(format!("{value:?}"));
        value != Scalar::Text("stop")
    }
    fn begin_list(&mut self) -> bool {
        self.0.push("[".to_owned());
        true
    }
    fn begin_object(&mut self) -> bool {
        self.0.push("{".to_owned());
        self.0.len() < 100
    }
    fn key(&mut self, name: &str) -> bool {
        self.0.push(format!("{name}:"));
        name != "skip"
    }
    fn end(&mut self) {
        self.0.push("end".to_owned());
    }
}

fn events(text: &str) -> (String, Result<(), ErrorKind>) {
    let mut recorded = Recorded::default();
    let outcome = read(&mut text.as_bytes(), 3, &mut recorded);
    (recorded.0.join(" "), outcome.map_err(|error| error.kind))
}

#[test]
fn events_are_in_the_order_of_the_text() {
    let text = r#" {"a": [null, true, 1, -1, 1.5, "\u0041b"], "skip": {"b": [1]}, "c": {}} "#;
    let expected = "{ a: [ Null Bool(true) Unsigned(1) Negative(-1) Float(1.5) Text(\"Ab\") end skip: c: { end end";
    assert_eq!(events(text), (expected.to_owned(), Ok(())));
}

#[test]
fn a_handler_stops_the_reader() {
    let text = r#"["stop", {"a": 1}, [2], 3]"#;
    let expected = ("[ Text(\"stop\")".to_owned(), Err(ErrorKind::Stopped));
    assert_eq!(events(text).1, expected.1);
    assert!(events(text).0.starts_with(&expected.0));
    assert!(!events(text).0.contains("Unsigned"));
    // The rest is not parsed.
    assert_eq!(events(r#"["stop" and more"#).1, Err(ErrorKind::Stopped));
}

#[test]
fn skipped_values_may_nest_to_any_depth() {
    let nested = [
        r#"{"skip":"#,
        &"[".repeat(100_000),
        &"]".repeat(100_000),
        "}",
    ]
    .concat();
    assert_eq!(events(&nested), ("{ skip: end".to_owned(), Ok(())));
    let deep = "[".repeat(1_000);
    assert_eq!(events(&deep).1, Err(ErrorKind::Syntax));
}

#[test]
fn every_error_has_its_position() {
    let deep = "[".repeat(200);
    let table = [
        ("", ErrorKind::Truncated, 0, "it ends too early"),
        ("{", ErrorKind::Truncated, 1, "it ends too early"),
        (r#"{"a": tru"#, ErrorKind::Truncated, 9, "it ends too early"),
        ("<html>", ErrorKind::Syntax, 1, "expected value"),
        ("nil", ErrorKind::Syntax, 2, "expected ident"),
        ("[\"\\x\"]", ErrorKind::Syntax, 4, "invalid escape"),
        ("[1,]", ErrorKind::Syntax, 4, "trailing comma"),
        ("[1 2]", ErrorKind::Syntax, 4, "expected `,` or `]`"),
        ("{a}", ErrorKind::Syntax, 2, "key must be a string"),
        (r#"{"a":1,}"#, ErrorKind::Syntax, 8, "trailing comma"),
        (r#"{"a" 1}"#, ErrorKind::Syntax, 6, "expected `:`"),
        (
            r#"{"skip":[1}"#,
            ErrorKind::Syntax,
            11,
            "expected `,` or `]`",
        ),
        (&deep, ErrorKind::Syntax, 128, "recursion limit exceeded"),
        ("{} x", ErrorKind::Trailing, 4, "trailing characters"),
    ];
    for (text, kind, column, reason) in table {
        let error = read(&mut text.as_bytes(), 16, &mut Recorded::default()).unwrap_err();
        let expected = JsonError {
            kind,
            line: 1,
            column,
            reason: reason.to_owned(),
        };
        assert_eq!(error, expected, "{text}");
    }
    let error = read(&mut Broken, 16, &mut Recorded::default()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Read(io::ErrorKind::InvalidData));
}

struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::InvalidData.into())
    }
}
