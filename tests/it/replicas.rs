//! Replicas that share a store, on a paused clock: what they tell each other, and what they do when it does not answer.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use okta_telephony_hook::store::Store;
use serde_json::Value;
use tokio::time::{advance, sleep};

use crate::support::desk::Desk;
use crate::support::moody::{Mood, Moody};
use crate::support::okta::{self, Understood, understand};
use crate::support::stub::{Act, Stage};

const NUMBER: &str = "+15005550010";

/// A stage of one provider, over a store that others may share.
fn stage(store: &Arc<Moody>, acts: &[Act]) -> Stage {
    Stage::sharing(&(Arc::clone(store) as Arc<dyn Store>), "", &[("one", acts)])
}

fn renamed(request: &Value, event: &str) -> Value {
    let mut request = request.clone();
    request["eventId"] = event.into();
    request
}

fn faults(stage: &Stage, operation: &str) -> f64 {
    stage.metric(&format!("okta_hook_store_faults_total{{operation=\"{operation}\"}}"))
}

fn averted(stage: &Stage, reason: &str) -> f64 {
    stage.metric(&format!("okta_hook_repeats_total{{reason=\"{reason}\"}}"))
}

#[tokio::test(start_paused = true)]
async fn a_repeat_on_another_replica_waits_for_the_first_and_hears_the_same() {
    let store = Moody::new(Mood::Well);
    let (here, there) = (stage(&store, &[Act::Accept(300)]), stage(&store, &[]));
    let request = okta::sms(NUMBER, "482913");
    let (first, second, third) = tokio::join!(
        here.call(&request),
        async {
            sleep(Duration::from_millis(20)).await;
            there.call(&request).await
        },
        async {
            sleep(Duration::from_millis(40)).await;
            there.call(&renamed(&request, "another")).await
        }
    );
    assert!(matches!(understand(&first.body), Understood::Command(status, ..) if status == "SUCCESSFUL"));
    assert_eq!((&second, &third), (&first, &first));
    assert_eq!(there.transcript(), ["320 Okta hears 200", "320 Okta hears 200"], "asked every 50 ms");
    assert_eq!(averted(&there, "in_flight"), 2.0);
    advance(Duration::from_secs(60)).await;
    for event in [request["eventId"].as_str().expect("an id"), "another"] {
        for replica in [&here, &there] {
            assert_eq!(replica.call(&renamed(&request, event)).await, first, "{event}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_code_under_another_event_is_a_repeat_on_every_replica() {
    let store = Moody::new(Mood::Well);
    let (here, there, elsewhere) =
        (stage(&store, &[Act::Accept(5)]), stage(&store, &[]), stage(&store, &[Act::Accept(5)]));
    let request = okta::sms(NUMBER, "482913");
    let first = here.call(&request).await;
    advance(Duration::from_secs(10)).await;
    assert_eq!(there.call(&renamed(&request, "another")).await, first);
    assert_eq!(averted(&there, "fingerprint"), 1.0);
    advance(Duration::from_secs(30)).await;
    assert_eq!(elsewhere.call(&renamed(&request, "another")).await, first, "that event has had its answer");
    elsewhere.call(&renamed(&request, "a third")).await;
    assert!(elsewhere.unused().is_empty(), "a person asked again");
}

#[tokio::test(start_paused = true)]
async fn an_event_with_another_content_alarms_where_it_arrives_and_keeps_the_first_ones_answer() {
    let store = Moody::new(Mood::Well);
    let (here, there) = (stage(&store, &[Act::Accept(5)]), stage(&store, &[Act::Accept(5)]));
    let request = renamed(&okta::sms(NUMBER, "482913"), "event");
    let first = here.call(&request).await;
    there.call(&renamed(&okta::sms(NUMBER, "999999"), "event")).await;
    assert!(there.unused().is_empty(), "sent");
    assert_eq!(there.metric("okta_hook_event_conflicts_total"), 1.0);
    assert_eq!(there.call(&request).await, first, "known from the store, whatever stood in this process's own table");
    assert_eq!(there.metric("okta_hook_event_conflicts_total"), 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_repeat_of_what_came_under_anothers_event_is_a_repeat_on_every_replica() {
    let store = Moody::new(Mood::Well);
    let (here, there, elsewhere) =
        (stage(&store, &[Act::Accept(5)]), stage(&store, &[Act::Accept(5)]), stage(&store, &[]));
    let request = renamed(&okta::sms(NUMBER, "482913"), "event");
    let other = renamed(&okta::sms("+15005550011", "999999"), "event");
    let answers = [here.call(&request).await, there.call(&other).await];
    advance(Duration::from_secs(500)).await;
    for replica in [&here, &there, &elsewhere] {
        assert_eq!([replica.call(&request).await, replica.call(&other).await], answers);
    }
    assert_eq!(averted(&elsewhere, "event"), 2.0);
}

#[tokio::test(start_paused = true)]
async fn a_repeat_whose_code_has_run_out_hears_the_first_answer_on_every_replica() {
    let store = Moody::new(Mood::Well);
    let (here, there, elsewhere) = (stage(&store, &[Act::Accept(300)]), stage(&store, &[]), stage(&store, &[]));
    let request = okta::sms(NUMBER, "482913");
    let expired = |event: &str| {
        let mut request = renamed(&request, event);
        request["data"]["messageProfile"]["otpExpires"] = "2020-01-01T00:00:00Z".into();
        request
    };
    let (first, second) = tokio::join!(here.call(&request), async {
        sleep(Duration::from_millis(100)).await;
        there.call(&expired("while in flight")).await
    });
    assert_eq!(second, first);
    advance(Duration::from_secs(10)).await;
    assert_eq!(there.call(&expired("another")).await, first);
    assert_eq!((averted(&there, "in_flight"), averted(&there, "fingerprint")), (1.0, 1.0));
    advance(Duration::from_secs(30)).await;
    assert_eq!(elsewhere.call(&expired("another")).await, first, "that event has had its answer");
    let reply = elsewhere.call(&expired("a third")).await;
    assert!(matches!(understand(&reply.body), Understood::Error(text) if text.contains("expired")));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_or_dawdles_costs_its_timeout_once() {
    // 30 ms an operation: event and fingerprint together are too slow. 20 ms: the guard's rounds are.
    for mood in [Mood::Slow(60_000), Mood::Slow(30), Mood::Slow(20)] {
        let store = Moody::new(mood) as Arc<dyn Store>;
        let stage = Stage::sharing(&store, "guard.mode = 'enforce'", &[("one", &[Act::Accept(100)])]);
        let request = okta::sms(NUMBER, "482913");
        let first = stage.call(&request).await;
        assert_eq!(stage.transcript(), ["50 one asked", "150 one accepts", "150 Okta hears 200"], "{mood:?}");
        assert_eq!(faults(&stage, "claim") >= 1.0, mood != Mood::Slow(20));
        let open = "okta_hook_guard_total{org=\"main\",rule=\"store\",decision=\"allowed_fail_open\"}";
        assert_eq!(stage.metric(open), 1.0);
        assert_eq!(stage.call(&request).await, first, "this process knows by itself");
        assert_eq!(averted(&stage, "event"), 1.0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_leaves_an_attempt_its_time_even_when_load_leaves_little() {
    let store = Moody::new(Mood::Slow(60_000)) as Arc<dyn Store>;
    let stage = Stage::sharing(&store, "okta_concurrency = 1", &[("one", &[Act::Accept(520); 3])]);
    let [a, b, c] = ["111111", "222222", "333333"].map(|code| okta::sms(NUMBER, code));
    let replies = tokio::join!(stage.call(&a), stage.call(&b), stage.call(&c));
    assert_eq!(stage.metric("okta_hook_shortened_total"), 3.0);
    assert!(stage.unused().is_empty(), "{replies:?}");
    for reply in [replies.0, replies.1, replies.2] {
        assert!(matches!(understand(&reply.body), Understood::Command(status, ..) if status == "SUCCESSFUL"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_down_costs_nothing_and_replicas_send_each_for_itself() {
    let store = Moody::new(Mood::Down);
    let request = okta::sms(NUMBER, "482913");
    for _ in 0..2 {
        let stage = &stage(&store, &[Act::Accept(100)]);
        stage.call(&request).await;
        assert_eq!(stage.transcript(), ["0 one asked", "100 one accepts", "100 Okta hears 200"]);
        assert!(faults(stage, "claim") >= 1.0 && faults(stage, "read") >= 1.0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_recovers_before_the_answer_is_told_it() {
    // Slow: the claim was made though nobody heard so. Down: it was not made.
    for mood in [Mood::Slow(60_000), Mood::Down] {
        let store = Moody::new(mood);
        let (here, there) = (stage(&store, &[Act::Accept(500)]), stage(&store, &[]));
        let request = okta::sms(NUMBER, "482913");
        let (first, ()) = tokio::join!(here.call(&request), async {
            sleep(Duration::from_millis(200)).await;
            store.be(Mood::Well);
        });
        // What is told to the store is not waited for.
        sleep(Duration::from_millis(1)).await;
        assert_eq!(there.call(&request).await, first, "{mood:?}");
        assert_eq!(there.call(&renamed(&request, "another")).await, first, "{mood:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_recovers_keeps_what_another_replica_has_answered_meanwhile() {
    let store = Moody::new(Mood::Down);
    let (here, there) = (stage(&store, &[Act::Accept(500)]), stage(&store, &[Act::Accept(5)]));
    let request = okta::sms(NUMBER, "482913");
    let (here_said, there_said) = tokio::join!(here.call(&request), async {
        sleep(Duration::from_millis(200)).await;
        store.be(Mood::Well);
        there.call(&request).await
    });
    assert_ne!(here_said, there_said, "each tells how long it took");
    sleep(Duration::from_millis(1)).await;
    assert_eq!(stage(&store, &[]).call(&request).await, there_said);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_recovers_a_moment_after_the_answer_is_told_it_too() {
    let store = Moody::new(Mood::Well);
    let (here, there) = (stage(&store, &[Act::Accept(500)]), stage(&store, &[]));
    let request = okta::sms(NUMBER, "482913");
    let (first, (), second) = tokio::join!(
        here.call(&request),
        async {
            sleep(Duration::from_millis(400)).await;
            store.be(Mood::Down);
            sleep(Duration::from_millis(300)).await;
            store.be(Mood::Well);
        },
        async {
            sleep(Duration::from_millis(100)).await;
            there.call(&request).await
        }
    );
    assert_eq!(second, first, "waited through the outage");
    assert!(faults(&there, "read") >= 1.0 && faults(&here, "write") >= 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_claim_whose_process_died_is_waited_for_and_free_again_after_15_seconds() {
    let store = Moody::new(Mood::Well);
    let request = okta::sms(NUMBER, "482913");
    let dead = Desk::sharing(Arc::clone(&store) as Arc<dyn Store>);
    // Dropped with a send begun, a ticket leaves what a dead process does.
    drop(Desk::first(dead.claim("main", &request, &Arc::new(AtomicBool::new(true))).await));

    let alive = stage(&store, &[Act::Accept(5)]);
    let reply = alive.call(&request).await;
    assert_eq!(understand(&reply.body), Understood::Command("PENDING".into(), None, None), "may have been sent");
    assert_eq!(alive.transcript(), ["2575 Okta hears 200"]);
    advance(Duration::from_millis(12_000)).await;
    alive.call(&request).await;
    assert_eq!(alive.transcript().len(), 2, "14.6 s: still in doubt");
    let reply = alive.call(&request).await;
    assert!(matches!(understand(&reply.body), Understood::Command(_, Some(_), Some(_))), "{:?}", alive.transcript());
}

#[tokio::test(start_paused = true)]
async fn an_event_that_could_only_be_told_a_doubt_is_told_it_again_by_every_replica() {
    let store = Moody::new(Mood::Well);
    let request = okta::sms(NUMBER, "482913");
    let dead = Desk::sharing(Arc::clone(&store) as Arc<dyn Store>);
    drop(Desk::first(dead.claim("main", &request, &Arc::new(AtomicBool::new(true))).await));
    let again = renamed(&request, "another");
    let said = stage(&store, &[]).call(&again).await;
    assert_eq!(understand(&said.body), Understood::Command("PENDING".into(), None, None));
    // Nobody holds the code any more, and the event has had its answer.
    advance(Duration::from_secs(30)).await;
    assert_eq!(stage(&store, &[]).call(&again).await, said);
}

#[tokio::test(start_paused = true)]
async fn what_ends_before_a_send_was_begun_is_free_again_on_every_replica() {
    let store = Moody::new(Mood::Well);
    let request = okta::sms(NUMBER, "482913");
    let broken = Desk::sharing(Arc::clone(&store) as Arc<dyn Store>);
    drop(Desk::first(broken.claim("main", &request, &Arc::new(AtomicBool::new(false))).await));
    sleep(Duration::from_millis(1)).await;
    let there = stage(&store, &[Act::Accept(5)]);
    there.call(&request).await;
    assert_eq!(there.transcript(), ["0 one asked", "5 one accepts", "5 Okta hears 200"]);
}
