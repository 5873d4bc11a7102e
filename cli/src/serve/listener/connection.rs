//! One connection: its handshake, its requests, and its end when the server stops.
//!
//! Most connections are idle most of the time, so an idle one has no buffers: hyper, which keeps two of 8 KB, serves it
//! from the first byte of a request to the end of the response only.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, Request, StatusCode, header};
use axum::response::IntoResponse as _;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::timeout;
use tower::ServiceExt as _;

use super::addresses::Counted;
use super::stream::{Activity, Busy, Limited};
use super::tls::Tls;

/// How long a TLS handshake may take.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// How long a request may take until its response starts, its whole body included.
const REQUEST_LIMIT: Duration = Duration::from_secs(30);

/// How much of a request's headers is read. A larger limit is also a larger buffer while a body is read: nodes send 77 KB of
/// their extensions in each request for configuration.
const LARGEST_HEADERS: usize = 8 * 1024;

/// One connection.
pub struct Connection {
    /// The client.
    pub address: SocketAddr,
    /// The routes.
    pub router: Router,
    /// Changes when the server stops.
    pub stopped: watch::Receiver<()>,
    /// Returned when the connection is closed.
    pub _permit: OwnedSemaphorePermit,
    /// The same, for the connections of its address.
    pub _counted: Option<Counted>,
}

impl Connection {
    /// Serves a connection with TLS.
    pub async fn serve_tls(mut self, stream: TcpStream, tls: Arc<Tls>) {
        let handshake = timeout(HANDSHAKE_LIMIT, tls.acceptor().accept(stream));
        // In boxes, so that a connection takes no memory for its handshake any more.
        let stream = tokio::select! {
            stream = Box::pin(handshake) => stream,
            _ = self.stopped.changed() => return,
        };
        // Scanners and clients without the certificate authority: nothing that an operator can act on here.
        if let Ok(Ok(stream)) = stream {
            Box::pin(self.serve(stream)).await;
        }
    }

    /// Serves a connection.
    pub async fn serve(mut self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let mut stream = Limited::new(stream);
        loop {
            let has_request = tokio::select! {
                has_request = stream.wait() => has_request,
                _ = self.stopped.changed() => false,
            };
            if !has_request {
                return;
            }
            // In a box, so that an idle connection takes no memory for a request.
            match Box::pin(self.serve_requests(stream)).await {
                Some(idle) => stream = idle,
                None => return,
            }
        }
    }

    /// Serves requests until the connection is idle, and returns it, or until it is closed.
    async fn serve_requests<S>(&mut self, stream: Limited<S>) -> Option<Limited<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let activity = stream.activity();
        let service = service_fn(|mut request: Request<Incoming>| {
            let busy = activity.begin();
            request.extensions_mut().insert(ConnectInfo(self.address));
            let activity = activity.clone();
            let request = request.map(|body| {
                Body::new(Received {
                    has_ended: false,
                    activity: activity.clone(),
                    body,
                })
            });
            let response = self.router.clone().oneshot(request);
            Box::pin(async move {
                let mut response = match timeout(REQUEST_LIMIT, response).await {
                    Ok(response) => response?,
                    Err(_) => StatusCode::REQUEST_TIMEOUT.into_response(),
                };
                if activity.must_close() {
                    let close = HeaderValue::from_static("close");
                    response.headers_mut().insert(header::CONNECTION, close);
                }
                Ok::<_, Infallible>(response.map(|body| Sent { body, _busy: busy }))
            })
        });
        let mut connection = http1::Builder::new()
            // `Limited` has the limits on headers and on idle connections.
            .header_read_timeout(None)
            .max_buf_size(LARGEST_HEADERS)
            .serve_connection(TokioIo::new(stream), service);
        // An error is the client's: it closed, was too slow, or speaks no HTTP.
        let until_idle = poll_fn(|context| match connection.poll_without_shutdown(context) {
            Poll::Ready(Ok(())) => Poll::Ready(Some(Step::Closes)),
            Poll::Ready(Err(_)) => Poll::Ready(None),
            Poll::Pending if activity.is_idle() => Poll::Ready(Some(Step::Idle)),
            Poll::Pending => Poll::Pending,
        });
        let step = tokio::select! {
            step = until_idle => step?,
            _ = self.stopped.changed() => Step::Stops,
        };
        if step != Step::Closes {
            // Ends an idle connection at once, and another one after its response.
            Pin::new(&mut connection).graceful_shutdown();
            let ended = poll_fn(|context| connection.poll_without_shutdown(context)).await;
            ended.ok()?;
        }
        let parts = connection.into_parts();
        let mut stream = parts.io.into_inner();
        if step == Step::Idle {
            stream.put_back(&parts.read_buf);
            return Some(stream);
        }
        stream.close(activity.must_close()).await;
        None
    }
}

/// What happens to a connection next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// It waits for the next request.
    Idle,
    /// The response was its last one.
    Closes,
    /// The server stops.
    Stops,
}

/// The body of a request. A connection whose client sends more of it than is read can't be used again.
struct Received {
    body: Incoming,
    has_ended: bool,
    activity: Activity,
}

impl HttpBody for Received {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        self.has_ended |= matches!(frame, Poll::Ready(None));
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        if !self.has_ended && !self.body.is_end_stream() {
            self.activity.leave_unread();
        }
    }
}

/// The body of a response, whose request is being handled until all of it is written.
struct Sent {
    body: Body,
    _busy: Busy,
}

impl HttpBody for Sent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
