//! One node: its schedule, its connection, its requests. It keeps one connection, which Envoy's main thread does too as long
//! as its requests do not overlap.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::{Request, Response, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{sleep_until, timeout};

use crate::tally::{Arrived, Kind, Tally, locked};

/// Envoy's `request_timeout` in envoy/fleet.yaml.
const POLL_LIMIT: Duration = Duration::from_secs(2);

/// The default of the filter's `timeout`.
const LIST_LIMIT: Duration = Duration::from_secs(10);

/// How much of a response is read at once.
const LARGEST_BUFFER: usize = 64 * 1024;

/// What all nodes do.
pub struct Plan {
    /// The server.
    pub server: SocketAddr,
    /// The body of a request for the configuration.
    pub request: Template,
    /// Between two requests for the configuration.
    pub poll: Duration,
    /// The longest random addition to it.
    pub spread: Duration,
    /// The path of the list.
    pub list: Option<String>,
    /// Between two requests for the list.
    pub interval: Duration,
}

/// A `DiscoveryRequest` without what differs between the requests.
pub struct Template {
    before_id: String,
    after_id: String,
}

impl Template {
    /// Splits a request.
    ///
    /// # Errors
    ///
    /// It is not an object, or has no `@NODE@`.
    pub fn new(request: &str) -> Result<Self, String> {
        let object = request.trim().strip_prefix('{');
        let parts = object.and_then(|object| object.split_once("@NODE@"));
        let (before_id, after_id) = parts.ok_or("the request is not an object with @NODE@")?;
        Ok(Self {
            before_id: before_id.to_owned(),
            after_id: after_id.to_owned(),
        })
    }

    fn body(&self, id: &str, version: &str) -> Bytes {
        let Self {
            before_id,
            after_id,
        } = self;
        match version.is_empty() {
            true => format!("{{{before_id}{id}{after_id}"),
            false => format!("{{\"version_info\":\"{version}\",{before_id}{id}{after_id}"),
        }
        .into()
    }
}

/// One node.
pub struct Node {
    number: usize,
    id: String,
    plan: Arc<Plan>,
    tally: Arc<Mutex<Tally>>,
    connection: Option<SendRequest<Full<Bytes>>>,
    configuration: String,
    list: String,
}

impl Node {
    /// A node without a configuration and without a list.
    pub fn new(number: usize, plan: Arc<Plan>, tally: Arc<Mutex<Tally>>) -> Self {
        Self {
            number,
            id: format!("node-{number}"),
            plan,
            tally,
            connection: None,
            configuration: String::new(),
            list: String::new(),
        }
    }

    /// Sends requests for ever, from a random phase.
    pub async fn run(mut self) {
        let plan = self.plan.clone();
        let start = tokio::time::Instant::now();
        let mut poll = after(start, random(plan.poll));
        let mut fetch = after(start, random(plan.interval));
        loop {
            if plan.list.is_none() || poll <= fetch {
                sleep_until(poll).await;
                self.ask(Kind::Poll, POLL_LIMIT).await;
                // Envoy's pause starts with the response; here the load is the same for every speed of the server.
                poll = after(poll, plan.poll.saturating_add(random(plan.spread)));
            } else {
                sleep_until(fetch).await;
                self.ask(Kind::List, LIST_LIMIT).await;
                fetch = after(fetch, plan.interval);
            }
        }
    }

    async fn ask(&mut self, kind: Kind, limit: Duration) {
        let asked = Instant::now();
        let result = match timeout(limit, self.send(kind)).await {
            Ok(result) => result.map_err(|error| kind_of_error(error.as_ref())),
            Err(_) => Err("timeout".to_owned()),
        };
        match &result {
            Ok(arrived) => {
                if let Some(version) = &arrived.version {
                    match kind {
                        Kind::Poll => self.configuration.clone_from(version),
                        Kind::List => self.list.clone_from(version),
                    }
                }
            }
            Err(_) => self.connection = None,
        }
        locked(&self.tally).count(self.number, kind, asked, result);
    }

    async fn send(&mut self, kind: Kind) -> Result<Arrived, Box<dyn Error + Send + Sync>> {
        let request = self.request(kind)?;
        let connection = match &mut self.connection {
            Some(connection) if !connection.is_closed() => connection,
            none => {
                let stream = TcpStream::connect(self.plan.server).await?;
                stream.set_nodelay(true)?;
                let mut builder = Builder::new();
                // A list would make the buffer of each node large.
                builder.max_buf_size(LARGEST_BUFFER);
                let (sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
                tokio::spawn(connection);
                none.insert(sender)
            }
        };
        connection.ready().await?;
        let response = connection.send_request(request).await?;
        match kind {
            Kind::Poll => configuration_of(response).await,
            Kind::List => list_of(response).await,
        }
    }

    fn request(&self, kind: Kind) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let request = Request::builder()
            .header(header::HOST, "portcullis")
            .header("x-envoy-internal", "true")
            .header("x-forwarded-for", "192.0.2.2")
            .header("x-envoy-expected-rq-timeout-ms", "2000");
        if kind == Kind::Poll {
            let body = self.plan.request.body(&self.id, &self.configuration);
            return request
                .method("POST")
                .uri("/v3/discovery:extension_configs")
                .header(header::CONTENT_TYPE, "application/json")
                .body(body.into());
        }
        let report = format!(
            "v=1;node={};module=0.2.0;denied=manual.ip:12,abs.ip:34567;allow_listed=3;lists=abs:17:100000",
            self.id
        );
        let request = request
            .uri(self.plan.list.as_deref().unwrap_or("/"))
            .header(header::ACCEPT_ENCODING, "gzip")
            .header("x-portcullis-node", report);
        match self.list.is_empty() {
            true => request,
            false => request.header(header::IF_NONE_MATCH, &self.list),
        }
        .body(Full::default())
    }
}

async fn configuration_of(
    response: Response<Incoming>,
) -> Result<Arrived, Box<dyn Error + Send + Sync>> {
    let status = response.status().as_u16();
    let body = response.into_body().collect().await?.to_bytes();
    let version = match status {
        200 => {
            let response: serde_json::Value = serde_json::from_slice(&body)?;
            let version = response.get("version_info").and_then(|it| it.as_str());
            Some(version.ok_or("no version_info")?.to_owned())
        }
        _ => None,
    };
    Ok(Arrived {
        status,
        n_bytes: length(&body),
        version,
    })
}

/// Reads a list, which no node needs to keep.
async fn list_of(response: Response<Incoming>) -> Result<Arrived, Box<dyn Error + Send + Sync>> {
    let status = response.status().as_u16();
    let etag = response.headers().get(header::ETAG).cloned();
    let mut body = response.into_body();
    let mut n_bytes = 0_u64;
    while let Some(frame) = body.frame().await {
        if let Some(data) = frame?.data_ref() {
            n_bytes = n_bytes.saturating_add(length(data));
        }
    }
    let version = match (status, etag) {
        (200, Some(etag)) => Some(etag.to_str()?.to_owned()),
        (200, None) => return Err("no etag".into()),
        _ => None,
    };
    Ok(Arrived {
        status,
        n_bytes,
        version,
    })
}

/// A few words: the errors are counted by them.
fn kind_of_error(error: &(dyn Error + Send + Sync + 'static)) -> String {
    match error.downcast_ref::<std::io::Error>() {
        Some(error) => error.kind().to_string(),
        None => error.to_string(),
    }
}

fn length(bytes: &Bytes) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

fn random(below: Duration) -> Duration {
    below.mul_f64(fastrand::f64())
}

/// A time that is too far away is never reached.
fn after(start: tokio::time::Instant, pause: Duration) -> tokio::time::Instant {
    start.checked_add(pause).unwrap_or(start)
}
