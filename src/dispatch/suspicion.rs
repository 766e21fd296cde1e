//! What at a provider may be more than an outage: somebody between us and it, or an address that is not its own.
//!
//! Must not do anything about it: counted each time, told once in a while, for whoever minds security.

use std::sync::Arc;
use std::time::Duration;

use crate::metrics::{Metrics, SecurityLabels};
use crate::otp::{ProviderName, SendError, Suspicion};
use crate::seldom::Seldom;

/// Every hook meets it as long as it lasts; a person needs to be told again only if it does not end.
const QUIET: Duration = Duration::from_secs(60);

/// What is told of whom.
#[derive(Debug)]
pub(super) struct Suspicions {
    metrics: Arc<Metrics>,
    told: Seldom<(ProviderName, Suspicion)>,
}

impl Suspicions {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, told: Seldom::new(QUIET) }
    }

    /// Notes how an attempt failed, if that is suspicious.
    pub(super) fn note(&self, provider: &ProviderName, error: &SendError) {
        let Some(suspicion) = error.suspicion else { return };
        let reason = suspicion.as_str();
        let labels = SecurityLabels { provider: provider.shared(), reason };
        self.metrics.provider_security.get_or_create(&labels).inc();
        if self.told.is_due((provider.clone(), suspicion)) {
            tracing::error!(%provider, reason, code = error.code, "the provider's address or certificate is not as it should be");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otp::FailureKind;

    #[tokio::test(start_paused = true)]
    async fn each_is_counted_and_told_and_an_outage_is_none() {
        let suspicions = Suspicions::new(Arc::new(Metrics::new()));
        let one = ProviderName::new("one");
        for suspicion in [Some(Suspicion::Tls), Some(Suspicion::Redirect), Some(Suspicion::Redirect), None, None] {
            suspicions.note(&one, &SendError { suspicion, ..SendError::new(FailureKind::Unconfirmed, "x") });
        }
        let untold = [Suspicion::Tls, Suspicion::Redirect].map(|reason| suspicions.told.is_due((one.clone(), reason)));
        assert_eq!(untold, [false, false]);
        let page = suspicions.metrics.render();
        for line in ["reason=\"tls\"} 1", "reason=\"redirect\"} 2"] {
            assert!(page.contains(&format!("okta_hook_provider_security_total{{provider=\"one\",{line}")), "{page}");
        }
    }
}
