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
//! | `history` | the denied requests of the last hour |
//! | `changes` | the last changes, and an audit line for each |
//! | `access` | tokens and roles: who may do what |
//! | `listener` | sockets, TLS, limits on time and size |
//! | `health` | `/healthz`, `/readyz` |
//! | `metrics` | `/metrics` |
//! | `problem` | errors as HTTP responses |
//! | `log` | lines on standard error |
//! | `seen` | whether a file changed since it was read |
//! | `state_file` | files that survive a crash at any moment |
//!
//! This file wires them, and stops them.

#[macro_use]
mod log;

mod access;
mod changes;
mod discovery;
mod filters;
mod health;
mod history;
mod listener;
mod management;
mod metrics;
mod nodes;
mod page;
mod problem;
mod relay;
mod seen;
mod state_file;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler as _;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use serde_json::Value;

use self::access::{Access, Role, login, require, response_headers};
use self::changes::Changes;
use self::filters::Filters;
use self::health::Health;
use self::listener::{Listener, Tls};
use self::metrics::DiscoveryRequests;
use self::nodes::Nodes;
use self::page::Page;
use self::problem::Problem;
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
    /// Requests for configuration.
    pub discovery_requests: DiscoveryRequests,
    /// The lists of feeds.
    pub relay: Relay,
    /// The tokens.
    pub access: Access,
    /// Whether the server is ready.
    pub health: Health,
    /// What the page keeps.
    pub page: Page,
}

impl Server {
    /// Registers the feeds of the configurations and of the relay, so that the nodes' counters are added up by their names.
    fn know_feeds(&self) {
        for filter in self.filters.list() {
            let Some(served) = filter.served else {
                continue;
            };
            let feeds = served.configuration.get("feeds").and_then(Value::as_array);
            let names = feeds.into_iter().flatten().map(|feed| feed.get("name"));
            self.nodes
                .know_feeds(names.filter_map(|name| name?.as_str()));
        }
    }
}

/// Serves until a signal ends the process.
pub fn run(args: &ServeArgs) -> Result<Report> {
    let access = Access::new(&args.access, args.listen)?;
    let tls = Tls::new(&args.access)?.map(Arc::new);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::refused(format!("the server can't start: {error}")))?;
    // First: a second server on the same address fetches nothing, and does not touch the state of the first.
    let listener = {
        let _context = runtime.enter();
        Listener::bind(
            args.listen,
            args.access.connections_per_address,
            tls.clone(),
        )?
    };
    let state: PathBuf = match &args.state {
        Some(state) => state.clone(),
        None => args.filters.join(".state"),
    };
    let server = Arc::new(Server {
        filters: Filters::open(&args.filters, &state)?,
        changes: Changes::default(),
        nodes: Nodes::default(),
        discovery_requests: DiscoveryRequests::default(),
        relay: Relay::open(args.relay.as_deref(), &state)?,
        access,
        health: Health::default(),
        page: Page::default(),
    });
    server.know_feeds();
    server.relay.start()?;
    runtime.block_on(serve(listener, server, tls));
    // Blocking work that is not done yet ends with the process: every file is replaced atomically.
    runtime.shutdown_background();
    Ok(Report::new(
        "stopped",
        serde_json::json!({ "stopped": true }),
    ))
}

async fn serve(listener: Listener, server: Arc<Server>, tls: Option<Arc<Tls>>) {
    let watched = server.clone();
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(WATCH_INTERVAL);
            watched.filters.refresh(&watched.changes);
            watched.access.refresh();
            if let Some(tls) = &tls {
                tls.refresh();
            }
            watched.know_feeds();
            watched.page.sample(&watched.nodes);
        }
    });
    log_line!("portcullis serve: {}", listener.url());
    let stop = {
        let server = server.clone();
        move || server.health.stop()
    };
    listener.serve(router(server), stop).await;
}

/// All routes, in groups by the role that they need. Each group has its own limit on bodies.
fn router(server: Arc<Server>) -> Router {
    let needs = |roles: &'static [Role]| from_fn_with_state((server.clone(), roles), require);
    let for_nodes = Router::new()
        .route(
            "/v3/discovery:extension_configs",
            post(discovery::extension_configs)
                .layer(from_fn_with_state(server.clone(), metrics::count_discovery)),
        )
        .route("/v4/abs/attacklist", get(relay::attack_list))
        .route("/v1/feeds/{name}", get(relay::feed))
        .route("/v1/usage-metrics", post(relay::usage_metrics))
        .layer(DefaultBodyLimit::max(discovery::MOST_READ))
        .route_layer(needs(&[Role::Operator, Role::Node]));
    let for_readers = Router::new()
        .route("/metrics", get(metrics::metrics))
        .route("/", get(page::show))
        .route("/page/explain", post(page::explain).get(page::to_page))
        .layer(DefaultBodyLimit::max(page::LARGEST_FORM))
        .route_layer(needs(&[Role::Operator, Role::Reader]));
    let for_operators = Router::new()
        .route("/page/switch", post(page::switch).get(page::to_page))
        .route("/page/entry", post(page::entry).get(page::to_page))
        .route("/page/remove", post(page::remove).get(page::to_page))
        .layer(DefaultBodyLimit::max(page::LARGEST_FORM))
        .route_layer(needs(&[Role::Operator]));
    // Without a token.
    let open = Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/login", get(page::login).post(login::login))
        .route("/logout", post(login::logout))
        .route("/assets/style.css", get(page::style))
        .route("/assets/script.js", get(page::script))
        .layer(DefaultBodyLimit::max(login::LARGEST_BODY));
    let unknown = unknown.layer(needs(&[Role::Operator, Role::Node, Role::Reader]));
    let management = management::routers()
        .into_iter()
        .map(|(roles, router)| router.route_layer(needs(roles)));
    let routes = management
        .fold(Router::new(), Router::merge)
        .merge(for_nodes)
        .merge(for_readers)
        .merge(for_operators)
        .merge(open)
        .fallback(unknown)
        .with_state(server);
    // A router around the others: axum adds `Allow` outside of the layers of theirs.
    Router::new()
        .fallback_service(routes)
        .layer(from_fn(response_headers::add))
}

async fn unknown() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "there is no such route")
}
