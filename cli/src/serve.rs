//! `portcullis serve`: one process that gives a fleet of Envoys their configuration and their lists.
//!
//! The files of `--filters` are the truth; the server validates them, serves the last valid ones and fetches each list
//! once for all nodes. What it keeps on disk are copies, so that two servers over the same files are interchangeable.
//!
//! | module | owns |
//! |---|---|
//! | `filters` | the filter files: watched, validated, the last valid ones kept |
//! | `discovery` | Envoy's extension config discovery service, REST-JSON |
//! | `relay` | the lists of feeds: fetched once, kept on disk, served compressed |
//! | `nodes` | what is known of each Envoy |
//! | `management` | the API under `/v1` |
//! | `page` | the page at `/` |
//! | `changes` | the last changes, and an audit line for each |
//! | `access` | tokens and roles: who may do what |
//! | `listener` | sockets, TLS, limits on time and size |
//! | `metrics` | `/metrics`, `/healthz`, `/readyz` |
//! | `problem` | errors as HTTP responses |
//! | `state_file` | files that survive a crash at any moment |
//!
//! This file wires them, and stops them.

mod access;
mod changes;
mod discovery;
mod filters;
mod nodes;
mod problem;
mod relay;
mod state_file;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use tokio::net::TcpListener;

use self::access::{Access, Role, require};
use self::changes::Changes;
use self::filters::Filters;
use self::nodes::Nodes;
use self::relay::Relay;
use crate::args::ServeArgs;
use crate::error::{Failure, Result};
use crate::output::Report;

/// How often the files are checked for changes.
const WATCH_INTERVAL: Duration = Duration::from_millis(500);

/// What all handlers share.
#[derive(Debug)]
pub struct Server {
    /// The filter files.
    pub filters: Filters,
    /// The last changes.
    pub changes: Changes,
    /// The nodes.
    pub nodes: Nodes,
    /// The lists of feeds.
    pub relay: Relay,
    /// The tokens.
    pub access: Access,
}

/// Serves until a signal ends the process.
pub fn run(args: &ServeArgs) -> Result<Report> {
    let state: PathBuf = match &args.state {
        Some(state) => state.clone(),
        None => args.filters.join(".state"),
    };
    let server = Arc::new(Server {
        filters: Filters::open(&args.filters, &state)?,
        changes: Changes::default(),
        nodes: Nodes::default(),
        relay: Relay::open(args.relay.as_deref(), &state)?,
        access: Access::new(&args.access, args.listen)?,
    });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::refused(format!("the server can't start: {error}")))?;
    server.relay.start()?;
    runtime.block_on(serve(args, server))?;
    Ok(Report::new(
        "stopped",
        serde_json::json!({ "stopped": true }),
    ))
}

async fn serve(args: &ServeArgs, server: Arc<Server>) -> Result<()> {
    let listen = args.listen;
    let listener = TcpListener::bind(listen).await.map_err(|error| {
        Failure::refused(format!(
            "the server can't listen on {listen}: {error}; choose another address with --listen"
        ))
    })?;
    let address = listener
        .local_addr()
        .map_err(|error| Failure::refused(error.to_string()))?;
    let watched = server.clone();
    tokio::task::spawn_blocking(move || {
        loop {
            std::thread::sleep(WATCH_INTERVAL);
            watched.filters.refresh(&watched.changes);
        }
    });
    eprintln!("portcullis serve: http://{address}");
    let service = router(server).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service)
        .await
        .map_err(|error| Failure::refused(format!("the server stopped: {error}")))
}

/// All routes, in groups by the role that they need. Each group has its own limit on bodies.
fn router(server: Arc<Server>) -> Router {
    let needs = |roles: &'static [Role]| from_fn_with_state((server.clone(), roles), require);
    let for_nodes = Router::new()
        .route(
            "/v3/discovery:extension_configs",
            post(discovery::extension_configs),
        )
        .route("/v4/abs/attacklist", get(relay::attack_list))
        .route("/v1/feeds/{name}", get(relay::feed))
        .layer(DefaultBodyLimit::max(discovery::MOST_READ))
        .route_layer(needs(&[Role::Operator, Role::Node]));
    Router::new().merge(for_nodes).with_state(server)
}
