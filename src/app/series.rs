//! Which series a configuration begins at zero.
//!
//! Must not count anything.

use super::hooks::Hooks;
use crate::config::Config;
use crate::dedupe;
use crate::hook;
use crate::metrics::{KnownOrg, KnownProvider, Metrics};
use crate::okta::oauth;
use crate::otp::{Channel, ProviderName};
use crate::provider::Fate;

/// Begins what is not there yet; what is goes on.
pub(super) fn begin(config: &Config, hooks: &Hooks) {
    let metrics = &hooks.shared.metrics;
    metrics.begin(&dedupe::Reason::ALL.map(dedupe::Reason::as_str), config.server.tls.is_some());
    for (name, provider) in &config.providers {
        let channels: Vec<_> = Channel::ALL.into_iter().filter(|channel| provider.supports(*channel)).collect();
        let fates = if provider.wants_feedback() { &Fate::ALL.map(Fate::as_str)[..] } else { &[] };
        metrics.begin_provider(&KnownProvider {
            provider: &ProviderName::new(name),
            channels: &channels,
            reports: hooks.feedback.reports.knows(name),
            converts: !hooks.feedback.events.is_empty(),
            looks_up: provider.looks_up(),
            fates,
        });
    }
    for org in &config.orgs {
        begin_org(org, hooks.providers.keys(), metrics);
    }
}

fn begin_org<'a>(org: &hook::Config, providers: impl Iterator<Item = &'a ProviderName>, metrics: &Metrics) {
    let providers: Vec<_> = providers.filter(|provider| org.router.may_ask(provider)).cloned().collect();
    let token_reasons = &oauth::Reason::ALL.map(oauth::Reason::as_str)[..];
    metrics.begin_org(&KnownOrg {
        org: &org.name,
        verdicts: &hook::verdicts(),
        decisions: &org.guard.decisions(),
        token_reasons: org.authenticate.issuer().map_or(&[], |_| token_reasons),
        providers: &providers,
        learn: org.learn.as_str(),
        hears: org.event_hook.is_some(),
    });
}
