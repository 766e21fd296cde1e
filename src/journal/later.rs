//! What becomes known of a message after it was sent: delivery reports, and that its code was used.
//!
//! Must not know who says so. Everything here may come twice, late and out of order, and to several replicas at once:
//! a claim in the store decides which one is the first, and only that one counts.

use std::time::Duration;

use bytes::Bytes;

use super::{Entry, Inner, Journal};
use crate::otp::{Channel, Delivery, ProviderName, TransactionId, UserId};
use crate::secret::random_below;
use crate::store::{Claim, Key, StoreFault};

/// How long an event of Okta's is remembered. It comes again once, seconds later; a day is for outages of its own.
const EVENT_TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// What stands under an event that was dealt with.
const DONE: &str = "done";

/// What a delivery report has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reported {
    /// The entry, as it now stands.
    News(Entry),
    /// Nothing: a repeat, or a report that was overtaken.
    Nothing,
    /// No entry has this id.
    Unknown,
}

/// What is known of a code that was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Use {
    /// It is that of this send.
    Of(Entry),
    /// Its use was told by another event.
    Known,
    /// Nobody sent one, as far as the journal knows.
    Unknown,
}

/// Whose an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// The caller's.
    Ours,
    /// Somebody's who is at it.
    Busy,
    /// Nobody's: it was dealt with.
    Done,
}

impl Journal {
    /// Notes how far a message has come.
    pub async fn report(&self, provider: &ProviderName, id: &TransactionId, delivery: Delivery) -> Reported {
        let key = self.0.transaction(provider.as_str(), id.as_str());
        let Some(entry) = self.read(&key).await else { return Reported::Unknown };
        if !delivery.is_news_after(entry.delivery) {
            return Reported::Nothing;
        }
        let Some(left) = self.left(&entry) else { return Reported::Unknown };
        // Any two final reports meet in one claim, whatever they say.
        let stage: &[u8] = if delivery.is_final() { b"final" } else { b"underway" };
        let of = [b"journal-delivery".as_slice(), stage, provider.as_str().as_bytes(), id.as_str().as_bytes()];
        let claimed = Key::new("journal-delivery", self.0.pseudonyms.hash(&of));
        // Without a store that answers, everything is the first: counted twice is better than lost.
        if let Ok(Claim::Existing(_)) = self.0.claim(&claimed, unique(), left).await {
            return Reported::Nothing;
        }
        let entry = Entry { delivery: Some(delivery), ..entry };
        // A fault was counted and told where it came up.
        drop(self.0.store.write(&key, entry.written(), left).await);
        Reported::News(entry)
    }

    /// The key of the last message to a user over a channel.
    pub fn user_key(&self, user: &UserId, channel: Channel) -> Key {
        self.0.user(user, channel)
    }

    /// The send whose code a user of an org has just used, told by this event. Asked again for the same event, it says
    /// the same again.
    pub async fn used(&self, org: &str, user: &Key, event: &Key) -> Use {
        let Some(entry) = self.read(user).await.filter(|entry| entry.org == org) else { return Use::Unknown };
        let Some(left) = self.left(&entry) else { return Use::Unknown };
        let Some(id) = &entry.transaction_id else { return Use::Of(entry) };
        let key = self.0.used(entry.provider.as_str(), id.as_str());
        match self.0.claim(&key, event.as_str().to_owned().into(), left).await {
            Ok(Claim::Existing(_)) => Use::Known,
            // Without a store that answers, everything is the first: counted twice is better than lost.
            Ok(Claim::Claimed) | Err(_) => Use::Of(entry),
        }
    }

    /// Whether the code of a send is known to have been used.
    pub async fn is_used(&self, provider: &str, id: &str) -> bool {
        self.0.store.read(&self.0.used(provider, id)).await.is_ok_and(|found| found.is_some())
    }

    /// The key of an event of an org.
    pub fn event_key(&self, org: &str, id: &str) -> Key {
        Key::new("okta-event", self.0.pseudonyms.hash(&[b"okta-event", org.as_bytes(), id.as_bytes()]))
    }

    /// Takes an event to be dealt with; nobody else gets it before `lease` is over.
    pub async fn begin_event(&self, event: &Key, lease: Duration) -> Begun {
        match self.0.store.claim(event, unique(), lease).await {
            Ok(Claim::Existing(value)) if value == DONE => Begun::Done,
            Ok(Claim::Existing(_)) => Begun::Busy,
            Ok(Claim::Claimed) | Err(_) => Begun::Ours,
        }
    }

    /// Remembers that an event was dealt with.
    pub async fn end_event(&self, event: &Key) {
        drop(self.0.store.write(event, DONE.into(), EVENT_TTL).await);
    }

    /// Gives an event back that could not be dealt with.
    pub async fn give_back_event(&self, event: &Key) {
        drop(self.0.store.remove(event).await);
    }

    /// What is left of an entry's time: nothing is kept longer for having been changed.
    fn left(&self, entry: &Entry) -> Option<Duration> {
        let age = Duration::try_from(self.0.clock.now().duration_since(entry.sent_at)).unwrap_or_default();
        self.0.ttl.checked_sub(age).filter(|left| !left.is_zero())
    }
}

impl Inner {
    /// Claims for good: memory may drop it when it is full, unlike a claim in progress.
    async fn claim(&self, key: &Key, value: Bytes, ttl: Duration) -> Result<Claim, StoreFault> {
        let claim = self.store.claim(key, value.clone(), ttl).await?;
        if claim == Claim::Claimed {
            self.store.write(key, value, ttl).await?;
        }
        Ok(claim)
    }

    fn used(&self, provider: &str, id: &str) -> Key {
        Key::new("journal-used", self.pseudonyms.hash(&[b"journal-used", provider.as_bytes(), id.as_bytes()]))
    }
}

/// A value unlike any other, as claims want it.
fn unique() -> Bytes {
    format!("{:08x}{:08x}", random_below(u32::MAX), random_below(u32::MAX)).into()
}
