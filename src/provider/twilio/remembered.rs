//! What was learnt about numbers a short while ago, by keyed hash, in bounded memory.
//!
//! Must not know what is kept, nor see a number: its callers hand over pseudonyms.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Entries beyond this drop the oldest: some 10 MB, and ten minutes' worth of numbers at 80 codes a second.
const CAPACITY: usize = 50_000;

/// Values by pseudonym, each for a fixed time.
pub(super) struct Remembered<V> {
    life: Duration,
    capacity: usize,
    entries: Mutex<Entries<V>>,
}

struct Entries<V> {
    by_key: HashMap<Arc<str>, Entry<V>>,
    /// The keys by serial number, so that the first is the oldest.
    by_age: BTreeMap<u64, (Instant, Arc<str>)>,
    next_serial: u64,
}

struct Entry<V> {
    serial: u64,
    since: Instant,
    value: V,
}

impl<V: Clone> Remembered<V> {
    /// Keeps every value for `life`.
    pub(super) fn new(life: Duration) -> Self {
        let entries = Entries { by_key: HashMap::new(), by_age: BTreeMap::new(), next_serial: 0 };
        Self { life, capacity: CAPACITY, entries: Mutex::new(entries) }
    }

    /// The value put last under this key, if it is not too old.
    pub(super) fn find(&self, key: &str) -> Option<V> {
        let entries = self.lock();
        let entry = entries.by_key.get(key).filter(|e| e.since.elapsed() < self.life);
        entry.map(|e| e.value.clone())
    }

    /// Puts a value in the place of an earlier one, and drops what is too old or too much.
    pub(super) fn put(&self, key: &str, value: V) {
        let entries = &mut *self.lock();
        entries.remove(key);
        let (key, serial, since): (Arc<str>, _, _) = (key.into(), entries.next_serial, Instant::now());
        entries.next_serial += 1;
        entries.by_age.insert(serial, (since, Arc::clone(&key)));
        entries.by_key.insert(key, Entry { serial, since, value });
        while let Some(oldest) = entries.by_age.first_entry()
            && (entries.by_key.len() > self.capacity || oldest.get().0.elapsed() >= self.life)
        {
            let (_, key) = oldest.remove();
            entries.by_key.remove(&key);
        }
    }

    /// Forgets a key.
    pub(super) fn remove(&self, key: &str) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, Entries<V>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V> Entries<V> {
    fn remove(&mut self, key: &str) {
        if let Some(entry) = self.by_key.remove(key) {
            self.by_age.remove(&entry.serial);
        }
    }
}

impl<V> fmt::Debug for Remembered<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        write!(f, "Remembered({} entries)", entries.by_key.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_value_is_found_for_its_life_and_dropped_after_it() {
        let remembered = Remembered::new(10 * SECOND);
        remembered.put("a", 1);
        tokio::time::advance(6 * SECOND).await;
        remembered.put("b", 2);
        assert_eq!((remembered.find("a"), remembered.find("b")), (Some(1), Some(2)));
        tokio::time::advance(5 * SECOND).await;
        assert_eq!((remembered.find("a"), remembered.find("b")), (None, Some(2)));
        remembered.put("c", 3);
        assert_eq!(format!("{remembered:?}"), "Remembered(2 entries)", "what nobody asks for again must not stay");
        remembered.remove("b");
        assert_eq!(remembered.find("b"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_goes_when_it_is_full_and_a_renewed_one_is_not_the_oldest() {
        let remembered = Remembered { capacity: 2, ..Remembered::new(10 * SECOND) };
        remembered.put("a", 1);
        remembered.put("b", 2);
        remembered.put("a", 3);
        remembered.put("c", 4);
        assert_eq!((remembered.find("a"), remembered.find("b"), remembered.find("c")), (Some(3), None, Some(4)));
        assert_eq!(remembered.lock().by_age.len(), 2);
    }
}
