//! Every metric of the server, as one typed value; `/metrics` writes it out.
//!
//! Must not know who counts what. Labels are names from the configuration and words from fixed sets: no number, code,
//! user or event can become one.

mod door;
mod exposition;
mod feedback;
mod learned;
mod vendors;
mod zeros;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tokio::time::Instant;

use crate::locks::lock;
use crate::otp::{Channel, FailureKind, ProviderName};
pub use door::{CertificateMetrics, ConnectionMetrics, RefusedLabels, ResultLabels};
pub use exposition::Exposition;
pub use feedback::{
    CallbackLabels, ConversionLabels, EventHook, EventHookLabels, FailureLabels, FateLabels, FeedbackMetrics,
    ReportLabels,
};
pub use learned::{LearnedMetrics, LearnedOrg, LearnedPage, LearnedWay, MoveLabels, SampleLabels, WayLabels};
pub use vendors::{LookupMetrics, SkippedLabels};
pub use zeros::{KnownOrg, KnownProvider};

/// Seconds. Dense below Okta's three seconds, where every bucket decides something.
const BUCKETS: [f64; 14] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.6, 3.0];

/// Labels of `okta_hook_requests_total`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabels {
    /// Key of the org in the configuration.
    pub org: Arc<str>,
    /// `sms`, `voice`, or `none` when the request was not read that far.
    pub channel: &'static str,
    /// The verdict, or why there is none.
    pub verdict: &'static str,
}

/// Labels of `okta_hook_attempts_total` and `okta_hook_late_attempts_total`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct AttemptLabels {
    /// Name of the provider in the configuration.
    pub provider: Arc<str>,
    /// `sms` or `voice`.
    pub channel: &'static str,
    /// `accepted` or a failure kind.
    pub kind: &'static str,
}

impl AttemptLabels {
    /// Labels one attempt: `None` stands for accepted.
    pub fn new(provider: &ProviderName, channel: Channel, failure: Option<FailureKind>) -> Self {
        Self {
            provider: provider.shared(),
            channel: channel.as_str(),
            kind: failure.map_or("accepted", FailureKind::as_str),
        }
    }
}

/// Labels of `okta_hook_tokens_rejected_total`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct TokenLabels {
    /// Key of the org in the configuration.
    pub org: Arc<str>,
    /// Why the token was refused.
    pub reason: &'static str,
}

/// Labels of `okta_hook_jwks_age_seconds` and `okta_hook_clock_skew_seconds`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OrgLabels {
    /// Key of the org in the configuration.
    pub org: Arc<str>,
}

/// Labels of `okta_hook_breaker_state` and `okta_hook_opt_outs_total`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ChannelLabels {
    /// Name of the provider in the configuration.
    pub provider: Arc<str>,
    /// `sms` or `voice`.
    pub channel: &'static str,
}

/// Labels of `okta_hook_provider_security_total`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct SecurityLabels {
    /// Name of the provider in the configuration.
    pub provider: Arc<str>,
    /// `tls` or `redirect`.
    pub reason: &'static str,
}

/// Labels of `okta_hook_repeats_total`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RepeatLabels {
    /// By what the repeat was known: `event`, `in_flight` or `fingerprint`.
    pub reason: &'static str,
}

/// Labels of `okta_hook_resends_total`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ResendLabels {
    /// Key of the org in the configuration.
    pub org: Arc<str>,
    /// `sms` or `voice`.
    pub channel: &'static str,
    /// Name of the provider that was asked for the code before.
    pub previous: Arc<str>,
}

/// Labels of `okta_hook_guard_total`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct GuardLabels {
    /// Key of the org in the configuration.
    pub org: Arc<str>,
    /// The rule, or `store`.
    pub rule: &'static str,
    /// `refused`, `blocked`, `observed`, `warned` or `allowed_fail_open`.
    pub decision: &'static str,
}

/// Labels of `okta_hook_store_faults_total`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct StoreLabels {
    /// What was asked of the store.
    pub operation: &'static str,
}

/// All metrics. Shared; counting takes no lock that a hook could wait on for long.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Hooks answered.
    pub requests: Family<RequestLabels, Counter>,
    /// From the first byte of a request to our answer, where the caller was recognised.
    pub duration: Histogram,
    /// Attempts, by how they looked when we stopped waiting.
    pub attempts: Family<AttemptLabels, Counter>,
    /// Attempts whose outcome came after we had stopped waiting.
    late_outcomes: Counter,
    /// The same, by how they ended.
    late_attempts: Family<AttemptLabels, Counter>,
    /// Circuit breakers: 0 closed, 1 half-open, 2 open.
    pub breaker_state: Family<ChannelLabels, Gauge>,
    /// Messages that a provider did not take because the person wants none.
    pub opt_outs: Family<ChannelLabels, Counter>,
    /// Looks at numbers that came to nothing.
    pub lookups: LookupMetrics,
    /// Attempts that failed as they would if somebody stood between us and the provider.
    pub provider_security: Family<SecurityLabels, Counter>,
    /// Failovers not made because the failover budget was used up.
    pub failovers_refused: Counter,
    /// Repeats that were answered without a second send.
    duplicates_averted: Counter,
    /// The same, by what told them.
    repeats: Family<RepeatLabels, Counter>,
    /// New codes for persons who had been sent one a short while ago.
    resends: Family<ResendLabels, Counter>,
    /// Events that came again with another content: Okta is not known to do that.
    pub event_conflicts: Counter,
    /// What the guard decided, but for plain permission.
    pub guard: Family<GuardLabels, Counter>,
    /// Operations of the state store that failed.
    pub store_faults: Family<StoreLabels, Counter>,
    /// Hooks being worked on.
    pub in_flight: Gauge,
    /// Hooks turned away because too many were in flight.
    pub shed: Counter,
    /// Hooks given less than their budget, so that the org keeps transactions for signing in.
    pub shortened: Counter,
    /// The public listener.
    pub connections: ConnectionMetrics,
    /// Our certificate.
    pub certificate: CertificateMetrics,
    /// Configurations read again while running.
    config_reloads: Family<ResultLabels, Counter>,
    /// What is heard after an answer.
    pub feedback: FeedbackMetrics,
    /// What was learnt of the providers.
    pub learned: LearnedMetrics,
    /// Panics caught at the edge of a request.
    pub panics: Counter,
    /// Log lines lost because nobody took them, or could.
    pub log_dropped: Counter,
    /// Our clock minus Okta's, in seconds, when the last hook came.
    clock_skew: Family<OrgLabels, Gauge>,
    /// Access tokens refused, by reason.
    tokens_rejected: Family<TokenLabels, Counter>,
    /// Seconds since an issuer's keys were last fetched; set when the metrics are written out.
    jwks_age: Family<OrgLabels, Gauge>,
    keys_fetched: Mutex<BTreeMap<Arc<str>, Instant>>,
}

impl Metrics {
    /// An empty set.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("okta_hook");
        let metrics = Self {
            requests: Family::default(),
            duration: Histogram::new(BUCKETS),
            attempts: Family::default(),
            late_outcomes: Counter::default(),
            late_attempts: Family::default(),
            breaker_state: Family::default(),
            opt_outs: Family::default(),
            lookups: LookupMetrics::default(),
            provider_security: Family::default(),
            failovers_refused: Counter::default(),
            duplicates_averted: Counter::default(),
            repeats: Family::default(),
            resends: Family::default(),
            event_conflicts: Counter::default(),
            guard: Family::default(),
            store_faults: Family::default(),
            in_flight: Gauge::default(),
            shed: Counter::default(),
            shortened: Counter::default(),
            connections: ConnectionMetrics::default(),
            certificate: CertificateMetrics::default(),
            config_reloads: Family::default(),
            feedback: FeedbackMetrics::default(),
            learned: LearnedMetrics::default(),
            panics: Counter::default(),
            log_dropped: Counter::default(),
            clock_skew: Family::default(),
            tokens_rejected: Family::default(),
            jwks_age: Family::default(),
            keys_fetched: Mutex::default(),
            registry: Registry::default(),
        };
        registry.register("requests", "Hooks answered, by verdict", metrics.requests.clone());
        registry.register(
            "duration_seconds",
            "First byte of a recognised caller's hook to our answer",
            metrics.duration.clone(),
        );
        registry.register("attempts", "Attempts at providers, by kind of outcome", metrics.attempts.clone());
        registry.register("late_outcomes", "Attempts that ended after the answer", metrics.late_outcomes.clone());
        registry.register("late_attempts", "Late outcomes, by kind", metrics.late_attempts.clone());
        registry.register("breaker_state", "0 closed, 1 half-open, 2 open", metrics.breaker_state.clone());
        registry.register("opt_outs", "Messages refused because the person wants none", metrics.opt_outs.clone());
        metrics.lookups.register(&mut registry);
        let security = metrics.provider_security.clone();
        registry.register("provider_security", "Certificates not to be trusted, and redirects, at providers", security);
        let refused = metrics.failovers_refused.clone();
        registry.register("failovers_refused", "Failovers not made for want of budget", refused);
        let averted = metrics.duplicates_averted.clone();
        registry.register("duplicates_averted", "Repeats answered without a second send", averted);
        registry.register("repeats", "Duplicates averted, by what told them", metrics.repeats.clone());
        registry.register("resends", "New codes a short while after one, by who had that", metrics.resends.clone());
        let conflicts = metrics.event_conflicts.clone();
        registry.register("event_conflicts", "Events that came again with another content", conflicts);
        registry.register(
            "guard",
            "What the guard refused, blocked, observed or let pass unseen",
            metrics.guard.clone(),
        );
        registry.register("store_faults", "Operations of the state store that failed", metrics.store_faults.clone());
        registry.register("in_flight", "Hooks being worked on", metrics.in_flight.clone());
        registry.register("shed", "Hooks turned away with 429", metrics.shed.clone());
        registry.register("shortened", "Hooks given less than their budget", metrics.shortened.clone());
        metrics.connections.register(&mut registry);
        metrics.certificate.register(&mut registry);
        registry.register("config_reloads", "Configurations read again, by result", metrics.config_reloads.clone());
        metrics.feedback.register(&mut registry);
        metrics.learned.register(&mut registry);
        registry.register("panics", "Panics caught at the edge of a request", metrics.panics.clone());
        registry.register("log_dropped", "Log lines lost because nobody took them", metrics.log_dropped.clone());
        registry.register("clock_skew_seconds", "Our clock minus Okta's", metrics.clock_skew.clone());
        registry.register("tokens_rejected", "Access tokens refused, by reason", metrics.tokens_rejected.clone());
        registry.register("jwks_age_seconds", "Since the signing keys were last fetched", metrics.jwks_age.clone());
        Self { registry, ..metrics }
    }

    /// Counts one configuration that was read again.
    pub fn config_reloaded(&self, taken: bool) {
        self.config_reloads.get_or_create(&ResultLabels { result: if taken { "ok" } else { "refused" } }).inc();
    }

    /// Notes by how many seconds our clock is ahead of Okta's.
    pub fn clock_skew(&self, org: &Arc<str>, seconds: i64) {
        self.clock_skew.get_or_create(&OrgLabels { org: Arc::clone(org) }).set(seconds);
    }

    /// Counts one access token that was refused.
    pub fn token_rejected(&self, org: &Arc<str>, reason: &'static str) {
        self.tokens_rejected.get_or_create(&TokenLabels { org: Arc::clone(org), reason }).inc();
    }

    /// Notes that the keys an org's tokens are verified with have just been fetched.
    pub fn keys_fetched(&self, org: &Arc<str>) {
        let mut fetched = lock(&self.keys_fetched);
        fetched.insert(Arc::clone(org), Instant::now());
    }

    /// Forgets the keys of an org whose tokens are no longer verified: their age would grow for ever.
    pub fn keys_gone(&self, org: &Arc<str>) {
        // Held to the end: whoever writes the ages out holds it too.
        let mut fetched = lock(&self.keys_fetched);
        fetched.remove(org);
        self.jwks_age.remove(&OrgLabels { org: Arc::clone(org) });
    }

    /// Takes down what only an org's hooks and keys would move, once there is no such org.
    pub fn org_gone(&self, org: &Arc<str>) {
        self.keys_gone(org);
        self.clock_skew.remove(&OrgLabels { org: Arc::clone(org) });
    }

    /// Counts one repeat that was answered without a second send; `reason` is by what it was known.
    pub fn duplicate_averted(&self, reason: &'static str) {
        self.duplicates_averted.inc();
        self.repeats.get_or_create(&RepeatLabels { reason }).inc();
    }

    /// Counts one attempt whose outcome came after we had stopped waiting.
    pub fn ended_late(&self, labels: &AttemptLabels) {
        self.late_outcomes.inc();
        self.late_attempts.get_or_create(labels).inc();
    }

    /// Counts a new code for somebody for whom this provider was asked a short while ago.
    pub fn resent(&self, org: &Arc<str>, channel: Channel, previous: &ProviderName) {
        let labels = ResendLabels { org: Arc::clone(org), channel: channel.as_str(), previous: previous.shared() };
        self.resends.get_or_create(&labels).inc();
    }

    /// Counts one answered hook.
    pub fn answered(&self, org: &Arc<str>, channel: &'static str, verdict: &'static str) {
        self.requests.get_or_create(&RequestLabels { org: Arc::clone(org), channel, verdict }).inc();
    }

    /// Configurations read again: taken, and refused.
    pub fn config_reloads(&self) -> (u64, u64) {
        let of = |result| self.config_reloads.get(&ResultLabels { result }).map_or(0, |count| count.get());
        (of("ok"), of("refused"))
    }

    /// Attempts at a provider: how many it accepted, and how many failed, by kind, where any did.
    pub fn attempts_at(&self, provider: &ProviderName, channel: Channel) -> (u64, Vec<(FailureKind, u64)>) {
        let of = |failure| {
            let labels = AttemptLabels::new(provider, channel, failure);
            self.attempts.get(&labels).map_or(0, |count| count.get())
        };
        let failed = FailureKind::ALL.into_iter().map(|kind| (kind, of(Some(kind))));
        (of(None), failed.filter(|(_, count)| *count > 0).collect())
    }

    /// Everything in the OpenMetrics text format.
    pub fn render(&self) -> String {
        self.tell_ages();
        let mut text = String::with_capacity(4096);
        // Writing into a String cannot fail; a metric that could not be encoded would end the text early.
        let _ = encode(&mut text, &self.registry);
        text
    }

    fn tell_ages(&self) {
        for (org, at) in lock(&self.keys_fetched).iter() {
            let age = i64::try_from(at.elapsed().as_secs()).unwrap_or(i64::MAX);
            self.jwks_age.get_or_create(&OrgLabels { org: Arc::clone(org) }).set(age);
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
