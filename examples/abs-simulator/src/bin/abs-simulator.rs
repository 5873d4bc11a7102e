//! The ABS simulator: flags, listening sockets, signals.

use std::error::Error;
use std::io::Write;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use abs_simulator::detection::DetectionRules;
use abs_simulator::routes::{router, sideband_router};
use abs_simulator::state::{Settings, Simulator};
use abs_simulator::transport::{serve, tls_acceptor};
use clap::Parser;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// A simulator of PingIntelligence ABS, the sideband of ASE, a CrowdSec LAPI and lists by URL, for demos and tests. Not for production.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Address and port that ABS listens on; port 0 selects a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Address and port that ASE's sideband listens on; port 0 selects a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen_sideband: SocketAddr,
    /// ASE nodes behind one load balancer, which routes by the cookie PISESSIONID
    #[arg(long, value_name = "N", default_value = "1")]
    ase_nodes: NonZeroUsize,
    /// Access key that clients must send as x-abs-ak
    #[arg(long, value_name = "KEY", default_value = "abs_ak", value_parser = parse_key)]
    access_key: String,
    /// Secret key that clients must send as x-abs-sk
    #[arg(long, value_name = "KEY", default_value = "abs_sk", value_parser = parse_key)]
    secret_key: String,
    /// Access key of the restricted user (x-abs-ak-ru), who sees obfuscated secrets
    #[arg(long, value_name = "KEY", default_value = "abs_ak_ru", value_parser = parse_key)]
    restricted_access_key: String,
    /// Secret key of the restricted user (x-abs-sk-ru)
    #[arg(long, value_name = "KEY", default_value = "abs_sk_ru", value_parser = parse_key)]
    restricted_secret_key: String,
    /// Minutes after which an entry expires, fractions allowed [default: never]
    #[arg(long, value_name = "N", value_parser = parse_minutes)]
    ttl_minutes: Option<Duration>,
    /// Token that sideband clients must send as ASE-Token [default: not checked]
    #[arg(long, value_name = "TOKEN")]
    ase_token: Option<String>,
    /// Key that clients of the LAPI must send as X-Api-Key
    #[arg(long, value_name = "KEY", default_value = "lapi_key")]
    lapi_key: String,
    /// Certificate chain in PEM, leaf first; with --tls-key, serves https
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Key of the certificate in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// List a client at this many requests within 60 seconds; 0 for never
    #[arg(long, value_name = "N", default_value_t = 0)]
    detect_requests_per_minute: usize,
    /// List a client at this many 401 responses within 60 seconds; 0 for never
    #[arg(long, value_name = "N", default_value_t = 10)]
    detect_unauthorized_per_minute: usize,
    /// The cookie that identifies a client for the detection [default: the first of each request]
    #[arg(long, value_name = "NAME")]
    session_cookie: Option<String>,
    /// Write method, path and status of each request to standard error
    #[arg(long)]
    verbose: bool,
}

fn parse_key(text: &str) -> Result<String, String> {
    if text.contains(':') {
        return Err("':' may not occur in a key of ABS".to_owned());
    }
    Ok(text.to_owned())
}

fn parse_minutes(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .and_then(|minutes: f64| Duration::try_from_secs_f64(minutes * 60.0).ok())
        .filter(|ttl| !ttl.is_zero())
        .ok_or_else(|| "expected a number of minutes above 0".to_owned())
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("abs-simulator: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    // Before the address is printed, because its reader may end the program at once.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let tls = match (&arguments.tls_cert, &arguments.tls_key) {
        (Some(certificate), Some(key)) => Some(tls_acceptor(certificate, key)?),
        _ => None,
    };
    let scheme = if tls.is_some() { "https" } else { "http" };
    let abs = bind(arguments.listen).await?;
    let ase = bind(arguments.listen_sideband).await?;
    let addresses = [abs.local_addr()?, ase.local_addr()?];
    let simulator = Simulator::new(Settings {
        access_key: arguments.access_key,
        secret_key: arguments.secret_key,
        restricted_access_key: arguments.restricted_access_key,
        restricted_secret_key: arguments.restricted_secret_key,
        lapi_key: arguments.lapi_key,
        ase_token: arguments.ase_token,
        ase_nodes: arguments.ase_nodes,
        ttl: arguments.ttl_minutes,
        rules: DetectionRules {
            unauthorized_per_minute: arguments.detect_unauthorized_per_minute,
            requests_per_minute: arguments.detect_requests_per_minute,
            session_cookie: arguments.session_cookie,
        },
        verbose: arguments.verbose,
    });
    let [address, sideband] = addresses;
    // In one write, because the reader of the first line may close the pipe after it.
    let lines = format!(
        "abs-simulator listening on {scheme}://{address}\nabs-simulator, sideband of ASE, listening on \
         {scheme}://{sideband}\n"
    );
    let mut stdout = std::io::stdout();
    stdout.write_all(lines.as_bytes())?;
    stdout.flush()?;
    let simulator = Arc::new(simulator);
    tokio::select! {
        () = serve(abs, tls.clone(), router(Arc::clone(&simulator))) => {}
        () = serve(ase, tls, sideband_router(simulator)) => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

async fn bind(address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address)
        .await
        .map_err(|error| format!("can't listen on {address}: {error}"))
}
