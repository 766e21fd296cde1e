//! Counters that begin at zero: of one that first appears with its first event, a monitor sees no increase.
//!
//! Must not know where labels come from: whoever knows what is configured hands them in. What nobody knows beforehand
//! has no zero: countries, our clock, when a certificate expires.

use std::hash::Hash;
use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::{Family, MetricConstructor};

use super::{
    AttemptLabels, CallbackLabels, ChannelLabels, ConversionLabels, EventHook, EventHookLabels, FailureLabels,
    FateLabels, GuardLabels, Metrics, MoveLabels, RefusedLabels, RepeatLabels, ReportLabels, RequestLabels,
    ResendLabels, ResultLabels, SecurityLabels, SkippedLabels, StoreLabels, TokenLabels,
};
use crate::otp::{Channel, Delivery, FailureKind, ProviderName, Suspicion};

/// What is counted of one org.
#[derive(Debug)]
pub struct KnownOrg<'a> {
    /// Key of the org in the configuration.
    pub org: &'a Arc<str>,
    /// How its hooks can end: channel and verdict.
    pub verdicts: &'a [(&'static str, &'static str)],
    /// What its guard can decide: rule and decision.
    pub decisions: &'a [(&'static str, &'static str)],
    /// Why its access tokens can be refused; empty without any.
    pub token_reasons: &'a [&'static str],
    /// Who may be asked for it.
    pub providers: &'a [ProviderName],
    /// How it is served that a provider falls behind.
    pub learn: &'static str,
    /// Whether it has an event hook.
    pub hears: bool,
}

/// What is counted of one provider.
#[derive(Debug)]
pub struct KnownProvider<'a> {
    /// Its name.
    pub provider: &'a ProviderName,
    /// What it delivers over.
    pub channels: &'a [Channel],
    /// Whether it sends delivery reports.
    pub reports: bool,
    /// Whether it may be heard that a code of its was used.
    pub converts: bool,
    /// Whether it looks at numbers first.
    pub looks_up: bool,
    /// The fates of a code that it is told of; empty when of none.
    pub fates: &'a [&'static str],
}

/// Begins one series.
fn zero<L, M, C>(family: &Family<L, M, C>, labels: &L)
where
    L: Clone + Hash + Eq + EncodeLabelSet,
    C: MetricConstructor<M>,
{
    drop(family.get_or_create(labels));
}

impl Metrics {
    /// Begins what every server counts. Repeats are known by these words.
    pub fn begin(&self, repeats: &[&'static str], has_tls: bool) {
        for reason in repeats {
            zero(&self.repeats, &RepeatLabels { reason });
        }
        for result in ["ok", "refused"] {
            zero(&self.config_reloads, &ResultLabels { result });
        }
        zero(&self.connections.refused, &RefusedLabels { reason: "address" });
        for operation in
            ["claim", "read", "write", "remove", "tally", "members", "enqueue", "lease", "postpone", "finish"]
        {
            zero(&self.store_faults, &StoreLabels { operation });
        }
        if has_tls {
            for result in ["completed", "failed", "timeout"] {
                zero(&self.connections.handshakes, &ResultLabels { result });
            }
            for result in ["taken", "refused"] {
                zero(&self.certificate.reloads, &ResultLabels { result });
            }
        }
    }

    /// Begins what is counted of a provider.
    pub fn begin_provider(&self, known: &KnownProvider<'_>) {
        let provider = || known.provider.shared();
        for suspicion in Suspicion::ALL {
            let labels = SecurityLabels { provider: provider(), reason: suspicion.as_str() };
            zero(&self.provider_security, &labels);
        }
        for &channel in known.channels {
            for failure in [None].into_iter().chain(FailureKind::ALL.map(Some)) {
                zero(&self.attempts, &AttemptLabels::new(known.provider, channel, failure));
                zero(&self.late_attempts, &AttemptLabels::new(known.provider, channel, failure));
            }
            let labels = || ChannelLabels { provider: provider(), channel: channel.as_str() };
            zero(&self.breaker_state, &labels());
            zero(&self.opt_outs, &labels());
        }
        if known.looks_up {
            for reason in ["late", "failed"] {
                zero(&self.lookups.skipped, &SkippedLabels { provider: provider(), reason });
            }
        }
        self.begin_feedback(known);
    }

    fn begin_feedback(&self, known: &KnownProvider<'_>) {
        let (feedback, provider) = (&self.feedback, || known.provider.shared());
        for channel in known.channels.iter().map(|channel| channel.as_str()) {
            if known.converts {
                zero(&feedback.conversions, &ConversionLabels { provider: provider(), channel });
            }
            for status in Delivery::ALL.into_iter().filter(|_| known.reports).map(Delivery::as_str) {
                zero(&feedback.reports, &ReportLabels { provider: provider(), channel, status });
            }
        }
        if known.reports {
            for reason in ["forged", "unreadable", "unknown"] {
                zero(&feedback.refused, &CallbackLabels { provider: provider(), reason });
            }
        }
        for fate in known.fates {
            for result in ["told"].into_iter().chain(FailureKind::ALL.map(FailureKind::as_str)) {
                zero(&feedback.fates_told, &FateLabels { provider: provider(), fate, result });
            }
        }
    }

    /// Begins what is counted of an org.
    pub fn begin_org(&self, known: &KnownOrg<'_>) {
        let org = || Arc::clone(known.org);
        for &(channel, verdict) in known.verdicts {
            zero(&self.requests, &RequestLabels { org: org(), channel, verdict });
        }
        for &(rule, decision) in known.decisions {
            zero(&self.guard, &GuardLabels { org: org(), rule, decision });
        }
        for reason in known.token_reasons {
            zero(&self.tokens_rejected, &TokenLabels { org: org(), reason });
        }
        for provider in known.providers {
            zero(&self.learned.moves, &MoveLabels { org: org(), provider: provider.shared(), mode: known.learn });
            for channel in Channel::ALL.map(Channel::as_str) {
                zero(&self.resends, &ResendLabels { org: org(), channel, previous: provider.shared() });
            }
        }
        if known.hears {
            for result in EventHook::ALL.map(EventHook::as_str) {
                zero(&self.feedback.event_hooks, &EventHookLabels { org: org(), result });
            }
            for cause in ["refused", "late", "unusable", "unreachable", "unknown"] {
                zero(&self.feedback.okta_failures, &FailureLabels { org: org(), cause });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_before_stays() {
        let metrics = Metrics::new();
        let provider = ProviderName::new("first");
        metrics.attempts.get_or_create(&AttemptLabels::new(&provider, Channel::Sms, None)).inc();
        let provider = KnownProvider {
            provider: &provider,
            channels: &Channel::ALL,
            reports: true,
            converts: true,
            looks_up: true,
            fates: &["used"],
        };
        metrics.begin_provider(&provider);
        metrics.begin_provider(&provider);
        let page = metrics.render();
        for line in [
            r#"okta_hook_attempts_total{provider="first",channel="sms",kind="accepted"} 1"#,
            r#"okta_hook_attempts_total{provider="first",channel="voice",kind="unconfirmed"} 0"#,
            r#"okta_hook_breaker_state{provider="first",channel="sms"} 0"#,
        ] {
            assert!(page.contains(&format!("{line}\n")), "{line}: {page}");
        }
    }
}
