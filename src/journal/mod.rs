//! The journal: who was sent what by whom, for a day.
//!
//! Must not know a number, a user or a code when it writes: its keys are keyed hashes, its entries hold none of them.
//! A journal that cannot be read or written costs nobody a code.

mod answers;
mod entry;
mod later;
mod uses;

use std::collections::BTreeSet;
use std::future::Future;
use std::ptr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use tokio_util::sync::DropGuard;
use tokio_util::task::TaskTracker;

use crate::deadline::Clock;
use crate::learn::Sent;
use crate::otp::{Attempt, Channel, Delivery, Message, Outcome, Phone, ProviderName, TransactionId, UserId};
use crate::secret::{KeyedHash, Pseudonyms};
use crate::settings::{Findings, duration};
use crate::store::{Add, Key, State, Store, StoreFault, Tally, insist};
pub use answers::Answer;
pub use entry::Entry;
pub use later::Reported;
pub use uses::{Begun, Use};

/// A new code for the same person within this is a resend: the last one did not arrive, or not soon enough.
const RESEND_WINDOW: Duration = Duration::from_secs(5 * 60);

/// What is known of a number outlives what is kept under it, so that nothing is left that could not be forgotten.
const INDEX_MARGIN: Duration = Duration::from_secs(60);

/// The kinds of the keys under which entries stand: by recipient, by the provider's id, by user and channel. An index
/// keeps the hashes alone.
const KINDS: [&str; 3] = [TO, TRANSACTION, USER];
const TO: &str = "journal-to";
const TRANSACTION: &str = "journal-transaction";
const USER: &str = "journal-user";

/// `[journal]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How long an entry is kept.
    #[serde(deserialize_with = "duration")]
    pub ttl: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { ttl: Duration::from_secs(24 * 60 * 60) }
    }
}

impl Settings {
    /// Checks the rules; `at` is the key path of this table.
    pub fn check(&self, at: &str, findings: &mut Findings) {
        let day = Duration::from_secs(24 * 60 * 60);
        findings.within(format!("{at}.ttl"), self.ttl, RESEND_WINDOW, 30 * day);
    }
}

/// Who was sent what by whom. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Journal(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Arc<dyn Store>,
    /// Whether writing has to be waited for.
    is_remote: bool,
    pseudonyms: Pseudonyms,
    clock: Clock,
    tasks: TaskTracker,
    ttl: Duration,
    /// What this process is told from others by. Made when it is needed: the first random bytes take their time.
    me: OnceLock<Bytes>,
}

/// The send before this one, to the same user and number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Previous {
    /// Who was asked last.
    pub provider: ProviderName,
    /// How long ago.
    pub seconds_ago: u64,
    /// The id it had there, if it was accepted.
    pub transaction_id: Option<TransactionId>,
    /// When that was.
    pub sent_at: Timestamp,
    /// Whether the provider has reported that it will not arrive.
    pub undelivered: bool,
}

impl Journal {
    /// A journal in this state's store. What need not be waited for is written on `tasks`.
    pub fn new(state: &State, settings: &Settings, pseudonyms: Pseudonyms, clock: Clock, tasks: TaskTracker) -> Self {
        let is_remote = state.shared().is_some();
        let (store, ttl) = (state.store(), settings.ttl);
        Self(Arc::new(Inner { store, is_remote, pseudonyms, clock, tasks, ttl, me: OnceLock::new() }))
    }

    /// An org's last send to this user at this number; to the number alone when there is no user.
    pub async fn last(&self, org: &str, user: Option<&UserId>, number: &Phone) -> Option<Entry> {
        self.0.read(&self.0.recipient(org, user, number)).await.ok()?
    }

    /// The send a provider gave this id.
    ///
    /// # Errors
    /// When the store does not tell: then there may be one.
    pub async fn of_transaction(&self, provider: &ProviderName, id: &str) -> Result<Option<Entry>, StoreFault> {
        self.0.read(&self.0.transaction(provider.as_str(), id)).await
    }

    /// An org's last send to this user over this channel.
    pub async fn last_to_user(&self, org: &str, user: &UserId, channel: Channel) -> Option<Entry> {
        self.0.read(&self.0.user(org, user, channel)).await.ok()?
    }

    /// The org's send that this message repeats with a new code, if there was one a short while ago. Never for a preview.
    pub async fn previous(&self, org: &str, message: &Message) -> Option<Previous> {
        if message.preview {
            return None;
        }
        let entry = self.last(org, message.user.as_ref(), &message.recipient).await?;
        let ago = self.0.clock.since(entry.sent_at);
        (ago < RESEND_WINDOW).then_some(Previous {
            provider: entry.provider,
            seconds_ago: ago.as_secs(),
            transaction_id: entry.transaction_id,
            sent_at: entry.sent_at,
            undelivered: entry.delivery == Some(Delivery::Undelivered),
        })
    }

    /// Notes what became of a message, without delaying whoever tells it; tells what stands there. A preview,
    /// and what no provider was asked for, is not noted. `previous` is the send that it repeats. `until_noted` is dropped
    /// when all is written, and when nothing is: whoever waits for that goes on.
    pub async fn note(
        &self,
        org: &str,
        message: &Message,
        outcome: &Outcome,
        previous: Option<&Previous>,
        until_noted: DropGuard,
    ) -> Option<Sent> {
        let decisive = outcome.decisive().filter(|_| !message.preview)?;
        let inner = &self.0;
        let now = inner.clock.now();
        // Whoever asks again counts against the first provider already, and would count in favour of the second.
        let awaited = decisive.result.is_ok() && message.user.is_some() && previous.is_none();
        let to = inner.recipient(org, message.user.as_ref(), &message.recipient);
        let entry = Entry { awaited, ..inner.entry(org, message, decisive, now, &to) };
        let sent = entry.sent();
        let mut keys = inner.last(org, message, &to);
        keys.extend(inner.transaction_of(&entry));
        let mut pages = vec![(keys, entry)];
        // Two may be accepted in one instant. Reports come of both.
        let others = outcome.attempts.iter().filter(|attempt| attempt.result.is_ok() && !ptr::eq(*attempt, decisive));
        pages.extend(others.map(|attempt| {
            let entry = inner.entry(org, message, attempt, now, &to);
            (inner.transaction_of(&entry).into_iter().collect(), entry)
        }));
        let index = inner.number(&message.recipient);
        let inner = Arc::clone(inner);
        let write = async move {
            for (keys, entry) in &pages {
                let tries = AtomicU8::new(0);
                let write = async || match tries.fetch_add(1, Ordering::Relaxed) {
                    0 => inner.write(&index, keys, entry).await,
                    _ => inner.write_again(&index, keys, entry).await,
                };
                drop(inner.keep(write).await);
            }
            drop(until_noted);
        };
        self.aside(write).await;
        Some(sent)
    }

    /// Forgets all entries about a number, whichever org they are of, and those about a user's channels in these orgs. The
    /// last message to another user over a channel is forgotten only if it went to this number.
    ///
    /// # Errors
    /// When the store fails; some of the entries may be gone then.
    pub async fn forget(&self, orgs: &[&str], number: &Phone, user: Option<&UserId>) -> Result<usize, StoreFault> {
        let inner = &self.0;
        let index = inner.number(number);
        let members = inner.store.members(&index).await?;
        let mut keys: BTreeSet<Key> = members.iter().flat_map(|of| KINDS.map(|kind| Key::new(kind, *of))).collect();
        let mut of_user = BTreeSet::new();
        for org in orgs {
            keys.extend([inner.recipient(org, None, number), inner.recipient(org, user, number)]);
            of_user.extend(user.iter().flat_map(|user| Channel::ALL.map(|channel| inner.user(org, user, channel))));
        }
        let mut forgotten = 0;
        for key in keys.union(&of_user) {
            if of_user.contains(key) || !self.has_moved_on(key, &keys).await? {
                forgotten += usize::from(inner.store.remove(key).await?);
            }
        }
        inner.store.remove(&index).await?;
        Ok(forgotten)
    }

    /// Whether what stands under a number's key is about another number since: a user's last message is.
    async fn has_moved_on(&self, key: &Key, keys_of_number: &BTreeSet<Key>) -> Result<bool, StoreFault> {
        if *key != Key::new(USER, key.of()) {
            return Ok(false);
        }
        let to = self.0.read(key).await?.and_then(|entry| entry.to);
        Ok(to.is_some_and(|to| !keys_of_number.contains(&to)))
    }

    /// Writes to a distant store while the caller goes on.
    async fn aside(&self, write: impl Future<Output = ()> + Send + 'static) {
        if self.0.is_remote {
            self.0.tasks.spawn(write);
        } else {
            write.await;
        }
    }
}

impl Inner {
    fn entry(&self, org: &str, message: &Message, attempt: &Attempt, sent_at: Timestamp, to: &Key) -> Entry {
        Entry {
            org: org.to_owned(),
            provider: attempt.provider.clone(),
            channel: message.channel,
            country: message.recipient.country(),
            transaction_id: attempt.result.as_ref().ok().map(|a| a.transaction_id.clone()),
            failure: attempt.result.as_ref().err().map(|e| e.kind),
            delivery: None,
            sent_at,
            event: self.pseudonyms.event(org, message).map(|event| event.to_string()),
            awaited: false,
            to: Some(to.clone()),
        }
    }

    async fn read(&self, key: &Key) -> Result<Option<Entry>, StoreFault> {
        Ok(self.store.read(key).await?.and_then(|bytes| Entry::read(&bytes)))
    }

    /// Does it again if a distant store fails. Memory that is full is so a moment later too, and a hook waits for it.
    async fn keep<T, W>(&self, work: impl Fn() -> W) -> Result<T, StoreFault>
    where
        W: Future<Output = Result<T, StoreFault>>,
    {
        // A fault was counted and told where it came up.
        if self.is_remote { insist(work).await } else { work().await }
    }

    /// The index comes first: what could not be found again is not written.
    async fn write(&self, index: &Key, keys: &[Key], entry: &Entry) -> Result<(), StoreFault> {
        let entry = entry.written();
        let of: Vec<KeyedHash> = keys.iter().map(Key::of).collect();
        let ttl = self.ttl + INDEX_MARGIN;
        self.store.tally(&[Tally { key: index.clone(), add: Add::Members(&of), ttl }]).await?;
        self.store.write(keys, entry, self.ttl).await
    }

    /// Writes what the store did not take before, but not over what was sent since; nor over the entry itself, which may have
    /// been taken after all and hold a report by now.
    async fn write_again(&self, index: &Key, keys: &[Key], entry: &Entry) -> Result<(), StoreFault> {
        let mut own = Vec::new();
        for key in keys {
            if self.read(key).await?.is_none_or(|last| last.sent_at < entry.sent_at) {
                own.push(key.clone());
            }
        }
        self.write(index, &own, entry).await
    }

    /// Where the last send to this recipient stands, and the last to this user over this channel.
    fn last(&self, org: &str, message: &Message, recipient: &Key) -> Vec<Key> {
        let to_user = message.user.as_ref().map(|user| self.user(org, user, message.channel));
        [recipient.clone()].into_iter().chain(to_user).collect()
    }

    fn transaction_of(&self, entry: &Entry) -> Option<Key> {
        entry.transaction_id.as_ref().map(|id| self.transaction(entry.provider.as_str(), id.as_str()))
    }

    fn recipient(&self, org: &str, user: Option<&UserId>, number: &Phone) -> Key {
        let user = user.map_or("", UserId::expose);
        let of = [b"journal-to".as_slice(), org.as_bytes(), user.as_bytes(), number.expose().as_bytes()];
        Key::new(TO, self.pseudonyms.hash(&of))
    }

    fn transaction(&self, provider: &str, id: &str) -> Key {
        let hash = self.pseudonyms.hash(&[b"journal-transaction", provider.as_bytes(), id.as_bytes()]);
        Key::new(TRANSACTION, hash)
    }

    fn user(&self, org: &str, user: &UserId, channel: Channel) -> Key {
        let of = [b"journal-user".as_slice(), org.as_bytes(), user.expose().as_bytes(), channel.as_str().as_bytes()];
        Key::new(USER, self.pseudonyms.hash(&of))
    }

    /// Where the keys of all entries about a number stand, of every org: a number is forgotten everywhere.
    fn number(&self, number: &Phone) -> Key {
        Key::new("journal-number", self.pseudonyms.hash(&[b"journal-number", number.expose().as_bytes()]))
    }
}

#[cfg(test)]
mod tests;
