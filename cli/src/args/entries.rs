//! The words that name entries of a manual list. Decides nothing.

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use portcullis::identifier::IdentifierKind;

use super::ViewBlacklistArgs;

/// Entries of a list, as typed.
#[derive(Debug, Args)]
pub struct EntryWords {
    /// The kind of identifier
    #[arg(value_parser = kind_parser())]
    pub kind: IdentifierKind,
    /// ip: ADDRESS or RANGE ...; cookie: NAME VALUE ...; token: VALUE ...; api_key: [NAME] VALUE, or NAME VALUE VALUE ...;
    /// username: VALUE, which may be several words. Write -- before a value that starts with a dash
    #[arg(required_unless_present = "from", value_name = "VALUE")]
    pub words: Vec<String>,
    /// More values, one a line; - is standard input. The command line has only the name, if the kind has one
    #[arg(long, value_name = "FILE")]
    pub from: Option<PathBuf>,
}

/// The commands of `allow`.
#[derive(Debug, Subcommand)]
pub enum AllowCommand {
    /// Always allow clients: add_whitelist
    Add(EntryWords),
    /// Remove clients from the allow list: delete_whitelist
    Delete(EntryWords),
    /// Show the allow list: view_whitelist
    View,
    /// Empty the allow list: clear_whitelist
    Clear,
}

/// The commands of `deny`.
#[derive(Debug, Subcommand)]
pub enum DenyCommand {
    /// Block clients: add_blacklist
    Add(EntryWords),
    /// Remove clients from the manual deny list: delete_blacklist
    Delete(EntryWords),
    /// Show the blocked clients: view_blacklist
    View(ViewBlacklistArgs),
    /// Empty the manual deny list: clear_blacklist
    Clear,
}

/// The kinds of identifier, by their names in ASE's commands.
pub(super) fn kind_parser() -> impl TypedValueParser<Value = IdentifierKind> {
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
