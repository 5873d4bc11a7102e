//! The link step, wasm-target/link: it names the callbacks, and rejects a module that breaks a rule without touching the
//! module in place.

use std::fs;
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::support::{names, repository};

const SIZE_LIMIT: &str = "4096";

/// A small module with the exports and imports that are listed.
struct Source {
    exports: Vec<String>,
    imports: Vec<String>,
    /// More of the module's text.
    items: &'static str,
    size_limit: &'static str,
}

impl Source {
    fn new() -> Self {
        let mut exports = names("exports.txt");
        exports.retain(|name| name != "memory");
        Self {
            exports,
            imports: names("imports.txt"),
            // Features that Envoy 1.33 and later have.
            items: "(func (drop (i32.extend8_s (i32.const 200))))
                (func (drop (i32.trunc_sat_f64_s (f64.const 1))))
                (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 9)))",
            size_limit: SIZE_LIMIT,
        }
    }

    fn text(&self) -> String {
        let mut text = "(module".to_owned();
        let mut calls = String::new();
        for (number, import) in self.imports.iter().enumerate() {
            let (module, name) = import.split_once('.').unwrap();
            text += &format!("(import {module:?} {name:?} (func $import{number}))");
            calls += &format!("(call $import{number})");
        }
        text += "(memory (export \"memory\") 1)";
        for (number, export) in self.exports.iter().enumerate() {
            let body = if number == 0 { &*calls } else { "" };
            // The prefix of src/lib.rs.
            let name = export.replace("proxy_on_", "portcullis_on_");
            text += &format!("(func (export {name:?}) {body})");
        }
        text + self.items + ")"
    }

    /// Runs the link step. The module in place before it is "before".
    fn link(&self, directory: &TempDir) -> Output {
        let file = |name| directory.path().join(name);
        fs::write(file("in.wat"), self.text()).unwrap();
        fs::write(file("out.wasm"), "before").unwrap();
        let wasm_as = repository().join(".tools/node_modules/.bin/wasm-as");
        let made = Command::new(wasm_as)
            .arg("--all-features")
            .arg(file("in.wat"))
            .arg("--output")
            .arg(file("in.wasm"))
            .status();
        assert!(made.unwrap().success(), "{}", self.text());
        Command::new(repository().join("wasm-target/link"))
            .args([file("in.wasm"), file("out.wasm")])
            .arg(self.size_limit)
            .output()
            .unwrap()
    }

    fn assert_rejected(&self, message: &str) {
        let directory = TempDir::new().unwrap();
        let output = self.link(&directory);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "expected: {message}");
        assert!(stderr.contains(message), "expected: {message}\n{stderr}");
        let left = fs::read(directory.path().join("out.wasm")).unwrap();
        assert_eq!(left, b"before");
        let files = fs::read_dir(directory.path()).unwrap().count();
        assert_eq!(files, 3, "only in.wat, in.wasm and out.wasm are left");
    }
}

#[test]
fn a_module_with_the_listed_exports_and_imports_is_put_in_place() {
    let directory = TempDir::new().unwrap();
    let output = Source::new().link(&directory);
    assert!(output.status.success(), "{output:?}");
    let bytes = fs::read(directory.path().join("out.wasm")).unwrap();
    assert!(bytes.starts_with(b"\0asm"));
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains("proxy_on_tick") && !text.contains("portcullis_on_"));
}

#[test]
fn other_exports_are_rejected() {
    let mut source = Source::new();
    source.exports.push("proxy_on_done".to_owned());
    source.assert_rejected("> proxy_on_done\nwasm-target/link: the module's exports differ");
    let mut source = Source::new();
    source.exports.retain(|name| name != "proxy_on_tick");
    source.assert_rejected("< proxy_on_tick\nwasm-target/link: the module's exports differ");
}

#[test]
fn other_imports_are_rejected() {
    let mut source = Source::new();
    source.imports.push("env.proxy_done".to_owned());
    source.assert_rejected("> env.proxy_done\nwasm-target/link: the module's imports differ");
    let mut source = Source::new();
    source.imports.retain(|name| name != "env.proxy_log");
    source.assert_rejected("< env.proxy_log\nwasm-target/link: the module's imports differ");
}

#[test]
fn a_module_over_the_size_bound_is_rejected() {
    let source = Source {
        size_limit: "100",
        ..Source::new()
    };
    source.assert_rejected("more than its bound of 100");
}

#[test]
fn features_that_a_supported_envoy_lacks_are_rejected() {
    for items in [
        "(func (result v128) (v128.const i64x2 0 0))",
        "(func (result i32 i32) (i32.const 0) (i32.const 1))",
        "(func (result externref) (ref.null extern))",
        "(func $f (return_call $f))",
        "(memory i64 1)",
    ] {
        let source = Source {
            items,
            ..Source::new()
        };
        source.assert_rejected("error validating input");
    }
}
