//! A store that is shared, slow or broken.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::{Instant, sleep};

use super::{DAY, Mode, NUMBER, Settings, Verdict, Watch, by_user, from, message};
use crate::otp::{Message, UserId};
use crate::secret::KeyedHash;
use crate::store::{Claim, Key, Memory, Store, StoreFault, Tally};

/// A store far away: every operation takes its time, and may fail then.
#[derive(Debug)]
struct Distant {
    memory: Memory,
    delay: Duration,
    fails: bool,
    asked: AtomicU64,
}

impl Distant {
    fn new(delay: Duration, fails: bool) -> Arc<Self> {
        Arc::new(Self { memory: Memory::new(1000), delay, fails, asked: AtomicU64::new(0) })
    }

    async fn travel(&self) -> Result<(), StoreFault> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        sleep(self.delay).await;
        if self.fails { Err(StoreFault::Broken("down".to_owned())) } else { Ok(()) }
    }
}

#[async_trait]
impl Store for Distant {
    async fn claim(&self, _: &Key, _: Bytes, _: Duration) -> Result<Claim, StoreFault> {
        panic!("the guard claims nothing")
    }

    async fn read(&self, key: &Key) -> Result<Option<Bytes>, StoreFault> {
        self.travel().await?;
        self.memory.read(key).await
    }

    async fn write(&self, keys: &[Key], value: Bytes, ttl: Duration) -> Result<(), StoreFault> {
        self.travel().await?;
        self.memory.write(keys, value, ttl).await
    }

    async fn remove(&self, _: &Key) -> Result<bool, StoreFault> {
        panic!("the guard removes nothing")
    }

    async fn tally(&self, tallies: &[Tally<'_>]) -> Result<Vec<u64>, StoreFault> {
        self.travel().await?;
        self.memory.tally(tallies).await
    }

    async fn members(&self, key: &Key) -> Result<Vec<KeyedHash>, StoreFault> {
        self.travel().await?;
        self.memory.members(key).await
    }
}

/// Every rule that counts.
fn everything(settings: &mut Settings) {
    settings.per_ip.mode = Some(Mode::Enforce);
    settings.per_prefix.mode = Some(Mode::Enforce);
    settings.per_country.mode = Some(Mode::Enforce);
    settings.spend.per_hour_micros = Some(1_000_000_000);
    settings.spend.per_day_micros = Some(1_000_000_000);
}

fn whole() -> Message {
    Message { user: UserId::parse("00u1"), ..from(NUMBER, "203.0.113.7") }
}

#[tokio::test(start_paused = true)]
async fn a_slow_store_costs_one_time_out_and_a_broken_one_nothing() {
    for (delay, fails, costs, asked) in [(1000, false, 50, 2), (0, true, 0, 2), (20, false, 50, 4), (49, true, 49, 2)] {
        let store = Distant::new(Duration::from_millis(delay), fails);
        let watch = Watch::over(Arc::clone(&store) as _, everything);
        let before = Instant::now();
        assert_eq!(watch.check(&whole()).await, Verdict::Allow);
        assert_eq!(before.elapsed().as_millis(), costs, "{delay} {fails}");
        assert_eq!(watch.count("store", "allowed_fail_open"), 1);
        assert_eq!(store.asked.load(Ordering::Relaxed), asked, "given up as one");
    }
}

#[tokio::test(start_paused = true)]
async fn where_a_message_goes_is_judged_without_a_store() {
    let watch = Watch::over(Distant::new(Duration::ZERO, true), everything);
    assert_eq!(watch.stops(&message("+97912345678")).await, Some("range"));
}

#[tokio::test(start_paused = true)]
async fn a_message_costs_a_few_operations_in_a_few_rounds() {
    let millisecond = Duration::from_millis(1);
    type Change = fn(&mut Settings);
    // Of a new number, then of one that is known: operations, and how many wait for one another.
    let cases: [(Change, [(u64, u128); 2]); 2] = [(|_| {}, [(8, 6), (6, 5)]), (everything, [(10, 8), (8, 7)])];
    for (change, expected) in cases {
        let store = Distant::new(millisecond, false);
        let watch = Watch::over(Arc::clone(&store) as _, change);
        // The first message of an hour looks up the country's past.
        watch.check(&message("+447400999999")).await;
        let mut found = Vec::new();
        for _ in 0..2 {
            let (asked, before) = (store.asked.load(Ordering::Relaxed), Instant::now());
            assert_eq!(watch.check(&whole()).await, Verdict::Allow);
            found.push((store.asked.load(Ordering::Relaxed) - asked, before.elapsed().as_millis()));
            tokio::time::advance(DAY).await;
            watch.check(&message("+447400999999")).await;
        }
        assert_eq!(found, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn replicas_share_a_limit_and_a_crowd_does_not_get_past_it() {
    let store: Arc<dyn Store> = Arc::new(Memory::new(1000));
    let replicas = [Watch::over(Arc::clone(&store), |_| {}), Watch::over(store, |_| {})];
    let mut sent = 0;
    for n in 0..40 {
        sent += usize::from(replicas[n % 2].stops(&by_user(NUMBER, &format!("00u{n}"))).await.is_none());
    }
    assert_eq!(sent, 5);
    let store = Distant::new(Duration::from_millis(1), false);
    let watch = Arc::new(Watch::over(store, |_| {}));
    let crowd: Vec<_> = (0..40)
        .map(|n| {
            let watch = Arc::clone(&watch);
            tokio::spawn(async move { watch.check(&by_user(NUMBER, &format!("00u{n}"))).await })
        })
        .collect();
    let mut sent = 0;
    for one in crowd {
        sent += usize::from(one.await.expect("no panic") == Verdict::Allow);
    }
    assert_eq!(sent, 5);
}
