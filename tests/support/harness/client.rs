//! An HTTP client with control over the source address, raw header bytes, the HTTP version and connections.

use super::audit::Replies;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::net::TcpSocket;

/// Longer than any request takes.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A request that can be sent many times. Each [`Request::send`] opens its own connection.
#[derive(Clone, Debug)]
pub struct Request {
    to: SocketAddr,
    from: Option<IpAddr>,
    method: Method,
    path: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
    http2: bool,
    replies: Replies,
}

/// A reply.
#[derive(Clone, Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers and trailers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: String,
    /// Whether the reply ended with the headers, without body and trailers.
    pub headers_only: bool,
}

/// A connection that stays open, and so on one worker.
pub struct Connection {
    sender: Sender,
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Request {
    /// A GET over HTTP/1.1; replies are added to `replies`.
    pub fn get(to: SocketAddr, path: &str, replies: &Replies) -> Self {
        Self {
            to,
            from: None,
            method: Method::GET,
            path: path.to_owned(),
            headers: Vec::new(),
            body: Bytes::new(),
            http2: false,
            replies: replies.clone(),
        }
    }

    /// Sends from this address of the loopback interface.
    pub fn from(mut self, address: &str) -> Self {
        self.from = Some(address.parse().unwrap());
        self
    }

    /// Sends to this address of the loopback interface, same port.
    pub fn at_ip(mut self, address: &str) -> Self {
        self.to.set_ip(address.parse().unwrap());
        self
    }

    /// Sends to another port.
    pub fn at_port(mut self, port: u16) -> Self {
        self.to.set_port(port);
        self
    }

    /// Changes the path.
    pub fn at_path(mut self, path: &str) -> Self {
        self.path = path.to_owned();
        self
    }

    /// Adds a header, in addition to others of that name. Takes any bytes that HTTP allows.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((
            name.parse().unwrap(),
            HeaderValue::from_bytes(value.as_ref()).unwrap(),
        ));
        self
    }

    /// `authorization: Bearer …`
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    /// HTTP/2 by prior knowledge.
    pub fn http2(mut self) -> Self {
        self.http2 = true;
        self
    }

    /// A unary gRPC request with an empty message, over HTTP/2.
    pub fn grpc(mut self) -> Self {
        self.method = Method::POST;
        // Not compressed, length zero.
        self.body = Bytes::from_static(&[0; 5]);
        self.http2()
            .header("content-type", "application/grpc")
            .header("te", "trailers")
    }

    /// Sends a body, by this method.
    pub fn with_body(mut self, method: Method, body: impl Into<Bytes>) -> Self {
        self.method = method;
        self.body = body.into();
        self
    }

    /// Opens a connection from this request's address and to its target.
    pub async fn connect(&self) -> std::io::Result<Connection> {
        let socket = match self.to {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        if let Some(from) = self.from {
            socket.bind(SocketAddr::new(from, 0))?;
        }
        let stream = TokioIo::new(socket.connect(self.to).await?);
        let sender = if self.http2 {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), stream)
                .await
                .map_err(std::io::Error::other)?;
            tokio::spawn(connection);
            Sender::Http2(sender)
        } else {
            let (sender, connection) = http1::handshake(stream)
                .await
                .map_err(std::io::Error::other)?;
            tokio::spawn(connection);
            Sender::Http1(sender)
        };
        Ok(Connection { sender })
    }

    /// Sends on a new connection; an error if there is no reply.
    pub async fn try_send(&self) -> std::io::Result<Reply> {
        self.connect().await?.send(self).await
    }

    /// Sends on a new connection; fails the test if there is no reply.
    pub async fn send(&self) -> Reply {
        self.try_send()
            .await
            .unwrap_or_else(|error| panic!("no reply to {self}: {error}"))
    }

    fn build(&self) -> hyper::Request<Full<Bytes>> {
        let mut request = hyper::Request::builder().method(self.method.clone());
        request = if self.http2 {
            request.uri(format!("http://{}{}", self.to, self.path))
        } else {
            request.uri(&self.path).header("host", self.to.to_string())
        };
        let mut request = request.body(Full::new(self.body.clone())).unwrap();
        for (name, value) in &self.headers {
            // A test's own host replaces the default.
            if name == "host" {
                request.headers_mut().insert(name, value.clone());
            } else {
                request.headers_mut().append(name, value.clone());
            }
        }
        request
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)?;
        match self.from {
            Some(from) => write!(f, " from {from}"),
            None => Ok(()),
        }
    }
}

impl Connection {
    /// Sends `request` on this connection.
    pub async fn send(&mut self, request: &Request) -> std::io::Result<Reply> {
        let response = async {
            let outgoing = request.build();
            let response = match &mut self.sender {
                Sender::Http1(sender) => {
                    sender.ready().await?;
                    sender.send_request(outgoing).await?
                }
                Sender::Http2(sender) => {
                    sender.ready().await?;
                    sender.send_request(outgoing).await?
                }
            };
            read(response).await
        };
        let reply = tokio::time::timeout(TIMEOUT, response)
            .await?
            .map_err(std::io::Error::other)?;
        request.replies.keep(&reply);
        Ok(reply)
    }

    /// Sends `request` this many times over HTTP/2 without waiting for replies in between.
    pub async fn send_at_once(&mut self, request: &Request, times: usize) -> Vec<Reply> {
        let Sender::Http2(sender) = &mut self.sender else {
            panic!("HTTP/1.1 allows one request at a time");
        };
        sender.ready().await.unwrap();
        let responses: Vec<_> = (0..times)
            .map(|_| sender.send_request(request.build()))
            .collect();
        let mut replies = Vec::new();
        for response in responses {
            let response = tokio::time::timeout(TIMEOUT, response).await.unwrap();
            let reply = read(response.unwrap()).await.unwrap();
            request.replies.keep(&reply);
            replies.push(reply);
        }
        replies
    }
}

async fn read(response: Response<Incoming>) -> hyper::Result<Reply> {
    let headers_only = hyper::body::Body::is_end_stream(response.body());
    let status = response.status().as_u16();
    let mut headers = response.headers().clone();
    let body = response.into_body().collect().await?;
    headers.extend(body.trailers().cloned().unwrap_or_default());
    Ok(Reply {
        status,
        headers,
        body: String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        headers_only,
    })
}

impl Reply {
    /// A header's value as text; empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// Whether it is from the API behind Envoy, not from Envoy itself.
    pub fn is_from_api(&self) -> bool {
        self.headers.contains_key("x-envoy-upstream-service-time")
    }

    /// Whether it is a 200 from the API.
    pub fn is_allowed(&self) -> bool {
        self.status == 200 && self.is_from_api()
    }

    /// Whether it is the filter's default reply to a denied client.
    pub fn is_denied(&self) -> bool {
        self.status == 403 && self.body == "Error: Unauthorized" && !self.is_from_api()
    }
}
