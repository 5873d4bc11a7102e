//! The management API: every route, its conditions, its errors and its document.

use std::fs;

use serde_json::{Value, json};
use ureq::http::Response;

use crate::schema;
use crate::support::{Fleet, body, filter};

const JSON: (&str, &str) = ("content-type", "application/json");

/// Headers of a request.
type Pairs<'a> = &'a [(&'a str, &'a str)];

/// A server whose responses are held against the document.
struct Api {
    fleet: Fleet,
    document: Value,
}

impl Api {
    fn with(configuration: &Value) -> Self {
        let mut fleet = Fleet::new();
        fleet.write("portcullis.json", &filter(configuration).to_string());
        fleet.start();
        Self {
            fleet,
            document: schema::document(),
        }
    }

    /// Sends a request to `path`, which belongs to the documented path `route`, and checks the response.
    fn send_to(
        &self,
        method: &str,
        route: &str,
        path: &str,
        headers: &[(&str, &str)],
        content: &str,
    ) -> Response<Vec<u8>> {
        let response = self.fleet.send(method, path, headers, content);
        let operation = schema::operation(&self.document, method, route);
        let status = response.status().as_u16().to_string();
        let documented = &operation["responses"][&status];
        assert!(
            documented.is_object(),
            "{method} {path}: {status} is not documented: {}",
            String::from_utf8_lossy(response.body())
        );
        let documented = schema::resolve(&self.document, documented);
        let content_type = response.headers()["content-type"].to_str().unwrap();
        let schema = &documented["content"][content_type]["schema"];
        assert!(schema.is_object(), "{method} {path}: {content_type}");
        if content_type == "application/json" {
            schema::check(&self.document, schema, &body(&response), path).unwrap();
        }
        for name in documented["headers"].as_object().into_iter().flatten() {
            assert!(response.headers().contains_key(name.0), "{method} {path}");
        }
        response
    }

    /// The same for the filter `portcullis`.
    fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        content: &str,
    ) -> Response<Vec<u8>> {
        let route = path.split('?').next().unwrap();
        let route = route.replace("/filters/portcullis", "/filters/{name}");
        let route = match route.find("/lists/") {
            Some(_) => "/v1/filters/{name}/lists/{list}",
            None => &route,
        };
        self.send_to(method, route, path, headers, content)
    }

    fn get(&self, path: &str) -> Value {
        let response = self.send("GET", path, &[], "");
        assert_eq!(response.status(), 200, "{path}");
        body(&response)
    }

    fn edit(&self, method: &str, path: &str, content: &Value) -> (u16, Value) {
        let response = self.send(method, path, &[JSON], &content.to_string());
        (response.status().as_u16(), body(&response))
    }

    fn file(&self) -> String {
        fs::read_to_string(self.fleet.path("filters/portcullis.json")).unwrap()
    }

    fn configuration(&self) -> Value {
        let file: Value = serde_json::from_str(&self.file()).unwrap();
        file.pointer("/resources/0/typed_config/config/configuration/value")
            .unwrap()
            .clone()
    }
}

#[test]
fn every_documented_route_responds() {
    let api = Api::with(&json!({}));
    let paths = api.document["paths"].as_object().unwrap();
    let mut n = 0;
    for (route, item) in paths {
        let path = route
            .replace("{name}", "portcullis")
            .replace("{list}", "deny_list");
        for method in ["get", "put", "post", "patch", "delete"] {
            if item[method].is_object() {
                let response = api.send_to(&method.to_uppercase(), route, &path, &[], "");
                let status = response.status().as_u16();
                assert!(![404, 405].contains(&status), "{method} {path}: {status}");
                n += 1;
            }
        }
    }
    assert!(n >= 14, "{n}");
    let served = api.get("/v1/openapi.json");
    assert_eq!(served, api.document);
}

#[test]
fn the_server_is_described() {
    let api = Api::with(&json!({"enable_abs_attack": false}));
    api.fleet.discover("edge-1", "portcullis", "");
    let status = api.get("/v1/status");
    assert_eq!(status["filters"][0]["name"], "portcullis");
    assert_eq!(status["filters"][0]["flags"]["enable_firewall"], true);
    assert_eq!(status["nodes"]["total"], 1);
    assert_eq!(api.get("/v1/filters"), status["filters"]);
    assert_eq!(api.get("/v1/nodes")["nodes"][0]["id"], "edge-1");
    assert_eq!(api.get("/v1/feeds")["feeds"], status["feeds"]);
}

#[test]
fn a_flag_is_changed_once_and_every_node_gets_it() {
    let api = Api::with(&json!({"enable_firewall": true}));
    let path = "/v1/filters/portcullis/flags";
    let off = json!({"enable_firewall": false, "enable_abs": false});
    let dry = api.edit("PATCH", &format!("{path}?dry_run=true"), &off);
    assert_eq!((dry.0, &dry.1["changed"]), (200, &json!(false)));
    assert_eq!(dry.1["changes"][0]["path"], "enable_firewall");
    assert_eq!(api.configuration(), json!({"enable_firewall": true}));

    let (status, done) = api.edit("PATCH", path, &off);
    assert_eq!((status, &done["changed"]), (200, &json!(true)));
    assert_eq!(
        done["message"],
        "Firewall is now disabled; ABS is already disabled"
    );
    assert_eq!(api.configuration(), json!({"enable_firewall": false}));
    let served = body(&api.fleet.discover("a", "portcullis", ""));
    assert_eq!(served["version_info"], done["version"]);
    assert_eq!(api.get(path)["enable_firewall"], false);

    let (status, again) = api.edit("PATCH", path, &off);
    assert_eq!((status, &again["changed"]), (200, &json!(false)));
    assert_eq!(
        again["message"],
        "Firewall is already disabled; ABS is already disabled"
    );
    let changes = api.get("/v1/changes");
    let audit = changes["changes"].to_string();
    assert_eq!(audit.matches("enable_firewall: true -> false").count(), 1);
}

#[test]
fn wrong_values_are_refused_each_at_its_path() {
    let api = Api::with(&json!({}));
    let before = api.file();
    let flags = "/v1/filters/portcullis/flags";
    let (status, problem) = api.edit(
        "PATCH",
        flags,
        &json!({"enable_firewall": "no", "enable_fire": true}),
    );
    assert_eq!(status, 422);
    let paths: Vec<_> = problem["errors"].as_array().unwrap().iter().collect();
    assert_eq!(paths[0]["path"], "enable_firewall");
    assert_eq!(paths[1]["path"], "enable_fire");
    assert_eq!(api.edit("PATCH", flags, &json!({})).0, 422);

    // The filter's own loader: ABS needs a cluster.
    let (status, problem) = api.edit("PATCH", flags, &json!({"enable_abs_attack": true}));
    assert_eq!(status, 422);
    assert_eq!(problem["errors"][0]["path"], "abs.cluster");

    let list = "/v1/filters/portcullis/lists/deny_list";
    let (status, problem) = api.edit("POST", list, &json!({"type": "ip", "value": "localhost"}));
    assert_eq!(
        (status, &problem["errors"][0]["path"]),
        (422, &json!("value"))
    );
    let (status, problem) = api.edit("POST", list, &json!({"type": "mac", "value": "x"}));
    assert_eq!(
        (status, &problem["errors"][0]["path"]),
        (422, &json!("type"))
    );

    let invalid = filter(&json!({"enable_firewall": 1, "guard": 2})).to_string();
    let put = api.send(
        "PUT",
        "/v1/filters/portcullis",
        &[("if-match", "*")],
        &invalid,
    );
    assert_eq!(put.status(), 422);
    assert_eq!(body(&put)["errors"].as_array().unwrap().len(), 2);

    let requests: [(&str, &str, Pairs, &str, u16); 7] = [
        ("POST", list, &[], "{}", 415),
        ("POST", list, &[("content-type", "text/plain")], "{}", 415),
        ("POST", list, &[JSON], "{", 400),
        (
            "PATCH",
            "/v1/filters/portcullis/flags?dry=1",
            &[JSON],
            "{}",
            400,
        ),
        ("PUT", "/v1/filters/portcullis", &[], "x", 428),
        (
            "GET",
            "/v1/filters/portcullis/lists/grey_list",
            &[],
            "",
            404,
        ),
        (
            "POST",
            "/v1/explain",
            &[JSON],
            r#"{"ip": "localhost"}"#,
            422,
        ),
    ];
    for (method, path, headers, content, expected) in requests {
        let response = api.send(method, path, headers, content);
        assert_eq!(response.status(), expected, "{method} {path} {content}");
    }
    let large = "x".repeat(300_000);
    assert_eq!(api.send("POST", list, &[JSON], &large).status(), 413);
    // The text of a filter may be larger, up to a limit that the message names.
    let any = [("if-match", "*")];
    let put = |size: usize| {
        let text = format!("[{}]", "1,".repeat(size / 2));
        api.send("PUT", "/v1/filters/portcullis", &any, &text)
    };
    assert_eq!(put(300_000).status(), 422);
    let refused = put(5 << 20);
    assert_eq!(refused.status(), 413);
    let message = body(&refused)["error"].as_str().unwrap().to_owned();
    assert!(message.contains("4 MB"), "{message}");
    let unknown = api.send_to("GET", "/v1/filters/{name}", "/v1/filters/other", &[], "");
    assert_eq!(unknown.status(), 404);
    assert!(
        body(&unknown)["error"]
            .as_str()
            .unwrap()
            .contains("portcullis")
    );
    assert_eq!(api.file(), before);
}

#[test]
fn entries_are_added_and_deleted_once() {
    let api = Api::with(&json!({}));
    let list = "/v1/filters/portcullis/lists/deny_list";
    let address = json!({"kind": "ip", "value": "192.0.2.7"});
    let cookie = json!({"type": "cookie", "name": "S", "value": "SECRET-VALUE"});
    for (entry, message) in [
        (&address, "ip 192.0.2.7 added to blacklist"),
        (&address, "ip 192.0.2.7 is already in the blacklist"),
        (&cookie, "cookie S SECR... added to blacklist"),
    ] {
        let (status, done) = api.edit("POST", list, entry);
        assert_eq!((status, &done["message"]), (200, &json!(message)));
    }
    let entries = api.get(list)["entries"].clone();
    assert_eq!(
        entries,
        json!([
            {"type": "ip", "value": "192.0.2.7"},
            {"type": "cookie", "name": "S", "value": "SECR..."},
        ])
    );
    assert_eq!(
        api.configuration()["deny_list"],
        json!({"ips": ["192.0.2.7"], "cookies": {"S": ["SECRET-VALUE"]}})
    );
    assert_eq!(api.edit("DELETE", list, &address).0, 200);
    assert_eq!(api.edit("DELETE", list, &address).0, 422);
    let cleared = api.send("DELETE", &format!("{list}?all=true"), &[], "");
    assert_eq!(
        body(&cleared)["message"],
        "blacklist cleared: 1 entry deleted"
    );
    let cleared = api.send("DELETE", &format!("{list}?all=true"), &[], "");
    assert_eq!(body(&cleared)["message"], "blacklist is empty already");
    assert!(!api.fleet.log().contains("SECRET-VALUE"));
}

#[test]
fn of_two_operators_the_second_reads_again() {
    let api = Api::with(&json!({"enable_firewall": true}));
    let path = "/v1/filters/portcullis";
    let read = api.send("GET", path, &[], "");
    let etag = read.headers()["etag"].to_str().unwrap().to_owned();
    let text = String::from_utf8(read.body().clone()).unwrap();
    let one = text.replace("true", "false");
    let other = text.replace("{\"enable_firewall\":true}", "{\"ipv6_prefix\":64}");
    let put = |text: &str, etag: &str| api.send("PUT", path, &[("if-match", etag)], text);
    assert_eq!(put(&one, &etag).status(), 200);
    let refused = put(&other, &etag);
    assert_eq!(refused.status(), 412);
    let message = body(&refused)["error"].as_str().unwrap().to_owned();
    assert!(message.contains("read it again"), "{message}");
    let flags = api.send(
        "PATCH",
        "/v1/filters/portcullis/flags",
        &[JSON, ("if-match", &etag)],
        r#"{"enable_firewall": true}"#,
    );
    assert_eq!(flags.status(), 412);
    assert_eq!(api.file(), one);
    let read = api.send("GET", path, &[], "");
    let etag = read.headers()["etag"].to_str().unwrap().to_owned();
    assert_eq!(put(&other, &etag).status(), 200);
    assert_eq!(api.file(), other);
    let again = put(&other, "*");
    assert_eq!(body(&again)["changed"], false);
}

#[test]
fn edits_at_the_same_time_all_count() {
    let api = Api::with(&json!({}));
    let list = "/v1/filters/portcullis/lists/deny_list";
    std::thread::scope(|scope| {
        for n in 1..=40 {
            let api = &api;
            scope.spawn(move || {
                let entry = json!({"type": "ip", "value": format!("192.0.2.{n}")});
                let (status, response) = api.edit("POST", list, &entry);
                assert_eq!(status, 200, "{response}");
            });
        }
    });
    assert_eq!(api.get(list)["entries"].as_array().unwrap().len(), 40);
}

#[test]
fn a_request_is_explained_by_the_filter_and_no_secret_is_shown() {
    let api = Api::with(&json!({"deny_list": {"oauth_tokens": ["SECRET-TOKEN"]}}));
    let (status, explained) = api.edit(
        "POST",
        "/v1/explain",
        &json!({
            "ip": "192.0.2.1",
            "headers": ["Authorization: Bearer SECRET-TOKEN"],
            "url": "https://shop.example.com/cart",
        }),
    );
    assert_eq!(status, 200);
    assert_eq!(explained["verdict"], "denied manual oauth_token");
    assert_eq!(explained["filter"], "portcullis");
    assert!(!explained.to_string().contains("SECRET-TOKEN"));
    let (status, explained) = api.edit("POST", "/v1/explain", &json!({"filter": "portcullis"}));
    assert_eq!((status, &explained["verdict"]), (200, &json!("allowed")));
}
