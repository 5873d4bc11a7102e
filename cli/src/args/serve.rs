//! The options of `serve`. Decides nothing.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::Args;

/// The options of `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The directory with one file for each filter, NAME.json or NAME.yaml; NAME is the filter's name in Envoy's
    /// configuration
    #[arg(long, value_name = "DIR")]
    pub filters: PathBuf,
    /// The address to listen on
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9902")]
    pub listen: SocketAddr,
    /// The feeds that this server fetches for all nodes: a plain plugin configuration with "upstreams", which has the
    /// address of each cluster
    #[arg(long, value_name = "FILE")]
    pub relay: Option<PathBuf>,
    /// The directory for the last valid configurations and lists, which outlive a restart; default: .state in the
    /// directory of --filters
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// How to protect the server.
    #[command(flatten)]
    pub access: AccessArgs,
}

/// How the server is protected.
#[derive(Debug, Args)]
#[command(next_help_heading = "Protection")]
pub struct AccessArgs {
    /// File with the token of operators, who may change everything [env: PORTCULLIS_OPERATOR_TOKEN, the token itself]
    #[arg(long, value_name = "FILE")]
    pub operator_token_file: Option<PathBuf>,
    /// File with the token of readers, who see everything except secrets [env: PORTCULLIS_READ_TOKEN, the token itself]
    #[arg(long, value_name = "FILE")]
    pub read_token_file: Option<PathBuf>,
    /// File with the token of nodes, who get configurations and lists [env: PORTCULLIS_NODE_TOKEN, the token itself]
    #[arg(long, value_name = "FILE")]
    pub node_token_file: Option<PathBuf>,
    /// Certificate chain (PEM); read again when it changes
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_certificate: Option<PathBuf>,
    /// Private key (PEM); read again when it changes
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    pub tls_key: Option<PathBuf>,
    /// How many connections one address (of IPv6, one /64 network) may have; further ones are closed. Without it there is no
    /// such limit: nodes behind one proxy or NAT have one address
    #[arg(long, value_name = "NUMBER")]
    pub connections_per_address: Option<NonZeroU32>,
    /// Listen without TLS on an address that other machines reach: a proxy in front of the server must encrypt
    #[arg(long, conflicts_with = "tls_certificate")]
    pub without_tls: bool,
}
