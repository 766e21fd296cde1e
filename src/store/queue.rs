//! Work to be done later, that must outlive whoever was going to do it: what a store with queues does, and how memory
//! does it.
//!
//! Must not know what the work is, nor do it.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::{Expiring, Key, StoreFault};

/// A store that also keeps queues. Work is handed out at least once: whoever takes it and dies has it taken by another.
#[async_trait]
pub trait Queue: fmt::Debug + Send + Sync {
    /// Puts pieces of work into a queue, each due after `delay`; one that is there already stays as it is. The queue
    /// leaves, with all that is in it, `ttl` after the last piece came.
    async fn enqueue(&self, queue: &Key, pieces: &[String], delay: Duration, ttl: Duration) -> Result<(), StoreFault>;

    /// Hands out some pieces that are due, the oldest first; nobody gets them again before `lease` is over.
    async fn lease(&self, queue: &Key, most: usize, lease: Duration) -> Result<Vec<String>, StoreFault>;

    /// Makes a piece due after `delay`, if it is still in the queue.
    async fn postpone(&self, queue: &Key, piece: &str, delay: Duration) -> Result<(), StoreFault>;

    /// Takes pieces out of a queue: they are done.
    async fn finish(&self, queue: &Key, pieces: &[String]) -> Result<(), StoreFault>;
}

/// Pieces of work, each "over" when it is due.
#[derive(Debug, Default)]
pub(super) struct Pieces(Expiring<Box<str>, ()>);

impl Pieces {
    /// Whether a piece is there.
    pub(super) fn holds(&self, piece: &str) -> bool {
        self.0.holds(piece)
    }

    /// Adds a piece.
    pub(super) fn add(&mut self, piece: &str, due: Instant) {
        self.0.put(piece.into(), (), due);
    }

    /// Some pieces that are due, which are due again after `lease`.
    pub(super) fn lease(&mut self, most: usize, now: Instant, lease: Duration) -> Vec<String> {
        let due: Vec<Box<str>> = self.0.over(now).take(most).cloned().collect();
        for piece in &due {
            self.0.put(piece.clone(), (), now + lease);
        }
        due.into_iter().map(String::from).collect()
    }

    /// Makes a piece due at another time, if it is there.
    pub(super) fn postpone(&mut self, piece: &str, due: Instant) {
        if self.0.holds(piece) {
            self.0.put(piece.into(), (), due);
        }
    }

    /// Takes pieces out and tells how many there were.
    pub(super) fn finish(&mut self, pieces: &[String]) -> usize {
        pieces.iter().filter(|piece| self.0.remove(&Box::from(piece.as_str())).is_some()).count()
    }

    /// How many pieces there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
