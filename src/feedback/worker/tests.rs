//! Two workers on one agenda and a paused clock.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use tokio_util::task::TaskTracker;

use super::*;
use crate::journal;
use crate::otp::Delivery;
use crate::secret::{KeyedHash, Pseudonyms};
use crate::store::{Claim, State, Store, Tally};

/// A store that never answers.
#[derive(Debug, Default)]
struct Hanging {
    asked: AtomicUsize,
    waiting: AtomicUsize,
    most: AtomicUsize,
}

/// Somebody waits, until it is answered or gives up.
struct Waiting<'a>(&'a Hanging);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Hanging {
    async fn hang<T>(&self) -> T {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let waiting = self.waiting.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(waiting, Ordering::Relaxed);
        let _waiting = Waiting(self);
        std::future::pending().await
    }
}

#[async_trait]
impl Store for Hanging {
    async fn claim(&self, _: &Key, _: Bytes, _: Duration) -> Result<Claim, StoreFault> {
        self.hang().await
    }
    async fn read(&self, _: &Key) -> Result<Option<Bytes>, StoreFault> {
        self.hang().await
    }
    async fn write(&self, _: &[Key], _: Bytes, _: Duration) -> Result<(), StoreFault> {
        self.hang().await
    }
    async fn remove(&self, _: &Key) -> Result<bool, StoreFault> {
        self.hang().await
    }
    async fn tally(&self, _: &[Tally<'_>]) -> Result<Vec<u64>, StoreFault> {
        self.hang().await
    }
    async fn members(&self, _: &Key) -> Result<Vec<KeyedHash>, StoreFault> {
        self.hang().await
    }
}

#[tokio::test(start_paused = true)]
async fn what_takes_too_long_is_cut_off_before_another_begins_it_and_begun_again() {
    let (store, metrics, clock) = (Arc::new(Hanging::default()), Arc::new(Metrics::new()), Clock::SYSTEM);
    let pseudonyms = Pseudonyms::new(None).expect("random");
    let day = Duration::from_secs(24 * 60 * 60);
    let state = State::over(Arc::clone(&store) as Arc<dyn Store>, day, Arc::clone(&metrics));
    let agenda = Agenda::new(&state, &pseudonyms);
    let tools = Tools {
        agenda: agenda.clone(),
        journal: Journal::new(&state, &journal::Settings::default(), pseudonyms, clock, TaskTracker::new()),
        clients: Arc::default(),
        unknown_users: Arc::default(),
        learn: Learn::new(clock, Arc::clone(&metrics)),
        metrics,
        clock,
    };
    let (provider, transaction_id) = ("one".to_owned(), "SM1".to_owned());
    let report = Item::Report { provider, transaction_id, delivery: Delivery::Delivered, since: clock.now() };
    agenda.note([report], Duration::ZERO).await;
    let stop = CancellationToken::new();
    for replica in [0, 1].map(|_| Arc::new(Worker::new(tools.clone()))) {
        tokio::spawn(replica.run(stop.clone()));
    }
    sleep(3 * Agenda::LEASE).await;
    stop.cancel();
    let (asked, most) = (store.asked.load(Ordering::Relaxed), store.most.load(Ordering::Relaxed));
    assert!(asked > 2 && most == 1, "begun {asked} times, by {most} at once");
}
