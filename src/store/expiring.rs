//! A small map whose entries leave by themselves, each at its very instant.
//!
//! Must not know what they are, nor lock or bound anything: its owner does. For hundreds of thousands there is `Fading`.

use std::borrow::Borrow;
use std::collections::{BTreeSet, HashMap, hash_map};
use std::hash::Hash;

use tokio::time::Instant;

/// Values by key, each until its own instant.
#[derive(Debug)]
pub(super) struct Expiring<K, V> {
    entries: HashMap<K, Entry<V>>,
    /// The first is the next to go.
    by_end: BTreeSet<(Instant, K)>,
}

#[derive(Debug)]
struct Entry<V> {
    end: Instant,
    value: V,
}

impl<K, V> Default for Expiring<K, V> {
    fn default() -> Self {
        Self { entries: HashMap::new(), by_end: BTreeSet::new() }
    }
}

impl<K: Clone + Eq + Hash + Ord, V> Expiring<K, V> {
    /// The value of a key, unless its time is over at `now`.
    pub(super) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q, now: Instant) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.entries.get(key).filter(|e| e.end > now).map(|e| &e.value)
    }

    /// Puts a value, with a new end, in the place of an earlier one, which is given back.
    pub(super) fn put(&mut self, key: K, value: V, end: Instant) -> Option<V> {
        let entry = Entry { end, value };
        let earlier = match self.entries.entry(key.clone()) {
            hash_map::Entry::Vacant(place) => {
                place.insert(entry);
                None
            }
            hash_map::Entry::Occupied(mut place) => {
                let earlier = place.insert(entry);
                self.by_end.remove(&(earlier.end, key.clone()));
                Some(earlier.value)
            }
        };
        self.by_end.insert((end, key));
        earlier
    }

    /// Takes an entry out.
    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let (key, entry) = self.entries.remove_entry(key)?;
        self.by_end.remove(&(entry.end, key));
        Some(entry.value)
    }

    /// Takes one entry out whose time is over at `now`.
    pub(super) fn pop_over(&mut self, now: Instant) -> Option<V> {
        let over = self.by_end.first().is_some_and(|(end, _)| *end <= now);
        over.then(|| self.by_end.pop_first()).flatten().and_then(|(_, key)| self.entries.remove(&key)).map(|e| e.value)
    }

    /// The keys whose time is over at `now`, the first to end first.
    pub(super) fn over(&self, now: Instant) -> impl Iterator<Item = &K> {
        self.by_end.iter().take_while(move |(end, _)| *end <= now).map(|(_, key)| key)
    }

    /// Whether a key is there, over or not.
    pub(super) fn holds<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.entries.contains_key(key)
    }

    /// When the last of all entries leaves.
    pub(super) fn last_end(&self) -> Option<Instant> {
        self.by_end.last().map(|(end, _)| *end)
    }

    /// Every key.
    pub(super) fn keys(&self) -> impl Iterator<Item = &K> {
        self.entries.keys()
    }

    /// How many entries there are, with those that are over and not yet taken out.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn entries_leave_in_the_order_of_their_ends() {
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        let mut map = Expiring::default();
        for (key, end) in [("late", 30), ("soon", 10), ("later", 40)] {
            assert_eq!(map.put(key, key, at(end)), None);
        }
        assert_eq!(map.put("late", "again", at(20)), Some("late"));
        assert_eq!((map.get("late", at(19)), map.get("late", at(20))), (Some(&"again"), None));
        assert_eq!(map.pop_over(at(9)), None);
        assert_eq!(
            [map.pop_over(at(20)), map.pop_over(at(20)), map.pop_over(at(20))],
            [Some("soon"), Some("again"), None]
        );
        assert_eq!((map.last_end(), map.pop_over(at(39))), (Some(at(40)), None));
        assert_eq!((map.len(), map.remove(&"later"), map.len()), (1, Some("later"), 0));
        assert!(map.by_end.is_empty());
    }
}
