//! One connection: when its requests begin, and how long it may keep us waiting.
//!
//! Must not know what a request means. hyper's own header time-out cannot tell a connection at rest between two
//! requests from one that dribbles a head; a proxy's idle connection must live long, a dribbler must not.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::framing::{Complete, Extent, Head, Malformed};
use crate::locks::lock;

/// The instant at which the first byte of a request arrived: a deadline counts from it.
///
/// The first byte that says anything, after TCP and TLS are done. Whether Okta's three seconds include those is not
/// documented; what they cost is Okta's to know and is covered by what the budget leaves of the three seconds.
#[derive(Debug, Clone, Copy)]
pub struct Received(pub Instant);

/// How long a connection may keep us waiting.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For a whole head, for the first byte of a new connection, and for our answer to be taken.
    pub head: Duration,
    /// Between two requests.
    pub idle: Duration,
}

/// What a connection is doing. Every byte that arrives is counted to one head or one body.
#[derive(Debug)]
enum Phase {
    /// Waiting for the first byte of a request, until then.
    Quiet { until: Instant },
    /// A head is coming in: since, and until when it may.
    Head { since: Instant, until: Instant, head: Head },
    /// A head has come in, and so many bytes beyond it.
    Complete { since: Instant, until: Instant, complete: Complete },
    /// A request is being answered; its own deadline rules.
    Serving { complete: Complete },
}

/// What a request starts with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Begun {
    /// When its first byte came.
    pub(super) received: Received,
    /// Whether it may be answered as what it seems to be.
    pub(super) sound: Result<(), Malformed>,
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

    /// A head is complete: from now on the request's own deadline rules.
    pub(super) fn begin(&self) -> Begun {
        let mut phase = self.phase();
        let (since, complete) = match *phase {
            Phase::Complete { since, complete, .. } => (since, complete),
            // hyper saw an end where there is none by the letter: after a bare line feed.
            Phase::Head { since, .. } => (since, unsound("no end")),
            // `end` closes every connection that could get here.
            Phase::Quiet { .. } | Phase::Serving { .. } => (Instant::now(), unsound("no head")),
        };
        *phase = Phase::Serving { complete };
        Begun { received: Received(since), sound: complete.extent.map(drop) }
    }

    /// A response is on its way. Tells whether another request may come: only when this one's body has arrived to its
    /// last byte and nothing beyond. Then it is certain where the next head begins. No client of ours sends a
    /// request before it has the last answer, and the end of chunks is known to hyper alone.
    pub(super) fn end(&self) -> bool {
        let mut phase = self.phase();
        let whole = match *phase {
            Phase::Serving { complete: Complete { extent: Ok(Extent::Known(length)), beyond } } => length == beyond,
            _ => false,
        };
        // Otherwise what still comes is the rest of a body, and no head.
        if whole {
            *phase = Phase::Quiet { until: Instant::now() + self.patience.idle };
        }
        whole
    }

    /// Whether no request is under way.
    pub(super) fn is_quiet(&self) -> bool {
        matches!(*self.phase(), Phase::Quiet { .. })
    }

    /// Bytes arrived.
    fn heard(&self, bytes: &[u8]) {
        let mut phase = self.phase();
        if let Phase::Quiet { .. } = *phase {
            let since = Instant::now();
            *phase = Phase::Head { since, until: since + self.patience.head, head: Head::default() };
        }
        match &mut *phase {
            Phase::Head { since, until, head } => {
                if let Some(complete) = head.push(bytes) {
                    *phase = Phase::Complete { since: *since, until: *until, complete };
                }
            }
            Phase::Complete { complete, .. } | Phase::Serving { complete } => complete.beyond += bytes.len() as u64,
            Phase::Quiet { .. } => {}
        }
    }

    /// Until when the next bytes are waited for.
    fn until(&self) -> Option<Instant> {
        match *self.phase() {
            Phase::Quiet { until } | Phase::Head { until, .. } | Phase::Complete { until, .. } => Some(until),
            Phase::Serving { .. } => None,
        }
    }

    fn phase(&self) -> MutexGuard<'_, Phase> {
        lock(&self.phase)
    }
}

fn unsound(rule: &'static str) -> Complete {
    Complete { extent: Err(Malformed(rule)), beyond: 0 }
}

/// A stream that fails with `TimedOut` when its peer keeps us waiting too long.
pub(super) struct Patient<S> {
    stream: S,
    watch: Watch,
    alarm: Pin<Box<Sleep>>,
    /// Rings when the peer has taken nothing of what we write; there while we wait for that.
    stuck: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    pub(super) fn new(stream: S, watch: Watch) -> Self {
        let alarm = Box::pin(sleep_until(watch.until().unwrap_or_else(Instant::now)));
        Self { stream, watch, alarm, stuck: None }
    }

    /// Bounds the wait for a peer that does not read.
    fn bound<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stuck = None;
            return written;
        }
        let patience = self.watch.patience.head;
        let stuck = self.stuck.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + patience)));
        stuck.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buf) {
            Poll::Ready(done) => {
                if let Some(bytes) = buf.filled().get(before..).filter(|bytes| !bytes.is_empty()) {
                    self.watch.heard(bytes);
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
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.bound(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let written = Pin::new(&mut self.stream).poll_flush(cx);
        self.bound(cx, written)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let written = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.bound(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.bound(cx, written)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const HEAD: &[u8] = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n";

    fn connection(buffer: usize) -> (tokio::io::DuplexStream, Patient<tokio::io::DuplexStream>, Watch) {
        let (peer, ours) = tokio::io::duplex(buffer);
        let watch = Watch::new(Patience { head: Duration::from_secs(5), idle: Duration::from_secs(75) });
        (peer, Patient::new(ours, watch.clone()), watch)
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_nobody_takes_is_given_up() {
        let (mut peer, mut ours, _) = connection(10);
        let started = Instant::now();
        let error = ours.write_all(&[b'x'; 100]).await.expect_err("nobody reads");
        assert_eq!((error.kind(), started.elapsed().as_secs()), (io::ErrorKind::TimedOut, 5));
        // One who takes it slowly is waited for, five seconds for every piece.
        peer.read_exact(&mut [0; 10]).await.expect("taken");
        let (written, _) = tokio::join!(ours.write_all(&[b'y'; 40]), async {
            for _ in 0..4 {
                tokio::time::sleep(Duration::from_secs(4)).await;
                peer.read_exact(&mut [0; 10]).await.expect("taken");
            }
        });
        written.expect("taken in the end");
    }

    #[tokio::test(start_paused = true)]
    async fn another_request_may_come_only_after_a_whole_body_and_nothing_more() {
        for (body, expected) in [(&b"{}"[..], true), (b"{", false), (b"", false), (b"{}P", false)] {
            let (mut peer, mut ours, watch) = connection(1000);
            peer.write_all(&[HEAD, body].concat()).await.expect("sent");
            ours.read_exact(&mut vec![0; HEAD.len() + body.len()]).await.expect("came");
            assert_eq!(watch.begin().sound, Ok(()));
            assert_eq!(watch.end(), expected, "{body:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_was_not_seen_from_its_first_byte_is_unsound() {
        let (mut peer, mut ours, watch) = connection(1000);
        assert!(watch.begin().sound.is_err(), "no head at all");
        let (mut peer2, mut ours2, watch2) = connection(1000);
        peer2.write_all(&HEAD[..20]).await.expect("sent");
        ours2.read_exact(&mut [0; 20]).await.expect("came");
        assert!(watch2.begin().sound.is_err(), "half a head");
        peer.write_all(HEAD).await.expect("sent");
        ours.read_exact(&mut vec![0; HEAD.len()]).await.expect("came");
        assert!(!watch.end(), "its bytes were counted to the body before");
    }
}
