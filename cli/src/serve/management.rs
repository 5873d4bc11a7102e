//! The management API under `/v1`, for programs and for the commands with `--server`; `docs/fleet-api.json` describes it.
//!
//! | module | owns |
//! |---|---|
//! | `change` | a request that changes a filter, read |
//! | `edit` | one edit of a filter's file: the same steps as a command's, with an audit line |
//! | `filters` | the texts of the filter files |
//! | `flags`, `lists` | the switches and the manual lists of a filter |
//! | `explain` | what a filter does with a request, over the relayed lists |
//! | `sight` | status, feeds, nodes, changes |
//! | `http` | bodies, headers and threads |
//!
//! This file lists the routes. It has no policy of its own: the functions of the commands edit, validate and judge.

mod change;
pub mod edit;
pub mod explain;
mod filters;
mod flags;
mod http;
mod lists;
mod sight;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{MethodRouter, delete, get, patch, post, put};

use super::Server;
use super::access::Role;

/// The largest body of a request, except for the text of a filter.
const LARGEST_BODY: usize = 256 * 1024;

/// The largest text of a filter. While a text is validated and compared, it takes more than a hundred times its size.
const LARGEST_TEXT: usize = 4 * 1024 * 1024;

/// Who may use a route.
const READERS: &[Role] = &[Role::Operator, Role::Reader];
const OPERATORS: &[Role] = &[Role::Operator];

/// One method of one path.
struct Route {
    #[cfg_attr(not(test), expect(dead_code, reason = "for the test of the document"))]
    method: &'static str,
    path: &'static str,
    roles: &'static [Role],
    handler: MethodRouter<Arc<Server>>,
}

fn route(
    method: &'static str,
    path: &'static str,
    roles: &'static [Role],
    handler: MethodRouter<Arc<Server>>,
) -> Route {
    Route {
        method,
        path,
        roles,
        handler,
    }
}

/// Every route.
fn routes() -> Vec<Route> {
    vec![
        route("get", "/v1/status", READERS, get(sight::status)),
        route("get", "/v1/filters", READERS, get(filters::list)),
        route("get", FILTER, READERS, get(filters::read)),
        route(
            "put",
            FILTER,
            OPERATORS,
            put(filters::replace).layer(DefaultBodyLimit::max(LARGEST_TEXT)),
        ),
        route("get", FLAGS, READERS, get(flags::read)),
        route("patch", FLAGS, OPERATORS, patch(flags::change)),
        route("get", LIST, READERS, get(lists::read)),
        route("post", LIST, OPERATORS, post(lists::add)),
        route("delete", LIST, OPERATORS, delete(lists::delete)),
        route("get", "/v1/feeds", READERS, get(sight::feeds)),
        route("get", "/v1/nodes", READERS, get(sight::nodes)),
        route("get", "/v1/changes", READERS, get(sight::changes)),
        route("post", "/v1/explain", READERS, post(explain::explain)),
        route("get", "/v1/openapi.json", READERS, get(sight::document)),
    ]
}

const FILTER: &str = "/v1/filters/{name}";
const FLAGS: &str = "/v1/filters/{name}/flags";
const LIST: &str = "/v1/filters/{name}/lists/{list}";

/// The routes of readers and those of operators; the caller adds the check of the role to each.
pub fn routers() -> [(&'static [Role], Router<Arc<Server>>); 2] {
    [READERS, OPERATORS].map(|roles| {
        let routes = routes().into_iter().filter(|route| route.roles == roles);
        let router = routes.fold(Router::new(), |router, route| {
            router.route(route.path, route.handler)
        });
        (roles, router.layer(DefaultBodyLimit::max(LARGEST_BODY)))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    #[test]
    fn the_document_has_every_route_and_no_other() {
        let document: Value = serde_json::from_str(sight::DOCUMENT).unwrap();
        let paths = document["paths"].as_object().unwrap();
        let methods = ["get", "put", "post", "patch", "delete"];
        let documented: BTreeSet<(String, String)> = paths
            .iter()
            .flat_map(|(path, item)| {
                let item = item.as_object().unwrap();
                let keys = item.keys().filter(|key| methods.contains(&key.as_str()));
                keys.map(|method| (path.clone(), method.clone()))
                    .collect::<Vec<_>>()
            })
            .collect();
        let served = routes().into_iter();
        let served = served.map(|route| (route.path.to_owned(), route.method.to_owned()));
        assert_eq!(served.collect::<BTreeSet<_>>(), documented);
    }
}
