//! What is heard after an answer: delivery reports, codes that were used, failures that Okta saw.
//!
//! Must not know who tells it. Labels are names from the configuration and words from fixed sets.

use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::otp::{Channel, Delivery, FailureKind, ProviderName};

/// Labels of `okta_hook_delivery_reports_total`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReportLabels {
    /// Name of the provider in the configuration.
    pub provider: Arc<str>,
    /// `sms` or `voice`.
    pub channel: &'static str,
    /// `underway`, `delivered` or `undelivered`.
    pub status: &'static str,
}

/// Labels of `okta_hook_callbacks_refused_total`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CallbackLabels {
    /// Name of the provider in the configuration.
    pub provider: Arc<str>,
    /// `forged`, `unreadable` or `unknown`.
    pub reason: &'static str,
}

/// Labels of `okta_hook_conversions_total`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ConversionLabels {
    /// Name of the provider in the configuration.
    pub provider: Arc<str>,
    /// `sms` or `voice`.
    pub channel: &'static str,
}

/// Labels of `okta_hook_okta_reported_failures_total`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct FailureLabels {
    /// Key of the org in the configuration.
    pub org: Arc<str>,
    /// `refused`, `late`, `unusable`, `unreachable` or `unknown`.
    pub cause: &'static str,
}

/// Labels of `okta_hook_event_hooks_total`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct EventHookLabels {
    /// Key of the org in the configuration.
    pub org: Arc<str>,
    /// What became of the batch.
    pub result: &'static str,
}

/// What becomes of a batch of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventHook {
    /// Understood.
    Taken,
    /// The sender is not Okta; the one question that comes before all batches counts too.
    Unauthorized,
    /// It is no batch of events.
    Unreadable,
    /// It is over the limit.
    TooLarge,
    /// It did not come in time.
    Slow,
}

impl EventHook {
    /// Every one.
    pub const ALL: [Self; 5] = [Self::Taken, Self::Unauthorized, Self::Unreadable, Self::TooLarge, Self::Slow];

    /// The word in logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Unauthorized => "unauthorized",
            Self::Unreadable => "unreadable",
            Self::TooLarge => "too_large",
            Self::Slow => "slow",
        }
    }
}

/// Labels of `okta_hook_fates_told_total`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct FateLabels {
    /// Name of the provider in the configuration.
    pub provider: Arc<str>,
    /// `used` or `unused`.
    pub fate: &'static str,
    /// `told`, or the kind of the failure.
    pub result: &'static str,
}

/// Counts what is heard after an answer.
#[derive(Debug, Clone, Default)]
pub struct FeedbackMetrics {
    pub(super) reports: Family<ReportLabels, Counter>,
    pub(super) refused: Family<CallbackLabels, Counter>,
    pub(super) event_hooks: Family<EventHookLabels, Counter>,
    pub(super) conversions: Family<ConversionLabels, Counter>,
    pub(super) okta_failures: Family<FailureLabels, Counter>,
    pub(super) fates_told: Family<FateLabels, Counter>,
    fates_given_up: Counter,
}

impl FeedbackMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("delivery_reports", "Messages reported so, each status once", self.reports.clone());
        registry.register("callbacks_refused", "Callbacks that changed nothing, by reason", self.refused.clone());
        registry.register("event_hooks", "Batches of events, by what became of them", self.event_hooks.clone());
        registry.register("conversions", "Messages whose code was used", self.conversions.clone());
        let failures = self.okta_failures.clone();
        registry.register("okta_reported_failures", "Hooks that failed in the eyes of Okta", failures);
        registry.register("fates_told", "Calls that told a provider what became of a code", self.fates_told.clone());
        let given_up = self.fates_given_up.clone();
        registry.register("fates_given_up", "Codes whose provider never heard what became of them", given_up);
    }

    /// Counts a report that was news.
    pub fn reported(&self, provider: &ProviderName, channel: Channel, delivery: Delivery) {
        let (channel, status) = (channel.as_str(), delivery.as_str());
        self.reports.get_or_create(&ReportLabels { provider: provider.shared(), channel, status }).inc();
    }

    /// Counts a callback that could not be made use of.
    pub fn refused(&self, provider: &ProviderName, reason: &'static str) {
        self.refused.get_or_create(&CallbackLabels { provider: provider.shared(), reason }).inc();
    }

    /// Counts a batch of events.
    pub fn event_hook(&self, org: &Arc<str>, result: EventHook) {
        self.event_hooks.get_or_create(&EventHookLabels { org: Arc::clone(org), result: result.as_str() }).inc();
    }

    /// Counts a message whose code was used.
    pub fn converted(&self, provider: &ProviderName, channel: Channel) {
        let labels = ConversionLabels { provider: provider.shared(), channel: channel.as_str() };
        self.conversions.get_or_create(&labels).inc();
    }

    /// Counts a hook of ours that failed in the eyes of Okta.
    pub fn failed_at_okta(&self, org: &Arc<str>, cause: &'static str) {
        self.okta_failures.get_or_create(&FailureLabels { org: Arc::clone(org), cause }).inc();
    }

    /// Counts a call that told a provider what became of a code, by how the call went.
    pub fn told(&self, provider: &ProviderName, fate: &'static str, failure: Option<FailureKind>) {
        let result = failure.map_or("told", FailureKind::as_str);
        self.fates_told.get_or_create(&FateLabels { provider: provider.shared(), fate, result }).inc();
    }

    /// Counts a code whose provider will not hear what became of it.
    pub fn given_up(&self) {
        self.fates_given_up.inc();
    }
}
