//! A server that sends given bytes, for responses that no real server sends.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// Takes the place of ABS. Closes each connection after its response.
pub struct ScriptedServer {
    /// Where it listens.
    pub address: SocketAddr,
    responses: Arc<Mutex<VecDeque<Arc<[u8]>>>>,
    ended: Arc<AtomicBool>,
}

impl ScriptedServer {
    /// Starts it on a free port; it responds with `first`.
    pub fn start(first: &[u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            responses: Arc::new(Mutex::new(VecDeque::from([first.into()]))),
            ended: Arc::default(),
        };
        let (responses, ended) = (server.responses.clone(), server.ended.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::Relaxed) {
                    break;
                }
                let responses = responses.clone();
                // An error means that the client closed the connection.
                std::thread::spawn(move || stream.and_then(|stream| serve(stream, &responses)));
            }
        });
        server
    }

    /// Responds with these bytes from now on: status line, headers and body.
    pub fn respond(&self, response: &[u8]) {
        self.respond_in_turn(vec![response.to_vec()]);
    }

    /// Responds to one GET with each of these, in order, and to all further ones with the last.
    pub fn respond_in_turn(&self, responses: Vec<Vec<u8>>) {
        let mut waiting = self.responses.lock().unwrap();
        *waiting = responses.into_iter().map(Into::into).collect();
    }

    /// Number of responses that are left, including the last one.
    pub fn waiting(&self) -> usize {
        self.responses.lock().unwrap().len()
    }
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // Wakes the listener; if that fails, the thread ends with the process.
        let _ = TcpStream::connect(self.address);
    }
}

/// A response with status 200, these headers and this body.
pub fn ok(headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}

/// The `content-length` of this body.
pub fn length(body: &[u8]) -> String {
    format!("content-length: {}\r\n", body.len())
}

fn serve(mut stream: TcpStream, responses: &Mutex<VecDeque<Arc<[u8]>>>) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        request.extend_from_slice(&byte);
    }
    let response = {
        let mut responses = responses.lock().unwrap();
        match responses.len() {
            0 | 1 => responses.front().cloned(),
            _ if request.starts_with(b"HEAD ") => responses.front().cloned(),
            _ => responses.pop_front(),
        }
    };
    let response = response.unwrap_or_default();
    let mut part = &response[..];
    if request.starts_with(b"HEAD ") {
        let head = response.windows(4).position(|window| window == b"\r\n\r\n");
        part = &response[..head.map_or(response.len(), |end| end + 4)];
    }
    stream.write_all(part)?;
    stream.shutdown(std::net::Shutdown::Write)
}
