//! `GET` and `POST {event_hook.path}`: Okta makes sure of us once, then tells what happened.
//!
//! Must not look into a batch: `feedback` does.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use http::HeaderMap;

use super::{BodyLimits, body, respond};
use crate::feedback::{Events, Taken};
use crate::hook::Unread;
use crate::metrics::EventHook;
use crate::okta::{Reply, event};

/// Answers Okta's one question. Whoever has no credential learns nothing, not even its own words.
pub(super) async fn verify(State((events, _)): State<(Arc<Events>, BodyLimits)>, headers: HeaderMap) -> Response {
    if !events.admits(&headers) {
        events.note(EventHook::Unauthorized);
        return respond(Reply::unauthorized());
    }
    let challenge = headers.get(event::CHALLENGE).and_then(|value| value.to_str().ok());
    if challenge.is_none() {
        events.note(EventHook::Unreadable);
    }
    respond(challenge.map_or_else(|| Reply::bad_request(&[]), event::challenged))
}

/// Takes a batch.
pub(super) async fn take(State((events, limits)): State<(Arc<Events>, BodyLimits)>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = body::read(body, &head.headers, limits);
    let (result, reply) = match events.take(&head.headers, body).await {
        Taken::Noted => (EventHook::Taken, Reply::noted(200)),
        Taken::Denied => (EventHook::Unauthorized, Reply::unauthorized()),
        Taken::Unread(fault @ Unread::Slow) => (EventHook::Slow, fault.reply()),
        Taken::Unread(fault @ Unread::TooLarge) => (EventHook::TooLarge, fault.reply()),
        Taken::Unread(fault @ Unread::Broken) => (EventHook::Unreadable, fault.reply()),
        Taken::Unreadable => (EventHook::Unreadable, Reply::bad_request(&[])),
    };
    events.note(result);
    respond(reply)
}
