//! The HTTP edge: every route of both listeners on one screen, and our replies as responses.
//!
//! Must not decide anything about a message. The only place, with `app`, that knows axum.

pub mod accept;
mod admission;
mod body;
mod callback;
mod connection;
mod console;
mod crowd;
mod event_hook;
mod framing;
mod learned;
mod ops;
mod proxies;
pub mod settings;
mod swap;
mod switches;
pub mod tls;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use tokio::time::Instant;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::feedback::{Events, Reports};
use crate::hook::Hook;
use crate::okta::Reply;
pub use connection::Received;
pub use ops::{Ops, Readiness, Shown};
pub use proxies::{ClientAddress, Proxies};
pub use settings::{AdminSettings, ServerSettings};
pub use swap::Swap;

/// Nobody keeps what stands in a response: not a proxy, not a browser.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// How much of a body is taken, and how long it may take to come.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    /// Bytes.
    pub size: usize,
    /// From the head of the request to the end of its body.
    pub timeout: Duration,
}

/// The public listener: every org's hook and event hook, the providers' reports, and a sign of life.
///
/// `base_path` is the path of the public address, without a slash at its end: a proxy may take it off or leave it.
pub fn public(
    hooks: impl IntoIterator<Item = Arc<Hook>>,
    events: impl IntoIterator<Item = Arc<Events>>,
    reports: &Reports,
    base_path: &str,
    limits: BodyLimits,
) -> Router {
    let mut router = Router::new().route("/livez", get(ops::livez));
    // An address set at a vendor by hand may have more behind the name; signatures cover whatever it is.
    for base in BTreeSet::from(["", base_path]) {
        for path in ["/callbacks/{provider}", "/callbacks/{provider}/{*rest}"] {
            let taken = post(callback::take).with_state((reports.clone(), limits));
            router = router.route(&format!("{base}{path}"), taken);
        }
    }
    for events in events {
        let (path, size) = events.place();
        let (path, limits) = (path.to_owned(), BodyLimits { size, ..limits });
        let methods = get(event_hook::verify).post(event_hook::take);
        router = router.route(&path, methods.with_state((events, limits)));
    }
    let mut router = dressed(router);
    // Undressed: a hook answers its own panics, and its layers would cost as much as its plan and its reply.
    for hook in hooks {
        let path = hook.config().path.clone();
        router = router.route(&path, post(answer).with_state((hook, limits)));
    }
    closed(router)
}

/// The admin listener: a page for people, signs of life, readiness, metrics, what was learnt, switches.
pub fn admin(ops: Ops) -> Router {
    let router = Router::new()
        .route("/", get(console::show))
        .route("/livez", get(ops::livez))
        .route("/readyz", get(ops::readyz))
        .route("/metrics", get(ops::metrics))
        .route("/learned", get(learned::show))
        .route("/switches", get(switches::show))
        .route("/switches/everything", put(switches::set_everything).delete(switches::clear_everything))
        .route("/switches/{scope}/{name}", put(switches::set).delete(switches::clear))
        .with_state(ops);
    closed(dressed(router))
}

/// What the responses of these routes have in common.
fn dressed(router: Router) -> Router {
    router
        .layer(SetResponseHeaderLayer::overriding(CACHE_CONTROL, NO_STORE))
        .layer(CatchPanicLayer::custom(|_| respond(crate::okta::Replies::broken(None))))
}

/// What is said where there is no route, or not for this method.
fn closed(router: Router) -> Router {
    router
        .fallback(|| async { respond(Reply::not_found()) })
        .method_not_allowed_fallback(|| async { respond(Reply::method_not_allowed()) })
}

async fn answer(State((hook, limits)): State<(Arc<Hook>, BodyLimits)>, request: Request) -> Response {
    let received = request.extensions().get::<Received>().map_or_else(Instant::now, |received| received.0);
    let (head, body) = request.into_parts();
    let body = body::read(body, &head.headers, limits);
    let reply = hook.call(received, head.headers, body).await;
    respond(reply)
}

/// A head that not everybody reads alike.
fn malformed() -> Response {
    respond(Reply::bad_request(&[]))
}

/// Writes a reply out. Whoever was turned away with a body still unread gets the connection closed.
fn respond(reply: Reply) -> Response {
    let mut headers = HeaderMap::with_capacity(4);
    // No bytes are no JSON.
    if !reply.body.is_empty() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    headers.insert(CACHE_CONTROL, NO_STORE);
    if let Some(seconds) = reply.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if matches!(reply.status, 401 | 403 | 408 | 413 | 429) {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK);
    // As a body: of bytes axum would say that they are an `octet-stream`.
    (status, headers, Body::from(reply.body)).into_response()
}
