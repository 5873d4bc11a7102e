//! What can go wrong in the link step, in words that say what to do.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

/// Why no module was made.
#[derive(Debug)]
pub enum LinkError {
    /// The command line makes no sense.
    Usage(String),
    /// A file or a program could not be used.
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        problem: String,
    },
    /// The bytes are no WebAssembly module, or use what older hosts do not know.
    Wasm(String),
    /// Listed exports that the module does not have.
    MissingExports(Vec<String>),
    /// Own entry points (`portcullis_…`) that the list of exports does not name.
    UnlistedEntryPoints(Vec<String>),
    /// Imports that the allow-list does not name.
    ForbiddenImports {
        /// As `module.name`.
        imports: Vec<String>,
        /// The allow-list.
        list: PathBuf,
    },
    /// wasm-opt refused the module.
    WasmOpt {
        /// How it ended.
        status: ExitStatus,
        /// Its standard error.
        message: String,
    },
    /// The module has grown past its bound.
    TooLarge {
        /// In bytes.
        size: usize,
        /// In bytes.
        limit: usize,
    },
}

impl LinkError {
    /// An [`LinkError::Io`].
    pub fn io(action: &'static str, path: &Path, error: &std::io::Error) -> Self {
        LinkError::Io {
            action,
            path: path.to_owned(),
            problem: error.to_string(),
        }
    }
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkError::Usage(problem) => f.write_str(problem),
            LinkError::Io {
                action,
                path,
                problem,
            } => write!(f, "could not {action} {}: {problem}", path.display()),
            LinkError::Wasm(problem) => write!(f, "the module is not valid: {problem}"),
            LinkError::MissingExports(names) => write!(
                f,
                "the module lacks exports that are listed: {}; add them to the code or take them off the list",
                names.join(", ")
            ),
            LinkError::UnlistedEntryPoints(names) => write!(
                f,
                "entry points that are not listed, by the name that the host would call: {}; list them or drop them",
                names.join(", ")
            ),
            LinkError::ForbiddenImports { imports, list } => write!(
                f,
                "imports that {} does not allow: {}; an older host may lack them, and refuses the module then",
                list.display(),
                imports.join(", ")
            ),
            LinkError::WasmOpt { status, message } => {
                write!(f, "wasm-opt failed ({status}): {message}")
            }
            LinkError::TooLarge { size, limit } => write!(
                f,
                "the module has {size} bytes, {} more than its bound of {limit}; \
                 see what grew with --keep-names and a profiler such as twiggy",
                size.saturating_sub(*limit)
            ),
        }
    }
}

impl std::error::Error for LinkError {}

impl From<wasmparser::BinaryReaderError> for LinkError {
    fn from(error: wasmparser::BinaryReaderError) -> Self {
        LinkError::Wasm(error.to_string())
    }
}
