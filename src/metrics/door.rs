//! What happens at the door, before there is a request: connections, handshakes, the certificate.
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

/// Label of `okta_hook_tls_handshakes_total` and `okta_hook_certificate_reloads_total`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ResultLabels {
    /// How it ended, in one word.
    pub result: &'static str,
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
    /// TLS handshakes: `completed`, `failed`, `timeout`.
    pub handshakes: Family<ResultLabels, Counter>,
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
        registry.register("tls_handshakes", "TLS handshakes, by result", self.handshakes.clone());
    }
}

/// Metrics of our certificate. `expires` has no line without one: a zero would look like long ago.
#[derive(Debug, Clone, Default)]
pub struct CertificateMetrics {
    pub(super) reloads: Family<ResultLabels, Counter>,
    expires: Family<NoLabels, Gauge>,
}

/// A family of one, which a page shows only once it has a value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NoLabels {}

impl CertificateMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("certificate_reloads", "Certificates read again, by result", self.reloads.clone());
        let help = "When our certificate expires, in seconds since 1970";
        registry.register("certificate_expires_timestamp_seconds", help, self.expires.clone());
    }

    /// A certificate is in use, until then.
    pub fn in_use(&self, expires: jiff::Timestamp) {
        self.expires.get_or_create(&NoLabels {}).set(expires.as_second());
    }

    /// The files were read again.
    pub fn reloaded(&self, taken: bool) {
        self.reloads.get_or_create(&ResultLabels { result: if taken { "taken" } else { "refused" } }).inc();
    }
}
