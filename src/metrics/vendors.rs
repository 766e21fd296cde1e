//! What providers do beside sending.
//!
//! Must not know numbers or what was asked about them.

use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::otp::ProviderName;

/// Labels of `okta_hook_lookups_skipped_total`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct SkippedLabels {
    /// Name of the provider in the configuration.
    pub provider: Arc<str>,
    /// Why nothing was learnt of the number.
    pub reason: &'static str,
}

/// Looks at numbers before a text is sent.
#[derive(Debug, Clone, Default)]
pub struct LookupMetrics {
    pub(super) skipped: Family<SkippedLabels, Counter>,
}

impl LookupMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("lookups_skipped", "Texts sent although the number was not seen", self.skipped.clone());
    }

    /// Counts one text that was let through unseen.
    pub fn skipped(&self, provider: &ProviderName, reason: &'static str) {
        self.skipped.get_or_create(&SkippedLabels { provider: provider.shared(), reason }).inc();
    }
}
