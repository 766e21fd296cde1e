//! Takes a body in: no more than allowed, no longer than allowed. What nobody wants of it is thrown away.
//!
//! Must not look into it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, EXPECT};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body as _, Frame, Incoming};
use tokio::runtime::Handle;

use super::BodyLimits;
use crate::hook::Unread;

/// Bytes of an unwanted body that are read: more than anybody sends by mistake.
const MAX_UNWANTED: usize = 16 * 1024 * 1024;

/// How long they are read. Who is told to stop does so, or will not.
const UNWANTED_TIMEOUT: Duration = Duration::from_secs(1);

/// Reads a whole body. A length announced above the limit is refused before a byte of it is read.
pub(super) fn read(
    body: Body,
    headers: &HeaderMap,
    limits: BodyLimits,
) -> impl Future<Output = Result<Bytes, Unread>> + Send + use<> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    async move {
        if announced.is_some_and(|length| length > limits.size as u64) {
            return Err(Unread::TooLarge);
        }
        let whole = tokio::time::timeout(limits.timeout, Limited::new(body, limits.size).collect());
        match whole.await {
            Ok(Ok(whole)) => Ok(whole.to_bytes()),
            Ok(Err(e)) if e.is::<LengthLimitError>() => Err(Unread::TooLarge),
            Ok(Err(_)) => Err(Unread::Broken),
            Err(_) => Err(Unread::Slow),
        }
    }
}

/// A body whose rest is read when nobody wants it any more: bytes that lie unread when a connection closes have the system
/// reset it, and a client that writes everything before it reads then loses the answer (RFC 9112, 9.6).
pub(super) fn drained(body: Incoming, headers: &HeaderMap) -> Body {
    Body::new(Drained { rest: Some(body), is_held_back: headers.contains_key(EXPECT) })
}

struct Drained {
    /// None once it has come to its end.
    rest: Option<Incoming>,
    /// The client sends it when told to: to read it would be to ask for it.
    is_held_back: bool,
}

impl hyper::body::Body for Drained {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.is_held_back = false;
        let Some(rest) = &mut self.rest else { return Poll::Ready(None) };
        let frame = Pin::new(rest).poll_frame(cx);
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) {
            self.rest = None;
        }
        frame
    }
}

impl Drop for Drained {
    fn drop(&mut self) {
        let rest = self.rest.take().filter(|rest| !self.is_held_back && !rest.is_end_stream());
        if let (Some(rest), Ok(runtime)) = (rest, Handle::try_current()) {
            let mut rest = Limited::new(rest, MAX_UNWANTED);
            runtime.spawn(tokio::time::timeout(UNWANTED_TIMEOUT, async move {
                while let Some(Ok(_)) = rest.frame().await {}
            }));
        }
    }
}
