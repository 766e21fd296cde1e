//! What the guard knows of a person, until it is told to forget.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::advance;

use super::{DAY, Mode, NUMBER, Settings, Watch, by_user, from};
use crate::guard::{Case, Guard, Known, forget};
use crate::otp::{Channel, Message, Phone, UserId};
use crate::secret::KeyedHash;
use crate::store::{Claim, Key, Memory, Store, StoreFault, Tally};

const USER: &str = "00u1";

/// A store that tells which keys were written.
#[derive(Debug)]
struct Noting {
    memory: Memory,
    keys: Mutex<BTreeSet<Key>>,
}

impl Noting {
    fn note<'a>(&self, keys: impl IntoIterator<Item = &'a Key>) {
        self.keys.lock().expect("no panic").extend(keys.into_iter().cloned());
    }

    /// The keys written under one of these hashes.
    fn under(&self, of: &[KeyedHash]) -> Vec<Key> {
        self.keys.lock().expect("no panic").iter().filter(|key| of.contains(&key.of())).cloned().collect()
    }
}

#[async_trait]
impl Store for Noting {
    async fn claim(&self, _: &Key, _: Bytes, _: Duration) -> Result<Claim, StoreFault> {
        panic!("the guard claims nothing")
    }

    async fn read(&self, key: &Key) -> Result<Option<Bytes>, StoreFault> {
        self.memory.read(key).await
    }

    async fn write(&self, keys: &[Key], value: Bytes, ttl: Duration) -> Result<(), StoreFault> {
        self.note(keys);
        self.memory.write(keys, value, ttl).await
    }

    async fn remove(&self, key: &Key) -> Result<bool, StoreFault> {
        self.memory.remove(key).await
    }

    async fn tally(&self, tallies: &[Tally<'_>]) -> Result<Vec<u64>, StoreFault> {
        self.note(tallies.iter().map(|tally| &tally.key));
        self.memory.tally(tallies).await
    }

    async fn members(&self, key: &Key) -> Result<Vec<KeyedHash>, StoreFault> {
        self.memory.members(key).await
    }
}

/// Every rule looks, and none stops anything.
fn all_look(settings: &mut Settings) {
    settings.mode = Some(Mode::Observe);
    settings.spend.mode = Some(Mode::Observe);
    (settings.spend.per_hour_micros, settings.spend.per_day_micros) = (Some(1), Some(1));
}

async fn is_known(guard: &Guard, message: &Message) -> bool {
    let case: Case<'_> = guard.ledger.case(message, "");
    guard.acquaintance(&case).await != Ok(Known::Never)
}

#[tokio::test(start_paused = true)]
async fn whatever_is_kept_of_a_number_and_a_user_is_forgotten_in_their_org_alone() {
    let store = Arc::new(Noting { memory: Memory::new(1000), keys: Mutex::default() });
    let watch = Watch::over(Arc::clone(&store) as Arc<dyn Store>, all_look);
    let text = Message { user: UserId::parse(USER), ..from(NUMBER, "203.0.113.7") };
    let call = Message { channel: Channel::Voice, ..text.clone() };
    let neighbour = by_user("+447400123457", "00u2");
    for message in [&text, &neighbour] {
        watch.stops(message).await;
    }
    advance(DAY + Duration::from_secs(1)).await;
    for message in [&text, &call, &neighbour] {
        assert_eq!(watch.stops(message).await, None);
    }
    let (ledger, phone, user) = (&watch.guard.ledger, Phone::parse(NUMBER, None).expect("E.164"), UserId::parse(USER));
    let of = |message: &Message| {
        let case = ledger.case(message, "");
        [Some(case.number), case.user].into_iter().flatten().collect::<Vec<_>>()
    };
    let (theirs, others) = (store.under(&of(&text)), store.under(&of(&neighbour)));
    // Of the number: known, three windows a channel. Of the user: two windows a channel, their numbers.
    assert_eq!((theirs.len(), others.len()), (7 + 5, 4 + 3), "{theirs:?}");

    let held: Arc<dyn Store> = Arc::clone(&ledger.store);
    let gone = forget(&held, &ledger.pseudonyms, &"gamma".into(), &phone, user.as_ref()).await;
    assert_eq!(gone, Ok(0), "another org's");
    assert!(is_known(&watch.guard, &text).await);
    let gone = forget(&held, &ledger.pseudonyms, &"main".into(), &phone, user.as_ref()).await;
    assert_eq!(gone, Ok(theirs.len()));
    assert!(!is_known(&watch.guard, &text).await && is_known(&watch.guard, &neighbour).await);
    for key in &theirs {
        assert_eq!(store.remove(key).await, Ok(false), "{key:?}");
    }
    for key in &others {
        assert_eq!(store.remove(key).await, Ok(true), "{key:?}");
    }
}
