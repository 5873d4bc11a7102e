//! A server that answers with given bytes, for answers that no real server gives.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// Stands in ABS's place. Closes each connection after its answer.
pub struct ScriptedServer {
    /// Where it listens.
    pub address: SocketAddr,
    answers: Arc<Mutex<VecDeque<Arc<[u8]>>>>,
    ended: Arc<AtomicBool>,
}

impl ScriptedServer {
    /// Starts it on a free port; it answers with `first`.
    pub fn start(first: &[u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            answers: Arc::new(Mutex::new(VecDeque::from([first.into()]))),
            ended: Arc::default(),
        };
        let (answers, ended) = (server.answers.clone(), server.ended.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::Relaxed) {
                    break;
                }
                let answers = answers.clone();
                // An error is a client that went away, and no business of the server's.
                std::thread::spawn(move || stream.and_then(|stream| serve(stream, &answers)));
            }
        });
        server
    }

    /// Answers from now on with `answer`: a whole answer, status line and all.
    pub fn answer(&self, answer: &[u8]) {
        self.answer_in_turn(vec![answer.to_vec()]);
    }

    /// Answers one GET with each of these, in order; the last stays.
    pub fn answer_in_turn(&self, answers: Vec<Vec<u8>>) {
        let mut waiting = self.answers.lock().unwrap();
        *waiting = answers.into_iter().map(Into::into).collect();
    }

    /// How many answers are yet to be given, the last one included.
    pub fn waiting(&self) -> usize {
        self.answers.lock().unwrap().len()
    }
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // Wakes the listener; if that fails the thread ends with the process.
        let _ = TcpStream::connect(self.address);
    }
}

/// An answer with status 200, these headers and this body.
pub fn ok(headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}

/// The header that announces a body of this length.
pub fn length(body: &[u8]) -> String {
    format!("content-length: {}\r\n", body.len())
}

fn serve(mut stream: TcpStream, answers: &Mutex<VecDeque<Arc<[u8]>>>) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        request.extend_from_slice(&byte);
    }
    let answer = {
        let mut answers = answers.lock().unwrap();
        match answers.len() {
            0 | 1 => answers.front().cloned(),
            _ if request.starts_with(b"HEAD ") => answers.front().cloned(),
            _ => answers.pop_front(),
        }
    };
    let answer = answer.unwrap_or_default();
    let mut part = &answer[..];
    if request.starts_with(b"HEAD ") {
        let head = answer.windows(4).position(|window| window == b"\r\n\r\n");
        part = &answer[..head.map_or(answer.len(), |end| end + 4)];
    }
    stream.write_all(part)?;
    stream.shutdown(std::net::Shutdown::Write)
}
