//! One org's event hook: which codes were used, told to whom it may concern.
//!
//! Must not know Okta's words for it. Nothing here may hold up Okta's answer for long: it waits three seconds.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use tokio_util::task::TaskTracker;

use crate::deadline::Clock;
use crate::journal::{Entry, Journal};
use crate::learn::Learn;
use crate::metrics::Metrics;
use crate::okta::event::{self, Event, What};
use crate::otp::ProviderName;
use crate::provider::Approver;

/// How long Okta is kept waiting: of its three seconds, one is for the network.
const PATIENCE: Duration = Duration::from_secs(2);

/// The event hook of one org.
#[derive(Debug)]
pub struct Events {
    org: Arc<str>,
    config: event::Config,
    shared: Shared,
}

/// What the event hooks of all orgs share.
#[derive(Debug, Clone)]
pub struct Shared {
    /// Who wants to hear that a code of theirs was used.
    pub approvers: Arc<BTreeMap<ProviderName, Approver>>,
    /// Who was sent what by whom.
    pub journal: Journal,
    /// What is learnt from codes that were used.
    pub learn: Learn,
    /// Where everything is counted.
    pub metrics: Arc<Metrics>,
    /// The wall clock.
    pub clock: Clock,
    /// Carries what must outlive Okta's patience.
    pub tasks: TaskTracker,
}

/// How a batch is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken<E> {
    /// Understood, whether or not anything in it concerns us.
    Noted,
    /// The sender is not Okta.
    Denied,
    /// The body did not come in.
    Unread(E),
    /// It is no batch of events.
    Unreadable,
}

impl Events {
    /// The event hook of an org.
    pub fn new(org: Arc<str>, config: event::Config, shared: Shared) -> Self {
        Self { org, config, shared }
    }

    /// Path on the public listener.
    pub fn path(&self) -> &str {
        &self.config.path
    }

    /// Whether the sender is Okta.
    pub fn admits(&self, headers: &HeaderMap) -> bool {
        self.config.authenticate.check(headers, self.shared.clock.now()).is_ok()
    }

    /// Takes one batch. `body` is not polled before the sender is known.
    pub async fn take<E>(
        self: &Arc<Self>,
        headers: &HeaderMap,
        body: impl Future<Output = Result<Bytes, E>>,
    ) -> Taken<E> {
        if !self.admits(headers) {
            return Taken::Denied;
        }
        let body = match body.await {
            Ok(body) => body,
            Err(fault) => return Taken::Unread(fault),
        };
        let Some(events) = event::decode(&body) else { return Taken::Unreadable };
        self.shared.learn.heard(&self.org);
        let hook = Arc::clone(self);
        let work = self.shared.tasks.spawn(async move {
            for event in events {
                hook.note(event).await;
            }
        });
        // Done or not: the task goes on.
        let _ = tokio::time::timeout(PATIENCE, work).await;
        Taken::Noted
    }

    async fn note(&self, event: Event) {
        let Shared { journal, metrics, .. } = &self.shared;
        if !journal.is_new_event(&self.org, &event.uuid).await {
            return;
        }
        match event.what {
            What::HookFailed => {
                metrics.feedback.failed_at_okta(&self.org);
                tracing::warn!(org = %self.org, "Okta reports that an inline hook failed");
            }
            What::Used(user, channel) => {
                if let Some(entry) = journal.used(&self.org, &user, channel).await {
                    metrics.feedback.converted(&entry.provider, entry.channel);
                    self.shared.learn.used(&self.org, &entry.sent());
                    self.approve(&entry).await;
                }
            }
        }
    }

    /// Tells the provider, if it wants to hear it. Failing costs nobody a code.
    async fn approve(&self, entry: &Entry) {
        let Some((approver, id)) = self.shared.approvers.get(&entry.provider).zip(entry.transaction_id.as_ref()) else {
            return;
        };
        if let Err(error) = approver.approve(id).await {
            tracing::warn!(provider = %entry.provider, %error, "a used code could not be reported");
        }
    }
}
