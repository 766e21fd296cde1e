//! Repeats, in one process on a paused clock: who hears the first answer again, and who is sent a new one.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use http::HeaderMap;
use jiff::{SignedDuration, Timestamp};
use okta_telephony_hook::dedupe::Claim;
use okta_telephony_hook::okta::Reply;
use okta_telephony_hook::otp::FailureKind::{Recipient, Unavailable};
use serde_json::Value;
use tokio::time::{Instant, advance, sleep};

use crate::support::desk::Desk;
use crate::support::okta::{self, SECRET, Understood, understand};
use crate::support::stub::{Act, Stage};

const NUMBER: &str = "+15005550010";

/// The same request under another event id, or none.
fn renamed(request: &Value, event: Option<&str>) -> Value {
    let mut request = request.clone();
    request["eventId"] = event.into();
    request
}

fn previewed(mut request: Value) -> Value {
    request["data"]["context"]["request"]["url"]["value"] = "/api/internal/v1/x/generatePreview".into();
    request
}

fn averted(stage: &Stage, reason: &str) -> f64 {
    let of = |reason| stage.metric(&format!("okta_hook_repeats_total{{reason=\"{reason}\"}}"));
    let all: f64 = ["event", "in_flight", "fingerprint"].map(of).iter().sum();
    assert_eq!(all, stage.metric("okta_hook_duplicates_averted_total"));
    of(reason)
}

#[tokio::test(start_paused = true)]
async fn a_repeat_while_the_first_is_in_flight_waits_and_both_hear_the_same() {
    let stage = Stage::new("", &[("one", &[Act::Accept(300)])]);
    let request = okta::sms(NUMBER, "482913");
    let (first, second, third) = tokio::join!(stage.call(&request), stage.call(&request), async {
        sleep(Duration::from_millis(100)).await;
        stage.call(&renamed(&request, None)).await
    });
    assert!(matches!(understand(&first.body), Understood::Command(status, ..) if status == "SUCCESSFUL"));
    assert_eq!((&second, &third), (&first, &first));
    assert_eq!(stage.transcript().iter().filter(|line| line.contains("asked")).count(), 1);
    assert_eq!(stage.transcript().iter().filter(|line| *line == "300 Okta hears 200").count(), 3);
    assert_eq!(averted(&stage, "in_flight"), 2.0);
    assert_eq!(stage.metric(r#"okta_hook_requests_total{org="main",channel="sms",verdict="repeat"}"#), 2.0);
}

#[tokio::test(start_paused = true)]
async fn a_repeat_after_the_answer_hears_it_again_byte_for_byte_at_once() {
    for act in [Act::Accept(300), Act::Fail(20, Recipient), Act::Fail(20, Unavailable), Act::Hang] {
        let stage = Stage::new("reply.exhausted = 'http-503'", &[("one", &[act])]);
        let request = okta::sms(NUMBER, "482913");
        let first = stage.call(&request).await;
        advance(Duration::from_secs(30)).await;
        let before = Instant::now();
        assert_eq!(stage.call(&request).await, first, "{act:?}");
        assert_eq!(before.elapsed(), Duration::ZERO);
        assert_eq!(averted(&stage, "event"), 1.0);
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_code_under_another_event_is_a_repeat_for_20_seconds_and_a_resend_after() {
    let stage = Stage::new("", &[("one", &[Act::Accept(100)]), ("two", &[Act::Accept(100)])]);
    let request = okta::sms(NUMBER, "482913");
    let first = stage.call(&request).await;
    advance(Duration::from_millis(19_800)).await;
    assert_eq!(stage.call(&renamed(&request, Some("another"))).await, first);
    assert_eq!(stage.call(&renamed(&request, None)).await, first);
    advance(Duration::from_millis(200)).await;
    assert_eq!(stage.call(&renamed(&request, Some("another"))).await, first, "that event has had its answer");
    let resent = stage.call(&renamed(&request, Some("a third"))).await;
    let expected = Understood::Command("SUCCESSFUL".into(), Some("two".into()), Some("id-two".into()));
    assert_eq!(understand(&resent.body), expected, "the other provider begins");
    assert_eq!((averted(&stage, "fingerprint"), averted(&stage, "event")), (2.0, 1.0));
    assert_eq!(stage.call(&request).await, first);
}

#[tokio::test(start_paused = true)]
async fn a_new_code_for_the_same_person_begins_with_the_provider_not_asked_last() {
    let stage = Stage::new("", &[("one", &[Act::Accept(5); 4]), ("two", &[Act::Accept(5)])]);
    let mut heard = Vec::new();
    let stranger = okta::for_a_stranger(okta::sms(NUMBER, "333333"));
    let preview = previewed(okta::sms(NUMBER, "444444"));
    let requests =
        [okta::sms(NUMBER, "111111"), okta::sms(NUMBER, "222222"), stranger, preview, okta::sms(NUMBER, "555555")];
    for request in requests {
        let reply = stage.call(&request).await;
        let Understood::Command(_, Some(provider), _) = understand(&reply.body) else { panic!("{reply:?}") };
        heard.push(provider);
    }
    // For how long, src/journal tells: the wall clock does not move with the paused one.
    assert_eq!(heard, ["one", "two", "one", "one", "one"]);
}

#[tokio::test(start_paused = true)]
async fn an_event_with_another_content_is_sent_and_alarms() {
    let acts = [Act::Accept(5); 4];
    let stage = Stage::new("", &[("one", &acts)]);
    let request = renamed(&okta::sms(NUMBER, "482913"), Some("event"));
    let variants = [
        renamed(&okta::sms("+15005550011", "482913"), Some("event")),
        renamed(&okta::sms(NUMBER, "482914"), Some("event")),
        renamed(&okta::voice(NUMBER, "482913"), Some("event")),
    ];
    let first = stage.call(&request).await;
    for (number, variant) in variants.iter().enumerate() {
        assert!(matches!(understand(&stage.call(variant).await.body), Understood::Command(..)));
        assert_eq!(stage.metric("okta_hook_event_conflicts_total"), number as f64 + 1.0);
    }
    assert!(stage.unused().is_empty(), "each was sent");
    assert_eq!(stage.call(&request).await, first, "the event stays the first one's");
}

#[tokio::test(start_paused = true)]
async fn a_repeat_of_what_came_under_anothers_event_hears_its_own_first_answer_for_as_long_as_any() {
    let stage = Stage::new("", &[("one", &[Act::Accept(5), Act::Fail(5, Recipient)])]);
    let request = renamed(&okta::sms(NUMBER, "482913"), Some("event"));
    let other = renamed(&okta::sms("+15005550011", "482914"), Some("event"));
    let answers = [stage.call(&request).await, stage.call(&other).await];
    assert_ne!(answers[0], answers[1]);
    for seconds in [1, 20, 500] {
        advance(Duration::from_secs(seconds)).await;
        assert_eq!([stage.call(&request).await, stage.call(&other).await], answers, "{seconds} s later");
    }
    assert_eq!((averted(&stage, "event"), averted(&stage, "fingerprint")), (6.0, 0.0));
    assert_eq!(stage.metric("okta_hook_event_conflicts_total"), 1.0);
}

#[tokio::test(start_paused = true)]
async fn events_of_two_hooks_and_of_none_do_not_meet() {
    let stage = Stage::new("", &[("one", &[Act::Accept(5); 3])]);
    let mut requests: Vec<Value> =
        ["111111", "222222", "333333"].iter().map(|code| renamed(&okta::sms(NUMBER, code), Some("1"))).collect();
    requests[1]["source"] = "https://example.okta.com/api/v1/inlineHooks/another".into();
    requests[2]["source"] = Value::Null;
    for request in &requests {
        stage.call(request).await;
    }
    assert!(stage.unused().is_empty());
    assert_eq!(stage.metric("okta_hook_event_conflicts_total"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_preview_is_a_repeat_for_10_seconds_only_and_may_be_edited() {
    let stage = Stage::new("", &[("one", &[Act::Accept(5); 3])]);
    let request = previewed(renamed(&okta::sms(NUMBER, "11111"), Some("canned")));
    let first = stage.call(&request).await;
    advance(Duration::from_secs(9)).await;
    assert_eq!(stage.call(&request).await, first);
    stage.call(&previewed(renamed(&okta::sms("+15005550011", "11111"), Some("canned")))).await;
    assert_eq!(stage.metric("okta_hook_event_conflicts_total"), 0.0);
    advance(Duration::from_secs(1)).await;
    stage.call(&request).await;
    assert!(stage.unused().is_empty(), "sent again");
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_kept_for_the_codes_life_and_five_minutes() {
    let stage = Stage::new("", &[("one", &[Act::Accept(5); 2])]);
    let mut request = okta::sms(NUMBER, "482913");
    request["data"]["messageProfile"]["otpExpires"] =
        (Timestamp::now() + SignedDuration::from_secs(120)).to_string().into();
    let first = stage.call(&request).await;
    advance(Duration::from_secs(120 + 295)).await;
    assert_eq!(stage.call(&request).await, first);
    advance(Duration::from_secs(6)).await;
    stage.call(&request).await;
    assert!(stage.unused().is_empty(), "sent again: Okta does not repeat that late");
}

#[tokio::test(start_paused = true)]
async fn a_repeat_whose_code_has_run_out_meanwhile_hears_the_first_answer_and_no_other_message_does() {
    let stage = Stage::new("", &[("one", &[Act::Accept(5)])]);
    let request = okta::sms(NUMBER, "482913");
    let first = stage.call(&request).await;
    // The wall clock does not move with the paused one; an expiry in the past does the same.
    let expired = |mut request: Value| {
        request["data"]["messageProfile"]["otpExpires"] = "2020-01-01T00:00:00Z".into();
        request
    };
    assert_eq!(stage.call(&expired(request.clone())).await, first);
    advance(Duration::from_secs(19)).await;
    for other in [renamed(&request, Some("another")), renamed(&request, None)] {
        assert_eq!(stage.call(&expired(other)).await, first, "by its content, for 20 s");
    }
    advance(Duration::from_secs(2)).await;
    assert_eq!(stage.call(&expired(renamed(&request, Some("another")))).await, first, "that event was answered so");
    for other in [renamed(&request, Some("unknown")), renamed(&request, None), okta::sms(NUMBER, "999999")] {
        for _ in 0..2 {
            let reply = stage.call(&expired(other.clone())).await;
            assert!(matches!(understand(&reply.body), Understood::Error(text) if text.contains("expired")));
        }
    }
    assert_eq!(averted(&stage, "event"), 2.0, "that a code had expired is not kept");
    assert_eq!(averted(&stage, "fingerprint"), 2.0);
}

#[tokio::test(start_paused = true)]
async fn a_repeat_whose_code_runs_out_while_the_first_is_in_flight_waits_for_its_answer() {
    let stage = Stage::new("", &[("one", &[Act::Accept(300)])]);
    let request = okta::sms(NUMBER, "482913");
    let mut late = renamed(&request, Some("another"));
    late["data"]["messageProfile"]["otpExpires"] = "2020-01-01T00:00:00Z".into();
    let (first, second) = tokio::join!(stage.call(&request), async {
        sleep(Duration::from_millis(100)).await;
        stage.call(&late).await
    });
    assert_eq!(second, first);
    assert_eq!(averted(&stage, "in_flight"), 1.0);
}

#[tokio::test(start_paused = true)]
async fn what_was_turned_away_may_come_again() {
    let stage = Stage::new("[server]\nmax_in_flight = 1", &[("one", &[Act::Accept(300); 2])]);
    let request = okta::sms(NUMBER, "482914");
    let body = request.to_string().into_bytes();
    assert_eq!(stage.call_with(&[("authorization", "wrong")], body.clone()).await.status, 401);
    assert_eq!(stage.call_with(&[("authorization", SECRET)], body[..40].to_vec()).await.status, 400);
    let other = okta::sms(NUMBER, "482913");
    let (_, shed) = tokio::join!(stage.call(&other), stage.call(&request));
    assert_eq!(shed.status, 429);
    assert_eq!(stage.call(&request).await.status, 200);
    assert!(stage.unused().is_empty(), "sent");
}

#[tokio::test(start_paused = true)]
async fn a_repeat_that_must_answer_before_the_first_does_says_that_nothing_is_confirmed() {
    let stage = Stage::new("reply.unconfirmed = 'successful'", &[("one", &[Act::Accept(1500)])]);
    let request = okta::sms(NUMBER, "482913");
    let early = Instant::now();
    advance(Duration::from_millis(2000)).await;
    let body = bytes::Bytes::from(request.to_string());
    let mut headers = HeaderMap::new();
    headers.insert("authorization", SECRET.parse().expect("value"));
    let (first, second) = tokio::join!(stage.call(&request), async {
        let reply = stage.hook.call(early, headers, async { Ok(body) }).await;
        (early.elapsed().as_millis(), reply)
    });
    assert_eq!(second.0, 2575);
    assert_eq!(understand(&second.1.body), Understood::Command("SUCCESSFUL".into(), None, None));
    let told: Value = serde_json::from_slice(&second.1.body).expect("JSON");
    let metadata = &told["commands"][0]["value"][0]["transactionMetadata"];
    assert_eq!(metadata, "verdict=unconfirmed elapsed_ms=2575 attempts=[]", "of its route nothing is known");
    assert!(matches!(understand(&first.body), Understood::Command(_, Some(_), Some(_))));
    assert_eq!(stage.metric(r#"okta_hook_requests_total{org="main",channel="sms",verdict="repeat_unheard"}"#), 1.0);
    assert_eq!(stage.call(&request).await, first);
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_hangs_up_and_comes_again_hears_of_the_first_send() {
    let stage = Stage::new("", &[("one", &[Act::Accept(900)])]);
    let request = okta::sms(NUMBER, "482913");
    assert!(tokio::time::timeout(Duration::from_millis(100), stage.call(&request)).await.is_err());
    let reply = stage.call(&request).await;
    assert!(matches!(understand(&reply.body), Understood::Command(status, ..) if status == "SUCCESSFUL"));
    assert_eq!(stage.transcript(), ["0 one asked", "900 one accepts", "900 Okta hears 200"]);
}

#[tokio::test(start_paused = true)]
async fn a_table_full_of_messages_in_flight_stops_nobody() {
    let stage = Stage::new("[state]\nmax_entries = 4", &[("one", &[Act::Accept(300); 3])]);
    let requests = ["111111", "222222", "333333"].map(|code| okta::sms(NUMBER, code));
    let [a, b, c] = &requests;
    tokio::join!(stage.call(a), stage.call(b), stage.call(c));
    assert!(stage.unused().is_empty());
    assert_eq!(stage.metric(r#"okta_hook_store_faults_total{operation="claim"}"#), 1.0);
    stage.call(a).await;
    assert_eq!(averted(&stage, "event"), 1.0);
}

#[tokio::test(start_paused = true)]
async fn one_org_cannot_take_anothers_event() {
    let desk = Desk::new();
    let request = okta::sms(NUMBER, "482913");
    let not_begun = Arc::default();
    let ticket = Desk::first(desk.claim("main", &request, &not_begun).await);
    ticket.answer(&Reply::overloaded());
    Desk::first(desk.claim("other", &request, &not_begun).await);
}

#[tokio::test(start_paused = true)]
async fn what_ends_without_an_answer_is_free_again_unless_a_send_was_begun() {
    let desk = Desk::new();
    let request = okta::sms(NUMBER, "482913");
    let begun = Arc::new(AtomicBool::new(false));
    let ticket = Desk::first(desk.claim("main", &request, &begun).await);
    let (next, ()) = tokio::join!(desk.claim("main", &request, &begun), async {
        sleep(Duration::from_millis(100)).await;
        drop(ticket);
    });
    begun.store(true, std::sync::atomic::Ordering::Release);
    drop(Desk::first(next));
    let Claim::Repeat(repeat) = desk.claim("main", &request, &begun).await else { panic!("may have been sent") };
    assert!(!repeat.heard);
    assert!(desk.metrics.render().contains("repeats_total{reason=\"in_flight\"} 1"));
}
