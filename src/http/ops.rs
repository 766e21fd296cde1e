//! Signs of life, readiness and metrics; what the pages of operators show.
//!
//! Must not show anything personal: these pages have no password on loopback.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde_json::json;

use super::admission::{Admission, Refusal};
use super::tls::Certificates;
use crate::deadline::Clock;
use crate::dispatch::health::Health;
use crate::dispatch::switches::Switches;
use crate::learn::Learn;
use crate::metrics::{Exposition, Metrics};
use crate::okta::jwks::Issuer;
use crate::otp::ProviderName;
use crate::provider::Provider;
use crate::recent::Recent;
use crate::secret::Secret;

/// What the admin listener shows.
#[derive(Debug, Clone)]
pub struct Shown {
    /// What was counted.
    pub metrics: Arc<Metrics>,
    /// Whether traffic should come here.
    pub readiness: Readiness,
    /// Who delivers.
    pub providers: BTreeMap<ProviderName, Arc<dyn Provider>>,
    /// How they are doing, and what an operator has set.
    pub health: Arc<Health>,
    /// What was learnt of them.
    pub learn: Learn,
    /// The last hooks.
    pub recent: Recent,
    /// Our certificate. Once it has expired, no caller that checks it comes through: not ready.
    pub certificates: Option<Arc<Certificates>>,
    /// When the server started.
    pub since: Timestamp,
    /// The wall clock.
    pub clock: Clock,
}

/// What the admin listener shows, and to whom.
#[derive(Debug, Clone)]
pub struct Ops {
    pub(super) shown: Arc<Shown>,
    pub(super) admission: Admission,
}

impl Ops {
    /// The pages. With a token, only `/livez` and `/readyz` are open to whoever does not present it; without one, the
    /// others are open to whoever calls this machine by its address.
    pub fn new(shown: Shown, token: Option<&Secret>) -> Self {
        Self { shown: Arc::new(shown), admission: Admission::by(token) }
    }

    pub(super) fn switches(&self) -> &Switches {
        self.shown.health.switches()
    }

    /// Why no traffic should come; empty when it should.
    pub(super) fn obstacles(&self) -> Vec<String> {
        let mut obstacles = self.shown.readiness.obstacles();
        if self.shown.certificates.as_deref().is_some_and(Certificates::has_expired) {
            obstacles.push("the certificate has expired".to_owned());
        }
        obstacles
    }
}

/// Whether traffic should come here: from the moment we listen, and can recognise Okta, until a shutdown begins.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    open: Arc<AtomicBool>,
    issuers: Arc<[Arc<Issuer>]>,
}

impl Readiness {
    /// The same, not before there are keys of each of these issuers.
    #[must_use]
    pub fn of(&self, issuers: impl IntoIterator<Item = Arc<Issuer>>) -> Self {
        Self { open: Arc::clone(&self.open), issuers: issuers.into_iter().collect() }
    }

    /// Says whether we listen and are not about to stop.
    pub fn set(&self, open: bool) {
        self.open.store(open, Ordering::Release);
    }

    /// Why no traffic should come; empty when it should.
    pub fn obstacles(&self) -> Vec<String> {
        let mut obstacles = Vec::new();
        if !self.open.load(Ordering::Acquire) {
            obstacles.push("starting or stopping".to_owned());
        }
        let without_keys = self.issuers.iter().filter(|issuer| !issuer.has_keys());
        obstacles.extend(without_keys.map(|issuer| format!("no keys yet of {}", issuer.source().issuer)));
        obstacles
    }
}

pub(super) async fn livez() -> Response {
    Json(json!({ "alive": true })).into_response()
}

pub(super) async fn readyz(State(ops): State<Ops>) -> Response {
    let obstacles = ops.obstacles();
    let ready = obstacles.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut page = json!({ "ready": ready, "switches": super::switches::list(ops.switches()) });
    if !ready {
        page["obstacles"] = json!(obstacles);
    }
    if let Some(certificates) = &ops.shown.certificates {
        page["certificate"] = json!({ "expires": certificates.expires().to_string() });
    }
    (status, Json(page)).into_response()
}

pub(super) async fn metrics(State(ops): State<Ops>, headers: HeaderMap) -> Result<Response, Refusal> {
    ops.admission.admit(&headers)?;
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let form = Exposition::accepted(accept);
    Ok(([(CONTENT_TYPE, form.content_type())], form.of(ops.shown.metrics.render())).into_response())
}
