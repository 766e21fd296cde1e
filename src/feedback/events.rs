//! One org's event hook: which codes were used, told to whom it may concern.
//!
//! Must not know Okta's words for it. Nothing here may hold up Okta's answer for long: it waits three seconds.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use jiff::Timestamp;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::TaskTracker;

use super::worker::{Tools, Worker};
use crate::agenda::{Agenda, Item};
use crate::journal::{Answer, Begun};
use crate::metrics::EventHook;
use crate::okta::event::{self, Event, What};
use crate::seldom::Seldom;

/// How long Okta is kept waiting: of its three seconds, one is for the network.
const PATIENCE: Duration = Duration::from_secs(2);

/// Anybody can call, and a wrong secret is wrong for every batch: a line for each would bury the hooks' own.
const QUIET: Duration = Duration::from_secs(60);

/// How much of a batch is done at once, if time allows; the rest is due for whoever has time.
const AT_FIRST: usize = 128;

/// The event hook of one org.
#[derive(Debug)]
pub struct Events {
    org: Arc<str>,
    config: event::Config,
    /// From the first byte of a hook to our answer: what took longer came too late.
    budget: Duration,
    worker: Arc<Worker>,
    /// Carries what must outlive Okta's patience.
    tasks: TaskTracker,
    /// Why batches are not taken.
    told: Seldom<EventHook>,
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
    /// The event hook of an org, whose hooks are answered within `budget`.
    pub fn new(
        org: Arc<str>,
        config: event::Config,
        budget: Duration,
        worker: Arc<Worker>,
        tasks: TaskTracker,
    ) -> Self {
        Self { org, config, budget, worker, tasks, told: Seldom::new(QUIET) }
    }

    /// Counts a batch, or the question before the first one, and tells now and then of those that were not taken.
    pub fn note(&self, result: EventHook) {
        self.worker.tools().metrics.feedback.event_hook(&self.org, result);
        if result != EventHook::Taken && self.told.is_due(result) {
            tracing::warn!(org = %self.org, result = result.as_str(), "event hook not taken");
        }
    }

    /// Path on the public listener, and the bytes that a batch may have there.
    pub fn place(&self) -> (&str, usize) {
        (&self.config.path, self.config.max_body)
    }

    /// Whether the sender is Okta.
    pub fn admits(&self, headers: &HeaderMap) -> bool {
        self.config.authenticate.check(headers, self.worker.tools().clock.now()).is_ok()
    }

    /// Takes one batch. `body` is not polled before the sender is known. What is to be told to others is in the store
    /// before the answer.
    pub async fn take<E>(
        self: &Arc<Self>,
        headers: &HeaderMap,
        body: impl Future<Output = Result<Bytes, E>>,
    ) -> Taken<E> {
        if !self.admits(headers) {
            return Taken::Denied;
        }
        let until = Instant::now() + PATIENCE;
        let body = match body.await {
            Ok(body) => body,
            Err(fault) => return Taken::Unread(fault),
        };
        let Some(events) = event::decode(&body) else { return Taken::Unreadable };
        self.worker.tools().learn.heard(&self.org);
        let (used, failed): (Vec<_>, Vec<_>) = events.into_iter().partition(|e| matches!(e.what, What::Used(..)));
        let now = self.worker.tools().clock.now();
        let mut items: BTreeSet<Item> = used.into_iter().filter_map(|event| self.item(event, now)).collect();
        let rest = items.iter().nth(AT_FIRST).cloned().map(|item| items.split_off(&item)).unwrap_or_default();
        let tasks = self.worker.tools().agenda.take(items).await;
        if !rest.is_empty() {
            self.worker.leave(rest).await;
        }
        let hook = Arc::clone(self);
        let work = self.tasks.spawn(async move {
            for event in failed {
                hook.failed(event, now).await;
            }
            hook.worker.work_off(tasks, until).await;
        });
        // Done or not: the task goes on.
        let _ = timeout_at(until, work).await;
        Taken::Noted
    }

    /// What is to be done about a code that was used.
    fn item(&self, event: Event, now: Timestamp) -> Option<Item> {
        let What::Used(user, channel) = event.what else { return None };
        let Tools { journal, unknown_users, .. } = self.worker.tools();
        Some(Item::Used {
            org: self.org.to_string(),
            event: journal.event_key(&self.org, &event.id).to_string(),
            user: journal.user_key(&self.org, &user, channel).to_string(),
            channel,
            at: event.at,
            since: now,
            user_id: unknown_users.contains_key(&self.org).then_some(user),
        })
    }

    /// Holds a failure that Okta saw against what we know of that hook.
    async fn failed(&self, event: Event, now: Timestamp) {
        let What::HookFailed(request) = event.what else { return };
        let Tools { journal, metrics, .. } = self.worker.tools();
        let key = journal.event_key(&self.org, &event.id);
        // Without a store that answers, everything is ours: counted twice is better than lost.
        let begun = journal.begin_event(&key, now, Agenda::LEASE).await.unwrap_or(Begun::Ours);
        if begun != Begun::Ours {
            return;
        }
        let cause = match &request {
            None => "unknown",
            Some(request) => journal.answer_to(&self.org, request).await.map_or("unknown", |answer| self.cause(answer)),
        };
        if !journal.end_event(&key, now, Agenda::LEASE).await {
            return;
        }
        metrics.feedback.failed_at_okta(&self.org, cause);
        tracing::warn!(org = %self.org, cause, "Okta reports that an inline hook failed");
    }

    /// Why an answer was of no use to Okta.
    fn cause(&self, answer: Option<Answer>) -> &'static str {
        match answer {
            None => "unreachable",
            Some(answer) if answer.leaves_to_okta => "refused",
            Some(answer) if answer.elapsed > self.budget => "late",
            Some(_) => "unusable",
        }
    }
}
