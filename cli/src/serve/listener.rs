//! Sockets: accepts connections, with or without TLS, bounds their number and the time that each step may take, and ends
//! them when the server stops. Knows no route.
//!
//! | module | owns |
//! |---|---|
//! | `tls` | the certificate and its key, read again when they change |
//! | `stream` | time limits of one connection |

mod stream;
mod tls;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};
use tower::ServiceExt as _;

use self::stream::Limited;
pub use self::tls::Tls;
use crate::error::{Failure, Result};

/// How many connections are open at most. Ten thousand nodes have two each while they reconnect.
const MOST_CONNECTIONS: u32 = 20_000;

/// How many connections wait to be accepted: all nodes connect again after a restart of the server.
const BACKLOG: u32 = 4096;

/// The open files that are not connections: the filter files, the state, upstreams.
const OTHER_FILES: u32 = 200;

/// How long a TLS handshake may take.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// How long a request may take until its response starts, the body included.
const REQUEST_LIMIT: Duration = Duration::from_secs(30);

/// How long a connection may be idle between two requests. Nodes ask every few seconds, and keep their connection.
const IDLE_LIMIT: Duration = Duration::from_secs(120);

/// How much of a request's headers is read. A connection keeps a buffer of this size also while it is idle, and nodes send
/// 77 KB of their extensions in each request for configuration: a larger limit is a larger buffer for each node.
const LARGEST_HEADERS: usize = 8 * 1024;

/// How long open requests may take once the server stops.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// How long nothing is accepted after an error, such as too many open files.
const PAUSE: Duration = Duration::from_millis(200);

/// A socket that listens.
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<Tls>>,
    signals: [Signal; 2],
}

impl Listener {
    /// Listens, and from now on handles SIGTERM and SIGINT.
    ///
    /// # Errors
    ///
    /// The system refuses the address.
    pub fn bind(listen: SocketAddr, tls: Option<Arc<Tls>>) -> Result<Self> {
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
            signals: [mut terminate, mut interrupt],
            ..
        } = self;
        let most = most_connections();
        let permits = Arc::new(Semaphore::new(usize::try_from(most).unwrap_or(usize::MAX)));
        let (stopping, stopped) = watch::channel(());
        tokio::select! {
            () = accept(&socket, tls, router, permits.clone(), stopped) => {}
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

/// Accepts connections, one task each.
async fn accept(
    socket: &TcpListener,
    tls: Option<Arc<Tls>>,
    router: Router,
    permits: Arc<Semaphore>,
    stopped: watch::Receiver<()>,
) {
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
                let connection = Connection {
                    address,
                    router: router.clone(),
                    stopped: stopped.clone(),
                    _permit: permit,
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

/// One connection.
struct Connection {
    address: SocketAddr,
    router: Router,
    stopped: watch::Receiver<()>,
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    async fn serve_tls(mut self, stream: TcpStream, tls: Arc<Tls>) {
        let handshake = timeout(HANDSHAKE_LIMIT, tls.acceptor().accept(stream));
        // In boxes, so that a connection takes no memory for its handshake any more.
        let stream = tokio::select! {
            stream = Box::pin(handshake) => stream,
            _ = self.stopped.changed() => return,
        };
        // Scanners and clients without the certificate authority: nothing that an operator can act on here.
        if let Ok(Ok(stream)) = stream {
            Box::pin(self.serve(stream)).await;
        }
    }

    async fn serve(mut self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let (stream, activity) = Limited::new(stream);
        let (address, router) = (self.address, self.router);
        let service = service_fn(|mut request: Request<Incoming>| {
            let busy = activity.begin();
            request.extensions_mut().insert(ConnectInfo(address));
            let response = router.clone().oneshot(request.map(Body::new));
            // In a box, so that an idle connection takes no memory for a request.
            Box::pin(async move {
                let response = timeout(REQUEST_LIMIT, response).await;
                drop(busy);
                match response {
                    Ok(response) => response,
                    Err(_) => Ok(too_slow()),
                }
            })
        });
        let mut connection = pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                // It also counts the time between two requests; `Limited` has the stricter limit on headers.
                .header_read_timeout(IDLE_LIMIT)
                .max_buf_size(LARGEST_HEADERS)
                .serve_connection(TokioIo::new(stream), service)
        );
        // An error is the client's: it closed, was too slow, or speaks no HTTP.
        tokio::select! {
            _ = connection.as_mut() => return,
            _ = self.stopped.changed() => {}
        }
        connection.as_mut().graceful_shutdown();
        let _ = connection.await;
    }
}

fn too_slow() -> Response {
    let headers = [(header::CONNECTION, "close")];
    (StatusCode::REQUEST_TIMEOUT, headers).into_response()
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
