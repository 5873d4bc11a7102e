//! A sample API behind the proxy: it responds to every request with a description of that request.
//!
//! HTTP/1.1 and HTTP/2 with prior knowledge (h2c), without TLS. README.md has the responses.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::error::Error;
use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use bytes::Bytes;
use clap::Parser;
use futures_util::stream;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};

/// A sample API that responds to every request with a description of that request.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Address and port to listen on; port 0 selects a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sample-api: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let listener = TcpListener::bind(arguments.listen)
        .await
        .map_err(|error| format!("can't listen on {}: {error}", arguments.listen))?;
    let mut stdout = std::io::stdout();
    writeln!(
        stdout,
        "sample-api listening on http://{}",
        listener.local_addr()?
    )?;
    stdout.flush()?;
    tokio::select! {
        () = serve(listener) => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

async fn serve(listener: TcpListener) {
    loop {
        let Ok((tcp, _)) = listener.accept().await else {
            // Probably out of file descriptors: wait for connections to end.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        tokio::spawn(serve_connection(tcp));
    }
}

async fn serve_connection(tcp: TcpStream) {
    // A failed connection affects only its client.
    let _ = tcp.set_nodelay(true);
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // Idle connections stay open, so that a proxy's pool never uses a connection that is being closed.
    builder.http1().header_read_timeout(None);
    let _ = builder
        .serve_connection(TokioIo::new(tcp), service_fn(respond))
        .await;
}

async fn respond(request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let (parts, mut body) = request.into_parts();
    // The body is read and dropped, so that the connection can be reused.
    let mut body_bytes = 0usize;
    while let Some(Ok(frame)) = body.frame().await {
        body_bytes = body_bytes.saturating_add(frame.data_ref().map_or(0, |data| data.len()));
    }
    if is_grpc(&parts.headers) {
        return Ok(grpc_response());
    }
    let seen = json!({
        "method": parts.method.as_str(),
        "path": parts.uri.path(),
        "query": parts.uri.query().unwrap_or_default(),
        "headers": headers_json(&parts.headers),
        "body_bytes": body_bytes,
    });
    let mut response = Response::new(Body::from(seen.to_string()));
    *response.status_mut() = status_asked_for(parts.uri.path());
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    Ok(response)
}

fn status_asked_for(path: &str) -> StatusCode {
    path.strip_prefix("/status/")
        .and_then(|code| code.parse().ok())
        .filter(|code: &u16| (200..=599).contains(code))
        .and_then(|code| StatusCode::from_u16(code).ok())
        .unwrap_or(StatusCode::OK)
}

fn headers_json(headers: &HeaderMap) -> BTreeMap<&str, String> {
    let mut seen: BTreeMap<&str, String> = BTreeMap::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        seen.entry(name.as_str())
            .and_modify(|values| {
                values.push_str(", ");
                values.push_str(&value);
            })
            .or_insert_with(|| value.to_string());
    }
    seen
}

fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

// One empty message and grpc-status 0.
fn grpc_response() -> Response<Body> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let frames = [
        Frame::data(Bytes::from_static(&[0; 5])),
        Frame::trailers(trailers),
    ];
    let body = StreamBody::new(stream::iter(frames.map(Ok::<_, Infallible>)));
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    );
    response
}
