//! The options of `explain`. Decides nothing.

use std::path::PathBuf;

use clap::Args;

use super::AbsArgs;

/// The options of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The client's address, as Envoy determines it
    #[arg(long, value_name = "ADDRESS")]
    pub ip: Option<String>,
    /// A request header, as with curl; may be given several times
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub headers: Vec<String>,
    /// A cookie of the request; may be given several times
    #[arg(long = "cookie", value_name = "NAME=VALUE")]
    pub cookies: Vec<String>,
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
