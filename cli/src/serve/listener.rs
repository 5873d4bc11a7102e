//! Sockets: accepts connections, with or without TLS, bounds their number, and ends them when the server stops. Knows no
//! route.
//!
//! | module | owns |
//! |---|---|
//! | `addresses` | the number of connections of each address |
//! | `connection` | one connection and its requests |
//! | `stream` | the time that each step of a connection may take |
//! | `tls` | the certificate and its key, read again when they change |

mod addresses;
mod connection;
mod stream;
mod tls;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use tokio::time::sleep;

use self::addresses::Addresses;
pub use self::addresses::client;
use self::connection::Connection;
pub use self::tls::Tls;
use crate::error::{Failure, Result};

/// How many connections are open at most. Ten thousand nodes have two each while they reconnect.
const MOST_CONNECTIONS: u32 = 20_000;

/// How many connections wait to be accepted: all nodes connect again after a restart of the server.
const BACKLOG: u32 = 4096;

/// The open files that are not connections: the filter files, the state, upstreams.
const OTHER_FILES: u32 = 200;

/// How long open requests may take once the server stops.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// How long nothing is accepted after an error, such as too many open files.
const PAUSE: Duration = Duration::from_millis(200);

/// A socket that listens.
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<Tls>>,
    per_address: Option<Addresses>,
    signals: [Signal; 2],
}

impl Listener {
    /// Listens, and from now on handles SIGTERM and SIGINT. Each address may have `per_address` connections.
    ///
    /// # Errors
    ///
    /// The system refuses the address.
    pub fn bind(
        listen: SocketAddr,
        per_address: Option<NonZeroU32>,
        tls: Option<Arc<Tls>>,
    ) -> Result<Self> {
        let refused = |error: std::io::Error| {
            Failure::refused(format!(
                "the server can't listen on {listen}: {error}; choose another address with --listen"
            ))
        };
        let socket = match listen {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }
        .map_err(refused)?;
        // A restarted server gets its address at once.
        socket.set_reuseaddr(true).map_err(refused)?;
        socket.bind(listen).map_err(refused)?;
        let socket = socket.listen(BACKLOG).map_err(refused)?;
        let address = socket.local_addr().map_err(refused)?;
        let signals = [
            signal(SignalKind::terminate()).map_err(refused)?,
            signal(SignalKind::interrupt()).map_err(refused)?,
        ];
        Ok(Self {
            socket,
            address,
            tls,
            per_address: per_address.map(Addresses::new),
            signals,
        })
    }

    /// The address with its scheme.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Serves until a signal, then calls `stop`, accepts nothing, and lets open requests end. A second signal ends them.
    pub async fn serve(self, router: Router, stop: impl FnOnce()) {
        let Self {
            socket,
            tls,
            per_address,
            signals: [mut terminate, mut interrupt],
            ..
        } = self;
        let most = most_connections();
        let permits = Arc::new(Semaphore::new(usize::try_from(most).unwrap_or(usize::MAX)));
        let (stopping, stopped) = watch::channel(());
        let limits = Limits {
            permits: permits.clone(),
            per_address,
        };
        tokio::select! {
            () = accept(&socket, tls, router, limits, stopped) => {}
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        log_line!(
            "portcullis serve: stopping; open requests have {} seconds",
            STOP_LIMIT.as_secs()
        );
        stop();
        drop(socket);
        let _ = stopping.send(());
        tokio::select! {
            // All permits are back when all connections are closed.
            _ = permits.acquire_many(most) => {}
            () = sleep(STOP_LIMIT) => log_line!("portcullis serve: requests were still open and are cut off"),
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}

/// How many connections there may be.
struct Limits {
    permits: Arc<Semaphore>,
    per_address: Option<Addresses>,
}

/// Accepts connections, one task each.
async fn accept(
    socket: &TcpListener,
    tls: Option<Arc<Tls>>,
    router: Router,
    limits: Limits,
    stopped: watch::Receiver<()>,
) {
    let Limits {
        permits,
        per_address,
    } = limits;
    let mut failing = false;
    let mut full = false;
    loop {
        if permits.available_permits() == 0 && !std::mem::replace(&mut full, true) {
            log_line!(
                "portcullis serve: the most connections are open that are allowed; new ones wait"
            );
        }
        let Ok(permit) = permits.clone().acquire_owned().await else {
            return;
        };
        full &= permits.available_permits() == 0;
        match socket.accept().await {
            Ok((stream, address)) => {
                failing = false;
                let counted = match &per_address {
                    Some(per_address) => match per_address.count(address.ip()) {
                        None => continue,
                        counted => counted,
                    },
                    None => None,
                };
                let connection = Connection {
                    address,
                    router: router.clone(),
                    stopped: stopped.clone(),
                    _permit: permit,
                    _counted: counted,
                };
                // Without it a response in two packets waits for an acknowledgement.
                let _ = stream.set_nodelay(true);
                match tls.clone() {
                    Some(tls) => tokio::spawn(connection.serve_tls(stream, tls)),
                    None => tokio::spawn(connection.serve(stream)),
                };
            }
            // The client closed it first.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::ConnectionAborted
                        | ErrorKind::ConnectionReset
                        | ErrorKind::ConnectionRefused
                ) => {}
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    log_line!("portcullis serve: no connection can be accepted: {error}");
                }
                sleep(PAUSE).await;
            }
        }
    }
}

/// How many connections may be open: each is an open file, of which the system allows a number.
fn most_connections() -> u32 {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let files = limits.lines().find_map(|line| {
        let numbers = line.strip_prefix("Max open files")?;
        numbers.split_whitespace().next()?.parse::<u32>().ok()
    });
    let Some(files) = files else {
        return MOST_CONNECTIONS;
    };
    let most = files.saturating_sub(OTHER_FILES).clamp(1, MOST_CONNECTIONS);
    if most < MOST_CONNECTIONS / 4 {
        log_line!(
            "portcullis serve: at most {most} connections, because {files} files may be open; raise it by ulimit -n or \
             LimitNOFILE= for more nodes"
        );
    }
    most
}
