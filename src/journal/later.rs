//! What becomes known of a message after it was sent: delivery reports, and that its code was used.
//!
//! Must not know who says so. Everything here may come twice, late and out of order, and to several replicas at once:
//! a claim in the store decides which one is the first, and only that one counts.

use std::time::Duration;

use super::{Entry, Inner, Journal};
use crate::otp::{Channel, Delivery, ProviderName, TransactionId, UserId};
use crate::secret::random_below;
use crate::store::{Claim, Key, StoreFault};

/// How long an event of Okta's is remembered. It comes again once, seconds later; a day is for outages of its own.
const EVENT_TTL: Duration = Duration::from_secs(24 * 60 * 60);

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
        if !self.is_first("journal-delivery", &of, left).await {
            return Reported::Nothing;
        }
        let entry = Entry { delivery: Some(delivery), ..entry };
        // A fault was counted and told where it came up.
        drop(self.0.store.write(&key, entry.written(), left).await);
        if delivery == Delivery::Undelivered {
            self.tell_recipient(&entry, left).await;
        }
        Reported::News(entry)
    }

    /// Notes where a resend looks that the last send did not arrive. Done here, as nobody waits for a report: the hook
    /// then knows it from the one entry that it reads anyway.
    ///
    /// Should the person ask again between the two steps, the newer send is overwritten: the next resend takes the older
    /// one for the last, and begins with a provider that was asked already. Nothing is lost by it.
    async fn tell_recipient(&self, entry: &Entry, left: Duration) {
        let Some(key) = &entry.to else { return };
        let Some(last) = self.read(key).await else { return };
        if (&last.provider, &last.transaction_id) == (&entry.provider, &entry.transaction_id) {
            drop(self.0.store.write(key, entry.written(), left).await);
        }
    }

    /// The send whose code a user of an org has just used; `None` when there is none, or its use is known already.
    pub async fn used(&self, org: &str, user: &UserId, channel: Channel) -> Option<Entry> {
        let entry = self.last_to_user(user, channel).await.filter(|entry| entry.org == org)?;
        let Some(id) = &entry.transaction_id else { return Some(entry) };
        let of = [b"journal-used".as_slice(), entry.provider.as_str().as_bytes(), id.as_str().as_bytes()];
        let left = self.left(&entry)?;
        self.is_first("journal-used", &of, left).await.then_some(entry)
    }

    /// Whether an event of an org is heard of for the first time.
    pub async fn is_new_event(&self, org: &str, uuid: &str) -> bool {
        let of = [b"okta-event".as_slice(), org.as_bytes(), uuid.as_bytes()];
        self.is_first("okta-event", &of, EVENT_TTL).await
    }

    /// What is left of an entry's time: nothing is kept longer for having been changed.
    fn left(&self, entry: &Entry) -> Option<Duration> {
        let age = Duration::try_from(self.0.clock.now().duration_since(entry.sent_at)).unwrap_or_default();
        self.0.ttl.checked_sub(age).filter(|left| !left.is_zero())
    }

    /// Without a store that answers, everything is the first: counted twice is better than lost.
    async fn is_first(&self, kind: &'static str, of: &[&[u8]], ttl: Duration) -> bool {
        !matches!(self.0.claim(kind, of, ttl).await, Ok(Claim::Existing(_)))
    }
}

impl Inner {
    async fn claim(&self, kind: &'static str, of: &[&[u8]], ttl: Duration) -> Result<Claim, StoreFault> {
        let key = Key::new(kind, self.pseudonyms.hash(of));
        let ours = format!("{:08x}{:08x}", random_below(u32::MAX), random_below(u32::MAX));
        let claim = self.store.claim(&key, ours.clone().into(), ttl).await?;
        if claim == Claim::Claimed {
            // What is claimed and not yet written, memory must not drop; this it may, when it is full.
            self.store.write(&key, ours.into(), ttl).await?;
        }
        Ok(claim)
    }
}
