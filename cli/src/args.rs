//! Every command and option, with its help. Decides nothing.

mod import_ase;
mod remote;
mod serve;
mod settings;

use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use portcullis::identifier::IdentifierKind;

pub use self::import_ase::ImportAseArgs;
pub use self::remote::{NodeState, NodesArgs, RemoteArgs, settle};
pub use self::serve::{AccessArgs, ServeArgs};
pub use self::settings::{GetArgs, OnOff, SetArgs, ShadowArgs};

/// Controls the Envoy filter that blocks the clients PingIntelligence ABS has detected as attackers.
///
/// The commands have the same names as in ASE, PingIntelligence's own enforcer. They edit the file that holds the
/// filter's configuration; a running Envoy that watches the file applies the change.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, max_term_width = 100)]
#[command(after_help = "Exit codes: 0 done, 1 refused by validation or a server, 2 wrong usage.")]
pub struct Arguments {
    /// The options of every command.
    #[command(flatten)]
    pub common: Common,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
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
        default_value = "envoy/filter.json"
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
    /// Always allow a client, whatever the other lists say
    AddWhitelist(EntryWords),
    /// Remove a client from the allow list
    DeleteWhitelist(EntryWords),
    /// Show the allow list
    ViewWhitelist,
    /// Empty the allow list
    ClearWhitelist,
    /// Block a client
    AddBlacklist(EntryWords),
    /// Remove a client from the manual deny list
    DeleteBlacklist(EntryWords),
    /// Show the blocked clients
    ViewBlacklist(ViewBlacklistArgs),
    /// Empty the manual deny list
    ClearBlacklist,
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
    /// Make a configuration and Envoy's clusters from the files of an ASE
    #[command(name = "import-ase", alias = "import_ase")]
    ImportAse(ImportAseArgs),
    /// Check whether the filter accepts a configuration
    CheckConfig(CheckConfigArgs),
    /// Show the Envoys of a fleet, as --server knows them
    Nodes(NodesArgs),
    /// Serve configuration and lists to a fleet of Envoys
    Serve(ServeArgs),
    /// Print a completion script
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Print the man page (roff)
    Man,
}

/// One entry of a list, as typed.
#[derive(Debug, Args)]
pub struct EntryWords {
    /// The kind of identifier
    #[arg(value_parser = kind_parser())]
    pub kind: IdentifierKind,
    /// ip: ADDRESS or RANGE; cookie: NAME VALUE; token: VALUE; api_key: [NAME] VALUE; username: VALUE. Write -- before a
    /// value that starts with a dash
    #[arg(required = true, value_name = "VALUE")]
    pub words: Vec<String>,
}

/// The kinds of identifier, by their names in ASE's commands.
fn kind_parser() -> impl TypedValueParser<Value = IdentifierKind> {
    let kinds = [
        PossibleValue::new("ip").help("An address, or a range such as 198.51.100.0/24"),
        PossibleValue::new("cookie").help("A cookie's name and value"),
        PossibleValue::new("token")
            .alias("oauth_token")
            .help("An OAuth 2.0 bearer token"),
        PossibleValue::new("api_key").help("An API key"),
        PossibleValue::new("username").help("A user name"),
    ];
    PossibleValuesParser::new(kinds).map(|name| match name.as_str() {
        "ip" => IdentifierKind::Ip,
        "cookie" => IdentifierKind::Cookie,
        "api_key" => IdentifierKind::ApiKey,
        "username" => IdentifierKind::Username,
        _ => IdentifierKind::OauthToken,
    })
}

/// The options of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Address of the running Envoy's admin interface
    #[arg(long, value_name = "URL")]
    pub envoy: Option<String>,
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

/// The options of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The client's address, as Envoy determines it
    #[arg(long, value_name = "ADDRESS")]
    pub ip: Option<String>,
    /// A request header, as with curl; may be given several times
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub headers: Vec<String>,
    /// The requested URL: absolute, or a path
    #[arg(long, value_name = "URL", default_value = "/")]
    pub url: String,
    /// The attack list: a file with ABS's JSON; default: the list from --abs; without both, the filter has none
    #[arg(long, value_name = "FILE")]
    pub list: Option<PathBuf>,
    /// The list of a feed: a file in the feed's own format; may be given for several feeds
    #[arg(long = "feed", value_name = "NAME=FILE", value_parser = feed_file)]
    pub feeds: Vec<(String, PathBuf)>,
    /// How to reach ABS.
    #[command(flatten)]
    pub abs: AbsArgs,
}

fn feed_file(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, file)) if !name.is_empty() && !file.is_empty() => {
            Ok((name.to_owned(), file.into()))
        }
        _ => Err("allowed: NAME=FILE, such as drop=drop.txt".to_owned()),
    }
}

/// The options of `check_config`.
#[derive(Debug, Args)]
pub struct CheckConfigArgs {
    /// The file; default: that of --config
    pub file: Option<PathBuf>,
}
