//! What this process knows of repeats: one table, one lock, held for moments.
//!
//! Must not wait under the lock, and never drops a message in progress to make room.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::{Identity, Reason};
use crate::locks::lock;
use crate::okta::Reply;
use crate::secret::KeyedHash;
use crate::store::Fading;

type Table = Fading<Arc<Slot>>;

/// Events and fingerprints of the last minutes. Both lead to one slot.
pub(super) struct Local {
    max_entries: usize,
    table: Mutex<Table>,
}

/// The answer to one message, or the place where it will be.
pub(super) struct Slot {
    fingerprint: KeyedHash,
    /// `None` inside: nobody will answer, and nothing was sent.
    outcome: OnceLock<Option<Reply>>,
    settled: Notify,
}

/// What was found in the table.
#[derive(Debug)]
pub(super) enum Taken {
    /// Nothing: the slot is new. `conflict`: the event was there with another fingerprint. `full`: a repeat will not be
    /// known by all it could be known by.
    First { slot: Arc<Slot>, conflict: bool, full: bool },
    /// The message is known.
    Repeat { slot: Arc<Slot>, reason: Reason },
}

impl Local {
    /// Keeps at most so many events and fingerprints.
    pub(super) fn new(max_entries: usize) -> Self {
        Self { max_entries, table: Mutex::default() }
    }

    /// Finds a message, or enters it.
    pub(super) fn take(&self, id: &Identity) -> Taken {
        let now = Instant::now();
        let mut table = lock(&self.table);
        while table.pop_over(now).is_some() {}
        if let Some((slot, reason)) = self.known(&mut table, id, now) {
            return Taken::Repeat { slot, reason };
        }
        let (event, conflict) = event_key(&table, id, now);
        let slot = Arc::new(Slot::new(id.fingerprint));
        let mut entered = self.put(&mut table, id.fingerprint, &slot, now + id.fingerprint_window);
        if let Some(event) = event {
            entered &= self.put(&mut table, event, &slot, now + id.event_window);
        }
        Taken::First { slot, conflict, full: !entered }
    }

    /// Finds a message, without entering one that is not there.
    pub(super) fn find(&self, id: &Identity) -> Option<(Arc<Slot>, Reason)> {
        self.known(&mut lock(&self.table), id, Instant::now())
    }

    /// The slot of a message that is known. From now on it is known by its event too.
    fn known(&self, table: &mut Table, id: &Identity, now: Instant) -> Option<(Arc<Slot>, Reason)> {
        let events = [id.event, id.event_and_content()].into_iter().flatten();
        let mut found = events.filter_map(|event| live(table, &event, now));
        if let Some(slot) = found.find(|slot| slot.fingerprint == id.fingerprint) {
            return Some((slot, Reason::Event));
        }
        let slot = live(table, &id.fingerprint, now)?;
        if let (Some(event), _) = event_key(table, id, now) {
            self.put(table, event, &slot, now + id.event_window);
        }
        Some((slot, Reason::Fingerprint))
    }

    /// Leaves it to whoever was first when the fingerprint's window ends: here it would begin anew.
    pub(super) fn forget_fingerprint(&self, id: &Identity, slot: &Arc<Slot>) {
        let mut table = lock(&self.table);
        if table.get(&id.fingerprint, Instant::now()).is_some_and(|there| Arc::ptr_eq(there, slot)) {
            table.remove(&id.fingerprint);
        }
    }

    /// Enters a slot under a key; false when everything in a full table is in progress.
    fn put(&self, table: &mut Table, key: KeyedHash, slot: &Arc<Slot>, end: Instant) -> bool {
        table.remove(&key);
        while table.len() >= self.max_entries {
            if table.pop_first(|slot| !slot.is_open()).is_none() {
                return false;
            }
        }
        table.put(key, Arc::clone(slot), end);
        true
    }
}

/// The slot of a key, unless it was given up.
fn live(table: &Table, key: &KeyedHash, now: Instant) -> Option<Arc<Slot>> {
    table.get(key, now).filter(|slot| !matches!(slot.outcome.get(), Some(None))).cloned()
}

/// Where a message's event is entered, and whether that event is another message's already: it stays that one's.
fn event_key(table: &Table, id: &Identity, now: Instant) -> (Option<KeyedHash>, bool) {
    let conflict = id.event.and_then(|event| live(table, &event, now)).is_some();
    (if conflict { id.event_and_content() } else { id.event }, conflict)
}

impl Slot {
    fn new(fingerprint: KeyedHash) -> Self {
        Self { fingerprint, outcome: OnceLock::new(), settled: Notify::new() }
    }

    /// Whether the answer is still to come.
    pub(super) fn is_open(&self) -> bool {
        self.outcome.get().is_none()
    }

    /// Puts the answer, or that there will be none, and wakes whoever waits for it. The first word stands.
    pub(super) fn settle(&self, reply: Option<Reply>) {
        let _ = self.outcome.set(reply);
        self.settled.notify_waiters();
    }

    /// Waits for the answer; the outer `None` says that it did not come by `until`.
    pub(super) async fn wait(&self, until: Instant) -> Option<Option<Reply>> {
        let settled = self.settled.notified();
        let mut settled = std::pin::pin!(settled);
        // Listens from here on, so that a word between looking and waiting is not missed.
        settled.as_mut().enable();
        if self.is_open() {
            let _ = timeout_at(until, settled).await;
        }
        self.outcome.get().cloned()
    }
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Local({} of {} entries)", lock(&self.table).len(), self.max_entries)
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.outcome.get() {
            None => "open",
            Some(None) => "given up",
            Some(Some(_)) => "answered",
        };
        write!(f, "Slot({}, {state})", self.fingerprint)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::secret::{Pseudonyms, Secret};

    fn hash(text: &str) -> KeyedHash {
        Pseudonyms::new(Secret::new("a test key").as_ref()).expect("random").hash(&[text.as_bytes()])
    }

    fn identity(event: &str, fingerprint: &str) -> Identity {
        Identity {
            event: (!event.is_empty()).then(|| hash(event)),
            fingerprint: hash(fingerprint),
            event_window: Duration::from_secs(600),
            fingerprint_window: Duration::from_secs(20),
        }
    }

    fn reply(body: &str) -> Reply {
        Reply { status: 200, body: body.into(), retry_after: None }
    }

    #[track_caller]
    fn first(taken: Taken) -> (Arc<Slot>, bool, bool) {
        match taken {
            Taken::First { slot, conflict, full } => (slot, conflict, full),
            Taken::Repeat { .. } => panic!("known: {taken:?}"),
        }
    }

    #[track_caller]
    fn known(taken: Taken) -> (Arc<Slot>, Reason) {
        match taken {
            Taken::Repeat { slot, reason } => (slot, reason),
            Taken::First { .. } => panic!("new: {taken:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_table_forgets_answers_and_no_message_in_progress() {
        let local = Local::new(4);
        let (a, _, full) = first(local.take(&identity("a", "fa")));
        let (b, ..) = first(local.take(&identity("b", "fb")));
        assert!(!full);
        let (_, _, full) = first(local.take(&identity("c", "fc")));
        assert!(full, "nothing may go for it");
        let odd = Local::new(3);
        assert!(!first(odd.take(&identity("a", "fa"))).2);
        assert!(first(odd.take(&identity("b", "fb"))).2, "its event has no place");
        assert!(first(local.take(&identity("c", "fc"))).2, "unknown, so sent again: a duplicate beats a loss");
        assert_eq!(known(local.take(&identity("a", "fa"))).1, Reason::Event);
        a.settle(Some(reply("a")));
        let (_, _, full) = first(local.take(&identity("d", "fd")));
        assert!(!full, "a's two entries have gone");
        assert_eq!(known(local.take(&identity("b", "fb"))).1, Reason::Event);
        assert!(b.is_open());
        assert_eq!(format!("{local:?}"), "Local(4 of 4 entries)");
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_given_up_is_free_again_under_every_event() {
        let local = Local::new(100);
        let (slot, ..) = first(local.take(&identity("a", "f")));
        assert_eq!(known(local.take(&identity("b", "f"))).1, Reason::Fingerprint);
        slot.settle(None);
        let (slot, ..) = first(local.take(&identity("b", "f")));
        assert_eq!(known(local.take(&identity("a", "f"))).1, Reason::Fingerprint);
        slot.settle(Some(reply("b")));
        slot.settle(Some(reply("late")));
        let (found, reason) = local.find(&identity("a", "f")).expect("known");
        assert_eq!((found.wait(Instant::now()).await, reason), (Some(Some(reply("b"))), Reason::Event));
        assert!(local.find(&identity("a", "other")).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_under_anothers_event_is_known_by_both_for_as_long_as_an_event() {
        let local = Local::new(100);
        let (a, ..) = first(local.take(&identity("e", "a")));
        let (b, conflict, _) = first(local.take(&identity("e", "b")));
        assert!(conflict);
        a.settle(Some(reply("a")));
        b.settle(Some(reply("b")));
        tokio::time::advance(Duration::from_secs(590)).await;
        for (content, slot) in [("a", &a), ("b", &b)] {
            let (found, reason) = known(local.take(&identity("e", content)));
            assert!(Arc::ptr_eq(&found, slot) && reason == Reason::Event, "{content}");
        }
        tokio::time::advance(Duration::from_secs(11)).await;
        assert!(local.find(&identity("e", "b")).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn entries_do_not_outlive_their_windows() {
        let local = Local::new(100);
        for number in 0..10 {
            let (slot, ..) = first(local.take(&identity(&format!("e{number}"), &format!("f{number}"))));
            slot.settle(Some(reply("x")));
        }
        assert_eq!(format!("{local:?}"), "Local(20 of 100 entries)");
        tokio::time::advance(Duration::from_secs(21)).await;
        first(local.take(&identity("", "new")));
        assert_eq!(format!("{local:?}"), "Local(11 of 100 entries)");
        tokio::time::advance(Duration::from_secs(600)).await;
        first(local.take(&identity("", "new")));
        assert_eq!(format!("{local:?}"), "Local(1 of 100 entries)");
    }
}
