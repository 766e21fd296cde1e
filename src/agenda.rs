//! The agenda: what is still to be done about codes that were sent, kept where a restart does not lose it; in memory
//! while the shared store does not answer.
//!
//! Must not do any of it, nor hold a number or a code: what it names is a keyed hash or an id. An Okta user id stands in
//! it only for an org that lets us ask Okta about users we do not know.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::time::Instant;

use crate::locks::lock;
use crate::otp::{Channel, Delivery, UserId};
use crate::secret::Pseudonyms;
use crate::store::{Key, Queue, State};

/// How long work waits for somebody to do it, counted from the last that came: an outage of a weekend.
const TTL: Duration = Duration::from_secs(3 * 24 * 60 * 60);

/// Pieces put into the store with one operation: few enough to be done well within `state.timeout`.
const BATCH: usize = 250;

/// How often a store that fails is asked to take work before memory has to do. Nobody waits for a code meanwhile.
const TRIES: usize = 3;

/// How long after a fault of the shared store nobody may conclude from what has not happened: a lease, and as long as
/// it takes to do what had to wait.
const UNSETTLED: Duration = Duration::from_secs(30);

/// One thing to be done.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "do")]
pub enum Item {
    /// A user has used a code: whoever sent it may want to know.
    Used {
        /// Key of the org in the configuration.
        org: String,
        /// Keyed hash of the event that told it.
        event: String,
        /// Key of the user's last message in the journal.
        user: String,
        /// `sms` or `voice`.
        channel: Channel,
        /// When it was used, as far as that was told.
        #[serde(skip_serializing_if = "Option::is_none")]
        at: Option<Timestamp>,
        /// When we heard of it.
        since: Timestamp,
        /// Okta's id of the user, for asking Okta when the journal knows nothing.
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            serialize_with = "write_id",
            deserialize_with = "read_id"
        )]
        user_id: Option<UserId>,
    },
    /// A code is over, by its time or by a newer one: whoever sent it may want to know, if it was not used.
    Over {
        /// Name of the provider.
        provider: String,
        /// The provider's id of the message.
        transaction_id: String,
        /// How it travelled.
        channel: Channel,
        /// When the message was sent.
        since: Timestamp,
    },
    /// A provider has told how far a message has come, and the journal does not know the message yet, could not be asked
    /// or did not keep it.
    Report {
        /// Name of the provider.
        provider: String,
        /// The provider's id of the message.
        transaction_id: String,
        /// How far it has come.
        delivery: Delivery,
        /// When we heard of it.
        since: Timestamp,
    },
}

impl Item {
    /// When what it is about happened: what is too old is of use to nobody.
    pub fn since(&self) -> Timestamp {
        let (Self::Used { since, .. } | Self::Over { since, .. } | Self::Report { since, .. }) = self;
        *since
    }
}

fn write_id<S: Serializer>(id: &Option<UserId>, to: S) -> Result<S::Ok, S::Error> {
    id.as_ref().map(UserId::expose).serialize(to)
}

fn read_id<'de, D: Deserializer<'de>>(from: D) -> Result<Option<UserId>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.as_deref().and_then(UserId::parse))
}

/// A thing to be done that is ours to do, for as long as a lease lasts.
#[derive(Clone)]
pub struct Task {
    /// The thing.
    pub item: Item,
    piece: String,
    queue: usize,
}

impl fmt::Debug for Task {
    /// Not the piece: the item says the same, with the user id in clear.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("item", &self.item).field("queue", &self.queue).finish_non_exhaustive()
    }
}

/// What is still to be done, for all replicas. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Agenda(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Best first; the last one is our own memory.
    queues: Vec<Arc<dyn Queue>>,
    key: Key,
    /// When the shared queue last did not answer.
    failed: Mutex<Option<Instant>>,
}

impl Agenda {
    /// How long a task is its taker's: longer than one may take, so that nobody does it at the same time.
    pub const LEASE: Duration = Duration::from_secs(20);

    /// The agenda in this state's store.
    pub fn new(state: &State, pseudonyms: &Pseudonyms) -> Self {
        let key = Key::new("agenda", pseudonyms.hash(&[b"agenda"]));
        Self(Arc::new(Inner { queues: state.queues(), key, failed: Mutex::default() }))
    }

    /// Whether anything that was heard has also been dealt with by now. Not so while the shared store fails and for some
    /// time after: work waits in the memory of some process, or under a lease that nobody heard of.
    pub fn is_settled(&self) -> bool {
        let failed = *lock(&self.0.failed);
        failed.is_none_or(|at| at.elapsed() >= UNSETTLED)
    }

    fn note_fault(&self) {
        *lock(&self.0.failed) = Some(Instant::now());
    }

    /// Notes things to be done and hands them to the caller; whoever finds them undone when the lease is over does them.
    pub async fn take(&self, items: impl IntoIterator<Item = Item>) -> Vec<Task> {
        self.put(items, Self::LEASE).await
    }

    /// Notes things to be done after `delay`, or sooner if that was noted before.
    pub async fn note(&self, items: impl IntoIterator<Item = Item>, delay: Duration) {
        self.put(items, delay).await;
    }

    /// Has a thing done now that may have been noted for later.
    pub async fn hurry(&self, item: Item) {
        for task in self.put([item], Duration::ZERO).await {
            self.postpone(&task, Duration::ZERO).await;
        }
    }

    /// Hands out some of what is due.
    pub async fn due(&self, most: usize) -> Vec<Task> {
        let mut tasks = Vec::new();
        for (place, queue) in self.0.queues.iter().enumerate() {
            // A fault was counted and told where it came up; what is due stays due.
            let leased = queue.lease(&self.0.key, most - tasks.len(), Self::LEASE).await;
            let pieces = leased.inspect_err(|_| self.note_fault()).unwrap_or_default();
            for piece in pieces {
                match serde_json::from_str(&piece) {
                    Ok(item) => tasks.push(Task { item, piece, queue: place }),
                    // A later version's, which knows what it means.
                    Err(_) => tracing::debug!("work of another version is left where it is"),
                }
            }
        }
        tasks
    }

    /// Has a task done after `delay`, by whoever finds it then.
    pub async fn postpone(&self, task: &Task, delay: Duration) {
        drop(self.0.queues[task.queue].postpone(&self.0.key, &task.piece, delay).await);
    }

    /// Strikes out what is done.
    pub async fn finish(&self, tasks: &[Task]) {
        for (place, queue) in self.0.queues.iter().enumerate() {
            let ours = tasks.iter().filter(|task| task.queue == place);
            let pieces: Vec<String> = ours.map(|task| task.piece.clone()).collect();
            for batch in pieces.chunks(BATCH) {
                // What stays in spite of being done is found to be so when it comes again.
                drop(queue.finish(&self.0.key, batch).await);
            }
        }
    }

    async fn put(&self, items: impl IntoIterator<Item = Item>, delay: Duration) -> Vec<Task> {
        // Texts and dates only: serde_json has nothing to refuse.
        let written = items.into_iter().filter_map(|item| Some((serde_json::to_string(&item).ok()?, item)));
        let (pieces, items): (Vec<String>, Vec<Item>) = written.unzip();
        let mut tasks = Vec::with_capacity(items.len());
        let (mut items, mut queue) = (items.into_iter(), 0);
        for batch in pieces.chunks(BATCH) {
            // A queue that has refused a batch is not asked to take the next.
            queue = self.put_batch(batch, delay, queue).await;
            tasks.extend(batch.iter().zip(&mut items).map(|(piece, item)| Task { item, piece: piece.clone(), queue }));
        }
        tasks
    }

    /// Puts a batch into the first queue that takes it, and tells which: our own memory when the shared one does not.
    /// When that is full too, the work is done nevertheless, by the caller at once, and only once.
    async fn put_batch(&self, batch: &[String], delay: Duration, first: usize) -> usize {
        let Inner { queues, key, .. } = &*self.0;
        for (place, queue) in queues.iter().enumerate().skip(first) {
            for _ in 0..TRIES {
                if queue.enqueue(key, batch, delay, TTL).await.is_ok() {
                    return place;
                }
            }
            self.note_fault();
        }
        queues.len() - 1
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;
    use crate::store::{Memory, StoreFault};

    /// A queue that nobody can reach.
    #[derive(Debug)]
    struct Away;

    #[async_trait]
    impl Queue for Away {
        async fn enqueue(&self, _: &Key, _: &[String], _: Duration, _: Duration) -> Result<(), StoreFault> {
            Err(StoreFault::Timeout)
        }
        async fn lease(&self, _: &Key, _: usize, _: Duration) -> Result<Vec<String>, StoreFault> {
            Err(StoreFault::Timeout)
        }
        async fn postpone(&self, _: &Key, _: &str, _: Duration) -> Result<(), StoreFault> {
            Err(StoreFault::Timeout)
        }
        async fn finish(&self, _: &Key, _: &[String]) -> Result<(), StoreFault> {
            Err(StoreFault::Timeout)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn memory_takes_what_the_store_does_not_and_nothing_is_settled_for_a_while() {
        let pseudonyms = Pseudonyms::new(None).expect("random");
        let key = Key::new("agenda", pseudonyms.hash(&[b"agenda"]));
        let queues: Vec<Arc<dyn Queue>> = vec![Arc::new(Away), Arc::new(Memory::new(10))];
        let agenda = Agenda(Arc::new(Inner { queues, key, failed: Mutex::default() }));
        assert!(agenda.is_settled());
        let since = Timestamp::UNIX_EPOCH;
        let over = Item::Over { provider: "x".into(), transaction_id: "1".into(), channel: Channel::Sms, since };
        agenda.note([over], Duration::ZERO).await;
        assert!(!agenda.is_settled());
        tokio::time::advance(UNSETTLED).await;
        assert!(agenda.is_settled());
        assert_eq!(agenda.due(9).await.len(), 1);
        assert!(!agenda.is_settled(), "there may be work in the store that nobody sees");
    }

    #[tokio::test(start_paused = true)]
    async fn a_user_id_is_kept_in_the_store_and_shown_to_nobody() {
        let pseudonyms = Pseudonyms::new(None).expect("random");
        let key = Key::new("agenda", pseudonyms.hash(&[b"agenda"]));
        let queues: Vec<Arc<dyn Queue>> = vec![Arc::new(Memory::new(10))];
        let agenda = Agenda(Arc::new(Inner { queues, key, failed: Mutex::default() }));
        for user_id in [UserId::parse("00uyxxSknGtK8022w0g3"), None] {
            let item = Item::Used {
                org: "main".to_owned(),
                event: "event".to_owned(),
                user: "user".to_owned(),
                channel: Channel::Sms,
                at: None,
                since: Timestamp::UNIX_EPOCH,
                user_id,
            };
            agenda.note([item.clone()], Duration::ZERO).await;
            let tasks = agenda.due(9).await;
            assert_eq!(tasks.iter().map(|task| &task.item).collect::<Vec<_>>(), [&item]);
            for shown in [format!("{tasks:?}"), format!("{item:#?}")] {
                assert!(shown.contains("since") && !shown.contains("00uyxx"), "{shown}");
            }
        }
    }
}
