//! The journal on memory and a paused clock.

use std::sync::atomic::AtomicUsize;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::metrics::Metrics;
use crate::otp::{Accepted, Attempt, Delivery, EventId, FailureKind, SendError, TransactionId};
use crate::secret::Secret;
use crate::store::{Claim, Memory};

mod faults;

const NUMBER: &str = "+15005550006";
const USER: &str = "00uyxxSknGtK8022w0g3";

fn phone(number: &str) -> Phone {
    Phone::parse(number, None).expect("a number")
}

fn message(user: &str, number: &str) -> Message {
    Message { event_id: EventId::parse("an event"), user: UserId::parse(user), ..Message::bare(number, "482913") }
}

fn accepted(provider: &str, id: &str) -> Outcome {
    let attempt = Attempt {
        provider: ProviderName::new(provider),
        result: Ok(Accepted::new(TransactionId::parse(id).expect("an id"))),
        elapsed: Duration::ZERO,
    };
    Outcome::of(Channel::Sms, "default".into(), vec![attempt])
}

fn failed(provider: &str, kind: FailureKind) -> Outcome {
    let attempt = Attempt {
        provider: ProviderName::new(provider),
        result: Err(SendError::new(kind, "x")),
        elapsed: Duration::ZERO,
    };
    Outcome::of(Channel::Sms, "default".into(), vec![attempt])
}

/// Nobody waits until it is noted.
fn nobody() -> DropGuard {
    CancellationToken::new().drop_guard()
}

/// A wall clock that goes with the paused one.
fn now() -> Timestamp {
    thread_local! { static START: tokio::time::Instant = tokio::time::Instant::now(); }
    let start: Timestamp = "2026-01-05T10:00:00Z".parse().expect("a date");
    start + jiff::SignedDuration::try_from(START.with(tokio::time::Instant::elapsed)).expect("short")
}

fn journal(store: Arc<dyn Store>) -> Journal {
    let state = State::over(store, Duration::from_millis(50), Arc::new(Metrics::new()));
    let pseudonyms = Pseudonyms::new(Secret::new("a test key").as_ref()).expect("random");
    Journal::new(&state, &Settings::default(), pseudonyms, Clock::new(now), TaskTracker::new())
}

async fn written(journal: &Journal) {
    journal.0.tasks.close();
    journal.0.tasks.wait().await;
    journal.0.tasks.reopen();
}

#[tokio::test(start_paused = true)]
async fn an_entry_is_found_by_recipient_transaction_and_user() {
    let journal = journal(Arc::new(Memory::new(100)));
    let message = message(USER, NUMBER);
    journal.note("main", &message, &accepted("one", "SM1"), None, nobody()).await;
    written(&journal).await;
    let user = UserId::parse(USER).expect("an id");
    let entry = journal.last("main", Some(&user), &phone(NUMBER)).await.expect("an entry");
    assert_eq!((entry.org.as_str(), entry.provider.as_str(), entry.channel), ("main", "one", Channel::Sms));
    assert_eq!((entry.transaction_id.as_ref().map(TransactionId::as_str), entry.failure), (Some("SM1"), None));
    assert_eq!(entry.event.as_ref().map(String::len), Some(32));
    let one = ProviderName::new("one");
    assert_eq!(journal.of_transaction(&one, "SM1").await.expect("answers").as_ref(), Some(&entry));
    assert_eq!(journal.last_to_user("main", &user, Channel::Sms).await, Some(entry));
    for nothing in [
        journal.of_transaction(&ProviderName::new("two"), "SM1").await.expect("answers"),
        journal.of_transaction(&one, "SM2").await.expect("answers"),
        journal.last_to_user("main", &user, Channel::Voice).await,
        journal.last("main", None, &phone(NUMBER)).await,
        journal.last("main", Some(&user), &phone("+15005550007")).await,
    ] {
        assert_eq!(nothing, None);
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_that_were_accepted_in_one_instant_both_are_found_by_their_ids() {
    let journal = journal(Arc::new(Memory::new(100)));
    let attempts = [accepted("one", "SM1"), accepted("two", "SM2")].map(|mut outcome| outcome.attempts.remove(0));
    let outcome = Outcome::of(Channel::Sms, "default".into(), attempts.into());
    journal.note("main", &message(USER, NUMBER), &outcome, None, nobody()).await;
    written(&journal).await;
    for (provider, id) in [("one", "SM1"), ("two", "SM2")] {
        let entry = journal.of_transaction(&ProviderName::new(provider), id).await.expect("answers").expect("an entry");
        assert_eq!((entry.provider.as_str(), entry.failure), (provider, None));
    }
    let last = journal.last("main", UserId::parse(USER).as_ref(), &phone(NUMBER)).await.expect("an entry");
    assert_eq!(last.provider.as_str(), "two");
    // Two ids, a recipient, a user.
    assert_eq!(journal.forget(&["main"], &phone(NUMBER), None).await, Ok(4));
}

#[tokio::test(start_paused = true)]
async fn a_resend_is_known_for_five_minutes_and_an_entry_for_a_day() {
    let journal = journal(Arc::new(Memory::new(100)));
    for message in [message(USER, NUMBER), message("", NUMBER)] {
        assert_eq!(journal.previous("main", &message).await, None);
        journal.note("main", &message, &failed("one", FailureKind::Unconfirmed), None, nobody()).await;
        written(&journal).await;
        tokio::time::advance(Duration::from_secs(45)).await;
        let previous = journal.previous("main", &message).await.expect("a resend");
        assert_eq!((previous.provider.as_str(), previous.seconds_ago), ("one", 45));
        tokio::time::advance(Duration::from_secs(4 * 60 + 14)).await;
        assert!(journal.previous("main", &message).await.is_some());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(journal.previous("main", &message).await, None);
        let entry = journal.last("main", message.user.as_ref(), &message.recipient).await.expect("kept for the day");
        assert_eq!((entry.transaction_id, entry.failure), (None, Some(FailureKind::Unconfirmed)));
    }
    tokio::time::advance(Duration::from_secs(24 * 60 * 60)).await;
    assert_eq!(journal.last("main", None, &phone(NUMBER)).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_resend_hears_that_the_last_send_will_not_arrive_and_not_that_an_earlier_one_did_not() {
    let journal = journal(Arc::new(Memory::new(100)));
    let (message, one) = (message(USER, NUMBER), ProviderName::new("one"));
    let id = |id: &str| TransactionId::parse(id).expect("an id");
    let undelivered = async || journal.previous("main", &message).await.map(|p| p.undelivered);
    journal.note("main", &message, &accepted("one", "SM1"), None, nobody()).await;
    written(&journal).await;
    for (delivery, expected) in [(Delivery::Underway, false), (Delivery::Undelivered, true)] {
        assert!(matches!(journal.report(&one, &id("SM1"), delivery, now()).await, Ok(Reported::News(_))));
        assert_eq!(undelivered().await, Some(expected), "{delivery}");
    }
    let previous = journal.previous("main", &message).await;
    journal.note("main", &message, &accepted("one", "SM2"), previous.as_ref(), nobody()).await;
    journal.note("main", &message, &accepted("one", "SM3"), previous.as_ref(), nobody()).await;
    written(&journal).await;
    assert!(matches!(journal.report(&one, &id("SM2"), Delivery::Undelivered, now()).await, Ok(Reported::News(_))));
    assert_eq!(undelivered().await, Some(false), "that was not the last one");
    assert!(journal.of_transaction(&one, "SM1").await.expect("answers").is_some_and(|entry| entry.awaited));
    let entry = journal.of_transaction(&one, "SM2").await.expect("answers").expect("an entry");
    assert_eq!((entry.awaited, entry.country), (false, message.recipient.country()));
    assert_eq!(entry.delivery, Some(Delivery::Undelivered));
}

#[tokio::test(start_paused = true)]
async fn a_preview_is_neither_read_nor_written_and_what_nobody_was_asked_for_is_not_noted() {
    let store = Arc::new(Memory::new(100));
    let journal = journal(Arc::clone(&store) as Arc<dyn Store>);
    let preview = Message { preview: true, ..message(USER, NUMBER) };
    journal.note("main", &preview, &accepted("one", "SM1"), None, nobody()).await;
    journal.note("main", &message(USER, NUMBER), &Outcome::blocked(Channel::Sms, "switch"), None, nobody()).await;
    written(&journal).await;
    assert_eq!(format!("{store:?}"), "Memory(0 of 100 entries)");
    journal.note("main", &message(USER, NUMBER), &accepted("one", "SM1"), None, nobody()).await;
    written(&journal).await;
    assert_eq!(journal.previous("main", &preview).await, None);
    assert!(journal.previous("main", &message(USER, NUMBER)).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_number_is_forgotten_with_all_that_was_sent_to_it_and_nobody_elses() {
    let store = Arc::new(Memory::new(100));
    let journal = journal(Arc::clone(&store) as Arc<dyn Store>);
    for (user, number, id) in
        [(USER, NUMBER, "SM1"), (USER, NUMBER, "SM2"), ("", NUMBER, "SM3"), ("00uother", NUMBER, "SM4")]
    {
        journal.note("main", &message(user, number), &accepted("one", id), None, nobody()).await;
    }
    journal.note("main", &message("00ufriend", "+15005550007"), &accepted("one", "SM5"), None, nobody()).await;
    written(&journal).await;
    // Three recipients, four transactions, two users.
    assert_eq!(journal.forget(&["main"], &phone(NUMBER), None).await, Ok(9));
    assert_eq!(journal.forget(&["main"], &phone(NUMBER), UserId::parse(USER).as_ref()).await, Ok(0));
    assert!(journal.last("main", UserId::parse("00ufriend").as_ref(), &phone("+15005550007")).await.is_some());
    assert_eq!(journal.forget(&["main"], &phone("+15005550007"), None).await, Ok(3));
    assert_eq!(format!("{store:?}"), "Memory(0 of 100 entries)");
}

#[tokio::test(start_paused = true)]
async fn a_users_last_message_is_forgotten_with_the_number_it_went_to() {
    let store = Arc::new(Memory::new(100));
    let journal = journal(Arc::clone(&store) as Arc<dyn Store>);
    let (user, later) = (UserId::parse(USER).expect("an id"), "+15005550007");
    for (number, id) in [(NUMBER, "SM1"), (later, "SM2")] {
        journal.note("main", &message(USER, number), &accepted("one", id), None, nobody()).await;
    }
    written(&journal).await;
    // A recipient and an id.
    assert_eq!(journal.forget(&["main"], &phone(NUMBER), None).await, Ok(2));
    let last = journal.last_to_user("main", &user, Channel::Sms).await.expect("went to the other number");
    assert_eq!(last.transaction_id.as_ref().map(TransactionId::as_str), Some("SM2"));
    assert_eq!(journal.forget(&["main"], &phone(NUMBER), Some(&user)).await, Ok(1), "the user is named");
    assert_eq!(journal.forget(&["main"], &phone(later), None).await, Ok(2));
    assert_eq!(format!("{store:?}"), "Memory(0 of 100 entries)");
}

#[tokio::test(start_paused = true)]
async fn what_one_org_sent_is_nothing_to_another_and_forgotten_with_the_rest() {
    let store = Arc::new(Memory::new(100));
    let journal = journal(Arc::clone(&store) as Arc<dyn Store>);
    let (user, elsewhere) = (UserId::parse(USER).expect("an id"), "+15005550007");
    for (user, number, id) in [(USER, NUMBER, "SM1"), ("", NUMBER, "SM2"), (USER, elsewhere, "SM3")] {
        journal.note("main", &message(user, number), &accepted("one", id), None, nobody()).await;
        written(&journal).await;
        assert_eq!(journal.previous("gamma", &message(user, number)).await, None, "{id}");
        assert!(journal.previous("main", &message(user, number)).await.is_some(), "{id}");
    }
    assert_eq!(journal.last_to_user("gamma", &user, Channel::Sms).await, None);
    let (person, event) = (journal.user_key("gamma", &user, Channel::Sms), journal.event_key("gamma", "an event"));
    assert_eq!(journal.used(&person, &event).await, Ok(Use::Unknown));
    journal.note("gamma", &message(USER, elsewhere), &accepted("two", "SM4"), None, nobody()).await;
    written(&journal).await;
    let last = journal.last("main", Some(&user), &phone(elsewhere)).await.expect("an entry");
    assert_eq!(last.provider.as_str(), "one", "still its own");
    // Two recipients, two ids; and the user in both orgs.
    assert_eq!(journal.forget(&["main", "gamma"], &phone(NUMBER), Some(&user)).await, Ok(6));
    // A recipient and an id of each org, and nobody has to know which orgs there were.
    assert_eq!(journal.forget(&[], &phone(elsewhere), None).await, Ok(4));
    assert_eq!(format!("{store:?}"), "Memory(0 of 100 entries)");
}

/// A way to the same memory on which sets may fail and what is written arrives late.
#[derive(Debug)]
struct Way {
    memory: Arc<Memory>,
    /// How many times none can be added to.
    no_sets: AtomicUsize,
    late: Duration,
}

#[async_trait]
impl Store for Way {
    async fn claim(&self, key: &Key, value: Bytes, ttl: Duration) -> Result<Claim, StoreFault> {
        self.memory.claim(key, value, ttl).await
    }
    async fn read(&self, key: &Key) -> Result<Option<Bytes>, StoreFault> {
        self.memory.read(key).await
    }
    async fn write(&self, keys: &[Key], value: Bytes, ttl: Duration) -> Result<(), StoreFault> {
        tokio::time::sleep(self.late).await;
        self.memory.write(keys, value, ttl).await
    }
    async fn remove(&self, key: &Key) -> Result<bool, StoreFault> {
        self.memory.remove(key).await
    }
    async fn tally(&self, tallies: &[Tally<'_>]) -> Result<Vec<u64>, StoreFault> {
        let fails = self.no_sets.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        if fails { Err(StoreFault::Timeout) } else { self.memory.tally(tallies).await }
    }
    async fn members(&self, key: &Key) -> Result<Vec<KeyedHash>, StoreFault> {
        self.memory.members(key).await
    }
}

fn way(memory: &Arc<Memory>, no_sets: usize, late: Duration) -> Arc<Way> {
    Arc::new(Way { memory: Arc::clone(memory), no_sets: AtomicUsize::new(no_sets), late })
}

#[tokio::test(start_paused = true)]
async fn what_is_tried_again_is_not_written_over_what_was_sent_since() {
    let memory = Arc::new(Memory::new(100));
    let (here, there) = (journal(way(&memory, 2, Duration::ZERO)), journal(way(&memory, 0, Duration::ZERO)));
    here.note("main", &message(USER, NUMBER), &accepted("one", "SM1"), None, nobody()).await;
    tokio::time::sleep(Duration::from_millis(750)).await;
    there.note("main", &message(USER, NUMBER), &accepted("two", "SM2"), None, nobody()).await;
    written(&there).await;
    written(&here).await;
    let user = UserId::parse(USER).expect("an id");
    assert_eq!(here.last("main", Some(&user), &phone(NUMBER)).await.expect("an entry").provider.as_str(), "two");
    let one = here.of_transaction(&ProviderName::new("one"), "SM1").await.expect("a store");
    assert!(one.is_some(), "its own id is still its own");
}

#[tokio::test(start_paused = true)]
async fn a_use_that_is_told_before_anybody_took_the_message_is_remembered() {
    let journal = journal(Arc::new(Memory::new(100)));
    let user = UserId::parse(USER).expect("an id");
    let unanswered = failed("one", FailureKind::Unconfirmed);
    journal.note("main", &message(USER, NUMBER), &unanswered, None, nobody()).await;
    written(&journal).await;
    let (person, event) = (journal.user_key("main", &user, Channel::Sms), journal.event_key("main", "an event"));
    assert!(matches!(journal.used(&person, &event).await, Ok(Use::Of(_))));
    journal.note("main", &message(USER, NUMBER), &accepted("one", "SM1"), None, nobody()).await;
    written(&journal).await;
    let taken = journal.of_transaction(&ProviderName::new("one"), "SM1").await.expect("a store").expect("an entry");
    assert_eq!(journal.is_used(&taken).await, Ok(true));
}

#[tokio::test(start_paused = true)]
async fn messages_under_one_id_of_their_provider_are_each_used_once() {
    let journal = journal(Arc::new(Memory::new(100)));
    for (user, number) in [("00uone", "+447400120001"), ("00utwo", "+447400120002")] {
        let user_id = UserId::parse(user).expect("an id");
        let person = journal.user_key("main", &user_id, Channel::Sms);
        let event = |name: &str| journal.event_key("main", &format!("{user} {name}"));
        let message = Message { event_id: EventId::parse(user), ..message(user, number) };
        journal.note("main", &message, &accepted("one", "VE1"), None, nobody()).await;
        written(&journal).await;
        assert!(matches!(journal.used(&person, &event("first")).await, Ok(Use::Of(_))), "{user}");
        assert_eq!(journal.used(&person, &event("second")).await, Ok(Use::Known), "{user}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_forgotten_is_not_written() {
    let memory = Arc::new(Memory::new(100));
    let journal = journal(way(&memory, usize::MAX, Duration::ZERO));
    journal.note("main", &message(USER, NUMBER), &accepted("one", "SM1"), None, nobody()).await;
    written(&journal).await;
    assert_eq!(format!("{memory:?}"), "Memory(0 of 100 entries)");
}

#[tokio::test(start_paused = true)]
async fn a_final_report_is_not_undone_by_an_earlier_one_that_is_written_later() {
    let ms = Duration::from_millis;
    for (slow, fast, pause) in [(40, 0, 0), (40, 0, 50), (0, 40, 0), (40, 10, 5), (40, 40, 0), (40, 35, 60)] {
        let memory = Arc::new(Memory::new(100));
        let (here, there) = (journal(way(&memory, 0, ms(slow))), journal(way(&memory, 0, ms(fast))));
        there.note("main", &message(USER, NUMBER), &accepted("one", "SM1"), None, nobody()).await;
        written(&there).await;
        let (one, id) = (ProviderName::new("one"), TransactionId::parse("SM1").expect("an id"));
        let (underway, delivered) = tokio::join!(here.report(&one, &id, Delivery::Underway, now()), async {
            tokio::time::sleep(ms(pause)).await;
            there.report(&one, &id, Delivery::Delivered, now()).await
        });
        assert!(matches!(underway, Ok(Reported::News(_))) && matches!(delivered, Ok(Reported::News(_))));
        let entry = here.of_transaction(&one, "SM1").await.expect("answers").expect("an entry");
        assert_eq!(entry.delivery, Some(Delivery::Delivered), "{slow} {fast} {pause}");
        for again in [Delivery::Underway, Delivery::Undelivered, Delivery::Delivered] {
            tokio::time::advance(ms(1)).await;
            assert_eq!(here.report(&one, &id, again, now()).await, Ok(Reported::Nothing));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_counts_for_one_however_long_another_was_stopped_over_it() {
    let (memory, lease) = (Arc::new(Memory::new(100)), Duration::from_secs(20));
    let [stopped, other] = [(); 2].map(|()| journal(Arc::clone(&memory) as Arc<dyn Store>));
    for (name, is_taken_over) in [("one", true), ("two", false)] {
        let (event, heard) = (stopped.event_key("main", name), now());
        assert_eq!(stopped.begin_event(&event, heard, lease).await, Ok(Begun::Ours));
        assert_eq!(other.begin_event(&event, heard, lease).await, Ok(Begun::Busy));
        tokio::time::advance(lease + Duration::from_secs(1)).await;
        if is_taken_over {
            assert_eq!(other.begin_event(&event, heard, lease).await, Ok(Begun::Ours));
            assert!(!stopped.end_event(&event, heard, lease).await, "at work");
            assert!(other.end_event(&event, heard, lease).await);
        }
        assert_eq!(stopped.end_event(&event, heard, lease).await, !is_taken_over, "{name}");
        assert_eq!(other.begin_event(&event, heard, lease).await, Ok(Begun::Done), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_entry_of_a_later_version_is_read_and_garbage_is_none() {
    let entry = br#"{"org":"main","provider":"one","channel":"voice","kind":"throttled","sent_at":"2026-01-05T10:00:00Z","new":[1]}"#;
    let entry = Entry::read(entry).expect("an entry");
    assert_eq!(
        (entry.channel, entry.failure, entry.event.as_ref()),
        (Channel::Voice, Some(FailureKind::Throttled), None)
    );
    assert_eq!((entry.country, entry.awaited, entry.to.as_ref()), (None, false, None), "of an earlier version");
    assert_eq!(Entry::read(&entry.written()), Some(entry));
    for garbage in [
        "",
        "{}",
        "null",
        r#"{"org":"main","provider":"one","channel":"fax","kind":"accepted","sent_at":"2026-01-05T10:00:00Z"}"#,
    ] {
        assert_eq!(Entry::read(garbage.as_bytes()), None, "{garbage:?}");
    }
}
