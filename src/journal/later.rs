//! What becomes known of a message after Okta was answered: that it was taken late, delivery reports, that its code was
//! used.
//!
//! Must not know who says so. Everything here may come twice, late and out of order, and to several replicas at once:
//! a claim in the store decides which one is the first, and only that one counts.

use std::slice;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use super::{Entry, Inner, Journal};
use crate::otp::{Attempt, Delivery, Message, ProviderName, TransactionId};
use crate::secret::random_below;
use crate::store::{Claim, Key, StoreFault};

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
    /// Notes that a provider took a message after Okta was answered, `since` Okta asked. Comes after the `note` of the
    /// outcome, from the same process. A preview, and a failure, is not noted; tells whether it was.
    pub async fn note_late(&self, org: &str, message: &Message, attempt: &Attempt, since: Timestamp) -> bool {
        if message.preview || attempt.result.is_err() {
            return false;
        }
        let inner = &self.0;
        let to = inner.recipient(org, message.user.as_ref(), &message.recipient);
        let entry = inner.entry(org, message, attempt, since, &to);
        let index = inner.number(&message.recipient);
        let keys: Vec<Key> = inner.transaction_of(&entry).into_iter().chain(inner.last(org, message, &to)).collect();
        drop(inner.keep(|| self.write_late(&index, &keys, &entry)).await);
        true
    }

    /// Writes what was taken late, but not over what it does not outdo. What cannot be read may be that.
    async fn write_late(&self, index: &Key, keys: &[Key], late: &Entry) -> Result<(), StoreFault> {
        let mut free = Vec::new();
        // Its own id may be taken: Verify gives one to all messages that go out under one verification.
        for key in keys {
            if self.0.read(key).await?.is_none_or(|last| gives_way(&last, late)) {
                free.push(key.clone());
            }
        }
        self.0.write(index, &free, late).await
    }

    /// Notes how far a message has come, `heard` of then. After a fault it is to be told again, for the same time: by that
    /// it is known for what was begun, and counts once.
    ///
    /// # Errors
    /// When the store does not tell what message it is, or has not kept all of it.
    pub async fn report(
        &self,
        provider: &ProviderName,
        id: &TransactionId,
        delivery: Delivery,
        heard: Timestamp,
    ) -> Result<Reported, StoreFault> {
        let key = self.0.transaction(provider.as_str(), id.as_str());
        let Some(entry) = self.0.read(&key).await? else { return Ok(Reported::Unknown) };
        // What stands there may be this very report's, which met a fault after it was written.
        if entry.delivery != Some(delivery) && !delivery.is_news_after(entry.delivery) {
            return Ok(Reported::Nothing);
        }
        let Some(left) = self.left(&entry) else { return Ok(Reported::Unknown) };
        // Any two final reports meet in one claim, whatever they say.
        let claim = self.0.stage(provider, id, delivery.is_final());
        if let Claim::Existing(_) = self.0.claim(&claim, format!("{delivery} {heard}").into(), left).await? {
            return Ok(Reported::Nothing);
        }
        let entry = Entry { delivery: Some(delivery), ..entry };
        self.0.replace(&key, &entry, left).await?;
        if !delivery.is_final()
            && let Some(stands) = self.final_report(provider, id).await?
        {
            // It came at another replica, between our reading and our writing.
            self.0.replace(&key, &Entry { delivery: Some(stands), ..entry.clone() }, left).await?;
        }
        if delivery == Delivery::Undelivered {
            self.tell_recipient(&entry, left).await?;
        }
        Ok(Reported::News(entry))
    }

    /// The final report of a message, by the claim that it left.
    async fn final_report(&self, provider: &ProviderName, id: &TransactionId) -> Result<Option<Delivery>, StoreFault> {
        let claim = self.0.store.read(&self.0.stage(provider, id, true)).await?;
        Ok(claim.and_then(|claim| str::from_utf8(&claim).ok()?.split(' ').next().and_then(Delivery::parse)))
    }

    /// Notes where a resend looks that the last send did not arrive. Done here, as nobody waits for a report: the hook
    /// then knows it from the one entry that it reads anyway.
    ///
    /// Should the person ask again between the two steps, the newer send is overwritten: the next resend takes the older
    /// one for the last, and begins with a provider that was asked already. Nothing is lost by it.
    async fn tell_recipient(&self, entry: &Entry, left: Duration) -> Result<(), StoreFault> {
        let Some(key) = &entry.to else { return Ok(()) };
        let Some(last) = self.0.read(key).await? else { return Ok(()) };
        if (&last.provider, &last.transaction_id) == (&entry.provider, &entry.transaction_id) {
            self.0.replace(key, entry, left).await?;
        }
        Ok(())
    }

    /// What is left of an entry's time: nothing is kept longer for having been changed.
    pub(super) fn left(&self, entry: &Entry) -> Option<Duration> {
        self.0.ttl.checked_sub(self.0.clock.since(entry.sent_at)).filter(|left| !left.is_zero())
    }
}

/// Whether the last send, as it is known, is outdone by one that was accepted late: it is the same message's failure,
/// or an earlier message.
fn gives_way(last: &Entry, late: &Entry) -> bool {
    let is_same = last.event.is_some() && last.event == late.event;
    if is_same { last.failure.is_some() } else { last.sent_at < late.sent_at }
}

impl Inner {
    /// What claims one stage of a message's way: being underway, or its end.
    fn stage(&self, provider: &ProviderName, id: &TransactionId, is_final: bool) -> Key {
        let stage: &[u8] = if is_final { b"final" } else { b"underway" };
        let of = [b"journal-delivery".as_slice(), stage, provider.as_str().as_bytes(), id.as_str().as_bytes()];
        Key::new("journal-delivery", self.pseudonyms.hash(&of))
    }

    /// Puts an entry in the place of what it was before.
    async fn replace(&self, key: &Key, entry: &Entry, left: Duration) -> Result<(), StoreFault> {
        self.store.write(slice::from_ref(key), entry.written(), left).await
    }

    /// Claims for good: memory may drop it when it is full, unlike a claim in progress.
    pub(super) async fn claim(&self, key: &Key, value: Bytes, ttl: Duration) -> Result<Claim, StoreFault> {
        let claim = self.store.claim(key, value.clone(), ttl).await?;
        if claim == Claim::Claimed {
            self.store.write(slice::from_ref(key), value, ttl).await?;
        }
        Ok(claim)
    }
}

/// A value that says `what`, unlike any other, as claims want it.
pub(super) fn unique(what: &str) -> Bytes {
    format!("{what} {:08x}{:08x}", random_below(u32::MAX), random_below(u32::MAX)).into()
}
