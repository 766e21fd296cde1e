//! Uses of codes, and the events of Okta's that tell of them.
//!
//! Must not know who wants to hear of them. An event comes several times, late, and to several replicas at once; one of
//! them deals with it, and another when that one dies over it.

use std::slice;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use super::later::unique;
use super::{Entry, Inner, Journal};
use crate::otp::{Channel, UserId};
use crate::store::{Claim, Key, StoreFault};

/// How long an event of Okta's is remembered. It comes again once, seconds later; a day is for outages of its own.
const EVENT_TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// What stands under an event that was dealt with.
const DONE: &str = "done";

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
    /// The key of an org's last message to a user over a channel.
    pub fn user_key(&self, org: &str, user: &UserId, channel: Channel) -> Key {
        self.0.user(org, user, channel)
    }

    /// The send whose code the user of this key has just used, told by this event. Asked again for the same event, it
    /// says the same again.
    ///
    /// # Errors
    /// When the store does not tell, or has not kept that the code was used.
    pub async fn used(&self, user: &Key, event: &Key) -> Result<Use, StoreFault> {
        let Some(entry) = self.0.read(user).await? else { return Ok(Use::Unknown) };
        let Some(left) = self.left(&entry) else { return Ok(Use::Unknown) };
        // First of all: somebody may take the message yet.
        if let Some(message) = &entry.event {
            let key = self.0.used_of_message(message);
            self.0.store.write(slice::from_ref(&key), event.to_string().into(), left).await?;
        }
        let Some(key) = self.0.used_of_send(&entry) else { return Ok(Use::Of(entry)) };
        if let Claim::Existing(_) = self.0.claim(&key, event.to_string().into(), left).await? {
            return Ok(Use::Known);
        }
        Ok(Use::Of(entry))
    }

    /// Whether the code of a send is known to have been used, if only as that of another provider: of one message, all
    /// that was sent carries the same code.
    ///
    /// # Errors
    /// When the store does not tell: then it may have been.
    pub async fn is_used(&self, entry: &Entry) -> Result<bool, StoreFault> {
        let of_send = self.0.used_of_send(entry);
        let of_message = entry.event.as_ref().map(|message| self.0.used_of_message(message));
        for key in of_send.iter().chain(&of_message) {
            if self.0.store.read(key).await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The key of an event of an org.
    pub fn event_key(&self, org: &str, id: &str) -> Key {
        Key::new("okta-event", self.0.pseudonyms.hash(&[b"okta-event", org.as_bytes(), id.as_bytes()]))
    }

    /// Takes an event, `heard` of then, to be dealt with; nobody else gets it before `lease` is over. This process may
    /// ask again for what it heard at that very time: a fault may leave a claim behind.
    ///
    /// # Errors
    /// When the store does not tell whose it is.
    pub async fn begin_event(&self, event: &Key, heard: Timestamp, lease: Duration) -> Result<Begun, StoreFault> {
        Ok(match self.0.store.claim(event, self.0.begun(heard), lease).await? {
            Claim::Existing(value) if value == DONE => Begun::Done,
            Claim::Existing(_) => Begun::Busy,
            Claim::Claimed => Begun::Ours,
        })
    }

    /// Remembers that an event, `heard` of then, was dealt with; tells whether it was still the caller's. It is not when
    /// the caller was stopped for longer than its `lease`: then somebody else has dealt with it or does so now, and counts
    /// it. A store that does not tell whose it is leaves it to the caller: counted twice is better than lost.
    pub async fn end_event(&self, event: &Key, heard: Timestamp, lease: Duration) -> bool {
        // Nobody's any more, or still the caller's.
        let claim = self.0.store.claim(event, self.0.begun(heard), lease).await;
        if matches!(claim, Ok(Claim::Existing(_))) {
            return false;
        }
        drop(self.0.store.write(slice::from_ref(event), DONE.into(), EVENT_TTL).await);
        true
    }

    /// Gives an event back that could not be dealt with.
    pub async fn give_back_event(&self, event: &Key) {
        drop(self.0.store.remove(event).await);
    }
}

impl Inner {
    /// What claims an event for this process, and for what it heard at that time.
    fn begun(&self, heard: Timestamp) -> Bytes {
        let me = self.me.get_or_init(|| unique("begun"));
        [me, heard.to_string().as_bytes()].join(&b' ').into()
    }

    /// `message` is the keyed hash of its event.
    fn used_of_message(&self, message: &str) -> Key {
        Key::new("journal-used-message", self.pseudonyms.hash(&[b"journal-used-message", message.as_bytes()]))
    }

    /// By its provider's id, which need not be its own: Verify gives several messages to one number the same. And by its
    /// message's event, as far as that is known.
    fn used_of_send(&self, entry: &Entry) -> Option<Key> {
        let id = entry.transaction_id.as_ref()?;
        let of = [entry.provider.as_str(), id.as_str(), entry.event.as_deref().unwrap_or_default()].map(str::as_bytes);
        Some(Key::new("journal-used", self.pseudonyms.hash(&[b"journal-used", of[0], of[1], of[2]])))
    }
}
