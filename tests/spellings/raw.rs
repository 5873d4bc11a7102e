//! HTTP/1.1 as bytes: requests that no client library sends, on connections that stay open.

use std::fmt;
use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longer than any exchange takes.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The target and the headers of a GET, with any bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct RawRequest {
    /// The request target.
    pub path: Vec<u8>,
    /// Names and values, without a host.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
}

impl RawRequest {
    /// Without headers.
    pub fn path(path: impl AsRef<[u8]>) -> Self {
        Self {
            path: path.as_ref().to_owned(),
            headers: Vec::new(),
        }
    }

    /// A request for `/` with one header.
    pub fn header(name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        Self::path("/").and(name, value)
    }

    /// Adds a header.
    pub fn and(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.headers
            .push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// The bytes of the request to the server of this name.
    pub fn bytes(&self, server: &str) -> Vec<u8> {
        let mut bytes = b"GET ".to_vec();
        bytes.extend_from_slice(&self.path);
        bytes.extend_from_slice(b" HTTP/1.1\r\nhost: api.example.com\r\nx-server: ");
        bytes.extend_from_slice(server.as_bytes());
        for (name, value) in &self.headers {
            bytes.extend_from_slice(b"\r\n");
            bytes.extend_from_slice(name);
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
        }
        bytes.extend_from_slice(b"\r\n\r\n");
        bytes
    }
}

/// The target and the headers, with all bytes except printable ASCII escaped.
impl fmt::Debug for RawRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GET {}", self.path.escape_ascii())?;
        for (name, value) in &self.headers {
            write!(f, " | {}: {}", name.escape_ascii(), value.escape_ascii())?;
        }
        Ok(())
    }
}

/// A response.
#[derive(Debug)]
pub struct RawResponse {
    /// HTTP status.
    pub status: u16,
    head: String,
    /// The whole body.
    pub body: Vec<u8>,
}

impl RawResponse {
    /// A header's value; empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        let lines = self.head.lines().skip(1);
        lines
            .filter_map(|line| line.split_once(':'))
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map_or("", |(_, value)| value.trim())
    }
}

/// A connection that opens with the first request.
pub struct RawConnection {
    to: SocketAddr,
    stream: Option<TcpStream>,
}

impl RawConnection {
    /// To this address.
    pub fn new(to: SocketAddr) -> Self {
        Self { to, stream: None }
    }

    /// Sends these bytes and reads one response.
    pub async fn send(&mut self, request: &[u8]) -> Result<RawResponse> {
        // The peer may have closed the connection: try once more on a new one.
        let reused = self.stream.is_some();
        let response = self.exchange(request).await;
        match response {
            Err(_) if reused => self.exchange(request).await,
            response => response,
        }
    }

    async fn exchange(&mut self, request: &[u8]) -> Result<RawResponse> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(self.to).await?;
                stream.set_nodelay(true)?;
                stream
            }
        };
        let response = tokio::time::timeout(TIMEOUT, async {
            stream.write_all(request).await?;
            read_response(&mut stream).await
        })
        .await??;
        if !response.header("connection").eq_ignore_ascii_case("close") {
            self.stream = Some(stream);
        }
        Ok(response)
    }
}

async fn read_response(stream: &mut TcpStream) -> Result<RawResponse> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = find(&bytes, b"\r\n\r\n") {
            break end;
        }
        more(stream, &mut bytes).await?;
    };
    let mut response = RawResponse {
        status: 0,
        head: String::from_utf8_lossy(&bytes[..head]).into_owned(),
        body: Vec::new(),
    };
    let status = response.head.split(' ').nth(1);
    response.status = status
        .and_then(|status| status.parse().ok())
        .ok_or_else(|| Error::new(ErrorKind::InvalidData, response.head.clone()))?;
    let mut rest = bytes.split_off(head + 4);
    if response
        .header("transfer-encoding")
        .eq_ignore_ascii_case("chunked")
    {
        loop {
            let line = loop {
                match find(&rest, b"\r\n") {
                    Some(end) => break end,
                    None => more(stream, &mut rest).await?,
                }
            };
            let length = std::str::from_utf8(&rest[..line]).map_err(Error::other)?;
            let length = usize::from_str_radix(length, 16).map_err(Error::other)?;
            while rest.len() < line + 2 + length + 2 {
                more(stream, &mut rest).await?;
            }
            response
                .body
                .extend_from_slice(&rest[line + 2..line + 2 + length]);
            rest.drain(..line + 2 + length + 2);
            if length == 0 {
                return Ok(response);
            }
        }
    }
    let length = response.header("content-length").parse().unwrap_or(0);
    while rest.len() < length {
        more(stream, &mut rest).await?;
    }
    response.body = rest;
    Ok(response)
}

async fn more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Result<()> {
    match stream.read_buf(bytes).await? {
        0 => Err(ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
