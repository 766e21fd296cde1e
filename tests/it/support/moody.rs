//! A store with moods, for a paused clock: as slow as told, or as broken, in one way or the other.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use okta_telephony_hook::secret::KeyedHash;
use okta_telephony_hook::store::{Claim, Key, Memory, Store, StoreFault, Tally};

/// How it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// Answers at once.
    Well,
    /// Does what it is asked, then takes so many milliseconds to say so.
    Slow(u64),
    /// Refuses everything at once.
    Down,
    /// Panics at what it is asked next, and is well after that.
    Shocked,
}

/// Memory with a mood.
#[derive(Debug)]
pub struct Moody {
    memory: Memory,
    mood: Mutex<Mood>,
}

impl Moody {
    pub fn new(mood: Mood) -> Arc<Self> {
        Arc::new(Self { memory: Memory::new(1000), mood: Mutex::new(mood) })
    }

    /// Changes the mood for what is asked from now on.
    pub fn be(&self, mood: Mood) {
        *self.mood.lock().expect("mood") = mood;
    }

    async fn answer<T>(&self, work: impl Future<Output = Result<T, StoreFault>>) -> Result<T, StoreFault> {
        let mood = *self.mood.lock().expect("mood");
        match mood {
            Mood::Well => work.await,
            Mood::Slow(ms) => {
                let answer = work.await;
                tokio::time::sleep(Duration::from_millis(ms)).await;
                answer
            }
            Mood::Down => Err(StoreFault::Broken("down".to_owned())),
            Mood::Shocked => {
                self.be(Mood::Well);
                panic!("scripted panic")
            }
        }
    }
}

#[async_trait]
impl Store for Moody {
    async fn claim(&self, key: &Key, value: Bytes, ttl: Duration) -> Result<Claim, StoreFault> {
        self.answer(self.memory.claim(key, value, ttl)).await
    }
    async fn read(&self, key: &Key) -> Result<Option<Bytes>, StoreFault> {
        self.answer(self.memory.read(key)).await
    }
    async fn write(&self, keys: &[Key], value: Bytes, ttl: Duration) -> Result<(), StoreFault> {
        self.answer(self.memory.write(keys, value, ttl)).await
    }
    async fn remove(&self, key: &Key) -> Result<bool, StoreFault> {
        self.answer(self.memory.remove(key)).await
    }
    async fn tally(&self, tallies: &[Tally<'_>]) -> Result<Vec<u64>, StoreFault> {
        self.answer(self.memory.tally(tallies)).await
    }
    async fn members(&self, key: &Key) -> Result<Vec<KeyedHash>, StoreFault> {
        self.answer(self.memory.members(key)).await
    }
}
