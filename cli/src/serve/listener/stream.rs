//! The bytes of one connection: waits for a request without a buffer, and limits the time that each step may take.
//!
//! | step | limit |
//! |---|---|
//! | the first request of a connection starts | [`HEADERS_LIMIT`] |
//! | a later request starts | [`IDLE_LIMIT`] |
//! | the headers of a request, from their first byte | [`HEADERS_LIMIT`] |
//! | the client reads nothing of a response | [`STALL_LIMIT`] |
//! | the client reads all of a response | [`RESPONSE_LIMIT`] |
//!
//! The time of a request's body is limited with that of its handler, by `connection`.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until, timeout};

/// How long the headers of a request may take, from their first byte.
const HEADERS_LIMIT: Duration = Duration::from_secs(10);

/// How long a connection may be idle between two requests. Nodes ask every few seconds, and keep their connection.
const IDLE_LIMIT: Duration = Duration::from_secs(120);

/// How long a client may read nothing of a response.
const STALL_LIMIT: Duration = Duration::from_secs(30);

/// How long a client may take for a whole response, from the first time that it is not fast enough. A list has a few
/// megabytes.
const RESPONSE_LIMIT: Duration = Duration::from_secs(300);

/// How long, and how much, a client may send after a response that did not wait for it.
const DRAIN_LIMIT: Duration = Duration::from_secs(2);
const MOST_DRAINED: usize = 16 << 20;

/// A stream with time limits.
pub struct Limited<S> {
    stream: S,
    activity: Activity,
    /// Bytes that were read before they were needed.
    ahead: Bytes,
    headers: Deadline,
    stall: Deadline,
    response: Deadline,
}

/// What the requests of a connection do.
#[derive(Clone, Default)]
pub struct Activity(Arc<Flags>);

#[derive(Default)]
struct Flags {
    /// The headers of a request have arrived since the last read or write.
    arrived: AtomicBool,
    /// A request is being handled, or its response sent; what is read belongs to its body.
    busy: AtomicBool,
    /// A request was handled since the connection was idle.
    handled: AtomicBool,
    /// The client does not read.
    stalled: AtomicBool,
    /// The body of a request was not read to its end: what follows it can't be a request.
    unread: AtomicBool,
}

/// A request is being handled, or its response sent, while this exists.
pub struct Busy(Arc<Flags>);

impl Activity {
    /// The headers of a request have arrived.
    pub fn begin(&self) -> Busy {
        self.0.arrived.store(true, Ordering::Relaxed);
        self.0.busy.store(true, Ordering::Relaxed);
        Busy(self.0.clone())
    }

    /// The body of a request is dropped before its end.
    pub fn leave_unread(&self) {
        self.0.unread.store(true, Ordering::Relaxed);
    }

    /// Whether the connection has to be closed after the response.
    pub fn must_close(&self) -> bool {
        self.0.unread.load(Ordering::Relaxed)
    }

    /// Whether a response was sent, no request is being handled, and another one may follow.
    pub fn is_idle(&self) -> bool {
        let Flags {
            busy,
            handled,
            stalled,
            ..
        } = &*self.0;
        handled.load(Ordering::Relaxed)
            && !busy.load(Ordering::Relaxed)
            && !stalled.load(Ordering::Relaxed)
            && !self.must_close()
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.store(false, Ordering::Relaxed);
        self.0.handled.store(true, Ordering::Relaxed);
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

    fn has_passed(&self) -> bool {
        self.at.is_some_and(|at| at <= Instant::now())
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
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            activity: Activity::default(),
            ahead: Bytes::new(),
            headers: Deadline::default(),
            stall: Deadline::default(),
            response: Deadline::default(),
        }
    }

    /// What the requests of this connection do.
    pub fn activity(&self) -> Activity {
        self.activity.clone()
    }

    /// Puts bytes back that were read and not used.
    pub fn put_back(&mut self, bytes: &[u8]) {
        // A copy: no bytes of a buffer still keep all of it.
        self.ahead = Bytes::copy_from_slice(bytes);
    }

    /// The headers of a request have arrived: the limits are those of its response now.
    fn note_request(&mut self) {
        if self.activity.0.arrived.swap(false, Ordering::Relaxed) {
            self.headers.clear();
            self.response.clear();
        }
    }

    /// Applies the limits on writing to the result of a write.
    fn limit_write<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        self.note_request();
        let flags = &self.activity.0;
        flags.stalled.store(written.is_pending(), Ordering::Relaxed);
        if written.is_ready() {
            self.stall.clear();
            // Also if the client reads all the time.
            return match self.response.has_passed() {
                true => Poll::Ready(Err(ErrorKind::TimedOut.into())),
                false => written,
            };
        }
        self.stall.set(STALL_LIMIT);
        self.response.set(RESPONSE_LIMIT);
        let late = self.stall.poll(context).is_ready() || self.response.poll(context).is_ready();
        match late {
            true => Poll::Ready(Err(ErrorKind::TimedOut.into())),
            false => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> Limited<S> {
    /// Waits for the first byte of a request; false if it does not come in time or the client closes.
    pub async fn wait(&mut self) -> bool {
        let flags = &self.activity.0;
        let limit = match flags.handled.swap(false, Ordering::Relaxed) {
            true => IDLE_LIMIT,
            false => HEADERS_LIMIT,
        };
        if !self.ahead.is_empty() {
            return true;
        }
        self.note_request();
        let stream = &mut self.stream;
        let read = poll_fn(|context| {
            let mut byte = [0];
            let mut buffer = ReadBuf::new(&mut byte);
            let read = Pin::new(&mut *stream).poll_read(context, &mut buffer);
            read.map_ok(|()| Bytes::copy_from_slice(buffer.filled()))
        });
        if let Ok(Ok(byte)) = timeout(limit, read).await {
            self.ahead = byte;
        }
        !self.ahead.is_empty()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Limited<S> {
    /// Closes it. A client that still sends (`drains`) gets the response first: closing a socket with unread bytes would
    /// make it discard the response.
    pub async fn close(mut self, drains: bool) {
        let closed = poll_fn(|context| Pin::new(&mut self).poll_shutdown(context)).await;
        if closed.is_err() || !drains {
            return;
        }
        let stream = &mut self.stream;
        let mut rest = MOST_DRAINED;
        let read = poll_fn(|context| {
            let mut bytes = [0; 4096];
            loop {
                let mut buffer = ReadBuf::new(&mut bytes);
                let read = Pin::new(&mut *stream).poll_read(context, &mut buffer);
                let length = buffer.filled().len();
                rest = rest.saturating_sub(length);
                match read {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(())) if length > 0 && rest > 0 => {}
                    Poll::Ready(_) => return Poll::Ready(()),
                }
            }
        });
        let _ = timeout(DRAIN_LIMIT, read).await;
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Limited<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.note_request();
        let before = buffer.filled().len();
        let length = this.ahead.len().min(buffer.remaining());
        buffer.put_slice(&this.ahead.split_to(length));
        let mut read = match this.ahead.has_remaining() {
            true => Poll::Ready(Ok(())),
            false => Pin::new(&mut this.stream).poll_read(context, buffer),
        };
        let some = buffer.filled().len() > before;
        if some && read.is_pending() {
            read = Poll::Ready(Ok(()));
        }
        if this.activity.0.busy.load(Ordering::Relaxed) {
            return read;
        }
        if some {
            this.headers.set(HEADERS_LIMIT);
        }
        // Also if bytes arrive all the time.
        let late = this.headers.has_passed();
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

#[cfg(test)]
mod tests;
