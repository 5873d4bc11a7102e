//! The options of `init`. Decides nothing.

use std::path::PathBuf;

use clap::Args;

/// The options of `init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Envoy's bootstrap, or another file of Envoy with the listeners; the filter is added before the router
    #[arg(long, value_name = "FILE")]
    pub bootstrap: PathBuf,
    /// The installed module, portcullis.wasm
    #[arg(long, value_name = "FILE")]
    pub module: PathBuf,
    /// The file for the filter, which Envoy reloads when it changes; one that exists is kept. Default: filter.json beside the
    /// module
    #[arg(long, value_name = "FILE")]
    pub filter: Option<PathBuf>,
}
