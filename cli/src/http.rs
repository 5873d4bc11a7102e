//! Blocking HTTP for the two servers that the commands talk to: ABS and Envoy's admin interface.

use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ureq::Agent;
use ureq::http::uri::Authority;
use ureq::http::{Method, Request};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

/// No answer of ABS or Envoy that makes sense is larger.
const LARGEST_BODY: u64 = 1 << 30;

/// How a server is reached.
#[derive(Debug)]
pub struct Server {
    /// What the server is, for errors.
    pub what: &'static str,
    /// Scheme, host and port, without a slash at the end.
    pub url: String,
    timeout: Duration,
    agent: Agent,
}

/// How a server's certificate is checked.
#[derive(Debug)]
pub enum Trust {
    /// By the machine's own certificate authorities.
    System,
    /// By the certificates of a PEM file.
    File(PathBuf),
    /// Not at all.
    Nobody,
}

/// An answer whose status has been looked at by nobody yet.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// No address of a server.
    #[error(
        "\"{url}\" is no address of {what}; allowed is http:// or https://, a host and a port, such as {example}"
    )]
    Url {
        /// What was given.
        url: String,
        /// What it is to be.
        what: &'static str,
        /// How one looks.
        example: &'static str,
    },
    /// The certificates can't be read.
    #[error("{file} can't be read as certificates in PEM form: {reason}")]
    Certificates {
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
    /// No connection, or no whole answer.
    #[error("{what} at {url} gave no answer: {reason}")]
    NoAnswer {
        /// What the server is.
        what: &'static str,
        /// Where.
        url: String,
        /// Why.
        reason: String,
    },
}

impl Server {
    /// Notes how a server is reached; connects to nothing yet.
    pub fn new(
        what: &'static str,
        example: &'static str,
        url: &str,
        timeout: Duration,
        trust: &Trust,
    ) -> Result<Self, HttpError> {
        let bare = url.trim_end_matches('/');
        let authority = ["http://", "https://"]
            .iter()
            .find_map(|scheme| bare.strip_prefix(scheme))
            .and_then(|rest| rest.parse::<Authority>().ok());
        if !authority.is_some_and(|authority| names_host_and_port(&authority)) {
            return Err(HttpError::Url {
                url: url.to_owned(),
                what,
                example,
            });
        }
        let (certificates, unchecked) = match trust {
            Trust::System => (RootCerts::PlatformVerifier, false),
            Trust::File(path) => (read_certificates(path)?, false),
            Trust::Nobody => (RootCerts::PlatformVerifier, true),
        };
        let tls = TlsConfig::builder()
            .root_certs(certificates)
            .disable_verification(unchecked)
            .build();
        let agent = Agent::config_builder()
            .timeout_global(Some(timeout))
            .http_status_as_error(false)
            // Keys go to the server that was named and to no other.
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

    /// Sends a request and takes the whole answer, whatever its status.
    pub fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Answer, HttpError> {
        let failed = |reason: String| HttpError::NoAnswer {
            what: self.what,
            url: self.url.clone(),
            reason,
        };
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let told = |error: ureq::Error| failed(self.reason(&error));
        let answer = match body.is_empty() {
            true => request
                .body(())
                .map_err(|error| failed(error.to_string()))
                .and_then(|request| self.agent.run(request).map_err(told)),
            false => request
                .body(body)
                .map_err(|error| failed(error.to_string()))
                .and_then(|request| self.agent.run(request).map_err(told)),
        }?;
        let status = answer.status().as_u16();
        let mut body = Vec::new();
        answer
            .into_body()
            .into_with_config()
            .limit(LARGEST_BODY)
            .reader()
            .read_to_end(&mut body)
            .map_err(|error: io::Error| failed(self.reason(&error.into())))?;
        Ok(Answer { status, body })
    }

    /// Why there is no answer, with what an operator can do about it.
    fn reason(&self, error: &ureq::Error) -> String {
        match error {
            ureq::Error::Timeout(_) => format!("none within {:?}", self.timeout),
            ureq::Error::Io(error)
                if error.kind() == io::ErrorKind::InvalidData
                    && self.url.starts_with("https://") =>
            {
                format!(
                    "TLS failed: {error}; check that TLS is spoken there (http:// is without), and with a certificate \
                     that this machine trusts"
                )
            }
            other => other.to_string(),
        }
    }
}

/// Whether there is a host, a port that is one or none, and nothing else.
fn names_host_and_port(authority: &Authority) -> bool {
    let port = authority.port_u16().map(|port| format!(":{port}"));
    let host = authority.host();
    !host.is_empty() && format!("{host}{}", port.unwrap_or_default()) == authority.as_str()
}

fn read_certificates(path: &PathBuf) -> Result<RootCerts, HttpError> {
    let failed = |reason: String| HttpError::Certificates {
        file: path.display().to_string(),
        reason,
    };
    let pem = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    let certificates = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(Ok(certificate)),
            Ok(_) => None,
            Err(error) => Some(Err(failed(error.to_string()))),
        })
        .collect::<Result<Vec<Certificate<'static>>, _>>()?;
    match certificates.is_empty() {
        true => Err(failed("it holds no certificate".to_owned())),
        false => Ok(RootCerts::Specific(Arc::new(certificates))),
    }
}
