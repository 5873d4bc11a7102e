//! Every command and option, with its help. Decides nothing.

mod attack_list;
mod entries;
mod examples;
mod explain;
mod ignored;
mod import_ase;
mod init;
mod remote;
mod serve;
mod settings;

use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};

pub use self::attack_list::{AbsArgs, AttackListArgs, ListStatus};
pub use self::entries::{AllowCommand, DenyCommand, EntryWords};
pub use self::explain::ExplainArgs;
pub use self::ignored::refuse as refuse_ignored;
pub use self::import_ase::ImportAseArgs;
pub use self::init::InitArgs;
pub use self::remote::{NodeState, NodesArgs, RemoteArgs, settle};
pub use self::serve::{AccessArgs, ServeArgs};
pub use self::settings::{GetArgs, OnOff, SetArgs, ShadowArgs};

/// The file that a command uses unless another one is named.
pub const DEFAULT_CONFIG: &str = "envoy/filter.json";

/// Controls the Envoy filter that blocks the clients PingIntelligence ABS has detected as attackers.
///
/// The commands have the same names as in ASE, PingIntelligence's own enforcer. They edit the file that holds the
/// filter's configuration; a running Envoy that watches the file applies the change.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, max_term_width = 100)]
#[command(
    after_help = "Commands may be written with dashes: add-whitelist.\n\nExit codes: 0 done, 1 refused by validation or a \
                  server, 2 wrong usage, 3 a warning of status --exit-code."
)]
pub struct Arguments {
    /// The options of every command.
    #[command(flatten)]
    pub common: Common,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The second spellings of commands.
const DASHED: [&str; 16] = [
    "enable-firewall",
    "disable-firewall",
    "enable-abs",
    "disable-abs",
    "enable-abs-attack",
    "disable-abs-attack",
    "add-whitelist",
    "delete-whitelist",
    "view-whitelist",
    "clear-whitelist",
    "add-blacklist",
    "delete-blacklist",
    "view-blacklist",
    "clear-blacklist",
    "attack-list",
    "check-config",
];

/// The command line, with the second spelling of each command and its examples.
pub fn command() -> clap::Command {
    let command = ignored::hide(Arguments::command());
    command.mut_subcommands(|command| {
        let name = command.get_name().to_owned();
        let dashed = DASHED
            .into_iter()
            .find(|dashed| dashed.replace('-', "_") == name);
        let command = match dashed {
            Some(dashed) => command.alias(dashed),
            None => command,
        };
        examples::add(command, &name)
    })
}

/// The options of every command.
#[derive(Debug, Args)]
pub struct Common {
    /// The file that holds the filter: an Envoy file (ECDS, LDS, bootstrap), a WasmPlugin, TrafficExtension,
    /// EnvoyExtensionPolicy or ConfigMap manifest, or the plain plugin configuration; - is standard input
    ///
    /// With -, an edit writes the edited text to standard output, and its message to standard error. With --dry-run, and if
    /// the edit is refused, it writes nothing to standard output.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "PORTCULLIS_CONFIG",
        default_value = DEFAULT_CONFIG
    )]
    pub config: PathBuf,
    /// The Wasm or native filter to use, if the file holds several
    #[arg(long, global = true, value_name = "NAME")]
    pub name: Option<String>,
    /// The namespace of the Kubernetes object that holds the filter, if the file holds several
    #[arg(long, global = true, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// Output format
    #[arg(short, long, global = true, value_enum, default_value_t = OutputFormat::Text)]
    pub output: OutputFormat,
    /// Show what would change, and change nothing
    #[arg(long, global = true)]
    pub dry_run: bool,
    /// Print results and errors only: no notes, and no message after a change
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Report on standard error which files are read and which servers are called
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub verbose: bool,
    /// Show tokens, claims, cookie values, API keys, user names and header values in full, not only their first four
    /// characters
    #[arg(long, global = true)]
    pub show_secrets: bool,
    /// The server of a fleet.
    #[command(flatten)]
    pub remote: RemoteArgs,
    /// ASE's user; not used: the file's permissions decide
    #[arg(short = 'u', global = true, value_name = "USER", hide = true)]
    pub user: Option<String>,
    /// ASE's password; not used: the file's permissions decide
    #[arg(short = 'p', global = true, value_name = "PASSWORD", num_args = 0..=1, default_missing_value = "", hide = true)]
    pub password: Option<String>,
}

/// Output format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For people.
    Text,
    /// For programs: one JSON object.
    Json,
}

/// The commands.
#[derive(Debug, Subcommand)]
#[command(rename_all = "snake_case")]
pub enum Command {
    /// Block the clients on the lists
    EnableFirewall,
    /// Block nobody
    DisableFirewall,
    /// Send API traffic information to ABS
    EnableAbs,
    /// Stop sending API traffic information to ABS
    DisableAbs,
    /// Fetch ABS's attack list and block the clients on it
    EnableAbsAttack,
    /// Stop fetching ABS's attack list and blocking the clients on it
    DisableAbsAttack,
    /// Show the switches and, with --envoy, what the running Envoy reports
    Status(StatusArgs),
    /// Always allow clients, whatever the other lists say
    AddWhitelist(EntryWords),
    /// Remove clients from the allow list
    DeleteWhitelist(EntryWords),
    /// Show the allow list
    ViewWhitelist,
    /// Empty the allow list
    ClearWhitelist,
    /// Block clients
    AddBlacklist(EntryWords),
    /// Remove clients from the manual deny list
    DeleteBlacklist(EntryWords),
    /// Show the blocked clients
    ViewBlacklist(ViewBlacklistArgs),
    /// Empty the manual deny list
    ClearBlacklist,
    /// The allow list: add, delete, view, clear
    #[command(subcommand)]
    Allow(AllowCommand),
    /// The manual deny list: add, delete, view, clear
    #[command(subcommand)]
    Deny(DenyCommand),
    /// Show ABS's attack list, import it into the manual deny list, or remove false positives from it
    AttackList(AttackListArgs),
    /// Block nobody and only count, or block again
    Shadow(ShadowArgs),
    /// Set a key of the configuration that has one value
    Set(SetArgs),
    /// Show the keys of the configuration that have one value, or one of them
    Get(GetArgs),
    /// Show the configured feeds, or read the list of one
    #[command(subcommand)]
    Feeds(FeedsCommand),
    /// Show what the filter does with a request, and why
    Explain(ExplainArgs),
    /// Add the filter to Envoy's bootstrap, and write the file with the filter
    Init(InitArgs),
    /// Make a configuration and Envoy's clusters from the files of an ASE
    #[command(name = "import-ase", alias = "import_ase")]
    ImportAse(ImportAseArgs),
    /// Check whether the filter accepts configurations
    CheckConfig(CheckConfigArgs),
    /// Show the Envoys of a fleet, as --server knows them
    Nodes(NodesArgs),
    /// Serve configuration and lists to a fleet of Envoys
    Serve(ServeArgs),
    /// Print the JSON Schema of the configuration, for editors
    Schema,
    /// Print a completion script
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Print the man page (roff)
    Man,
}

/// The options of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Address of the running Envoy's admin interface; may be given for several Envoys
    ///
    /// Without a file, or with one that can't be used, the configuration that the Envoy runs counts.
    #[arg(long, value_name = "URL")]
    pub envoy: Vec<String>,
    /// Exit with 3 if there is a warning
    #[arg(long)]
    pub exit_code: bool,
    /// Show the block of ASE's status, too
    #[arg(long)]
    pub ase: bool,
    /// Envoy's access log in the format of envoy/envoy.yaml, to find which clients are denied; default: the files that the
    /// running Envoy writes
    #[arg(long, value_name = "FILE")]
    pub access_log: Option<PathBuf>,
}

/// The options of `view_blacklist`.
#[derive(Debug, Args)]
pub struct ViewBlacklistArgs {
    /// The entries to show: manual (the manual deny list), abs_detected (ABS's active list, read from ABS: --abs), all (both),
    /// or the name of a feed (its list, read from its server: --url)
    #[arg(default_value = "all")]
    pub part: BlacklistPart,
    /// With the name of a feed: the address of its list server, as for feeds read
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// How to reach ABS.
    #[command(flatten)]
    pub abs: AbsArgs,
}

/// The entries to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlacklistPart {
    /// Both manual and detected ones.
    All,
    /// The manual deny list.
    Manual,
    /// ABS's active list, read from ABS.
    AbsDetected,
    /// The list of the feed with this name.
    Feed(String),
}

impl FromStr for BlacklistPart {
    type Err = Infallible;

    fn from_str(word: &str) -> Result<Self, Infallible> {
        Ok(match word {
            "all" => BlacklistPart::All,
            "manual" => BlacklistPart::Manual,
            "abs_detected" => BlacklistPart::AbsDetected,
            name => BlacklistPart::Feed(name.to_owned()),
        })
    }
}

/// The commands of `feeds`.
#[derive(Debug, Subcommand)]
pub enum FeedsCommand {
    /// Show the configured feeds
    List,
    /// Fetch the list of a feed as the filter does, and show what the filter would make of it
    Read(FeedReadArgs),
}

/// The options of `feeds read`.
#[derive(Debug, Args)]
pub struct FeedReadArgs {
    /// The feed, by its name
    #[arg(value_name = "NAME")]
    pub feed: String,
    /// Show the entries, too
    #[arg(long)]
    pub entries: bool,
    /// Address of the list server: scheme, host and port. Default: https:// and the feed's authority
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// Time limit for the whole response; default: that of the feed
    #[arg(long, value_name = "DURATION")]
    pub timeout: Option<String>,
    /// Trusted certificates (PEM) for the list server, instead of the system's
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Do not check the list server's certificate: anyone on the path can read the feed's headers
    #[arg(long, conflicts_with = "ca")]
    pub insecure: bool,
}

/// The options of `check_config`.
#[derive(Debug, Args)]
pub struct CheckConfigArgs {
    /// The files; default: that of --config
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
}
