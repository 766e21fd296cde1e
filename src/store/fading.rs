//! A large map by keyed hash whose entries leave by themselves.
//!
//! Must not lock or bound anything: its owner does both. An entry is gone for whoever asks when its time is over; its room
//! is free within a second of that. That second is what the order by time costs least in: hundreds of thousands of entries
//! stand in a few buckets, and not in a tree of their own.

use std::collections::{BTreeMap, HashMap, hash_map};
use std::hash::BuildHasherDefault;

use tokio::time::Instant;

use crate::secret::{IdentityHasher, KeyedHash};

/// Values by keyed hash, each until its own instant.
#[derive(Debug)]
pub struct Fading<V> {
    entries: HashMap<KeyedHash, Entry<V>, BuildHasherDefault<IdentityHasher>>,
    /// By seconds since `epoch`. A key moves on when its bucket is over and its entry is not.
    buckets: BTreeMap<u32, Vec<KeyedHash>>,
    epoch: Instant,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    /// In nanoseconds since `epoch`: half an `Instant`, and there are many of them.
    end: u64,
    /// Where its key stands. In any other bucket it is left over from an entry that was taken out.
    bucket: u32,
}

impl<V> Default for Fading<V> {
    fn default() -> Self {
        Self { entries: HashMap::default(), buckets: BTreeMap::new(), epoch: Instant::now() }
    }
}

impl<V> Fading<V> {
    /// The value of a key, unless its time is over at `now`.
    pub fn get(&self, key: &KeyedHash, now: Instant) -> Option<&V> {
        let now = self.nanos(now);
        self.entries.get(key).filter(|e| e.end > now).map(|e| &e.value)
    }

    /// The value of a key, to be changed, unless its time is over at `now`.
    pub fn get_mut(&mut self, key: &KeyedHash, now: Instant) -> Option<&mut V> {
        let now = self.nanos(now);
        self.entries.get_mut(key).filter(|e| e.end > now).map(|e| &mut e.value)
    }

    /// Puts a value, with a new end, in the place of an earlier one, which is given back.
    pub fn put(&mut self, key: KeyedHash, value: V, end: Instant) -> Option<V> {
        let end = self.nanos(end);
        let bucket = second(end);
        let earlier = match self.entries.entry(key) {
            hash_map::Entry::Vacant(place) => {
                place.insert(Entry { value, end, bucket });
                None
            }
            hash_map::Entry::Occupied(mut place) if place.get().bucket <= bucket => {
                let entry = place.get_mut();
                entry.end = end;
                return Some(std::mem::replace(&mut entry.value, value));
            }
            hash_map::Entry::Occupied(mut place) => Some(place.insert(Entry { value, end, bucket }).value),
        };
        self.buckets.entry(bucket).or_default().push(key);
        earlier
    }

    /// Lets a value stay until a later instant; nothing happens when it is not there.
    pub fn renew(&mut self, key: &KeyedHash, end: Instant) {
        let end = self.nanos(end);
        if let Some(entry) = self.entries.get_mut(key) {
            entry.end = entry.end.max(end);
        }
    }

    /// Takes an entry out. Its key stays in its bucket until that is over.
    pub fn remove(&mut self, key: &KeyedHash) -> Option<V> {
        self.entries.remove(key).map(|e| e.value)
    }

    /// Takes out all entries but these. Looks at every one.
    pub fn retain(&mut self, stays: impl Fn(&V) -> bool) {
        self.entries.retain(|_, entry| stays(&entry.value));
    }

    /// Takes one entry out whose time is over at `now`, if the second it ended in is over too.
    pub fn pop_over(&mut self, now: Instant) -> Option<V> {
        let over = whole_seconds(self.nanos(now));
        while let Some(bucket) = self.buckets.first_key_value().map(|(bucket, _)| *bucket).filter(|b| *b <= over) {
            while let Some(key) = self.buckets.get_mut(&bucket).and_then(Vec::pop) {
                if self.ends_in(&key, bucket) {
                    return self.remove(&key);
                }
            }
            self.buckets.remove(&bucket);
        }
        None
    }

    /// Takes out an entry of those that leave in the earliest second, among those that may.
    pub fn pop_first(&mut self, may_go: impl Fn(&V) -> bool) -> Option<V> {
        let mut bucket = *self.buckets.first_key_value()?.0;
        loop {
            let mut keys = self.buckets.remove(&bucket)?;
            let mut found = None;
            // From the back: what is taken out there moves nothing.
            for place in (0..keys.len()).rev() {
                if !self.ends_in(&keys[place], bucket) {
                    keys.swap_remove(place);
                } else if self.entries.get(&keys[place]).is_some_and(|e| may_go(&e.value)) {
                    found = Some(keys.swap_remove(place));
                    break;
                }
            }
            if !keys.is_empty() {
                self.buckets.insert(bucket, keys);
            }
            if let Some(key) = found {
                return self.remove(&key);
            }
            bucket = *self.buckets.range(bucket + 1..).next()?.0;
        }
    }

    /// How many entries there are, with those that are over and not yet taken out.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether the entry of a key that stands in this bucket ends there. If it ends later, the key moves on.
    fn ends_in(&mut self, key: &KeyedHash, bucket: u32) -> bool {
        let Some(entry) = self.entries.get_mut(key).filter(|e| e.bucket == bucket) else { return false };
        let end = second(entry.end);
        if end > bucket {
            entry.bucket = end;
            self.buckets.entry(end).or_default().push(*key);
        }
        end <= bucket
    }

    fn nanos(&self, instant: Instant) -> u64 {
        // A process does not run for 584 years.
        u64::try_from(instant.saturating_duration_since(self.epoch).as_nanos()).unwrap_or(u64::MAX)
    }
}

const SECOND: u64 = 1_000_000_000;

/// The second by whose beginning what ends at `end` is over.
fn second(end: u64) -> u32 {
    whole_seconds(end.saturating_add(SECOND - 1))
}

/// Nor for 136 years.
fn whole_seconds(nanos: u64) -> u32 {
    u32::try_from(nanos / SECOND).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::secret::{Pseudonyms, Secret};

    fn key(name: &str) -> KeyedHash {
        Pseudonyms::new(Secret::new("a test key").as_ref()).expect("random").hash(&[name.as_bytes()])
    }

    fn at(map: &Fading<&'static str>, millis: u64) -> Instant {
        map.epoch + Duration::from_millis(millis)
    }

    #[tokio::test(start_paused = true)]
    async fn entries_are_gone_at_their_end_and_leave_within_a_second_of_it() {
        let mut map = Fading::default();
        for (name, millis) in [("late", 30_500), ("soon", 10_000), ("later", 40_000)] {
            assert_eq!(map.put(key(name), name, at(&map, millis)), None);
        }
        assert_eq!(map.put(key("late"), "sooner", at(&map, 20_500)), Some("late"));
        assert_eq!(map.get(&key("late"), at(&map, 20_499)), Some(&"sooner"));
        assert_eq!(map.get(&key("late"), at(&map, 20_500)), None);
        assert_eq!(map.get_mut(&key("late"), at(&map, 20_500)), None);
        assert_eq!(map.pop_over(at(&map, 9_999)), None);
        assert_eq!((map.pop_over(at(&map, 10_000)), map.pop_over(at(&map, 20_999))), (Some("soon"), None));
        assert_eq!(
            (map.len(), map.pop_over(at(&map, 21_000)), map.pop_over(at(&map, 31_000))),
            (2, Some("sooner"), None)
        );
        assert_eq!(
            (map.remove(&key("later")), map.is_empty(), map.pop_over(at(&map, 50_000))),
            (Some("later"), true, None)
        );
        assert!(map.buckets.is_empty(), "nothing is left over: {:?}", map.buckets);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_renewed_stays_and_stands_in_one_bucket() {
        let mut map = Fading::default();
        map.put(key("a"), "a", at(&map, 1_000));
        for second in 2..=60 {
            map.renew(&key("a"), at(&map, second * 1_000));
            map.put(key("b"), "b", at(&map, second * 1_000));
        }
        map.renew(&key("a"), at(&map, 5_000));
        map.renew(&key("nobody"), at(&map, 5_000));
        assert_eq!(map.buckets.values().map(Vec::len).sum::<usize>(), 2);
        assert_eq!((map.pop_over(at(&map, 59_999)), map.len()), (None, 2));
        assert_eq!(map.get(&key("a"), at(&map, 59_999)), Some(&"a"));
        let mut both = [map.pop_over(at(&map, 60_000)), map.pop_over(at(&map, 60_000))];
        both.sort_unstable();
        assert_eq!((both, map.pop_over(at(&map, 99_000))), ([Some("a"), Some("b")], None));
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_not_go_stays_however_soon_it_would_leave() {
        let mut map = Fading::default();
        for (name, seconds) in [("one", 1), ("two", 2), ("three", 3), ("renewed", 1)] {
            map.put(key(name), name, at(&map, seconds * 1_000));
        }
        map.renew(&key("renewed"), at(&map, 4_000));
        map.put(key("gone"), "gone", at(&map, 1_000));
        map.remove(&key("gone"));
        let may_go = |value: &&str| *value != "one";
        assert_eq!([map.pop_first(may_go), map.pop_first(may_go)], [Some("two"), Some("three")]);
        assert_eq!([map.pop_first(may_go), map.pop_first(may_go)], [Some("renewed"), None]);
        assert_eq!((map.len(), map.pop_first(|_| true), map.pop_first(|_| true)), (1, Some("one"), None));
    }
}
