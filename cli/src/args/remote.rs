//! How to reach the server of a fleet, what to ask it, and whether it or a file counts.

use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, ValueEnum};

use super::Common;
use crate::error::{Failure, Result};

/// How to reach the server of a fleet.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Fleet")]
pub struct RemoteArgs {
    /// Read and change the filter at this server of a fleet (portcullis serve) instead of a file; --name selects the
    /// filter if the server has several
    ///
    /// The token is read from --token-file, or from PORTCULLIS_OPERATOR_TOKEN or PORTCULLIS_READ_TOKEN.
    #[arg(long, global = true, value_name = "URL", env = "PORTCULLIS_SERVER")]
    pub server: Option<String>,
    /// File with the token for --server
    #[arg(long, global = true, value_name = "FILE", requires = "server")]
    pub token_file: Option<PathBuf>,
    /// Trusted certificates (PEM) for --server, instead of the system's
    #[arg(long, global = true, value_name = "FILE", requires = "server")]
    pub server_ca: Option<PathBuf>,
}

/// The options of `nodes`.
#[derive(Args, Debug)]
pub struct NodesArgs {
    /// Only those in this state
    #[arg(long, value_enum)]
    pub state: Option<NodeState>,
}

/// The state of a node, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum NodeState {
    /// Has the served configuration
    Current,
    /// Requests lists, but no configuration
    Unknown,
    /// Is being updated, for at most 30 seconds
    Updating,
    /// Has stopped to request its configuration
    Silent,
    /// Keeps another configuration than the served one
    Behind,
}

/// Decides between the server and the file: an option counts more than an environment variable, and two of a kind are an
/// error.
pub fn settle(matches: &ArgMatches, common: &mut Common) -> Result<()> {
    if common.remote.server.is_none() {
        return Ok(());
    }
    let source = |id: &str| matches.value_source(id);
    match (source("server"), source("config")) {
        (Some(ValueSource::CommandLine), Some(ValueSource::CommandLine)) => Err(Failure::usage(
            "--server and --config are both given; the filter is at one of the two",
        )),
        (Some(ValueSource::EnvVariable), Some(ValueSource::CommandLine)) => {
            common.remote = RemoteArgs::default();
            Ok(())
        }
        (Some(ValueSource::EnvVariable), Some(ValueSource::EnvVariable)) => Err(Failure::usage(
            "PORTCULLIS_SERVER and PORTCULLIS_CONFIG are both set; unset one, or give --server or --config",
        )),
        _ if common.namespace.is_some() => Err(Failure::usage(
            "--namespace selects among Kubernetes objects in a file; with --server, --name selects the filter",
        )),
        _ => Ok(()),
    }
}
