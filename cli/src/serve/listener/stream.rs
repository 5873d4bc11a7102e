//! Time limits of one connection, where its bytes pass: for the headers of a request, and for a client that does not read.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// How long the headers of a request may take, from their first byte; for the first request, from the connection.
const HEADERS_LIMIT: Duration = Duration::from_secs(10);

/// How long a client may read nothing of a response.
const WRITE_LIMIT: Duration = Duration::from_secs(30);

/// A stream with time limits.
pub struct Limited<S> {
    stream: S,
    activity: Activity,
    headers: Deadline,
    write: Deadline,
}

/// What the requests of a connection do.
#[derive(Clone, Default)]
pub struct Activity(Arc<Flags>);

#[derive(Default)]
struct Flags {
    /// The headers of a request have arrived since the last read.
    arrived: AtomicBool,
    /// A request is being handled; what is read belongs to its body.
    busy: AtomicBool,
}

/// A request is being handled while this exists.
pub struct Busy(Arc<Flags>);

impl Activity {
    /// The headers of a request have arrived.
    pub fn begin(&self) -> Busy {
        self.0.arrived.store(true, Ordering::Relaxed);
        self.0.busy.store(true, Ordering::Relaxed);
        Busy(self.0.clone())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.store(false, Ordering::Relaxed);
    }
}

/// A time by which something must be done. The timer exists only while it is waited for.
#[derive(Default)]
struct Deadline {
    at: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Deadline {
    fn set(&mut self, limit: Duration) {
        if self.at.is_none() {
            self.at = Instant::now().checked_add(limit);
        }
    }

    fn clear(&mut self) {
        self.at = None;
        self.timer = None;
    }

    /// Ready if the time has passed.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(at) = self.at else {
            return Poll::Pending;
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(at)));
        timer.as_mut().poll(context)
    }
}

impl<S> Limited<S> {
    /// The stream of a new connection.
    pub fn new(stream: S) -> (Self, Activity) {
        let activity = Activity::default();
        let mut headers = Deadline::default();
        headers.set(HEADERS_LIMIT);
        let limited = Self {
            stream,
            activity: activity.clone(),
            headers,
            write: Deadline::default(),
        };
        (limited, activity)
    }

    /// Applies the limit on writing to the result of a write.
    fn limit_write<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.write.clear();
            return written;
        }
        self.write.set(WRITE_LIMIT);
        self.write
            .poll(context)
            .map(|()| Err(ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Limited<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let flags = &this.activity.0;
        if flags.arrived.swap(false, Ordering::Relaxed) {
            this.headers.clear();
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(context, buffer);
        if flags.busy.load(Ordering::Relaxed) {
            return read;
        }
        if buffer.filled().len() > before {
            this.headers.set(HEADERS_LIMIT);
        }
        // Also if bytes arrive all the time.
        let late = this.headers.at.is_some_and(|at| at <= Instant::now());
        if late || (read.is_pending() && this.headers.poll(context).is_ready()) {
            return Poll::Ready(Err(ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Limited<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.limit_write(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.limit_write(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.limit_write(flushed, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(context);
        self.limit_write(shut, context)
    }
}
