//! Stands before a store that is elsewhere: gives up in time, and has every fault counted.
//!
//! Must not try again; whoever asks knows whether that is worth it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::timeout;

use super::{Claim, Faults, Key, Queue, Store, StoreFault, Tally};
use crate::secret::KeyedHash;

/// A store whose every operation ends in time.
#[derive(Debug)]
pub(super) struct Watched<S: ?Sized> {
    store: Arc<S>,
    timeout: Duration,
    faults: Faults,
}

impl<S: ?Sized> Watched<S> {
    pub(super) fn new(store: Arc<S>, timeout: Duration, faults: Faults) -> Self {
        Self { store, timeout, faults }
    }

    async fn watch<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T, StoreFault>>,
    ) -> Result<T, StoreFault> {
        let result = timeout(self.timeout, work).await.unwrap_or(Err(StoreFault::Timeout));
        result.inspect_err(|fault| self.faults.note(operation, fault))
    }
}

#[async_trait]
impl<S: Store + ?Sized> Store for Watched<S> {
    async fn claim(&self, key: &Key, value: Bytes, ttl: Duration) -> Result<Claim, StoreFault> {
        self.watch("claim", self.store.claim(key, value, ttl)).await
    }

    async fn read(&self, key: &Key) -> Result<Option<Bytes>, StoreFault> {
        self.watch("read", self.store.read(key)).await
    }

    async fn write(&self, keys: &[Key], value: Bytes, ttl: Duration) -> Result<(), StoreFault> {
        self.watch("write", self.store.write(keys, value, ttl)).await
    }

    async fn remove(&self, key: &Key) -> Result<bool, StoreFault> {
        self.watch("remove", self.store.remove(key)).await
    }

    async fn tally(&self, tallies: &[Tally<'_>]) -> Result<Vec<u64>, StoreFault> {
        self.watch("tally", self.store.tally(tallies)).await
    }

    async fn members(&self, key: &Key) -> Result<Vec<KeyedHash>, StoreFault> {
        self.watch("members", self.store.members(key)).await
    }
}

#[async_trait]
impl<S: Queue> Queue for Watched<S> {
    async fn enqueue(&self, queue: &Key, pieces: &[String], delay: Duration, ttl: Duration) -> Result<(), StoreFault> {
        self.watch("enqueue", self.store.enqueue(queue, pieces, delay, ttl)).await
    }

    async fn lease(&self, queue: &Key, most: usize, lease: Duration) -> Result<Vec<String>, StoreFault> {
        self.watch("lease", self.store.lease(queue, most, lease)).await
    }

    async fn postpone(&self, queue: &Key, piece: &str, delay: Duration) -> Result<(), StoreFault> {
        self.watch("postpone", self.store.postpone(queue, piece, delay)).await
    }

    async fn finish(&self, queue: &Key, pieces: &[String]) -> Result<(), StoreFault> {
        self.watch("finish", self.store.finish(queue, pieces)).await
    }
}
