//! What is told only once in a while, however often there is reason to: a line for each would bury all others.
//!
//! Must not know what is told, nor count it.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::locks::lock;

/// When each thing was last told.
#[derive(Debug)]
pub struct Seldom<K> {
    quiet: Duration,
    told: Mutex<BTreeMap<K, Instant>>,
}

impl<K: Ord> Seldom<K> {
    /// Each thing is told at most once in so long. It is kept for good: for things of which there are few.
    pub fn new(quiet: Duration) -> Self {
        Self { quiet, told: Mutex::default() }
    }

    /// Whether a thing should be told now. It counts as told then.
    pub fn is_due(&self, about: K) -> bool {
        let mut told = lock(&self.told);
        if told.get(&about).is_some_and(|at| at.elapsed() < self.quiet) {
            return false;
        }
        told.insert(about, Instant::now());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_thing_is_due_again_when_it_was_quiet_for_long_enough() {
        let quiet = Duration::from_secs(60);
        let seldom = Seldom::new(quiet);
        let due = |about: &'static str| seldom.is_due(about);
        assert_eq!([due("one"), due("one"), due("two"), due("one")], [true, false, true, false]);
        tokio::time::advance(quiet).await;
        assert_eq!([due("one"), due("one")], [true, false]);
    }
}
