//! Envoy's extension config discovery service in its REST-JSON form. The response to a `DiscoveryRequest` has the filters
//! that it names, or is 304 if the node has them already.
//!
//! A node that refuses a configuration sends no error text, and some releases of Envoy report the refused version as
//! theirs. So the server serves only what the filter's own loader accepts.
//!
//! Source: Envoy's xDS REST and gRPC protocol, and `DiscoveryRequest` in its API.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::Server;
use super::filters::version_of;
use super::nodes::Poll;
use super::problem::Problem;
use crate::clients::feed::unix_now;

/// The type of the resources.
const TYPE_URL: &str = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig";

/// The largest request. Envoy's node metadata can be large; 1 MB of it is not usual.
const LARGEST_REQUEST: usize = 256 * 1024;

/// The most that is read of a request: reading a request that is too large lets its sender see the response.
pub const MOST_READ: usize = 4 * 1024 * 1024;

/// What the server reads of a `DiscoveryRequest`; Envoy writes the names of its fields in either of two ways.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct DiscoveryRequest {
    #[serde(alias = "versionInfo")]
    version_info: String,
    node: Node,
    #[serde(alias = "resourceNames")]
    resource_names: Vec<String>,
    #[serde(alias = "typeUrl")]
    type_url: String,
}

/// The node that sent the request.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Node {
    id: String,
    cluster: String,
    #[serde(alias = "userAgentBuildVersion")]
    user_agent_build_version: BuildVersion,
}

/// The version of Envoy.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct BuildVersion {
    version: Version,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Version {
    #[serde(alias = "majorNumber")]
    major_number: u32,
    #[serde(alias = "minorNumber")]
    minor_number: u32,
    patch: u32,
}

/// Handles `POST /v3/discovery:extension_configs`.
pub async fn extension_configs(
    State(server): State<Arc<Server>>,
    body: Bytes,
) -> Result<Response, Problem> {
    if body.len() > LARGEST_REQUEST {
        return Err(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!(
                "the request has {} bytes; allowed are {LARGEST_REQUEST}: reduce the node's metadata",
                body.len()
            ),
        ));
    }
    let request: DiscoveryRequest = serde_json::from_slice(&body).map_err(|error| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            format!("the body is not a DiscoveryRequest in JSON: {error}"),
        )
    })?;
    if !request.type_url.is_empty() && request.type_url != TYPE_URL {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            format!(
                "the type_url \"{}\" is not served; allowed is {TYPE_URL}",
                request.type_url
            ),
        ));
    }
    if request.resource_names.is_empty() {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "resource_names is empty; name the filter, as Envoy does",
        ));
    }
    // A name that is repeated must not repeat its resource: a small request could ask for gigabytes.
    let mut names = request.resource_names;
    names.sort();
    names.dedup();
    let mut served = Vec::new();
    for name in &names {
        served.push(
            server
                .filters
                .served(name)
                .map_err(|message| Problem::new(StatusCode::NOT_FOUND, message))?,
        );
    }
    let version = match served.as_slice() {
        [one] => one.version.clone(),
        several => version_of(
            several
                .iter()
                .flat_map(|one| one.version.bytes())
                .collect::<Vec<_>>()
                .as_slice(),
        ),
    };
    let Version {
        major_number,
        minor_number,
        patch,
    } = request.node.user_agent_build_version.version;
    for (name, served) in names.iter().zip(&served) {
        server.nodes.polled(&Poll {
            id: &request.node.id,
            cluster: &request.node.cluster,
            envoy: &format!("{major_number}.{minor_number}.{patch}"),
            filter: name,
            // The version of several filters together is accepted or not for each of them.
            accepted: match request.version_info == version {
                true => &served.version,
                false => &request.version_info,
            },
            served: &served.version,
            now: unix_now(),
        });
    }
    if request.version_info == version {
        return Ok(StatusCode::NOT_MODIFIED.into_response());
    }
    let resources: Vec<&str> = served.iter().map(|one| one.resource.as_str()).collect();
    let resources = resources.join(",");
    let body = format!(
        r#"{{"version_info":"{version}","type_url":"{TYPE_URL}","resources":[{resources}]}}"#
    );
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}
