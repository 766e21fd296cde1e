//! Does what the agenda says: tells providers that a code of theirs was used, or is over; notes reports that had to wait.
//!
//! Must not send anybody a message, nor know Okta's words. Whatever fails is tried again, by this process or another,
//! until it is too old to be of use.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{UnknownUsers, reports};
use crate::agenda::{Agenda, Item, Task};
use crate::deadline::Clock;
use crate::journal::{Begun, Entry, Journal, Use};
use crate::learn::Learn;
use crate::metrics::Metrics;
use crate::otp::{Channel, FailureKind, ProviderName, TransactionId, UserId};
use crate::provider::{Fate, FeedbackClient, News};
use crate::store::{Key, StoreFault};

/// Tasks done at once: enough for a busy org's sign-ins at a provider that takes a second, and no flood for it.
const AT_ONCE: usize = 16;

/// Tasks taken at once.
const CHUNK: usize = 64;

/// How long a task waits for its turn, and how long it may then take: both together lie inside `Agenda::LEASE`, so that
/// nobody else begins it meanwhile. One call to a provider ends by itself after ten seconds, and Okta may be asked before
/// it: what is cut off is done again.
const WAIT: Duration = Duration::from_secs(7);
const WORK: Duration = Duration::from_secs(12);
const _: () = assert!(WAIT.as_secs() + WORK.as_secs() < Agenda::LEASE.as_secs());

/// How often it is looked what is due.
const LOOK: Duration = Duration::from_secs(1);

/// The first try again comes after this, a later one after a quarter of the task's age.
pub(super) const MIN_PAUSE: Duration = Duration::from_secs(2);
const MAX_PAUSE: Duration = Duration::from_secs(300);

/// A code's fate is of no use to anybody later than this: Verify itself forgets a verification after ten minutes.
const GIVE_UP: Duration = Duration::from_secs(60 * 60);

/// Does what the agenda says.
#[derive(Debug)]
pub struct Worker {
    tools: Tools,
    turns: Arc<Semaphore>,
    /// Something is due now.
    due: Notify,
}

/// What a worker works with.
#[derive(Debug, Clone)]
pub struct Tools {
    /// What is to be done.
    pub agenda: Agenda,
    /// Who was sent what by whom.
    pub journal: Journal,
    /// Every configured provider, with what tells it of codes of its, if it wants to hear.
    pub clients: Arc<BTreeMap<ProviderName, Option<FeedbackClient>>>,
    /// Who asks Okta about users that the journal does not know, for the orgs that let us.
    pub unknown_users: Arc<BTreeMap<Arc<str>, UnknownUsers>>,
    /// What is learnt from codes that were used.
    pub learn: Learn,
    /// Where everything is counted.
    pub metrics: Arc<Metrics>,
    /// The wall clock.
    pub clock: Clock,
}

/// What became of a task.
enum Ending {
    Done,
    /// To be tried again, less and less often: it costs a provider a call each time.
    Again,
    /// The store did not tell: to be tried again soon.
    Unknown,
    /// To be looked at again then.
    Later(Duration),
    /// Somebody else is at it.
    Left,
}

impl Worker {
    /// A worker with these tools.
    pub fn new(tools: Tools) -> Self {
        Self { tools, turns: Arc::new(Semaphore::new(AT_ONCE)), due: Notify::new() }
    }

    /// What it works with.
    pub fn tools(&self) -> &Tools {
        &self.tools
    }

    /// Does what is due, whoever noted it, until it is told to stop.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let tasks = self.tools.agenda.due(CHUNK).await;
            let is_all = tasks.len() < CHUNK;
            self.work_off(tasks, Instant::now() + WAIT).await;
            if is_all {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = self.due.notified() => {}
                    () = sleep(LOOK) => {}
                }
            }
        }
    }

    /// Leaves work to whoever has time: this process, another, or this one's successor.
    pub async fn leave(&self, items: impl IntoIterator<Item = Item>) {
        self.tools.agenda.note(items, Duration::ZERO).await;
        self.due.notify_one();
    }

    /// Does these tasks. One whose turn has not come by `until` is left to whoever finds it due.
    pub async fn work_off(self: &Arc<Self>, tasks: Vec<Task>, until: Instant) {
        let mut at_work = JoinSet::new();
        for task in tasks {
            let Ok(Ok(turn)) = timeout_at(until, Arc::clone(&self.turns).acquire_owned()).await else { break };
            let worker = Arc::clone(self);
            at_work.spawn(async move {
                let ending = match timeout(WORK, worker.work_on(&task.item)).await {
                    Ok(ended) => ended.unwrap_or(Ending::Unknown),
                    Err(_) => Ending::Again,
                };
                drop(turn);
                worker.settle(task, ending).await
            });
        }
        let mut done = Vec::new();
        while let Some(ended) = at_work.join_next().await {
            // A panic is that task's alone: it is due again when its lease is over.
            done.extend(ended.ok().flatten());
        }
        self.tools.agenda.finish(&done).await;
    }

    /// Gives back what is done; has the rest done later.
    async fn settle(&self, task: Task, ending: Ending) -> Option<Task> {
        let age = self.tools.clock.since(task.item.since());
        let pause = match ending {
            Ending::Done => return Some(task),
            Ending::Left => return None,
            Ending::Again | Ending::Unknown if age >= GIVE_UP => {
                self.give_up(&task.item, age);
                return Some(task);
            }
            Ending::Again => (age / 4).clamp(MIN_PAUSE, MAX_PAUSE),
            Ending::Unknown => MIN_PAUSE,
            Ending::Later(pause) => pause,
        };
        self.tools.agenda.postpone(&task, pause).await;
        None
    }

    fn give_up(&self, item: &Item, age: Duration) {
        let feedback = &self.tools.metrics.feedback;
        match item {
            Item::Used { .. } | Item::Over { .. } => {
                tracing::warn!(age_seconds = age.as_secs(), "given up: what became of a code could not be told");
                feedback.given_up();
            }
            Item::Report { provider, .. } => feedback.refused(&ProviderName::new(provider), "unknown"),
        }
    }

    async fn work_on(&self, item: &Item) -> Result<Ending, StoreFault> {
        match item {
            Item::Used { org, event, user, channel, at, since, user_id } => {
                let (Some(event), Some(user)) = (Key::parse(event), Key::parse(user)) else { return Ok(Ending::Done) };
                match self.tools.journal.begin_event(&event, *since, Agenda::LEASE).await? {
                    Begun::Done => return Ok(Ending::Done),
                    Begun::Busy => return Ok(Ending::Left),
                    Begun::Ours => {}
                }
                let (is_done, entry) = match self.tools.journal.used(&user, &event).await? {
                    Use::Of(entry) => (self.used(&entry, *at).await, Some(entry)),
                    Use::Unknown if !self.tools.unknown_users.contains_key(org.as_str()) => {
                        // Nothing came of it. Should it come again when its message is known, it is as good as new.
                        self.tools.journal.give_back_event(&event).await;
                        return Ok(Ending::Done);
                    }
                    Use::Unknown => (self.unknown(org, user_id.as_ref(), *channel).await, None),
                    Use::Known => (true, None),
                };
                if !is_done {
                    self.tools.journal.give_back_event(&event).await;
                    return Ok(Ending::Again);
                }
                if self.tools.journal.end_event(&event, *since, Agenda::LEASE).await
                    && let Some(entry) = entry
                {
                    self.tools.metrics.feedback.converted(&entry.provider, entry.channel);
                    self.tools.learn.used(org, &entry.sent());
                }
                Ok(Ending::Done)
            }
            Item::Over { provider, transaction_id, channel, since } => match TransactionId::parse(transaction_id) {
                Some(id) => self.over(&ProviderName::new(provider), &id, *channel, *since).await,
                None => Ok(Ending::Done),
            },
            Item::Report { provider, transaction_id, delivery, since } => {
                let Some(id) = TransactionId::parse(transaction_id) else { return Ok(Ending::Done) };
                let look = reports::note(&self.tools, &ProviderName::new(provider), &id, *delivery, *since).await?;
                Ok(look.map_or(Ending::Done, Ending::Later))
            }
        }
    }

    /// A code of ours was used; false when telling its provider is worth another try.
    async fn used(&self, entry: &Entry, at: Option<Timestamp>) -> bool {
        let Some(id) = &entry.transaction_id else { return true };
        self.tell(&entry.provider, News { id, channel: entry.channel, fate: Fate::Used, at }).await
    }

    /// A code was used that the journal knows nothing of.
    async fn unknown(&self, org: &str, user: Option<&UserId>, channel: Channel) -> bool {
        match (user, self.tools.unknown_users.get(org)) {
            (Some(user), Some(unknown)) => unknown.used(user, channel, &self.tools.metrics).await,
            _ => true,
        }
    }

    /// A code that is over was used, or goes on under a newer message, or its provider hears that it was not. To call a
    /// used code unused would teach the provider the wrong thing, so it must be known: by a journal that could have told
    /// whose code was used, when no event waits for a store that fails. Where two providers carried the code that was
    /// used, the one that Okta was not told of hears nothing: nobody knows whose copy it was.
    async fn over(
        &self,
        provider: &ProviderName,
        id: &TransactionId,
        channel: Channel,
        since: Timestamp,
    ) -> Result<Ending, StoreFault> {
        let journal = &self.tools.journal;
        let Some(entry) = journal.of_transaction(provider, id.as_str()).await? else { return Ok(Ending::Done) };
        let goes_on = entry.sent_at > since;
        if goes_on || journal.is_used(&entry).await? {
            return Ok(Ending::Done);
        }
        if !self.tools.agenda.is_settled() {
            return Ok(Ending::Unknown);
        }
        let news = News { id, channel, fate: Fate::Unused, at: None };
        Ok(if self.tell(provider, news).await { Ending::Done } else { Ending::Again })
    }

    /// Tells a provider that wants to hear it; false when that is worth another try, by whoever knows the provider: while
    /// a new one is rolled out, not every process does.
    async fn tell(&self, provider: &ProviderName, news: News<'_>) -> bool {
        let Some(known) = self.tools.clients.get(provider) else { return false };
        let Some(client) = known else { return true };
        let told = client.tell(news).await;
        if let Ok(false) = told {
            return true;
        }
        let failure = told.as_ref().err().map(|e| e.kind);
        self.tools.metrics.feedback.told(provider, news.fate.as_str(), failure);
        let again = failure.is_some_and(FailureKind::is_transient);
        match told {
            // Counted; a line for each would bury the hooks' own while a provider is down.
            Err(error) if again => tracing::debug!(%provider, %error, "what became of a code is told later"),
            Err(error) => tracing::warn!(%provider, %error, "what became of a code could not be told"),
            Ok(_) => {}
        }
        !again
    }
}

#[cfg(test)]
mod tests;
