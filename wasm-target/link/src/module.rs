//! What the link step does to a module's bytes, and what it checks of them.
//!
//! Pure: bytes in, bytes or an error out, the same bytes for the same input.

use std::path::Path;

use wasm_encoder::{ExportKind, ExportSection, Module, RawSection};
use wasmparser::{ExternalKind, Parser, Payload, Validator, WasmFeatures};

use crate::error::LinkError;

/// Our own entry points carry this prefix, since two functions of one name can't be linked: the SDK defines every
/// callback of the ABI itself.
const OWN_PREFIX: &str = "portcullis_";
/// What the host looks for.
const ABI_PREFIX: &str = "proxy_";

/// Everything that V8 in Envoy 1.33 and all later ones runs; what Rust's standard library is built with.
const FEATURES: WasmFeatures = WasmFeatures::MUTABLE_GLOBAL
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::BULK_MEMORY)
    .union(WasmFeatures::FLOATS)
    .union(WasmFeatures::GC_TYPES);

/// The module with just the exports of `keep`, in that order. An export `portcullis_X` becomes `proxy_X` and takes
/// the place of the SDK's. Custom sections go, but for the names of functions where `keep_names` is set.
///
/// The code that nothing reaches any more is still there: wasm-opt drops it.
pub fn cut_exports(wasm: &[u8], keep: &[String], keep_names: bool) -> Result<Vec<u8>, LinkError> {
    let found = exports(wasm)?;
    let own_names = || {
        found.iter().filter_map(|export| {
            let rest = export.name.strip_prefix(OWN_PREFIX)?;
            Some((format!("{ABI_PREFIX}{rest}"), export))
        })
    };
    let unlisted: Vec<String> = own_names()
        .map(|(name, _)| name)
        .filter(|name| !keep.contains(name))
        .collect();
    if !unlisted.is_empty() {
        return Err(LinkError::UnlistedEntryPoints(unlisted));
    }

    let mut section = ExportSection::new();
    let mut missing = Vec::new();
    for name in keep {
        let own = own_names().find(|(own, _)| own == name);
        let export = own
            .map(|(_, export)| export)
            .or_else(|| found.iter().find(|export| export.name == name));
        match export {
            Some(export) => {
                section.export(name, export_kind(export.kind)?, export.index);
            }
            None => missing.push(name.clone()),
        }
    }
    if !missing.is_empty() {
        return Err(LinkError::MissingExports(missing));
    }

    let mut module = Module::new();
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload?;
        match &payload {
            Payload::ExportSection(_) => {
                module.section(&section);
                continue;
            }
            Payload::CustomSection(custom) if !(keep_names && custom.name() == "name") => continue,
            _ => {}
        }
        let Some((id, range)) = payload.as_section() else {
            continue;
        };
        let start = usize::try_from(range.start).unwrap_or(usize::MAX);
        let end = usize::try_from(range.end).unwrap_or(usize::MAX);
        let data = wasm
            .get(start..end)
            .ok_or_else(|| LinkError::Wasm(format!("section {id} is cut short")))?;
        module.section(&RawSection { id, data });
    }
    Ok(module.finish())
}

/// Holds the module to the WebAssembly features that every supported host has.
pub fn check_features(wasm: &[u8]) -> Result<(), LinkError> {
    Validator::new_with_features(FEATURES).validate_all(wasm)?;
    Ok(())
}

/// Holds the module to the exports of `keep`, none of which wasm-opt may have dropped.
pub fn check_exports(wasm: &[u8], keep: &[String]) -> Result<(), LinkError> {
    let found = exports(wasm)?;
    let missing: Vec<String> = keep
        .iter()
        .filter(|name| !found.iter().any(|export| export.name == name.as_str()))
        .cloned()
        .collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(LinkError::MissingExports(missing))
    }
}

/// Holds the module to the imports of `allowed` (as `module.name`; `list` is where they stand) and counts them.
pub fn check_imports(wasm: &[u8], allowed: &[String], list: &Path) -> Result<usize, LinkError> {
    let mut imports = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        if let Payload::ImportSection(reader) = payload? {
            for import in reader.into_imports() {
                let import = import?;
                imports.push(format!("{}.{}", import.module, import.name));
            }
        }
    }
    let n_imports = imports.len();
    imports.retain(|import| !allowed.contains(import));
    if imports.is_empty() {
        Ok(n_imports)
    } else {
        Err(LinkError::ForbiddenImports {
            imports,
            list: list.to_owned(),
        })
    }
}

fn exports(wasm: &[u8]) -> Result<Vec<wasmparser::Export<'_>>, LinkError> {
    let mut exports = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        if let Payload::ExportSection(reader) = payload? {
            for export in reader {
                exports.push(export?);
            }
        }
    }
    Ok(exports)
}

fn export_kind(kind: ExternalKind) -> Result<ExportKind, LinkError> {
    match kind {
        ExternalKind::Func => Ok(ExportKind::Func),
        ExternalKind::Table => Ok(ExportKind::Table),
        ExternalKind::Memory => Ok(ExportKind::Memory),
        ExternalKind::Global => Ok(ExportKind::Global),
        other => Err(LinkError::Wasm(format!(
            "an export is of the kind {other:?}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The SDK's callbacks (1 and 2), ours for one of them (3), and a hostcall.
    const MODULE: &str = r#"(module $filter
        (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func $tick (export "proxy_on_tick") (result i32) (i32.const 1))
        (func $headers (export "proxy_on_request_headers") (result i32) (i32.const 2))
        (func $own (export "portcullis_on_request_headers") (result i32) (i32.const 3))
        (func (export "proxy_on_log") (result i32) (i32.const 4))
        (@custom "producers" "\00"))"#;

    fn wasm(text: &str) -> Vec<u8> {
        wat::parse_str(text).unwrap()
    }

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    fn cut(keep: &[&str]) -> Result<Vec<u8>, LinkError> {
        cut_exports(&wasm(MODULE), &names(keep), false)
    }

    fn exported(wasm: &[u8]) -> Vec<(String, u32)> {
        exports(wasm)
            .unwrap()
            .iter()
            .map(|export| (export.name.to_owned(), export.index))
            .collect()
    }

    fn custom_sections(wasm: &[u8]) -> Vec<String> {
        Parser::new(0)
            .parse_all(wasm)
            .filter_map(|payload| match payload.unwrap() {
                Payload::CustomSection(custom) => Some(custom.name().to_owned()),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn own_entry_points_replace_the_sdks_and_the_rest_goes() {
        let cut = cut(&["proxy_on_request_headers", "memory", "proxy_on_tick"]).unwrap();
        // The import is function 0, so the own entry point is function 3.
        let expected = [
            ("proxy_on_request_headers", 3),
            ("memory", 0),
            ("proxy_on_tick", 1),
        ];
        assert_eq!(
            exported(&cut),
            expected.map(|(name, index)| (name.to_owned(), index))
        );
        check_features(&cut).unwrap();
    }

    #[test]
    fn a_listed_export_that_is_not_there_is_an_error() {
        let error = cut(&["proxy_on_request_headers", "proxy_on_tock"]).unwrap_err();
        assert!(matches!(&error, LinkError::MissingExports(names) if names == &["proxy_on_tock"]));
        let error = check_exports(&wasm("(module)"), &names(&["memory"])).unwrap_err();
        assert!(error.to_string().contains("memory"), "{error}");
    }

    #[test]
    fn an_own_entry_point_that_is_not_listed_is_an_error() {
        let error = cut(&["memory"]).unwrap_err();
        assert!(
            matches!(&error, LinkError::UnlistedEntryPoints(names) if names == &["proxy_on_request_headers"])
        );
    }

    #[test]
    fn custom_sections_go_and_names_stay_only_on_demand() {
        let keep = names(&["proxy_on_request_headers"]);
        let bare = cut_exports(&wasm(MODULE), &keep, false).unwrap();
        assert!(custom_sections(&bare).is_empty());
        let named = cut_exports(&wasm(MODULE), &keep, true).unwrap();
        assert_eq!(custom_sections(&named), ["name"]);
    }

    #[test]
    fn the_same_input_gives_the_same_bytes() {
        let keep = ["proxy_on_request_headers", "memory"];
        assert_eq!(cut(&keep).unwrap(), cut(&keep).unwrap());
    }

    #[test]
    fn an_import_that_is_not_allowed_is_named() {
        let module = wasm(MODULE);
        let list = Path::new("imports.txt");
        let n_imports = check_imports(&module, &names(&["env.proxy_log"]), list).unwrap();
        assert_eq!(n_imports, 1);
        let error = check_imports(&module, &names(&["wasi.proxy_log"]), list).unwrap_err();
        let message = error.to_string();
        assert!(message.contains("env.proxy_log"), "{message}");
        assert!(message.contains("imports.txt"), "{message}");
    }

    #[test]
    fn only_features_of_every_host_pass() {
        let accepted = [
            "(module (func (param i32) (result i32) (i32.extend8_s (local.get 0))))",
            "(module (func (param f64) (result i32) (i32.trunc_sat_f64_s (local.get 0))))",
            "(module (memory 1) (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 9))))",
            "(module (global (export \"g\") (mut i32) (i32.const 0)))",
        ];
        for text in accepted {
            check_features(&wasm(text)).unwrap();
        }
        let refused = [
            "(module (func (result v128) (v128.const i64x2 0 0)))",
            "(module (func (result i32 i32) (i32.const 0) (i32.const 1)))",
            "(module (func (result externref) (ref.null extern)))",
            "(module (memory 1 2 shared))",
            "(module (memory i64 1))",
            "(module (func $f (return_call $f)))",
        ];
        for text in refused {
            assert!(check_features(&wasm(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn bytes_that_are_no_module_are_an_error() {
        for bytes in [&b""[..], b"\0asm", b"{\"not\": \"wasm\"}"] {
            assert!(cut_exports(bytes, &[], false).is_err(), "{bytes:?}");
        }
        let whole = wasm(MODULE);
        let half = whole.get(..whole.len() / 2).unwrap();
        assert!(cut_exports(half, &names(&["memory"]), false).is_err());
    }
}
