//! Blocking HTTP for the servers that the commands talk to: ABS, the list servers of feeds, Envoy's admin interface.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ureq::Agent;
use ureq::http::uri::Authority;
use ureq::http::{Method, Request};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use crate::error::{Failure, Result};
use crate::output::print_detail;
use crate::output::progress::Progress;

/// No response that makes sense is larger.
const LARGEST_BODY: u64 = 1 << 30;

/// How to reach a server.
#[derive(Debug)]
pub struct Server {
    /// What the server is, for errors.
    what: &'static str,
    /// Scheme, host and port, without a slash at the end.
    pub url: String,
    timeout: Duration,
    agent: Agent,
}

/// How a server's certificate is checked.
#[derive(Clone, Debug)]
pub enum Trust {
    /// By the machine's own certificate authorities.
    System,
    /// By the certificates of a PEM file.
    File(PathBuf),
    /// Not at all.
    Nobody,
}

impl Trust {
    /// What the options `--ca` and `--insecure` select.
    pub fn new(ca: Option<&Path>, insecure: bool) -> Self {
        match (ca, insecure) {
            (_, true) => Trust::Nobody,
            (Some(path), false) => Trust::File(path.to_owned()),
            (None, false) => Trust::System,
        }
    }
}

/// A response with any status.
#[derive(Debug)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The headers, names in lower case; without the length and the encoding of a compressed body.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body, decompressed if it was sent with gzip.
    pub body: Vec<u8>,
}

/// A response whose body has not been read.
pub struct Opened {
    /// The HTTP status.
    pub status: u16,
    /// The headers, as in [`Response`].
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body, decompressed if it was sent with gzip.
    pub body: Box<dyn Read>,
}

impl Server {
    /// Checks the address and reads the certificates; opens no connection.
    pub fn new(
        what: &'static str,
        example: &'static str,
        url: &str,
        timeout: Duration,
        trust: &Trust,
    ) -> Result<Self> {
        let bare = url.trim_end_matches('/');
        let authority = ["http://", "https://"]
            .iter()
            .find_map(|scheme| bare.strip_prefix(scheme))
            .and_then(|rest| rest.parse::<Authority>().ok());
        if !authority.is_some_and(|authority| is_host_and_port(&authority)) {
            return Err(Failure::usage(format!(
                "\"{url}\" is not an address of {what}; allowed is http:// or https://, a host and a port, such as \
                 {example}"
            )));
        }
        let certificates = match trust {
            Trust::File(path) => read_certificates(path)?,
            Trust::System | Trust::Nobody => RootCerts::PlatformVerifier,
        };
        let tls = TlsConfig::builder()
            .root_certs(certificates)
            .disable_verification(matches!(trust, Trust::Nobody))
            .build();
        let agent = Agent::config_builder()
            .timeout_global(Some(timeout))
            .http_status_as_error(false)
            // Keys are sent to the named server and to no other.
            .max_redirects(0)
            .proxy(None)
            .tls_config(tls)
            .build()
            .new_agent();
        Ok(Self {
            what,
            url: bare.to_owned(),
            timeout,
            agent,
        })
    }

    /// Sends a request and reads the whole response, whatever its status.
    pub fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Response> {
        let _progress = Progress::of(&format!("waiting for {} at {}", self.what, self.url));
        let sent = self.try_send(method, path, headers, body);
        sent.map_err(|error| {
            let reason = self.reason(&error);
            Failure::refused(format!(
                "{} at {} did not respond: {reason}",
                self.what, self.url
            ))
        })
    }

    /// Sends a request without a body; the response's body is read by the caller.
    ///
    /// # Errors
    ///
    /// There is no response, with the reason.
    pub fn open(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
    ) -> std::result::Result<Opened, String> {
        self.try_open(method, path, headers, Vec::new())
            .map_err(|error| self.reason(&error))
    }

    fn try_send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> std::result::Result<Response, ureq::Error> {
        let mut opened = self.try_open(method, path, headers, body)?;
        let mut body = Vec::new();
        opened.body.read_to_end(&mut body)?;
        Ok(Response {
            status: opened.status,
            headers: opened.headers,
            body,
        })
    }

    fn try_open(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> std::result::Result<Opened, ureq::Error> {
        // The path may have a key in its query.
        let shown = path.split('?').next().unwrap_or_default();
        let called = format!("{method} {}{shown}", self.url);
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = match body.is_empty() {
            true => self.agent.run(request.body(())?),
            false => self.agent.run(request.body(body)?),
        }?;
        let status = response.status().as_u16();
        print_detail(|| format!("{called}: status {status}"));
        let headers = response.headers().iter();
        let headers = headers.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
        let headers = headers.collect();
        let body = response
            .into_body()
            .into_with_config()
            .limit(LARGEST_BODY)
            .reader();
        Ok(Opened {
            status,
            headers,
            body: Box::new(body),
        })
    }

    /// Why there is no response, with what an operator can do about it.
    fn reason(&self, error: &ureq::Error) -> String {
        match error {
            ureq::Error::Timeout(_) => format!("timed out after {:?}", self.timeout),
            ureq::Error::Io(error)
                if error.kind() == io::ErrorKind::InvalidData
                    && self.url.starts_with("https://") =>
            {
                format!(
                    "TLS failed: {error}; check that the server uses TLS (for one without, write http://) and a \
                     certificate that this machine trusts"
                )
            }
            other => other.to_string(),
        }
    }
}

/// Whether there are a host, at most one port, and nothing else.
fn is_host_and_port(authority: &Authority) -> bool {
    let port = authority.port_u16().map(|port| format!(":{port}"));
    let host = authority.host();
    !host.is_empty() && format!("{host}{}", port.unwrap_or_default()) == authority.as_str()
}

fn read_certificates(path: &Path) -> Result<RootCerts> {
    let failed = |reason: String| {
        let file = path.display();
        Failure::refused(format!(
            "{file} can't be read as certificates in PEM form: {reason}"
        ))
    };
    let pem = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    let items = parse_pem(&pem).collect::<std::result::Result<Vec<_>, _>>();
    let items = items.map_err(|error| failed(error.to_string()))?;
    let certificates: Vec<Certificate<'static>> = items
        .into_iter()
        .filter_map(|item| match item {
            PemItem::Certificate(certificate) => Some(certificate),
            _ => None,
        })
        .collect();
    match certificates.is_empty() {
        true => Err(failed("it holds no certificate".to_owned())),
        false => Ok(RootCerts::Specific(Arc::new(certificates))),
    }
}
