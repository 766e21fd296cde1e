//! Signs of life, readiness and metrics; what the pages of operators show, and to whom.
//!
//! Must not show anything personal: these pages have no password on loopback.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde_json::json;

use super::respond;
use super::tls::Certificates;
use crate::deadline::Clock;
use crate::dispatch::health::Health;
use crate::dispatch::switches::Switches;
use crate::learn::Learn;
use crate::metrics::Metrics;
use crate::okta::Reply;
use crate::okta::jwks::Issuer;
use crate::otp::ProviderName;
use crate::provider::Provider;
use crate::recent::Recent;
use crate::secret::{CredentialDigest, Secret, basic_pair, bearer, only};

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
    token: Option<CredentialDigest>,
}

impl Ops {
    /// The pages, open to everybody who can reach them.
    pub fn new(shown: Shown) -> Self {
        Self { shown: Arc::new(shown), token: None }
    }

    /// With a token, only `/livez` and `/readyz` are open to everybody.
    #[must_use]
    pub fn guarded_by(self, token: Option<&Secret>) -> Self {
        Self { token: token.map(|token| CredentialDigest::of(token.expose().as_bytes())), ..self }
    }

    /// Whether no token is asked for.
    pub(super) fn is_open(&self) -> bool {
        self.token.is_none()
    }

    /// Whether the caller may see what is not open to everybody.
    pub(super) fn admits(&self, headers: &HeaderMap) -> bool {
        self.is_token(bearer(authorization(headers)))
    }

    /// The same for a page that people open: a browser can send the token only as a password, with a user name that
    /// says nothing.
    pub(super) fn admits_browser(&self, headers: &HeaderMap) -> bool {
        let pair = basic_pair(authorization(headers)).unwrap_or_default();
        self.admits(headers) || self.is_token(pair.splitn(2, |b| *b == b':').nth(1))
    }

    fn is_token(&self, presented: Option<&[u8]>) -> bool {
        let presented = CredentialDigest::of(presented.unwrap_or_default());
        self.token.as_ref().is_none_or(|token| token.matches(&presented).into())
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

fn authorization(headers: &HeaderMap) -> &[u8] {
    only(headers, &AUTHORIZATION).unwrap_or_default()
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
    let ready = ops.obstacles().is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut page = json!({ "ready": ready, "switches": super::switches::list(ops.switches()) });
    if let Some(certificates) = &ops.shown.certificates {
        page["certificate"] = json!({ "expires": certificates.expires().to_string() });
    }
    (status, Json(page)).into_response()
}

pub(super) async fn metrics(State(ops): State<Ops>, headers: HeaderMap) -> Response {
    if !ops.admits(&headers) {
        return respond(Reply::unauthorized());
    }
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, content_type)], ops.shown.metrics.render()).into_response()
}
