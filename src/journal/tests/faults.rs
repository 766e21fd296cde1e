//! Delivery reports on a store that fails once, at each of its operations in turn.

use std::sync::atomic::{AtomicI32, Ordering};

use super::*;

/// Memory that fails one operation: the one at which `left` is 0.
#[derive(Debug)]
struct Faulty {
    memory: Memory,
    left: AtomicI32,
    /// Whether it does what it fails to tell of, as after a time-out.
    does_it: bool,
}

impl Faulty {
    async fn answer<T>(&self, work: impl Future<Output = Result<T, StoreFault>>) -> Result<T, StoreFault> {
        if self.left.fetch_sub(1, Ordering::Relaxed) != 0 {
            return work.await;
        }
        if self.does_it {
            drop(work.await);
        }
        Err(StoreFault::Timeout)
    }
}

#[async_trait]
impl Store for Faulty {
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

/// Tells the same report until it is taken, then again as a repeat; whether there was a fault.
async fn told(delivery: Delivery, at: i32, does_it: bool) -> bool {
    let store = Arc::new(Faulty { memory: Memory::new(100), left: AtomicI32::new(-1), does_it });
    let journal = journal(Arc::clone(&store) as Arc<dyn Store>);
    let (message, one) = (message(USER, NUMBER), ProviderName::new("one"));
    let id = TransactionId::parse("SM1").expect("an id");
    journal.note("main", &message, &accepted("one", "SM1"), None, nobody()).await;
    written(&journal).await;
    store.left.store(at, Ordering::Relaxed);
    let heard = now();
    let first = journal.report(&one, &id, delivery, heard).await;
    let is_fault = first.is_err();
    store.left.store(-1, Ordering::Relaxed);
    let news = if is_fault { journal.report(&one, &id, delivery, heard).await } else { first };
    let case = format!("{delivery}, operation {at}, done: {does_it}");
    assert!(matches!(news, Ok(Reported::News(_))), "{case}: {news:?}");
    let repeat = journal.report(&one, &id, delivery, heard + Duration::from_secs(1)).await;
    assert_eq!(repeat, Ok(Reported::Nothing), "{case}: not counted twice");
    let entry = journal.of_transaction(&one, "SM1").await.expect("answers").expect("an entry");
    assert_eq!(entry.delivery, Some(delivery), "{case}");
    let previous = journal.previous("main", &message).await.expect("a resend");
    assert_eq!(previous.undelivered, delivery == Delivery::Undelivered, "{case}");
    is_fault
}

#[tokio::test(start_paused = true)]
async fn a_report_that_meets_a_fault_is_a_fault_and_counts_once_when_it_is_told_again() {
    // Of its operations each may fail: read, claim twice, write, then look for the end or tell where a resend looks.
    for (delivery, operations) in [(Delivery::Underway, 5), (Delivery::Delivered, 4), (Delivery::Undelivered, 6)] {
        for does_it in [false, true] {
            for at in 0..operations {
                assert!(told(delivery, at, does_it).await, "{delivery}, operation {at}: a fault that nobody heard of");
            }
            assert!(!told(delivery, operations, does_it).await, "{delivery}: operations are missing here");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_was_written_after_all_is_not_written_over_what_was_reported_since() {
    // After the index comes the write of the entry.
    let store = Arc::new(Faulty { memory: Memory::new(100), left: AtomicI32::new(1), does_it: true });
    let journal = journal(Arc::clone(&store) as Arc<dyn Store>);
    let (one, id) = (ProviderName::new("one"), TransactionId::parse("SM1").expect("an id"));
    journal.note("main", &message(USER, NUMBER), &accepted("one", "SM1"), None, nobody()).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(store.left.load(Ordering::Relaxed) < 0, "the first try has failed");
    let news = journal.report(&one, &id, Delivery::Delivered, now()).await;
    assert!(matches!(news, Ok(Reported::News(_))), "{news:?}");
    written(&journal).await;
    let entry = journal.of_transaction(&one, "SM1").await.expect("answers").expect("an entry");
    assert_eq!(entry.delivery, Some(Delivery::Delivered));
}
