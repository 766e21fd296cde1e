//! Delivery reports of providers: taken, believed or not, noted in the journal.
//!
//! Must not know axum or any vendor, and sends nobody anything: a forged report could spoil a count, no more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::task::TaskTracker;

use crate::journal::{Journal, Reported};
use crate::learn::Learn;
use crate::metrics::Metrics;
use crate::otp::{Delivery, ProviderName, TransactionId};
use crate::provider::callback::{Callback, CallbackRequest, Forged, Report};

/// How long the answer to a callback waits for the store. Vendors want theirs at once.
const PATIENCE: Duration = Duration::from_millis(50);

/// The callbacks of all providers that can prove themselves. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Reports(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    callbacks: BTreeMap<ProviderName, Box<dyn Callback>>,
    journal: Journal,
    learn: Learn,
    metrics: Arc<Metrics>,
    tasks: TaskTracker,
}

impl Reports {
    /// Takes reports for these providers. What is not done in time is done on `tasks`.
    pub fn new(
        callbacks: BTreeMap<ProviderName, Box<dyn Callback>>,
        journal: Journal,
        learn: Learn,
        metrics: Arc<Metrics>,
        tasks: TaskTracker,
    ) -> Self {
        Self(Arc::new(Inner { callbacks, journal, learn, metrics, tasks }))
    }

    /// Whether a provider of this name can send reports.
    pub fn knows(&self, provider: &str) -> bool {
        self.0.callbacks.contains_key(&ProviderName::new(provider))
    }

    /// Takes one callback. Whatever a provider says in its own name is taken, also what is of no use: it would only
    /// come again.
    ///
    /// # Errors
    /// When the provider did not send it.
    pub async fn take(&self, provider: &str, request: &CallbackRequest<'_>) -> Result<(), Forged> {
        let provider = ProviderName::new(provider);
        let callback = self.0.callbacks.get(&provider).ok_or(Forged)?;
        let feedback = &self.0.metrics.feedback;
        let verified = callback.verify(request).inspect_err(|_| feedback.refused(&provider, "forged"))?;
        match callback.parse(verified) {
            Report::Delivery(id, delivery) => {
                let inner = Arc::clone(&self.0);
                let noted = self.0.tasks.spawn(async move { inner.note(&provider, &id, delivery).await });
                // Done or not: the task goes on.
                let _ = tokio::time::timeout(PATIENCE, noted).await;
            }
            Report::Unreadable => feedback.refused(&provider, "unreadable"),
        }
        Ok(())
    }
}

impl Inner {
    async fn note(&self, provider: &ProviderName, id: &TransactionId, delivery: Delivery) {
        let feedback = &self.metrics.feedback;
        match self.journal.report(provider, id, delivery).await {
            Reported::News(entry) => {
                feedback.reported(provider, entry.channel, delivery);
                self.learn.reported(&entry.sent(), delivery);
                tracing::debug!(%provider, channel = %entry.channel, %delivery, transaction_id = id.as_str(), "report");
            }
            Reported::Nothing => {}
            Reported::Unknown => feedback.refused(provider, "unknown"),
        }
    }
}
