use axum::body::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;

use crate::support::{SAMPLE_API, Server};

#[test]
fn the_response_describes_the_request() {
    let server = Server::start(SAMPLE_API, &[]);
    for (method, target) in [("GET", "/shop/cart?x=1"), ("DELETE", "/"), ("POST", "/a/b")] {
        let headers = [("X-One", "1"), ("x-two", "a"), ("x-two", "b")];
        let response = server.request(method, target, &headers, "a body");
        assert_eq!(response.status, 200);
        assert_eq!(response.header("content-type"), Some("application/json"));
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        assert_eq!(
            response.json(),
            json!({
                "method": method, "path": path, "query": query,
                "headers": {"host": "abs", "connection": "close", "content-length": "6", "x-one": "1", "x-two": "a, b"},
                "body_bytes": 6,
            })
        );
    }
}

#[test]
fn the_path_can_select_a_status() {
    let server = Server::start(SAMPLE_API, &[]);
    for (path, status) in [
        ("/status/401", 401),
        ("/status/503", 503),
        ("/status/200", 200),
        ("/status/99", 200),
        ("/status/600", 200),
        ("/status/teapot", 200),
    ] {
        assert_eq!(
            server.request("GET", path, &[], "").status,
            status,
            "{path}"
        );
    }
}

#[tokio::test]
async fn http2_and_grpc_work() {
    let server = Server::start(SAMPLE_API, &[]);
    let tcp = tokio::net::TcpStream::connect(&server.address)
        .await
        .unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(tcp))
            .await
            .unwrap();
    tokio::spawn(connection);
    let request = |content_type| {
        Request::post(format!("http://{}/shop.Cart/Add", server.address))
            .header("content-type", content_type)
            .body(Empty::<Bytes>::new())
            .unwrap()
    };

    let response = sender.send_request(request("text/plain")).await.unwrap();
    assert_eq!(response.status(), 200);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let seen: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(seen["path"], "/shop.Cart/Add");

    let response = sender
        .send_request(request("application/grpc"))
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/grpc");
    let collected = response.into_body().collect().await.unwrap();
    assert_eq!(collected.trailers().unwrap()["grpc-status"], "0");
    assert_eq!(collected.to_bytes().as_ref(), [0; 5]);
}
