//! The store in this process: nobody else sees it, and a restart forgets it.
//!
//! Must not grow beyond its bound, and never drops a claim in progress to make room.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::Instant;

use super::members::Members;
use super::queue::Pieces;
use super::{Add, Claim, Fading, Faults, Key, Queue, Store, StoreFault, Tally};
use crate::locks::lock;
use crate::secret::KeyedHash;

/// A store in memory.
pub struct Memory {
    max_entries: usize,
    entries: Mutex<Entries>,
    faults: Option<Faults>,
}

#[derive(Default)]
struct Entries {
    by_key: Fading<Value>,
    /// Entries, and members of sets: what is bounded.
    size: usize,
}

enum Value {
    /// In progress: may not be dropped.
    Claimed(Arc<[u8]>),
    Written(Arc<[u8]>),
    Count(u64),
    Members(Members),
    /// Work to be done: may not be dropped.
    Queue(Box<Pieces>),
}

impl Value {
    fn size(&self) -> usize {
        match self {
            Self::Claimed(_) | Self::Written(_) | Self::Count(_) => 1,
            Self::Members(members) => 1 + members.len(),
            Self::Queue(queue) => 1 + queue.len(),
        }
    }
}

impl Memory {
    /// Keeps at most so many entries, where each member of a set is one. What would leave soonest goes first.
    pub fn new(max_entries: usize) -> Self {
        Self { max_entries, entries: Mutex::default(), faults: None }
    }

    /// Has its faults counted.
    pub(super) fn counted(self, faults: Faults) -> Self {
        Self { faults: Some(faults), ..self }
    }

    /// Does something with the entries whose time is not over.
    fn with<T>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&mut Entries, Instant) -> Result<T, StoreFault>,
    ) -> Result<T, StoreFault> {
        let now = Instant::now();
        let mut entries = lock(&self.entries);
        while let Some(over) = entries.by_key.pop_over(now) {
            entries.size -= over.size();
        }
        let result = work(&mut entries, now);
        drop(entries);
        if let (Err(fault), Some(faults)) = (&result, &self.faults) {
            faults.note(operation, fault);
        }
        result
    }
}

impl Entries {
    fn put(&mut self, key: &KeyedHash, value: Value, end: Instant) {
        self.size += value.size();
        if let Some(earlier) = self.by_key.put(*key, value, end) {
            self.size -= earlier.size();
        }
    }

    fn take(&mut self, key: &KeyedHash) -> Option<Value> {
        let value = self.by_key.remove(key)?;
        self.size -= value.size();
        Some(value)
    }

    /// A queue, if it is there.
    fn queue(&mut self, key: &KeyedHash, now: Instant) -> Result<Option<&mut Pieces>, StoreFault> {
        match self.by_key.get_mut(key, now) {
            Some(Value::Queue(queue)) => Ok(Some(queue)),
            Some(Value::Claimed(_) | Value::Written(_) | Value::Count(_) | Value::Members(_)) => Err(wrong_type()),
            None => Ok(None),
        }
    }

    /// Adds to a counter.
    fn count(&mut self, key: &KeyedHash, by: u64, now: Instant, end: Instant, most: usize) -> Result<u64, StoreFault> {
        match self.by_key.get_mut(key, now) {
            Some(Value::Count(count)) => {
                *count = count.saturating_add(by);
                Ok(*count)
            }
            Some(Value::Claimed(_) | Value::Written(_) | Value::Members(_) | Value::Queue(_)) => Err(wrong_type()),
            None => {
                self.make_room(1, most)?;
                self.put(key, Value::Count(by), end);
                Ok(by)
            }
        }
    }

    /// Adds members to a set.
    fn join(
        &mut self,
        key: &KeyedHash,
        members: &[KeyedHash],
        now: Instant,
        end: Instant,
        most: usize,
    ) -> Result<u64, StoreFault> {
        if !matches!(self.by_key.get(key, now), None | Some(Value::Members(_))) {
            return Err(wrong_type());
        }
        // For all of them and for the set itself, which may have to go to make it.
        self.make_room(1 + members.len(), most)?;
        let set_end = self.by_key.end_of(key);
        let (Some(Value::Members(set)), Some(set_end)) = (self.by_key.get_mut(key, now), set_end) else {
            let set = Members::new(members, now, end);
            let len = set.len();
            self.put(key, Value::Members(set), end);
            return Ok(len as u64);
        };
        let before = set.len();
        for member in members {
            set.add(*member, now, end, set_end);
        }
        let (after, end) = (set.len(), set.last_end().unwrap_or(end));
        self.size = self.size - before + after;
        self.by_key.renew(key, end);
        Ok(after as u64)
    }

    /// Makes room for so many more entries.
    fn make_room(&mut self, more: usize, most: usize) -> Result<(), StoreFault> {
        while self.size + more > most {
            let finished = |value: &Value| !matches!(value, Value::Claimed(_) | Value::Queue(_));
            let gone = self.by_key.pop_first(finished).ok_or(StoreFault::Full)?;
            self.size -= gone.size();
        }
        Ok(())
    }
}

/// As a shared store answers whoever takes a counter for a text.
fn wrong_type() -> StoreFault {
    StoreFault::Broken("WRONGTYPE".to_owned())
}

#[async_trait]
impl Store for Memory {
    async fn claim(&self, key: &Key, value: Bytes, ttl: Duration) -> Result<Claim, StoreFault> {
        let key = &key.whole();
        self.with("claim", |entries, now| match entries.by_key.get(key, now) {
            Some(Value::Claimed(existing) | Value::Written(existing)) if **existing == value => Ok(Claim::Claimed),
            Some(Value::Claimed(existing) | Value::Written(existing)) => {
                Ok(Claim::Existing(Bytes::copy_from_slice(existing)))
            }
            Some(Value::Count(_) | Value::Members(_) | Value::Queue(_)) => Err(wrong_type()),
            None => {
                entries.make_room(1, self.max_entries)?;
                entries.put(key, Value::Claimed((*value).into()), now + ttl);
                Ok(Claim::Claimed)
            }
        })
    }

    async fn read(&self, key: &Key) -> Result<Option<Bytes>, StoreFault> {
        let key = &key.whole();
        self.with("read", |entries, now| match entries.by_key.get(key, now) {
            Some(Value::Claimed(value) | Value::Written(value)) => Ok(Some(Bytes::copy_from_slice(value))),
            Some(Value::Count(_) | Value::Members(_) | Value::Queue(_)) => Err(wrong_type()),
            None => Ok(None),
        })
    }

    async fn write(&self, keys: &[Key], value: Bytes, ttl: Duration) -> Result<(), StoreFault> {
        let value: Arc<[u8]> = (*value).into();
        self.with("write", |entries, now| {
            for key in keys {
                let key = &key.whole();
                // What it replaces makes its room.
                entries.take(key);
                entries.make_room(1, self.max_entries)?;
                entries.put(key, Value::Written(Arc::clone(&value)), now + ttl);
            }
            Ok(())
        })
    }

    async fn remove(&self, key: &Key) -> Result<bool, StoreFault> {
        self.with("remove", |entries, _| Ok(entries.take(&key.whole()).is_some()))
    }

    async fn tally(&self, tallies: &[Tally<'_>]) -> Result<Vec<u64>, StoreFault> {
        self.with("tally", |entries, now| {
            let add = |tally: &Tally<'_>| {
                let (key, end) = (tally.key.whole(), now + tally.ttl);
                match tally.add {
                    Add::Count(by) => entries.count(&key, by, now, end, self.max_entries),
                    Add::Members(members) => entries.join(&key, members, now, end, self.max_entries),
                }
            };
            tallies.iter().map(add).collect()
        })
    }

    async fn members(&self, key: &Key) -> Result<Vec<KeyedHash>, StoreFault> {
        self.with("members", |entries, now| match entries.by_key.get(&key.whole(), now) {
            Some(Value::Members(members)) => Ok(members.at(now)),
            Some(Value::Claimed(_) | Value::Written(_) | Value::Count(_) | Value::Queue(_)) => Err(wrong_type()),
            None => Ok(Vec::new()),
        })
    }
}

#[async_trait]
impl Queue for Memory {
    async fn enqueue(&self, queue: &Key, pieces: &[String], delay: Duration, ttl: Duration) -> Result<(), StoreFault> {
        let key = &queue.whole();
        self.with("enqueue", |entries, now| {
            entries.queue(key, now)?;
            let earlier = entries.take(key).unwrap_or_else(|| Value::Queue(Box::default()));
            entries.put(key, earlier, now + ttl);
            for piece in pieces {
                if entries.queue(key, now)?.is_some_and(|queue| queue.holds(piece)) {
                    continue;
                }
                entries.make_room(1, self.max_entries)?;
                if let Some(queue) = entries.queue(key, now)? {
                    queue.add(piece, now + delay);
                    entries.size += 1;
                }
            }
            Ok(())
        })
    }

    async fn lease(&self, queue: &Key, most: usize, lease: Duration) -> Result<Vec<String>, StoreFault> {
        self.with("lease", |entries, now| {
            let queue = entries.queue(&queue.whole(), now)?;
            Ok(queue.map(|queue| queue.lease(most, now, lease)).unwrap_or_default())
        })
    }

    async fn postpone(&self, queue: &Key, piece: &str, delay: Duration) -> Result<(), StoreFault> {
        self.with("postpone", |entries, now| {
            if let Some(queue) = entries.queue(&queue.whole(), now)? {
                queue.postpone(piece, now + delay);
            }
            Ok(())
        })
    }

    async fn finish(&self, queue: &Key, pieces: &[String]) -> Result<(), StoreFault> {
        self.with("finish", |entries, now| {
            let gone = entries.queue(&queue.whole(), now)?.map_or(0, |queue| queue.finish(pieces));
            entries.size -= gone;
            Ok(())
        })
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = lock(&self.entries).size;
        write!(f, "Memory({size} of {} entries)", self.max_entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{Pseudonyms, Secret};

    const MINUTE: Duration = Duration::from_secs(60);

    fn key(name: &str) -> Key {
        let pseudonyms = Pseudonyms::new(Secret::new("a test key").as_ref()).expect("random");
        Key::new("test", pseudonyms.hash(&[name.as_bytes()]))
    }

    async fn holds(store: &Memory, names: &[&str]) -> Vec<bool> {
        let mut held = Vec::new();
        for name in names {
            held.push(store.read(&key(name)).await.expect("a value").is_some());
        }
        held
    }

    #[tokio::test(start_paused = true)]
    async fn when_full_what_leaves_soonest_goes_and_no_claim_in_progress() {
        let store = Memory::new(3);
        store.claim(&key("claim"), "a".into(), MINUTE).await.expect("room");
        store.write(&[key("soon")], "b".into(), 2 * MINUTE).await.expect("room");
        store.write(&[key("late")], "c".into(), 3 * MINUTE).await.expect("room");
        store.write(&[key("late")], "d".into(), 3 * MINUTE).await.expect("its own room");
        assert_eq!(holds(&store, &["claim", "soon", "late"]).await, [true, true, true]);
        store.claim(&key("second"), "e".into(), MINUTE).await.expect("room made");
        assert_eq!(holds(&store, &["claim", "soon", "late", "second"]).await, [true, false, true, true]);
        store.claim(&key("third"), "f".into(), MINUTE).await.expect("room made");
        assert_eq!(store.claim(&key("fourth"), "g".into(), MINUTE).await, Err(StoreFault::Full));
        assert_eq!(store.write(&[key("fourth")], "g".into(), MINUTE).await, Err(StoreFault::Full));
        assert_eq!(holds(&store, &["claim", "second", "third"]).await, [true; 3]);
        // Answered, a claim is like any other value.
        store.write(&[key("claim")], "answer".into(), MINUTE).await.expect("its own room");
        store.claim(&key("fourth"), "g".into(), MINUTE).await.expect("room made");
        assert_eq!(holds(&store, &["claim", "fourth"]).await, [false, true]);
    }

    #[test]
    fn a_value_takes_three_words_as_there_are_hundreds_of_thousands() {
        assert!(size_of::<Value>() <= 24);
    }

    #[tokio::test(start_paused = true)]
    async fn members_count_towards_the_bound_and_nothing_stays_behind() {
        let store = Memory::new(4);
        let (three, one) = (["a", "b", "c"].map(|name| key(name).of()), [key("a").of()]);
        let join = |members| [Tally { key: key("set"), add: Add::Members(members), ttl: MINUTE }];
        store.tally(&join(&three)).await.expect("room");
        assert_eq!(format!("{store:?}"), "Memory(4 of 4 entries)");
        store.tally(&[Tally { key: key("counter"), add: Add::Count(1), ttl: MINUTE }]).await.expect("room made");
        assert_eq!(format!("{store:?}"), "Memory(1 of 4 entries)");
        store.tally(&join(&one)).await.expect("room");
        tokio::time::advance(MINUTE).await;
        store.write(&[key("x")], "y".into(), MINUTE).await.expect("room");
        assert_eq!(format!("{store:?}"), "Memory(1 of 4 entries)");
    }

    #[tokio::test(start_paused = true)]
    async fn members_that_come_together_find_room_for_all_of_them_or_for_none() {
        let three = ["a", "b", "c"].map(|name| key(name).of());
        let join = [Tally { key: key("set"), add: Add::Members(&three), ttl: MINUTE }];
        let store = Memory::new(4);
        store.write(&["v", "w", "x", "y"].map(key), "a value".into(), MINUTE).await.expect("room");
        assert_eq!(store.tally(&join).await, Ok(vec![3]));
        assert_eq!(format!("{store:?}"), "Memory(4 of 4 entries)");
        assert_eq!(store.tally(&join).await, Ok(vec![3]), "the same again");
        assert_eq!(format!("{store:?}"), "Memory(4 of 4 entries)");
        store.claim(&key("claim"), "mine".into(), MINUTE).await.expect("room made");
        assert_eq!(store.tally(&join).await, Err(StoreFault::Full));
        assert_eq!(format!("{store:?}"), "Memory(1 of 4 entries)");
    }

    #[tokio::test(start_paused = true)]
    async fn work_is_never_dropped_to_make_room_and_leaves_its_room_when_done() {
        let store = Memory::new(3);
        let pieces = ["a".to_owned(), "b".to_owned()];
        store.enqueue(&key("queue"), &pieces, MINUTE, 2 * MINUTE).await.expect("room");
        store.enqueue(&key("queue"), &pieces, MINUTE, 2 * MINUTE).await.expect("nothing new");
        assert_eq!(format!("{store:?}"), "Memory(3 of 3 entries)");
        assert_eq!(store.write(&[key("x")], "y".into(), MINUTE).await, Err(StoreFault::Full));
        assert_eq!(store.enqueue(&key("queue"), &["c".to_owned()], MINUTE, MINUTE).await, Err(StoreFault::Full));
        store.finish(&key("queue"), &pieces[..1]).await.expect("finished");
        store.write(&[key("x")], "y".into(), MINUTE).await.expect("room made");
        assert_eq!(store.lease(&key("queue"), 9, MINUTE).await, Ok(Vec::new()));
        tokio::time::advance(MINUTE / 2).await;
        store.enqueue(&key("queue"), &[], MINUTE, MINUTE).await.expect("kept longer");
        tokio::time::advance(MINUTE / 2).await;
        assert_eq!(store.lease(&key("queue"), 9, MINUTE).await, Ok(vec!["b".to_owned()]));
        tokio::time::advance(MINUTE / 2).await;
        store.write(&[key("x")], "y".into(), MINUTE).await.expect("room");
        assert_eq!(format!("{store:?}"), "Memory(1 of 3 entries)", "what nobody does in time is given up");
    }
}
