//! The options of `attack_list`, and how ABS is reached. Decides nothing.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use portcullis::identifier::IdentifierKind;

use super::entries::kind_parser;

/// How to reach ABS. Last in each command: the heading applies to everything that follows.
#[derive(Debug, Args)]
#[command(next_help_heading = "ABS")]
pub struct AbsArgs {
    /// Address of ABS, such as https://abs.example.com:8080
    #[arg(long = "abs", value_name = "URL", env = "ABS_URL")]
    pub abs_url: Option<String>,
    /// Environment variable that holds the access key
    #[arg(long, value_name = "NAME", default_value = "ABS_ACCESS_KEY")]
    pub access_key_env: String,
    /// Environment variable that holds the secret key
    #[arg(long, value_name = "NAME", default_value = "ABS_SECRET_KEY")]
    pub secret_key_env: String,
    /// How far back the list goes
    #[arg(long, value_name = "DURATION", default_value = "30d")]
    pub window: String,
    /// Time limit for the whole response
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    pub timeout: String,
    /// Trusted certificates (PEM) for ABS, instead of the system's
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Do not check ABS's certificate: anyone on the path can read the keys
    #[arg(long, conflicts_with = "ca")]
    pub insecure: bool,
}

/// The options of `attack_list`.
#[derive(Debug, Args)]
pub struct AttackListArgs {
    /// The entries to read
    #[arg(long, value_enum, default_value_t = ListStatus::Active)]
    pub status: ListStatus,
    /// Show only entries of this kind; may be given several times
    #[arg(long = "type", value_name = "KIND", value_parser = kind_parser(), conflicts_with_all = ["import_deny", "remove"])]
    pub types: Vec<IdentifierKind>,
    /// Show only entries whose name or value contains this text, and ranges that contain this address
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["import_deny", "remove"])]
    pub contains: Option<String>,
    /// Show at most this number of entries
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["import_deny", "remove"])]
    pub limit: Option<usize>,
    /// Show the entries after this number of them
    #[arg(long, value_name = "NUMBER", default_value_t = 0, conflicts_with_all = ["import_deny", "remove"])]
    pub offset: usize,
    /// Add the entries to the manual deny list of the file
    #[arg(long, conflicts_with = "remove")]
    pub import_deny: bool,
    /// With --import-deny: replace the manual deny list with ABS's list
    #[arg(long, requires = "import_deny")]
    pub replace: bool,
    /// Remove false positives from ABS's list: the entry given by KIND and VALUE, or those in --file
    #[arg(long)]
    pub remove: bool,
    /// With --remove: the entries to remove, as JSON in the format of ABS's list
    #[arg(
        long,
        value_name = "FILE",
        requires = "remove",
        conflicts_with = "kind"
    )]
    pub file: Option<PathBuf>,
    /// With --remove: the kind of identifier
    #[arg(value_parser = kind_parser(), requires = "remove")]
    pub kind: Option<IdentifierKind>,
    /// With --remove: as for add_blacklist
    #[arg(value_name = "VALUE", requires = "kind")]
    pub words: Vec<String>,
    /// How to reach ABS.
    #[command(flatten)]
    pub abs: AbsArgs,
}

/// The entries of ABS's list to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ListStatus {
    /// Those that are blocked
    Active,
    /// Those that have expired
    Expired,
    /// Both
    All,
}
