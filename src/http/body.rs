//! Takes a body in: no more than allowed, no longer than allowed.
//!
//! Must not look into it.

use std::future::Future;

use axum::body::Body;
use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::BodyLimits;
use crate::hook::Unread;

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
