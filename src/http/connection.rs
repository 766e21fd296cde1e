//! One connection: when its requests begin, and how long it may keep us waiting.
//!
//! Must not know what a request means. hyper's own header time-out cannot tell a connection at rest between two
//! requests from one that dribbles a head; a proxy's idle connection must live long, a dribbler must not.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// The instant at which the first byte of a request arrived: a deadline counts from it.
#[derive(Debug, Clone, Copy)]
pub struct Received(pub Instant);

/// How long a connection may keep us waiting.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For a whole head, and for the first byte of a new connection.
    pub head: Duration,
    /// Between two requests.
    pub idle: Duration,
}

/// What a connection is doing.
#[derive(Debug, Clone, Copy)]
enum Phase {
    /// Waiting for the first byte of a request, until then.
    Quiet { until: Instant },
    /// A head is coming in: since, and until when it may.
    Head { since: Instant, until: Instant },
    /// A request is being answered; its own deadline rules.
    Serving,
}

/// The phase of one connection, shared by its stream and by whoever serves its requests.
#[derive(Debug, Clone)]
pub(super) struct Watch {
    phase: Arc<Mutex<Phase>>,
    patience: Patience,
}

impl Watch {
    pub(super) fn new(patience: Patience) -> Self {
        let until = Instant::now() + patience.head;
        Self { phase: Arc::new(Mutex::new(Phase::Quiet { until })), patience }
    }

    /// A head is complete: from now on the request's own deadline rules. Tells when its first byte came.
    pub(super) fn begin(&self) -> Received {
        let mut phase = self.phase();
        let since = match *phase {
            Phase::Head { since, .. } => since,
            // The head came in one read together with the end of the request before.
            Phase::Quiet { .. } | Phase::Serving => Instant::now(),
        };
        *phase = Phase::Serving;
        Received(since)
    }

    /// A response is on its way: the next request may come.
    pub(super) fn end(&self) {
        *self.phase() = Phase::Quiet { until: Instant::now() + self.patience.idle };
    }

    /// Bytes arrived.
    fn heard(&self) {
        let mut phase = self.phase();
        if let Phase::Quiet { .. } = *phase {
            let since = Instant::now();
            *phase = Phase::Head { since, until: since + self.patience.head };
        }
    }

    /// Until when the next bytes are waited for.
    fn until(&self) -> Option<Instant> {
        match *self.phase() {
            Phase::Quiet { until } | Phase::Head { until, .. } => Some(until),
            Phase::Serving => None,
        }
    }

    fn phase(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream that fails with `TimedOut` when its peer keeps us waiting too long.
pub(super) struct Patient<S> {
    stream: S,
    watch: Watch,
    alarm: Pin<Box<Sleep>>,
}

impl<S> Patient<S> {
    pub(super) fn new(stream: S, watch: Watch) -> Self {
        let alarm = Box::pin(sleep_until(watch.until().unwrap_or_else(Instant::now)));
        Self { stream, watch, alarm }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buf) {
            Poll::Ready(done) => {
                if buf.filled().len() > before {
                    self.watch.heard();
                }
                Poll::Ready(done)
            }
            Poll::Pending => {
                let Some(until) = self.watch.until() else { return Poll::Pending };
                if self.alarm.deadline() != until {
                    self.alarm.as_mut().reset(until);
                }
                match self.alarm.as_mut().poll(cx) {
                    Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
                    Poll::Pending => Poll::Pending,
                }
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }
}
