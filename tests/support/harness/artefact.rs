//! The artefact under test: the wasm module, or the native one with `PORTCULLIS_ARTEFACT=native`.
//!
//! Owns all that differs between the two for a test: Envoy's files, where a file names the module and has its configuration,
//! and what Envoy calls it. `PORTCULLIS_WASM` and `PORTCULLIS_NATIVE` name another build.

use super::process::{artefact, repository};
use serde_json::Value;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// How the filter is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Artefact {
    /// The proxy-wasm module.
    Wasm,
    /// The dynamic module.
    Native,
}

impl Artefact {
    /// The one under test.
    pub fn under_test() -> Self {
        match std::env::var("PORTCULLIS_ARTEFACT").as_deref() {
            Ok("native") => Self::Native,
            Ok("wasm") | Err(_) => Self::Wasm,
            Ok(other) => panic!("PORTCULLIS_ARTEFACT is {other}; allowed are wasm and native"),
        }
    }

    /// Whether this is not the artefact under test. Then the test is left out, and its output says so, with the reason: what
    /// the other artefact does not have.
    pub fn is_left_out(self, reason: &str) -> bool {
        let tested = Self::under_test();
        if tested != self {
            let thread = std::thread::current();
            let name = thread.name().unwrap_or_default();
            // Not by a macro, whose output the test runner hides.
            let line = format!("left out of the tests of {tested:?}: {name}: {reason}\n");
            std::io::stderr().write_all(line.as_bytes()).unwrap();
        }
        tested != self
    }

    /// The artefact of a filter file.
    pub fn of(filter: &Value) -> Self {
        match filter.pointer(Self::Native.plugin()) {
            Some(_) => Self::Native,
            None => Self::Wasm,
        }
    }

    /// The shipped bootstrap.
    pub const fn bootstrap(self) -> &'static str {
        match self {
            Self::Wasm => "envoy/envoy.yaml",
            Self::Native => "envoy/native.yaml",
        }
    }

    /// The path of the shipped filter file.
    pub const fn filter_path(self) -> &'static str {
        match self {
            Self::Wasm => "envoy/filter.json",
            Self::Native => "envoy/native.json",
        }
    }

    /// The shipped filter file.
    pub fn filter(self) -> Value {
        let path = repository().join(self.filter_path());
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    /// The built module.
    pub fn module(self) -> PathBuf {
        match self {
            Self::Wasm => artefact("PORTCULLIS_WASM", "target/portcullis.wasm", "make module"),
            Self::Native => artefact(
                "PORTCULLIS_NATIVE",
                "target/libportcullis.so",
                "make native",
            ),
        }
    }

    /// Where a filter file has the plugin configuration.
    pub const fn plugin(self) -> &'static str {
        match self {
            Self::Wasm => "/resources/0/typed_config/config/configuration/value",
            Self::Native => "/resources/0/typed_config/filter_config/value",
        }
    }

    /// Makes `filter` use the module at `path`, which may be missing. `directory` is the Envoy's own, where it searches
    /// native modules.
    pub fn set_module(self, filter: &mut Value, path: &Path, directory: &Path) {
        let (place, value) = match self {
            Self::Wasm => (
                "/resources/0/typed_config/config/vm_config/code/local/filename",
                path.to_str().unwrap().to_owned(),
            ),
            Self::Native => (
                "/resources/0/typed_config/dynamic_module_config/name",
                link_module(path, directory),
            ),
        };
        *filter
            .pointer_mut(place)
            .unwrap_or_else(|| panic!("{} should have {place}", self.filter_path())) = value.into();
    }

    /// The component of Envoy's log that has the module's lines.
    pub const fn log_component(self) -> &'static str {
        match self {
            Self::Wasm => "wasm",
            Self::Native => "dynamic_modules",
        }
    }

    /// What each line of the module in Envoy's log contains.
    pub const fn log_mark(self) -> &'static str {
        match self {
            Self::Wasm => "wasm log portcullis",
            // After the place in the source, which is Envoy's before 1.40.
            Self::Native => "] portcullis: ",
        }
    }

    /// How many parts of the filter count and report for themselves: the VM of each worker, or the one native module.
    pub const fn n_reporters(self, workers: usize) -> usize {
        match self {
            Self::Wasm => workers,
            Self::Native => 1,
        }
    }

    /// A key of each filter in `/config_dump`.
    pub const fn dump_mark(self) -> &'static str {
        match self {
            Self::Wasm => "root_id",
            Self::Native => "filter_name",
        }
    }
}

/// Gives Envoy's search path a link to a native module. Returns the module's name there: another one for each file, as an
/// upgrade needs, because Envoy does not load a path again.
fn link_module(path: &Path, directory: &Path) -> String {
    let mut number = 0;
    loop {
        let name = match number {
            // As shipped.
            0 => "portcullis".to_owned(),
            number => format!("portcullis{number}"),
        };
        let link = directory.join(format!("lib{name}.so"));
        match std::fs::read_link(&link) {
            Ok(target) if target != path => {}
            Ok(_) => return name,
            Err(_) => {
                std::os::unix::fs::symlink(path, link).unwrap();
                return name;
            }
        }
        number += 1;
    }
}
