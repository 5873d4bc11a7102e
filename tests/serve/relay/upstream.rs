//! A list server that the test scripts: what it replies now, and what it was asked.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

/// The whole response to a request; `None` closes the connection.
type Reply = Box<dyn Fn(&str) -> Option<Vec<u8>> + Send>;

pub struct Upstream {
    pub url: String,
    shared: Arc<Shared>,
}

struct Shared {
    reply: Mutex<Reply>,
    requests: Mutex<Vec<String>>,
}

impl Upstream {
    pub fn new(reply: impl Fn(&str) -> Option<Vec<u8>> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            reply: Mutex::new(Box::new(reply)),
            requests: Mutex::default(),
        });
        let served = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let served = Arc::clone(&served);
                thread::spawn(move || serve(stream.unwrap(), &served));
            }
        });
        Self { url, shared }
    }

    pub fn of(content_type: &str, body: &str) -> Self {
        let response = ok(content_type, body);
        Self::new(move |_| Some(response.clone()))
    }

    pub fn of_json(body: &Value) -> Self {
        Self::of("application/json", &body.to_string())
    }

    /// Replies differently from now on.
    pub fn replies(&self, reply: impl Fn(&str) -> Option<Vec<u8>> + Send + 'static) {
        *self.shared.reply.lock().unwrap() = Box::new(reply);
    }

    pub fn replies_json(&self, body: &Value) {
        let response = ok("application/json", &body.to_string());
        self.replies(move |_| Some(response.clone()));
    }

    /// Closes every connection from now on.
    pub fn goes_away(&self) {
        self.replies(|_| None);
    }

    /// All requests, from their heads to the end of their bodies.
    pub fn requests(&self) -> Vec<String> {
        self.shared.requests.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, shared: &Shared) {
    let mut head = Vec::new();
    let mut piece = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut piece) {
            Ok(n) if n > 0 => head.extend_from_slice(&piece[..n]),
            _ => return,
        }
    }
    let mut head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| {
        let line = line.to_lowercase();
        line.strip_prefix("content-length: ")?.parse::<usize>().ok()
    });
    let end = head.find("\r\n\r\n").unwrap() + 4;
    while head.len() - end < length.unwrap_or(0) {
        let n = stream.read(&mut piece).unwrap();
        head.push_str(std::str::from_utf8(&piece[..n]).unwrap());
    }
    shared.requests.lock().unwrap().push(head.clone());
    let response = (shared.reply.lock().unwrap())(&head);
    if let Some(response) = response {
        let _ = stream.write_all(&response);
    }
}

pub fn ok(content_type: &str, body: &str) -> Vec<u8> {
    response("200 OK", &format!("content-type: {content_type}\r\n"), body)
}

pub fn response(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let text = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n{body}"
    );
    text.into_bytes()
}

/// Sends bytes and returns those that come back.
pub fn exchange(url: &str, request: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = Vec::new();
    stream.read_to_end(&mut response).unwrap();
    response
}
