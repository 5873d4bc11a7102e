//! The server of a fleet: the management API of `portcullis serve`.

use std::env;
use std::time::Duration;

use serde_json::Value;
use ureq::http::Method;

use super::http::{Response, Server, Trust};
use crate::args::RemoteArgs;
use crate::error::{Failure, Result};

/// The time limit of one request.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The environment variables that can hold the token, the most powerful one first.
const TOKEN_VARIABLES: [&str; 2] = ["PORTCULLIS_OPERATOR_TOKEN", "PORTCULLIS_READ_TOKEN"];

/// The longest name of an operator that is sent.
const LONGEST_NAME: usize = 64;

/// A server of a fleet.
#[derive(Debug)]
pub struct Fleet {
    server: Server,
    headers: Vec<(&'static str, String)>,
}

impl Fleet {
    /// The server that the options name; `None` without one.
    pub fn of(remote: &RemoteArgs) -> Result<Option<Self>> {
        remote
            .server
            .as_deref()
            .map(|url| Self::new(url, remote))
            .transpose()
    }

    /// The server at `url`. Sends nothing yet.
    pub fn new(url: &str, remote: &RemoteArgs) -> Result<Self> {
        let trust = Trust::new(remote.server_ca.as_deref(), false);
        let example = "https://fleet.example.com:9902";
        let server = Server::new("the server of a fleet", example, url, TIMEOUT, &trust)?;
        let mut headers = Vec::new();
        if let Some(token) = token(remote)? {
            headers.push(("authorization", format!("Bearer {token}")));
        }
        let name = env::var("USER").unwrap_or_default();
        let name: String = name.chars().take(LONGEST_NAME).map(visible).collect();
        if !name.is_empty() {
            headers.push(("x-portcullis-operator", name));
        }
        Ok(Self { server, headers })
    }

    /// The filter with this name, or the only one.
    pub fn filter_name(&self, name: Option<&str>) -> Result<String> {
        if let Some(name) = name {
            return Ok(name.to_owned());
        }
        match self.filter_names()?.as_slice() {
            [only] => Ok(only.clone()),
            [] => {
                Err(self
                    .refused("it has no filter; put a filter's file into its directory of filters"))
            }
            several => Err(self.refused(&format!(
                "it has several filters ({}); choose one with --name",
                several.join(", ")
            ))),
        }
    }

    /// The names of its filters. A server that only relays lists has none.
    pub fn filter_names(&self) -> Result<Vec<String>> {
        let filters = self.get("/v1/filters")?;
        let filters = filters.as_array().into_iter().flatten();
        let names = filters.filter_map(|filter| filter.get("name")?.as_str());
        Ok(names.map(str::to_owned).collect())
    }

    /// The text of a filter, and its entity tag.
    pub fn read(&self, name: &str) -> Result<(String, String)> {
        let response = self.send(Method::GET, &path_of(name), &[], Vec::new())?;
        let response = self.successful(response)?;
        let mut headers = response.headers.iter();
        let etag = headers.find(|(name, _)| name == "etag");
        let etag = etag.map(|(_, value)| String::from_utf8_lossy(value).into_owned());
        match (String::from_utf8(response.body), etag) {
            (Ok(text), Some(etag)) => Ok((text, etag)),
            _ => Err(self.refused("its response is not that of portcullis serve")),
        }
    }

    /// Replaces the text of a filter if it has this entity tag; `false` if it has another one.
    pub fn replace(&self, name: &str, etag: &str, text: &str) -> Result<bool> {
        let path = path_of(name);
        let response = self.send(
            Method::PUT,
            &path,
            &[("if-match", etag)],
            text.as_bytes().to_vec(),
        )?;
        if response.status == 412 {
            return Ok(false);
        }
        self.successful(response).map(|_| true)
    }

    /// Reads a resource.
    pub fn get(&self, path: &str) -> Result<Value> {
        self.json(self.send(Method::GET, path, &[], Vec::new())?)
    }

    /// Asks about a body in JSON.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let headers = [("content-type", "application/json")];
        let body = body.to_string().into_bytes();
        self.json(self.send(Method::POST, path, &headers, body)?)
    }

    fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Response> {
        let own = self.headers.iter();
        let own = own.map(|(name, value)| (*name, value.as_str()));
        let headers: Vec<_> = own.chain(headers.iter().copied()).collect();
        self.server.send(method, path, &headers, body)
    }

    fn json(&self, response: Response) -> Result<Value> {
        let response = self.successful(response)?;
        serde_json::from_slice(&response.body)
            .map_err(|_| self.refused("its response is not that of portcullis serve"))
    }

    /// The error of the server as that of the command.
    fn successful(&self, response: Response) -> Result<Response> {
        if response.status == 200 {
            return Ok(response);
        }
        let problem: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        let error = problem.get("error").and_then(Value::as_str);
        let Some(error) = error else {
            return Err(self.refused(&format!("it responded with status {}", response.status)));
        };
        let mut message = error.to_owned();
        let errors = problem.get("errors").and_then(Value::as_array);
        for error in errors.into_iter().flatten() {
            let text = |key| error.get(key).and_then(Value::as_str).unwrap_or_default();
            message.push_str(&format!("\n  {}: {}", text("path"), text("message")));
        }
        if matches!(response.status, 401 | 403) {
            message.push_str(&format!(
                "; --token-file FILE, {} or {} has the token",
                TOKEN_VARIABLES[0], TOKEN_VARIABLES[1]
            ));
        }
        let mut failure = self.refused(&message);
        failure.json = problem;
        Err(failure)
    }

    fn refused(&self, reason: &str) -> Failure {
        Failure::refused(format!("the server {}: {reason}", self.server.url))
    }
}

/// The token, from its file or from the environment.
fn token(remote: &RemoteArgs) -> Result<Option<String>> {
    let (origin, token) = match &remote.token_file {
        Some(path) => {
            let token = std::fs::read_to_string(path);
            let token = token.map_err(|error| {
                Failure::usage(format!("{} can't be read: {error}", path.display()))
            })?;
            (path.display().to_string(), token)
        }
        None => {
            let mut found = TOKEN_VARIABLES
                .iter()
                .filter_map(|name| Some(((*name).to_owned(), env::var(name).ok()?)));
            match found.find(|(_, token)| !token.trim().is_empty()) {
                Some(found) => found,
                None => return Ok(None),
            }
        }
    };
    let token = token.trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Failure::usage(format!(
            "{origin} holds no token; a token is one word of visible ASCII characters"
        )));
    }
    Ok(Some(token.to_owned()))
}

/// A character of a name as a header can carry it.
fn visible(character: char) -> char {
    match character.is_ascii_graphic() {
        true => character,
        false => '?',
    }
}

/// The path of a filter with any name.
fn path_of(name: &str) -> String {
    let mut path = "/v1/filters/".to_owned();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => path.push(byte.into()),
            // A dot too: ".." would leave the folder.
            other => path.push_str(&format!("%{other:02X}")),
        }
    }
    path
}
