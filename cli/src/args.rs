//! Every command and flag, with its help. Decides nothing.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Blocks, inside Envoy, the clients that PingIntelligence ABS has detected as attackers.
///
/// The commands have the names they have in ASE, PingIntelligence's own enforcer. They change the file that holds the
/// filter's configuration; a running Envoy that watches it takes the change up by itself.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, max_term_width = 100)]
#[command(after_help = "Exit codes: 0 done, 1 refused by validation or a server, 2 wrong usage.")]
pub struct Arguments {
    /// What every command takes.
    #[command(flatten)]
    pub common: Common,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
pub struct Common {
    /// The file that holds the filter: an Envoy file (ECDS, LDS, bootstrap), a WasmPlugin, EnvoyExtensionPolicy or
    /// ConfigMap manifest, or the plain plugin configuration
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "PORTCULLIS_CONFIG",
        default_value = "envoy/filter.json"
    )]
    pub config: PathBuf,
    /// Which Wasm filter of the file is meant, where it holds several
    #[arg(long, global = true, value_name = "NAME")]
    pub name: Option<String>,
    /// How results are printed
    #[arg(long, global = true, value_enum, default_value_t = OutputFormat::Text)]
    pub output: OutputFormat,
    /// Say what would change, and change nothing
    #[arg(long, global = true)]
    pub dry_run: bool,
    /// Show tokens, cookie values, API keys and user names whole, not only their first four characters
    #[arg(long, global = true)]
    pub show_secrets: bool,
    /// ASE's user; not used: access is the permissions of the file
    #[arg(short = 'u', global = true, value_name = "USER", hide = true)]
    pub user: Option<String>,
    /// ASE's password; not used: access is the permissions of the file
    #[arg(short = 'p', global = true, value_name = "PASSWORD", num_args = 0..=1, default_missing_value = "", hide = true)]
    pub password: Option<String>,
}

/// How results are printed.
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
    /// Block what the lists say
    EnableFirewall,
    /// Block nothing, whatever the lists say
    DisableFirewall,
    /// Send API traffic information to ABS
    EnableAbs,
    /// Send nothing more to ABS
    DisableAbs,
    /// Fetch ABS's attack list and block what it names
    EnableAbsAttack,
    /// Fetch no attack list and stop blocking on it
    DisableAbsAttack,
    /// Show the flags and, with --envoy, what the running Envoy reports
    Status(StatusArgs),
    /// Let a client pass, whatever the other lists say
    AddWhitelist(EntryWords),
    /// Take a client off the allow list
    DeleteWhitelist(EntryWords),
    /// Show the allow list
    ViewWhitelist,
    /// Empty the allow list
    ClearWhitelist,
    /// Block a client
    AddBlacklist(EntryWords),
    /// Take a client off the manual deny list
    DeleteBlacklist(EntryWords),
    /// Show who is blocked
    ViewBlacklist(ViewBlacklistArgs),
    /// Empty the manual deny list
    ClearBlacklist,
    /// Read ABS's attack list; import it into the manual deny list, or take false positives off it
    AttackList(AttackListArgs),
    /// Tell what becomes of a request, and why
    Explain(ExplainArgs),
    /// Tell whether the filter would take a configuration
    CheckConfig(CheckConfigArgs),
    /// Print a completion script
    Completions {
        /// For which shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Print the man page (roff)
    Man,
}

/// One entry of a list, as words.
#[derive(Debug, Args)]
pub struct EntryWords {
    /// Which kind of identifier
    #[arg(value_enum)]
    pub kind: EntryKind,
    /// ip: ADDRESS or RANGE; cookie: NAME VALUE; token: VALUE; api_key: [NAME] VALUE; username: VALUE. Write -- before a
    /// value that starts with a dash
    #[arg(required = true, value_name = "VALUE")]
    pub words: Vec<String>,
}

/// Kinds of identifier, by the words of ASE's commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum EntryKind {
    /// An address, or a range such as 198.51.100.0/24
    Ip,
    /// A cookie's name and value
    Cookie,
    /// An OAuth 2.0 bearer token
    #[value(alias = "oauth_token")]
    Token,
    /// An API key
    ApiKey,
    /// A user name
    Username,
}

/// What `status` takes.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Also ask the running Envoy, by its admin interface
    #[arg(long, value_name = "URL")]
    pub envoy: Option<String>,
    /// Envoy's access log, as envoy/envoy.yaml has it written, to see whom it denies; without it, the files that the
    /// running Envoy says it writes
    #[arg(long, value_name = "FILE")]
    pub access_log: Option<PathBuf>,
}

/// What `view_blacklist` takes.
#[derive(Debug, Args)]
pub struct ViewBlacklistArgs {
    /// Whose entries
    #[arg(value_enum, default_value_t = BlacklistPart::All)]
    pub part: BlacklistPart,
    /// How ABS is reached.
    #[command(flatten)]
    pub abs: AbsArgs,
}

/// Whose entries are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum BlacklistPart {
    /// Both
    All,
    /// The manual deny list
    Manual,
    /// ABS's active list, read from ABS (--abs)
    AbsDetected,
}

/// How ABS is reached.
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
    /// How long the whole answer may take
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    pub timeout: String,
    /// Certificates (PEM) that vouch for ABS, in place of the system's
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Do not check ABS's certificate: whoever stands between sees the keys
    #[arg(long, conflicts_with = "ca")]
    pub insecure: bool,
}

/// What `attack_list` takes.
#[derive(Debug, Args)]
pub struct AttackListArgs {
    /// How ABS is reached.
    #[command(flatten)]
    pub abs: AbsArgs,
    /// Which entries
    #[arg(long, value_enum, default_value_t = ListStatus::Active)]
    pub status: ListStatus,
    /// Add the entries to the manual deny list of the file
    #[arg(long, conflicts_with = "remove")]
    pub import_deny: bool,
    /// With --import-deny: the manual deny list becomes ABS's list, and nothing else stays on it
    #[arg(long, requires = "import_deny")]
    pub replace: bool,
    /// Take false positives off ABS's list: those named by KIND and VALUE, or by --file
    #[arg(long)]
    pub remove: bool,
    /// With --remove: what to take off, as JSON in the shape of ABS's list
    #[arg(
        long,
        value_name = "FILE",
        requires = "remove",
        conflicts_with = "kind"
    )]
    pub file: Option<PathBuf>,
    /// With --remove: which kind of identifier
    #[arg(value_enum, requires = "remove")]
    pub kind: Option<EntryKind>,
    /// With --remove: as for add_blacklist
    #[arg(value_name = "VALUE", requires = "kind")]
    pub words: Vec<String>,
}

/// Which entries of ABS's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ListStatus {
    /// Those that are blocked on
    Active,
    /// Those whose time ran out
    Expired,
    /// Both
    All,
}

/// What `explain` takes.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The client's address, as Envoy determines it
    #[arg(long, value_name = "ADDRESS")]
    pub ip: Option<String>,
    /// A request header, as with curl; may be given several times
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub headers: Vec<String>,
    /// The URL asked for: absolute, or a path
    #[arg(long, value_name = "URL", default_value = "/")]
    pub url: String,
    /// The attack list in force: a file with ABS's JSON. Without it --abs is asked; without both, no list has come
    #[arg(long, value_name = "FILE")]
    pub list: Option<PathBuf>,
    /// How ABS is reached.
    #[command(flatten)]
    pub abs: AbsArgs,
}

/// What `check_config` takes.
#[derive(Debug, Args)]
pub struct CheckConfigArgs {
    /// The file, if not the one of --config
    pub file: Option<PathBuf>,
}
