//! What was learnt of the providers, worked out whenever the metrics are written out.
//!
//! Must not know how it is learnt. Labels are names from the configuration, countries, and words from fixed sets.

use std::fmt;
use std::sync::{Arc, OnceLock};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, EncodeLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::OrgLabels;
use crate::otp::ProviderName;

/// Everything that is shown.
#[derive(Debug, Clone, Default)]
pub struct LearnedPage {
    /// One for each provider, country and channel.
    pub ways: Vec<LearnedWay>,
    /// One for each org.
    pub orgs: Vec<LearnedOrg>,
}

/// How one provider does in one country and channel.
#[derive(Debug, Clone)]
pub struct LearnedWay {
    /// Name of the provider in the configuration.
    pub provider: Arc<str>,
    /// Two letters, or `unknown`.
    pub country: String,
    /// `sms` or `voice`.
    pub channel: &'static str,
    /// How many messages, by what became of them.
    pub samples: [(&'static str, u32); 6],
    /// Share of the reported messages that were delivered; `None` without any.
    pub delivery: Option<f64>,
    /// Share of the codes that were used; `None` without any.
    pub conversion: Option<f64>,
}

/// What has come from one org.
#[derive(Debug, Clone)]
pub struct LearnedOrg {
    /// Key of the org in the configuration.
    pub org: Arc<str>,
    /// Seconds since 1970; `None` before the first hook.
    pub last_hook: Option<i64>,
    /// Whether hooks have stopped coming.
    pub silent: bool,
    /// Whether events have stopped coming; `None` without an event hook.
    pub feed_silent: Option<bool>,
}

/// Labels of `okta_hook_learned_delivery_ratio` and `okta_hook_learned_conversion_ratio`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct WayLabels {
    /// Name of the provider in the configuration.
    pub provider: Arc<str>,
    /// Two letters, or `unknown`.
    pub country: String,
    /// `sms` or `voice`.
    pub channel: &'static str,
}

/// Labels of `okta_hook_learned_samples`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct SampleLabels {
    /// Name of the provider in the configuration.
    pub provider: Arc<str>,
    /// Two letters, or `unknown`.
    pub country: String,
    /// `sms` or `voice`.
    pub channel: &'static str,
    /// What became of them.
    pub of: &'static str,
}

/// Labels of `okta_hook_learned_moves_total`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct MoveLabels {
    /// Key of the org in the configuration.
    pub org: Arc<str>,
    /// Name of the provider in the configuration.
    pub provider: Arc<str>,
    /// `observe` or `enforce`.
    pub mode: &'static str,
}

/// Shows what was learnt, and counts what came of it.
#[derive(Debug, Clone, Default)]
pub struct LearnedMetrics {
    pub(super) moves: Family<MoveLabels, Counter>,
    board: Board,
}

type Source = Box<dyn Fn() -> LearnedPage + Send + Sync>;

/// Where a page comes from; nothing is shown before somebody learns.
#[derive(Clone, Default)]
struct Board(Arc<OnceLock<Source>>);

impl LearnedMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("learned_moves", "Messages a provider was put last for", self.moves.clone());
        registry.register_collector(Box::new(self.board.clone()));
    }

    /// Says where a page comes from. The first who learns is the one who is shown.
    pub fn shown_by(&self, source: impl Fn() -> LearnedPage + Send + Sync + 'static) {
        drop(self.board.0.set(Box::new(source)));
    }

    /// Counts a message for which a provider was put last, or would have been.
    pub fn moved(&self, org: &Arc<str>, provider: &ProviderName, mode: &'static str) {
        self.moves.get_or_create(&MoveLabels { org: Arc::clone(org), provider: provider.shared(), mode }).inc();
    }
}

impl Collector for Board {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let Some(source) = self.0.get() else { return Ok(()) };
        let LearnedPage { ways, orgs } = source();
        let shares = |share: fn(&LearnedWay) -> Option<f64>| {
            ways.iter().filter_map(move |way| Some((way.labels(), share(way)?))).collect()
        };
        let delivery: Vec<(WayLabels, f64)> = shares(|way| way.delivery);
        let conversion: Vec<(WayLabels, f64)> = shares(|way| way.conversion);
        gauge(&mut encoder, "learned_delivery_ratio", "Of the messages reported on, the share delivered", &delivery)?;
        gauge(&mut encoder, "learned_conversion_ratio", "Of the codes sent, the share that was used", &conversion)?;
        let samples: Vec<_> = ways.iter().flat_map(LearnedWay::samples).collect();
        gauge(&mut encoder, "learned_samples", "Messages that the ratios are of, by what became of them", &samples)?;
        let of_org = |value: fn(&LearnedOrg) -> Option<i64>| -> Vec<(OrgLabels, i64)> {
            orgs.iter().filter_map(|org| Some((OrgLabels { org: Arc::clone(&org.org) }, value(org)?))).collect()
        };
        let last = of_org(|org| org.last_hook);
        gauge(&mut encoder, "last_hook_timestamp_seconds", "The last authenticated hook, since 1970", &last)?;
        let silent = of_org(|org| Some(i64::from(org.silent)));
        gauge(&mut encoder, "silent", "1: no hook comes, unlike at this time yesterday", &silent)?;
        let feed = of_org(|org| org.feed_silent.map(i64::from));
        gauge(&mut encoder, "event_feed_silent", "1: codes are sent and no event comes", &feed)
    }
}

/// Writes one gauge; nothing when it has no value.
fn gauge<L: EncodeLabelSet, V: EncodeGaugeValue>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: &[(L, V)],
) -> fmt::Result {
    if values.is_empty() {
        return Ok(());
    }
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in values {
        family.encode_family(labels)?.encode_gauge(value)?;
    }
    Ok(())
}

impl LearnedWay {
    fn labels(&self) -> WayLabels {
        WayLabels { provider: Arc::clone(&self.provider), country: self.country.clone(), channel: self.channel }
    }

    fn samples(&self) -> impl Iterator<Item = (SampleLabels, i64)> {
        self.samples.into_iter().map(|(of, count)| {
            let WayLabels { provider, country, channel } = self.labels();
            (SampleLabels { provider, country, channel, of }, i64::from(count))
        })
    }
}

impl fmt::Debug for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Board")
    }
}
