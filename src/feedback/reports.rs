//! Delivery reports of providers: taken, believed or not, noted in the journal.
//!
//! Must not know axum or any vendor, and sends nobody anything: a forged report could spoil a count, no more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::task::TaskTracker;

use super::worker::{MIN_PAUSE, Tools};
use crate::agenda::Item;
use crate::journal::Reported;
use crate::otp::{Delivery, ProviderName, TransactionId};
use crate::provider::callback::{CallbackRequest, Forged, Recognition, Report};
use crate::store::StoreFault;

/// When it is looked again for a message that nobody knows: soon, as the journal is written after Okta was answered; and
/// once more when any answer must have been read that tells us of the message, which is waited for up to ten seconds.
const LOOKS: [Duration; 2] = [MIN_PAUSE, Duration::from_secs(15)];

/// How long the answer to a callback waits for the store. Vendors want theirs at once.
const PATIENCE: Duration = Duration::from_millis(50);

/// The callbacks of all providers that report. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Reports(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    callbacks: BTreeMap<ProviderName, Recognition>,
    tools: Tools,
    tasks: TaskTracker,
}

impl Reports {
    /// Takes reports for these providers. What is not done in time is done on `tasks`.
    pub fn new(callbacks: BTreeMap<ProviderName, Recognition>, tools: Tools, tasks: TaskTracker) -> Self {
        Self(Arc::new(Inner { callbacks, tools, tasks }))
    }

    /// Whether no provider can send reports that would be believed.
    pub fn is_empty(&self) -> bool {
        !self.0.callbacks.values().any(Result::is_ok)
    }

    /// Whether reports of this provider can be believed.
    pub fn knows(&self, provider: &str) -> bool {
        self.0.callbacks.get(&ProviderName::new(provider)).is_some_and(Result::is_ok)
    }

    /// Whether a provider of this name sends reports, before anything of one is read. One that cannot prove itself is
    /// refused, and counted, as a forger is: a missing address would look like a fault of ours.
    ///
    /// # Errors
    /// When no report of this provider can be believed.
    pub fn expects(&self, provider: &str) -> Result<bool, Forged> {
        let provider = ProviderName::new(provider);
        match self.0.callbacks.get(&provider) {
            Some(Ok(_)) => Ok(true),
            Some(Err(forged)) => Err(self.forged(&provider, *forged)),
            None => Ok(false),
        }
    }

    fn forged(&self, provider: &ProviderName, forged: Forged) -> Forged {
        self.0.tools.metrics.feedback.refused(provider, "forged");
        forged
    }

    /// Takes one callback, and tells by which HTTP status the provider hears so. Whatever it says in its own name is
    /// taken, also what is of no use: it would only come again.
    ///
    /// # Errors
    /// When the provider did not send it.
    pub async fn take(&self, provider: &str, request: &CallbackRequest<'_>) -> Result<u16, Forged> {
        let provider = ProviderName::new(provider);
        // `expects` has told of the others.
        let Some(Ok(callback)) = self.0.callbacks.get(&provider) else { return Err(Forged::Credential) };
        let verified = callback.verify(request).map_err(|forged| self.forged(&provider, forged))?;
        match callback.parse(verified) {
            Report::Delivery(id, delivery) => {
                let inner = Arc::clone(&self.0);
                let noted = self.0.tasks.spawn(async move { inner.take(&provider, &id, delivery).await });
                // Done or not: the task goes on.
                let _ = tokio::time::timeout(PATIENCE, noted).await;
            }
            Report::Unreadable => self.0.tools.metrics.feedback.refused(&provider, "unreadable"),
        }
        Ok(callback.taken())
    }
}

impl Inner {
    /// Few vendors tell again what could not be noted, and none says so of all its reports: it is kept here.
    async fn take(&self, provider: &ProviderName, id: &TransactionId, delivery: Delivery) {
        let since = self.tools.clock.now();
        let pause = match note(&self.tools, provider, id, delivery, since).await {
            Ok(None) => return,
            Ok(Some(pause)) => pause,
            Err(_) => MIN_PAUSE,
        };
        let report =
            Item::Report { provider: provider.to_string(), transaction_id: id.as_str().to_owned(), delivery, since };
        self.tools.agenda.note([report], pause).await;
    }
}

/// Notes what a provider says of a message, heard of `since`; a fault when that is to be done again. When no message is
/// known of, it tells after how long to look again, if one may still become known.
pub(super) async fn note(
    tools: &Tools,
    provider: &ProviderName,
    id: &TransactionId,
    delivery: Delivery,
    since: Timestamp,
) -> Result<Option<Duration>, StoreFault> {
    let feedback = &tools.metrics.feedback;
    match tools.journal.report(provider, id, delivery, since).await? {
        Reported::News(entry) => {
            feedback.reported(provider, entry.channel, delivery);
            tools.learn.reported(&entry.sent(), delivery);
            tracing::debug!(%provider, channel = %entry.channel, %delivery, transaction_id = id.as_str(), "report");
        }
        Reported::Nothing => {}
        Reported::Unknown => {
            let age = tools.clock.since(since);
            let look = LOOKS.into_iter().find(|look| *look > age);
            if look.is_none() {
                feedback.refused(provider, "unknown");
            }
            return Ok(look.map(|look| look - age));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
