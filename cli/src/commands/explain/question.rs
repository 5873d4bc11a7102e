//! The request that `explain` is asked about, from the words that describe it.

use std::net::{IpAddr, SocketAddr};

use portcullis::host::memory::MemoryRequest;
use portcullis::identifier::parse_address;

use crate::error::{Failure, Result};

/// A request in words.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The client's address.
    pub ip: Option<&'a str>,
    /// `NAME: VALUE`, as with curl.
    pub headers: &'a [String],
    /// Absolute, or a path.
    pub url: &'a str,
    /// What precedes the names of these fields in errors.
    pub prefix: &'static str,
}

/// The same as Envoy passes it to the filter.
#[derive(Debug)]
pub struct AskedRequest {
    /// The client's address.
    pub address: Option<IpAddr>,
    /// The request.
    pub request: MemoryRequest,
}

impl Question<'_> {
    /// Reads the words.
    pub fn read(&self) -> Result<AskedRequest> {
        let wrong = || {
            Failure::usage(format!(
                "{}url: \"{}\" is not a URL; allowed are such as https://api.example.com/shop?x=1 and /shop?x=1",
                self.prefix, self.url
            ))
        };
        let no_header = || {
            Failure::usage(format!(
                "{}header: a header is NAME: VALUE, as with curl; one has no name or no colon",
                self.prefix
            ))
        };
        let address = match self.ip {
            None => None,
            Some(text) => Some(parse_address(text).ok_or_else(|| {
                Failure::usage(format!(
                    "{}ip: \"{text}\" is not an address; allowed are such as 192.0.2.1 and 2001:db8::1",
                    self.prefix
                ))
            })?),
        };
        let rest = ["http://", "https://"]
            .iter()
            .find_map(|scheme| self.url.strip_prefix(scheme));
        let (mut authority, path) = match rest {
            Some(rest) => {
                let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
                let (authority, path) = rest.split_at(end);
                if authority.is_empty() {
                    return Err(wrong());
                }
                (authority.to_owned(), path.to_owned())
            }
            None if self.url.starts_with('/') => (String::new(), self.url.to_owned()),
            None => return Err(wrong()),
        };
        // A URL's fragment never leaves the client; a URL without a path requests "/".
        let mut path = path.split('#').next().unwrap_or_default().to_owned();
        if !path.starts_with('/') {
            path.insert(0, '/');
        }
        let mut headers = Vec::new();
        for header in self.headers {
            let (name, value) = header.split_once(':').ok_or_else(no_header)?;
            // Envoy passes header names in lower case, and values without white space around them.
            let (name, value) = (name.trim().to_ascii_lowercase(), value.trim().to_owned());
            match name.as_str() {
                "" => return Err(no_header()),
                "host" => authority = value,
                _ => headers.push((name, value)),
            }
        }
        for (name, value) in [
            (":path", path),
            (":authority", authority),
            (":method", "GET".to_owned()),
        ] {
            headers.insert(0, (name.to_owned(), value));
        }
        let source_address = address.map(|address| SocketAddr::new(address, 443).to_string());
        let request = MemoryRequest {
            source_address: source_address.unwrap_or_default().into_bytes(),
            protocol: b"HTTP/1.1".to_vec(),
            headers: headers
                .into_iter()
                .map(|(name, value)| (name.into_bytes(), value.into_bytes()))
                .collect(),
            ..MemoryRequest::default()
        };
        Ok(AskedRequest { address, request })
    }
}
