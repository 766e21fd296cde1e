//! What happens at the door, before there is a request: connections.
//!
//! Must not know addresses: none of them becomes a label.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Label of `okta_hook_connections_refused_total`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RefusedLabels {
    /// `address`: as many connections of one address as may be were open.
    pub reason: &'static str,
}

/// Metrics of one listener. Those of the admin listener are counted and never shown.
#[derive(Debug, Clone, Default)]
pub struct ConnectionMetrics {
    /// Open connections.
    pub open: Gauge,
    /// Connections closed at once.
    pub refused: Family<RefusedLabels, Counter>,
    /// Times the system gave no connection, nearly always for want of file descriptors.
    pub accept_failures: Counter,
}

impl ConnectionMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("connections", "Open connections on the public listener", self.open.clone());
        registry.register("connections_refused", "Connections closed at once, by reason", self.refused.clone());
        registry.register(
            "accept_failures",
            "Connections the system failed to hand over",
            self.accept_failures.clone(),
        );
    }
}
