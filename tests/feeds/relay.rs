//! A TCP server between Envoy and LAPI that records when a request arrives and when its response has passed.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// One call: when its first byte arrived, when the last byte of the response was passed on, the bytes of the response.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// The first byte of the request.
    pub began: Instant,
    /// The last byte of the response so far.
    pub ended: Instant,
    /// The size of the response, with its headers.
    pub bytes: usize,
}

/// The server; it ends with the runtime of the test.
pub struct Relay {
    /// Where it listens.
    pub address: SocketAddr,
    is_open: Arc<AtomicBool>,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Relay {
    /// Starts it; until [`Relay::open`], it closes each connection at once.
    pub async fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let relay = Self {
            address: listener.local_addr().unwrap(),
            is_open: Arc::default(),
            calls: Arc::default(),
        };
        let (is_open, calls) = (Arc::clone(&relay.is_open), Arc::clone(&relay.calls));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if is_open.load(Ordering::Relaxed) {
                    tokio::spawn(pass(stream, to, Arc::clone(&calls)));
                }
            }
        });
        relay
    }

    /// Passes connections on from now on.
    pub fn open(&self) {
        self.is_open.store(true, Ordering::Relaxed);
    }

    /// The calls so far; the last one may not have ended.
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }
}

/// Passes the bytes of a connection on, in both directions, until either side ends.
async fn pass(mut envoy: TcpStream, to: SocketAddr, calls: Arc<Mutex<Vec<Call>>>) -> Option<()> {
    let mut server = TcpStream::connect(to).await.ok()?;
    let mut call = None;
    let (mut request, mut response) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    loop {
        tokio::select! {
            read = envoy.read(&mut request) => {
                let bytes = read.ok().filter(|bytes| *bytes > 0)?;
                let has_response = |index: &usize| calls.lock().unwrap()[*index].bytes > 0;
                if call.as_ref().is_none_or(has_response) {
                    let now = Instant::now();
                    let mut calls = calls.lock().unwrap();
                    call = Some(calls.len());
                    calls.push(Call { began: now, ended: now, bytes: 0 });
                }
                server.write_all(&request[..bytes]).await.ok()?;
            }
            read = server.read(&mut response) => {
                let bytes = read.ok().filter(|bytes| *bytes > 0)?;
                envoy.write_all(&response[..bytes]).await.ok()?;
                if let Some(index) = call {
                    let call = &mut calls.lock().unwrap()[index];
                    call.ended = Instant::now();
                    call.bytes += bytes;
                }
            }
        }
    }
}
