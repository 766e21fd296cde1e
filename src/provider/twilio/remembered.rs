//! What was learnt about numbers a short while ago, in bounded memory.
//!
//! Must not know what is kept, nor keep a number: it keeps keyed hashes that mean nothing outside this process.

use std::fmt;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

use crate::locks::lock;
use crate::otp::Phone;
use crate::secret::{KeyedHash, Pseudonyms};
use crate::store::Fading;

/// Entries beyond this drop those that would leave first: ten minutes' worth of numbers at 80 codes a second.
const CAPACITY: usize = 50_000;

/// Values by number, each for a fixed time.
pub(super) struct Remembered<V> {
    life: Duration,
    capacity: usize,
    pseudonyms: Pseudonyms,
    entries: Mutex<Fading<V>>,
}

impl<V: Clone> Remembered<V> {
    /// Keeps every value for `life`.
    pub(super) fn new(life: Duration, pseudonyms: &Pseudonyms) -> Self {
        Self { life, capacity: CAPACITY, pseudonyms: pseudonyms.within_process(), entries: Mutex::default() }
    }

    /// The value put last for this number, if it is not too old.
    pub(super) fn find(&self, number: &Phone) -> Option<V> {
        self.lock().get(&self.key(number), Instant::now()).cloned()
    }

    /// Puts a value in the place of an earlier one, and drops what is too old or too much.
    pub(super) fn put(&self, number: &Phone, value: V) {
        let now = Instant::now();
        let mut entries = self.lock();
        entries.put(self.key(number), value, now + self.life);
        while entries.pop_over(now).is_some() {}
        while entries.len() > self.capacity && entries.pop_first(|_| true).is_some() {}
    }

    /// Forgets a number.
    pub(super) fn remove(&self, number: &Phone) {
        self.lock().remove(&self.key(number));
    }

    /// Forgets a number if this is so of its value.
    pub(super) fn remove_if(&self, number: &Phone, is_gone: impl FnOnce(&V) -> bool) {
        let key = self.key(number);
        let mut entries = self.lock();
        if entries.get(&key, Instant::now()).is_some_and(is_gone) {
            entries.remove(&key);
        }
    }

    /// Forgets all of which this is so. Looks at every one: at the most, that is a millisecond or two.
    pub(super) fn remove_all(&self, is_gone: impl Fn(&V) -> bool) {
        self.lock().retain(|value| !is_gone(value));
    }

    fn key(&self, number: &Phone) -> KeyedHash {
        self.pseudonyms.hash(&[b"twilio-number", number.expose().as_bytes()])
    }
}

impl<V> Remembered<V> {
    fn lock(&self) -> MutexGuard<'_, Fading<V>> {
        lock(&self.entries)
    }
}

impl<V> fmt::Debug for Remembered<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Remembered({} entries)", self.lock().len())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::pseudonyms;
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn numbers() -> [Phone; 3] {
        ["+15005550010", "+15005550011", "+15005550012"].map(|number| Phone::parse(number, None).expect("valid"))
    }

    #[tokio::test(start_paused = true)]
    async fn a_value_is_found_for_its_life_and_dropped_after_it() {
        let (remembered, [a, b, c]) = (Remembered::new(10 * SECOND, &pseudonyms()), numbers());
        remembered.put(&a, 1);
        tokio::time::advance(6 * SECOND).await;
        remembered.put(&b, 2);
        assert_eq!((remembered.find(&a), remembered.find(&b)), (Some(1), Some(2)));
        tokio::time::advance(5 * SECOND).await;
        assert_eq!((remembered.find(&a), remembered.find(&b)), (None, Some(2)));
        remembered.put(&c, 3);
        assert_eq!(format!("{remembered:?}"), "Remembered(2 entries)", "what nobody asks for again must not stay");
        remembered.remove_if(&b, |value| *value == 3);
        assert_eq!(remembered.find(&b), Some(2), "it is another one by now");
        remembered.remove_if(&b, |value| *value == 2);
        assert_eq!(remembered.find(&b), None);
        remembered.remove(&c);
        assert_eq!(remembered.find(&c), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_goes_when_it_is_full_and_a_renewed_one_is_not_the_oldest() {
        let remembered = Remembered { capacity: 2, ..Remembered::new(10 * SECOND, &pseudonyms()) };
        let [a, b, c] = numbers();
        for (number, value) in [(&a, 1), (&b, 2), (&a, 3), (&c, 4)] {
            remembered.put(number, value);
            tokio::time::advance(SECOND).await;
        }
        assert_eq!([&a, &b, &c].map(|number| remembered.find(number)), [Some(3), None, Some(4)]);
    }
}
