//! What a failure on the wire proves: whether a byte of a request can have reached its vendor.
//!
//! Must not decide what follows.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::Handover;
use crate::otp::{SendError, Suspicion};

/// A body that notes when it is taken to be written, and asks for leave where it delivers a message.
///
/// That note is the evidence `Unavailable` rests on: hyper asks for the body before it flushes the head, so a body
/// that was never asked for was never sent, whatever error came.
#[derive(Default)]
pub(super) struct Watched {
    pub(super) bytes: Bytes,
    pub(super) written: Arc<AtomicBool>,
    pub(super) handover: Option<Handover>,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = SendError;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Some(Err(too_late)) = self.handover.take().map(|handover| handover.claim()) {
            return Poll::Ready(Some(Err(too_late)));
        }
        self.written.store(true, Ordering::Release);
        let bytes = std::mem::take(&mut self.bytes);
        Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.len() as u64)
    }
}

/// A host whose name leads to no address. Resolvers say so with this, as no library has a type for it.
#[derive(Debug, thiserror::Error)]
#[error("no address")]
pub(super) struct Unresolved(#[from] io::Error);

/// That no connection came about. TLS is told apart: a certificate that does not fit is a security matter.
pub(super) fn unconnected(error: &(dyn Error + 'static)) -> SendError {
    let (cause, suspicion) = if is_behind::<rustls::Error>(error) {
        ("tls", Some(Suspicion::Tls))
    } else if is_behind::<Unresolved>(error) {
        ("dns", None)
    } else if is_timeout(error) {
        ("connect_timeout", None)
    } else {
        ("connect", None)
    };
    SendError { suspicion, ..SendError::unsent(cause) }
}

/// Whether an error of this type stands behind another. An I/O error names as its source what is behind its payload, so
/// that has to be taken out first; there may be one in another.
fn is_behind<T: Error + 'static>(error: &(dyn Error + 'static)) -> bool {
    let payload = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    match (payload, error.source()) {
        _ if error.is::<T>() => true,
        (Some(payload), _) => is_behind::<T>(payload),
        (None, Some(source)) => is_behind::<T>(source),
        (None, None) => false,
    }
}

fn is_timeout(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::TimedOut)
        || error.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_timeout)
        || error.source().is_some_and(is_timeout)
}

/// Whether an HTTP/2 peer vouches that it did not look at the request: it refused the stream, or went away before it
/// (RFC 9113, sections 6.8 and 8.7). Whatever the reason it went away for: h2 gives that error to the streams alone that
/// lie behind the last one the peer has looked at.
pub(super) fn is_unprocessed(error: &(dyn Error + 'static)) -> bool {
    match error.downcast_ref::<h2::Error>() {
        Some(e) if e.is_go_away() => e.is_remote(),
        Some(e) => e.is_remote() && e.reason() == Some(h2::Reason::REFUSED_STREAM),
        None => error.source().is_some_and(is_unprocessed),
    }
}
