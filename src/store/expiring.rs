//! A bounded map whose entries leave by themselves.
//!
//! Must not know what they are, nor lock anything: its owner does both.

use std::borrow::Borrow;
use std::collections::{BTreeSet, HashMap, hash_map};
use std::hash::{BuildHasher, Hash, RandomState};

use tokio::time::Instant;

/// Values by key, each until its own instant.
#[derive(Debug)]
pub struct Expiring<K, V, S = RandomState> {
    entries: HashMap<K, Entry<V>, S>,
    /// The first is the next to go.
    by_end: BTreeSet<(Instant, K)>,
}

#[derive(Debug)]
struct Entry<V> {
    end: Instant,
    value: V,
}

impl<K, V, S: Default> Default for Expiring<K, V, S> {
    fn default() -> Self {
        Self { entries: HashMap::default(), by_end: BTreeSet::new() }
    }
}

impl<K: Clone + Eq + Hash + Ord, V, S: BuildHasher> Expiring<K, V, S> {
    /// The value of a key, unless its time is over at `now`.
    pub fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q, now: Instant) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.entries.get(key).filter(|e| e.end > now).map(|e| &e.value)
    }

    /// The value of a key, to be changed, unless its time is over at `now`.
    pub fn get_mut<Q: Eq + Hash + ?Sized>(&mut self, key: &Q, now: Instant) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.entries.get_mut(key).filter(|e| e.end > now).map(|e| &mut e.value)
    }

    /// Puts a value, with a new end, in the place of an earlier one, which is given back.
    pub fn put(&mut self, key: K, value: V, end: Instant) -> Option<V> {
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

    /// Lets a value stay until another instant; nothing happens when it is not there.
    pub fn renew(&mut self, key: &K, end: Instant) {
        if let Some(entry) = self.entries.get_mut(key)
            && entry.end != end
        {
            self.by_end.remove(&(entry.end, key.clone()));
            self.by_end.insert((end, key.clone()));
            entry.end = end;
        }
    }

    /// Takes an entry out.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let (key, entry) = self.entries.remove_entry(key)?;
        self.by_end.remove(&(entry.end, key));
        Some(entry.value)
    }

    /// Takes one entry out whose time is over at `now`.
    pub fn pop_over(&mut self, now: Instant) -> Option<V> {
        let over = self.by_end.first().is_some_and(|(end, _)| *end <= now);
        over.then(|| self.by_end.pop_first()).flatten().and_then(|(_, key)| self.entries.remove(&key)).map(|e| e.value)
    }

    /// The keys whose time is over at `now`, the first to end first.
    pub fn over(&self, now: Instant) -> impl Iterator<Item = &K> {
        self.by_end.iter().take_while(move |(end, _)| *end <= now).map(|(_, key)| key)
    }

    /// Whether a key is there, over or not.
    pub fn holds<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.entries.contains_key(key)
    }

    /// Takes out the entry that would leave first, among those that may.
    pub fn pop_first(&mut self, may_go: impl Fn(&V) -> bool) -> Option<V> {
        let goes = |(_, key): &&(Instant, K)| self.entries.get(key).is_some_and(|e| may_go(&e.value));
        let (_, key) = self.by_end.iter().find(goes)?.clone();
        self.remove(&key)
    }

    /// When the last of all entries leaves.
    pub fn last_end(&self) -> Option<Instant> {
        self.by_end.last().map(|(end, _)| *end)
    }

    /// Every key.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.entries.keys()
    }

    /// How many entries there are, with those that are over and not yet taken out.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
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
        let mut map: Expiring<_, _> = Expiring::default();
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
        map.renew(&"later", at(50));
        assert_eq!((map.last_end(), map.pop_over(at(49))), (Some(at(50)), None));
        assert_eq!((map.len(), map.remove(&"later"), map.is_empty()), (1, Some("later"), true));
        assert!(map.by_end.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_not_go_stays_however_soon_it_would_leave() {
        let now = Instant::now();
        let mut map: Expiring<_, _> = Expiring::default();
        for value in 1..=3_u64 {
            map.put(value, value, now + Duration::from_secs(value));
        }
        assert_eq!(map.pop_first(|value| *value != 1), Some(2));
        assert_eq!(map.pop_first(|value| *value > 3), None);
        assert_eq!(map.len(), 2);
    }
}
