//! Users that the journal does not know: their number is Okta's to tell, and some providers know a code by its number.
//!
//! Must not be asked before the journal, nor keep what Okta tells. It is second best: of several numbers the first one is
//! taken, and nobody says that the code went there.

use futures_util::future::join_all;

use crate::metrics::Metrics;
use crate::okta::factors::Factors;
use crate::otp::{Channel, FailureKind, ProviderName, UserId};
use crate::provider::{Fate, FeedbackClient};

/// The unknown users of one org.
#[derive(Debug)]
pub struct UnknownUsers {
    factors: Factors,
    /// Those that the org's routes may ask.
    clients: Vec<(ProviderName, FeedbackClient)>,
}

impl UnknownUsers {
    /// Asks `factors`, and tells `clients`.
    pub fn new(factors: Factors, clients: Vec<(ProviderName, FeedbackClient)>) -> Self {
        Self { factors, clients }
    }

    /// Tells that a code of a user was used; false when that is worth another try.
    pub(super) async fn used(&self, user: &UserId, channel: Channel, metrics: &Metrics) -> bool {
        let phones = match self.factors.phones(user, channel).await {
            Ok(phones) => phones,
            Err(fault) if fault.is_transient() => {
                tracing::debug!(%fault, "an unknown user's number is asked for later");
                return false;
            }
            Err(fault) => {
                tracing::warn!(%fault, "an unknown user's number cannot be asked for");
                return true;
            }
        };
        let Some(phone) = phones.first() else { return true };
        // All at once: one that hangs must not use up the time of the others.
        let told = self.clients.iter().map(async |(provider, client)| {
            let told = client.approve_number(phone).await;
            if let Ok(false) = told {
                return true;
            }
            let failure = told.err().map(|e| e.kind);
            metrics.feedback.told(provider, Fate::Used.as_str(), failure);
            !failure.is_some_and(FailureKind::is_transient)
        });
        join_all(told).await.into_iter().all(|is_done| is_done)
    }
}
