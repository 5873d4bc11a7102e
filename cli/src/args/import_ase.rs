//! The options of `import-ase`. Decides nothing.

use std::path::PathBuf;

use clap::Args;

/// The options of `import-ase`.
#[derive(Debug, Args)]
pub struct ImportAseArgs {
    /// ASE's directory, or a copy of parts of it: ase.conf, abs.conf, the API JSON files (*.json), and what view_whitelist and
    /// view_blacklist print (*.txt), at most three directories deep
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// The directory for portcullis.json (the plugin configuration) and clusters.yaml (Envoy's clusters)
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub to: PathBuf,
    /// The sideband interface of an ASE that stays, to send traffic information to ABS: http:// or https://, a host and a port
    #[arg(long, value_name = "URL")]
    pub sideband: Option<String>,
    /// Replace portcullis.json and clusters.yaml if they exist
    #[arg(long)]
    pub force: bool,
}
