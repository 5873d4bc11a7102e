//! Sockets, TLS, and the faults that need the connection itself. HTTP/1.1 only, so that a fault affects one request.

use std::io::{self, IoSlice};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};
use tokio_rustls::server::TlsStream;
use tower::ServiceExt;

/// An unusable certificate or key.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file is missing or not PEM.
    #[error("{path}: {source}")]
    Pem {
        /// The file.
        path: String,
        /// The reason.
        source: pem::Error,
    },
    /// Certificate and key do not match or are not supported.
    #[error("the certificate and the key can't be used together: {0}")]
    Unusable(#[from] rustls::Error),
}

/// TLS from PEM files: a certificate chain, leaf first, and its key.
///
/// # Errors
///
/// A file can't be read, or its content can't be used.
pub fn tls_acceptor(certificates: &Path, key: &Path) -> Result<TlsAcceptor, TlsError> {
    let pem_error = |path: &Path| {
        let path = path.display().to_string();
        move |source| TlsError::Pem { path, source }
    };
    let chain = CertificateDer::pem_file_iter(certificates)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(pem_error(certificates))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(pem_error(key))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// What a fault can do to the connection of its request.
#[derive(Clone, Debug, Default)]
pub struct ConnectionControl {
    flags: Arc<Flags>,
}

#[derive(Debug, Default)]
struct Flags {
    reset: AtomicBool,
    close_after_flush: AtomicBool,
}

impl ConnectionControl {
    /// Resets the connection (TCP RST) at the next write.
    pub fn reset(&self) {
        self.flags.reset.store(true, Ordering::Relaxed);
    }

    /// Closes the connection after the written bytes are sent.
    pub fn close_after_flush(&self) {
        self.flags.close_after_flush.store(true, Ordering::Relaxed);
    }

    fn is_reset(&self) -> bool {
        self.flags.reset.load(Ordering::Relaxed)
    }

    fn closes_after_flush(&self) -> bool {
        self.flags.close_after_flush.load(Ordering::Relaxed)
    }
}

/// Serves `router` on every connection, forever.
pub async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, router: Router) {
    loop {
        let Ok((tcp, _)) = listener.accept().await else {
            // Probably out of file descriptors: wait for connections to end.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let tls = tls.clone();
        let router = router.clone();
        tokio::spawn(async move {
            // A failed connection affects only its client.
            let _ = serve_connection(tcp, tls, router).await;
        });
    }
}

async fn serve_connection(
    tcp: TcpStream,
    tls: Option<TlsAcceptor>,
    router: Router,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    tcp.set_nodelay(true)?;
    let stream = match tls {
        None => Stream::Plain(tcp),
        Some(acceptor) => Stream::Tls(Box::new(acceptor.accept(tcp).await?)),
    };
    let control = ConnectionControl::default();
    let io = TokioIo::new(Connection {
        stream,
        control: control.clone(),
    });
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(control.clone());
        router.clone().oneshot(request)
    });
    http1::Builder::new()
        // Idle connections stay open, so that a client's pool never uses a connection that is being closed.
        .header_read_timeout(None)
        .serve_connection(io, service)
        .await?;
    Ok(())
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    fn tcp(&self) -> &TcpStream {
        match self {
            Stream::Plain(tcp) => tcp,
            Stream::Tls(tls) => tls.get_ref().0,
        }
    }
}

/// A connection that checks its control before it writes or closes and after it flushes.
struct Connection {
    stream: Stream,
    control: ConnectionControl,
}

impl Connection {
    fn check_reset(&self) -> io::Result<()> {
        if !self.control.is_reset() {
            return Ok(());
        }
        // With a linger time of zero, closing the socket sends RST; hyper closes it on the error.
        self.stream.tcp().set_zero_linger()?;
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_read(context, buffer),
            Stream::Tls(tls) => Pin::new(tls).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check_reset()?;
        match &mut self.get_mut().stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_write(context, bytes),
            Stream::Tls(tls) => Pin::new(tls).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check_reset()?;
        match &mut self.get_mut().stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_write_vectored(context, slices),
            Stream::Tls(tls) => Pin::new(tls).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(match &mut this.stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_flush(context),
            Stream::Tls(tls) => Pin::new(tls).poll_flush(context),
        })?;
        if this.control.closes_after_flush() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check_reset()?;
        match &mut self.get_mut().stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_shutdown(context),
            Stream::Tls(tls) => Pin::new(tls).poll_shutdown(context),
        }
    }
}
