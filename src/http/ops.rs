//! Signs of life, readiness and metrics.
//!
//! Must not show anything personal: these pages have no password on loopback.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use serde_json::json;

use super::respond;
use super::tls::Certificates;
use crate::dispatch::switches::Switches;
use crate::learn::Learn;
use crate::metrics::Metrics;
use crate::okta::Reply;
use crate::okta::jwks::Issuer;
use crate::otp::ProviderName;
use crate::secret::{CredentialDigest, Secret};

/// What the admin listener shows, and to whom.
#[derive(Debug, Clone)]
pub struct Ops {
    metrics: Arc<Metrics>,
    readiness: Readiness,
    pub(super) switches: Switches,
    pub(super) providers: Arc<[ProviderName]>,
    pub(super) learn: Learn,
    token: Option<CredentialDigest>,
    certificates: Option<Arc<Certificates>>,
}

impl Ops {
    /// The pages, open to everybody who can reach them.
    pub fn new(
        metrics: Arc<Metrics>,
        readiness: Readiness,
        switches: Switches,
        providers: Arc<[ProviderName]>,
        learn: Learn,
    ) -> Self {
        Self { metrics, readiness, switches, providers, learn, token: None, certificates: None }
    }

    /// Shows when our certificate expires. Once it has, no caller that checks it comes through: not ready.
    #[must_use]
    pub fn with_certificates(self, certificates: Option<Arc<Certificates>>) -> Self {
        Self { certificates, ..self }
    }

    /// With a token, only `/livez` and `/readyz` are open to everybody.
    #[must_use]
    pub fn guarded_by(self, token: Option<&Secret>) -> Self {
        let digest = |t: &Secret| CredentialDigest::of(format!("Bearer {}", t.expose()).as_bytes());
        Self { token: token.map(digest), ..self }
    }

    pub(super) fn admits(&self, headers: &HeaderMap) -> bool {
        let presented = headers.get(AUTHORIZATION).map(|v| v.as_bytes()).unwrap_or_default();
        self.token.as_ref().is_none_or(|token| bool::from(token.matches(&CredentialDigest::of(presented))))
    }
}

/// Whether traffic should come here: from the moment we listen, and can recognise Okta, until a shutdown begins.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    open: Arc<AtomicBool>,
    issuers: Arc<[Arc<Issuer>]>,
}

impl Readiness {
    /// Not before there are keys of each of these issuers.
    pub fn awaiting(issuers: impl IntoIterator<Item = Arc<Issuer>>) -> Self {
        Self { open: Arc::default(), issuers: issuers.into_iter().collect() }
    }

    /// The same, awaiting the keys of other issuers.
    #[must_use]
    pub fn of(&self, issuers: impl IntoIterator<Item = Arc<Issuer>>) -> Self {
        Self { open: Arc::clone(&self.open), issuers: issuers.into_iter().collect() }
    }

    /// Says whether we listen and are not about to stop.
    pub fn set(&self, open: bool) {
        self.open.store(open, Ordering::Release);
    }

    /// Whether traffic should come.
    pub fn is_ready(&self) -> bool {
        self.open.load(Ordering::Acquire) && self.issuers.iter().all(|issuer| issuer.has_keys())
    }
}

pub(super) async fn livez() -> Response {
    Json(json!({ "alive": true })).into_response()
}

pub(super) async fn readyz(State(ops): State<Ops>) -> Response {
    let certificates = ops.certificates.as_deref();
    let ready = ops.readiness.is_ready() && !certificates.is_some_and(Certificates::has_expired);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut page = json!({ "ready": ready, "switches": super::switches::list(&ops.switches) });
    if let Some(certificates) = certificates {
        page["certificate"] = json!({ "expires": certificates.expires().to_string() });
    }
    (status, Json(page)).into_response()
}

pub(super) async fn metrics(State(ops): State<Ops>, headers: HeaderMap) -> Response {
    if !ops.admits(&headers) {
        return respond(Reply::unauthorized());
    }
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, content_type)], ops.metrics.render()).into_response()
}
