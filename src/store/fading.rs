//! A large map by keyed hash whose entries leave by themselves.
//!
//! Must not lock or bound anything: its owner does both. An entry is gone for whoever asks when its time is over; its room
//! is free within a second of that. That second is what the order by time costs least in: hundreds of thousands of entries
//! stand in a few rings, and not in a tree of their own.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, BuildHasherDefault};
use std::time::Duration;

use hashbrown::HashTable;
use slab::Slab;
use tokio::time::Instant;

use crate::secret::{IdentityHasher, KeyedHash};

/// Values by keyed hash, each until its own instant.
///
/// The entries stand side by side, and whoever comes takes the place that was left last. So the memory that a change
/// touches is nearly always at hand: in a map the entries would be spread over all of it, and half of it empty.
#[derive(Debug)]
pub struct Fading<V> {
    /// Where the entry of a key stands.
    index: HashTable<Place>,
    entries: Slab<Entry<V>>,
    /// One of the entries that end in each second since `epoch`; the others follow it in a ring.
    rings: BTreeMap<u32, Place>,
    epoch: Instant,
}

/// Half a `usize`, as each entry takes three of them: four thousand million entries are more than fit anywhere.
type Place = u32;

#[derive(Debug)]
struct Entry<V> {
    key: KeyedHash,
    value: V,
    /// In nanoseconds since `epoch`: half an `Instant`.
    end: u64,
    /// Its neighbours in the ring of its second.
    before: Place,
    after: Place,
}

impl<V> Default for Fading<V> {
    fn default() -> Self {
        Self { index: HashTable::new(), entries: Slab::new(), rings: BTreeMap::new(), epoch: Instant::now() }
    }
}

impl<V> Fading<V> {
    /// The value of a key, unless its time is over at `now`.
    pub fn get(&self, key: &KeyedHash, now: Instant) -> Option<&V> {
        let entry = &self.entries[at(self.find(key)?)];
        (entry.end > self.nanos(now)).then_some(&entry.value)
    }

    /// The value of a key, to be changed, unless its time is over at `now`.
    pub fn get_mut(&mut self, key: &KeyedHash, now: Instant) -> Option<&mut V> {
        let now = self.nanos(now);
        let place = self.find(key)?;
        let entry = &mut self.entries[at(place)];
        (entry.end > now).then_some(&mut entry.value)
    }

    /// When the time of a key is over.
    pub fn end_of(&self, key: &KeyedHash) -> Option<Instant> {
        self.find(key).map(|place| self.epoch + Duration::from_nanos(self.entries[at(place)].end))
    }

    /// Puts a value, with a new end, in the place of an earlier one, which is given back.
    pub fn put(&mut self, key: KeyedHash, value: V, end: Instant) -> Option<V> {
        let earlier = self.remove(&key);
        let end = self.nanos(end);
        let place = Place::try_from(self.entries.vacant_key()).unwrap_or(Place::MAX);
        self.entries.insert(Entry { key, value, end, before: place, after: place });
        self.index.insert_unique(hash(&key), place, |place| hash(&self.entries[at(*place)].key));
        self.enter_ring(place);
        earlier
    }

    /// Lets a value stay until a later instant; nothing happens when it is not there.
    pub fn renew(&mut self, key: &KeyedHash, end: Instant) {
        let end = self.nanos(end);
        let Some(place) = self.find(key).filter(|place| self.entries[at(*place)].end < end) else { return };
        self.leave_ring(place);
        self.entries[at(place)].end = end;
        self.enter_ring(place);
    }

    /// Takes an entry out.
    pub fn remove(&mut self, key: &KeyedHash) -> Option<V> {
        self.find(key).map(|place| self.take(place))
    }

    /// Takes out all entries but these. Looks at every one.
    pub fn retain(&mut self, stays: impl Fn(&V) -> bool) {
        let gone: Vec<KeyedHash> = self.entries.iter().filter(|(_, e)| !stays(&e.value)).map(|(_, e)| e.key).collect();
        for key in gone {
            self.remove(&key);
        }
    }

    /// Takes one entry out whose time is over at `now`, if the second it ended in is over too.
    pub fn pop_over(&mut self, now: Instant) -> Option<V> {
        let over = whole_seconds(self.nanos(now));
        let (second, first) = self.rings.first_key_value()?;
        (*second <= over).then_some(*first).map(|place| self.take(place))
    }

    /// Takes out an entry of those that leave in the earliest second, among those that may.
    pub fn pop_first(&mut self, may_go: impl Fn(&V) -> bool) -> Option<V> {
        let may_go = |place: &Place| may_go(&self.entries[at(*place)].value);
        let place = self.rings.values().flat_map(|first| self.ring(*first)).find(may_go)?;
        Some(self.take(place))
    }

    /// How many entries there are, with those that are over and not yet taken out.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn find(&self, key: &KeyedHash) -> Option<Place> {
        self.index.find(hash(key), |place| self.entries[at(*place)].key == *key).copied()
    }

    fn take(&mut self, place: Place) -> V {
        self.leave_ring(place);
        let Entry { key, value, .. } = self.entries.remove(at(place));
        if let Ok(indexed) = self.index.find_entry(hash(&key), |other| *other == place) {
            indexed.remove();
        }
        value
    }

    /// Joins those that end in the same second, as the last of them.
    fn enter_ring(&mut self, place: Place) {
        let first = *self.rings.entry(second(self.entries[at(place)].end)).or_insert(place);
        let last = if first == place { place } else { self.entries[at(first)].before };
        self.join(last, place);
        self.join(place, first);
    }

    fn leave_ring(&mut self, place: Place) {
        let Entry { before, after, end, .. } = self.entries[at(place)];
        let second = second(end);
        if after == place {
            self.rings.remove(&second);
            return;
        }
        self.join(before, after);
        if let Some(first) = self.rings.get_mut(&second).filter(|first| **first == place) {
            *first = after;
        }
    }

    fn join(&mut self, one: Place, next: Place) {
        self.entries[at(one)].after = next;
        self.entries[at(next)].before = one;
    }

    /// Those that end in the same second as this one, from it on.
    fn ring(&self, first: Place) -> impl Iterator<Item = Place> {
        let next = move |place: &Place| Some(self.entries[at(*place)].after).filter(|after| *after != first);
        std::iter::successors(Some(first), next)
    }

    fn nanos(&self, instant: Instant) -> u64 {
        // A process does not run for 584 years.
        u64::try_from(instant.saturating_duration_since(self.epoch).as_nanos()).unwrap_or(u64::MAX)
    }
}

fn at(place: Place) -> usize {
    place as usize
}

fn hash(key: &KeyedHash) -> u64 {
    BuildHasherDefault::<IdentityHasher>::default().hash_one(key)
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
            (map.len(), map.is_empty(), map.pop_over(at(&map, 21_000)), map.pop_over(at(&map, 31_000))),
            (2, false, Some("sooner"), None)
        );
        assert_eq!(
            (map.remove(&key("later")), map.is_empty(), map.pop_over(at(&map, 50_000))),
            (Some("later"), true, None)
        );
        assert!(map.rings.is_empty(), "nothing is left over: {:?}", map.rings);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_renewed_stays_and_stands_in_one_ring() {
        let mut map = Fading::default();
        map.put(key("a"), "a", at(&map, 1_000));
        for second in 2..=60 {
            map.renew(&key("a"), at(&map, second * 1_000));
            map.put(key("b"), "b", at(&map, second * 1_000));
        }
        map.renew(&key("a"), at(&map, 5_000));
        map.renew(&key("nobody"), at(&map, 5_000));
        assert_eq!(map.rings.values().flat_map(|first| map.ring(*first)).count(), 2);
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
    #[tokio::test(start_paused = true)]
    async fn whatever_happens_in_whatever_order_it_holds_what_a_list_would() {
        let pseudonyms = Pseudonyms::new(Secret::new("a test key").as_ref()).expect("random");
        let keys: Vec<KeyedHash> = (0..40u64).map(|number| pseudonyms.hash(&[&number.to_be_bytes()])).collect();
        let mut random = 1u64;
        let mut below = |bound: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 33) % bound
        };
        let mut map = Fading::default();
        let start = map.epoch;
        let instant = |millis| start + Duration::from_millis(millis);
        // Key, value, and the millisecond it ends at.
        let mut list: Vec<(KeyedHash, u64, u64)> = Vec::new();
        for step in 0..20_000 {
            let now = step * 10;
            let key = keys[usize::try_from(below(40)).expect("small")];
            let end = now + below(6_000);
            let place = list.iter().position(|(k, ..)| *k == key);
            match below(8) {
                0..=2 => {
                    let earlier = place.map(|place| list.swap_remove(place).1);
                    assert_eq!(map.put(key, step, instant(end)), earlier);
                    list.push((key, step, end));
                }
                3 | 4 => {
                    map.renew(&key, instant(end));
                    place.into_iter().for_each(|place| list[place].2 = list[place].2.max(end));
                }
                5 => assert_eq!(map.remove(&key), place.map(|place| list.swap_remove(place).1)),
                6 => {
                    let odd = |value: &u64| value % 2 == 1;
                    let first = list.iter().filter(|(_, v, _)| odd(v)).map(|(.., end)| end.div_ceil(1_000)).min();
                    let gone = map.pop_first(odd);
                    let place = list.iter().position(|(_, v, _)| Some(*v) == gone);
                    assert_eq!(place.map(|place| list.swap_remove(place).2.div_ceil(1_000)), first);
                }
                _ => {
                    let gone = std::iter::from_fn(|| map.pop_over(instant(now))).count();
                    let before = list.len();
                    list.retain(|(.., end)| end.div_ceil(1_000) > now / 1_000);
                    assert_eq!(gone, before - list.len());
                }
            }
            let live = list.iter().find(|(k, _, end)| *k == key && *end > now).map(|(_, value, _)| value);
            assert_eq!((map.get(&key, instant(now)), map.len()), (live, list.len()), "step {step}");
        }
        map.retain(|value| value % 2 == 1);
        list.retain(|(_, value, _)| value % 2 == 1);
        let mut left: Vec<u64> = std::iter::from_fn(|| map.pop_first(|_| true)).collect();
        let mut listed: Vec<u64> = list.iter().map(|(_, value, _)| *value).collect();
        left.sort_unstable();
        listed.sort_unstable();
        assert!(left == listed && map.rings.is_empty() && map.index.is_empty(), "{map:?}");
    }
}
