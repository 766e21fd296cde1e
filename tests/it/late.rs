//! What a provider takes after Okta was answered: the journal knows it, and knows what came first.

use std::sync::Arc;
use std::time::Duration;

use okta_telephony_hook::journal::{Entry, Journal, Reported, Use};
use okta_telephony_hook::otp::{Channel, Delivery, FailureKind, Phone, ProviderName, TransactionId, UserId};
use okta_telephony_hook::store::Store;
use serde_json::json;
use tokio::time::sleep;

use crate::support::eventually;
use crate::support::moody::{Mood, Moody};
use crate::support::okta::{self, Understood, understand};
use crate::support::redis::RedisServer;
use crate::support::server::TestServer;
use crate::support::stub::{Act, Stage};
use crate::support::vendor::{Answer, VendorServer};

const NUMBER: &str = "+15005550010";
const USER: &str = "00uyxxSknGtK8022w0g3";

fn phone() -> Phone {
    Phone::parse(NUMBER, None).expect("a number")
}

fn user() -> UserId {
    UserId::parse(USER).expect("an id")
}

/// Whether a send of this provider is known by the id that a stub gives.
async fn knows(journal: &Journal, provider: &str) -> bool {
    journal.of_transaction(&ProviderName::new(provider), &format!("id-{provider}")).await.expect("answers").is_some()
}

/// The last send to the person, as it is found by number and by channel: both must agree.
async fn last(journal: &Journal) -> (String, Option<String>, Option<FailureKind>) {
    let by_number = journal.last("main", Some(&user()), &phone()).await.expect("an entry");
    assert_eq!(journal.last_to_user("main", &user(), Channel::Sms).await.as_ref(), Some(&by_number));
    let Entry { provider, transaction_id, failure, .. } = by_number;
    (provider.to_string(), transaction_id.map(|id| id.as_str().to_owned()), failure)
}

async fn ended(stage: &Stage) {
    stage.tasks.close();
    stage.tasks.wait().await;
    stage.tasks.reopen();
}

#[tokio::test(start_paused = true)]
async fn what_is_taken_late_is_found_by_its_id_and_by_the_code_that_was_used() {
    let stage = Stage::new("", &[("one", &[Act::Accept(4000)])]);
    let reply = stage.call(&okta::sms(NUMBER, "482913")).await;
    assert_eq!(understand(&reply.body), Understood::Command("PENDING".into(), Some("one".into()), None));
    assert_eq!(last(&stage.shared.journal).await, ("one".into(), None, Some(FailureKind::Unconfirmed)));
    assert!(!knows(&stage.shared.journal, "one").await, "not taken yet");
    ended(&stage).await;
    assert_eq!(last(&stage.shared.journal).await, ("one".into(), Some("id-one".into()), None));
    assert!(knows(&stage.shared.journal, "one").await);
    let (person, event) =
        (stage.shared.journal.user_key("main", &user(), Channel::Sms), stage.shared.journal.event_key("main", "one"));
    let Ok(Use::Of(used)) = stage.shared.journal.used(&person, &event).await else { panic!("the late one") };
    assert_eq!(used.transaction_id.as_ref().map(|id| id.as_str()), Some("id-one"));
    let other = stage.shared.journal.event_key("main", "two");
    assert_eq!(stage.shared.journal.used(&person, &other).await, Ok(Use::Known), "once");
}

#[tokio::test(start_paused = true)]
async fn beside_one_that_was_taken_in_time_a_late_one_is_found_by_its_id_alone() {
    let stage = Stage::new("", &[("one", &[Act::Accept(4000)]), ("two", &[Act::Accept(100)])]);
    let reply = stage.call(&okta::sms(NUMBER, "482913")).await;
    assert!(matches!(understand(&reply.body), Understood::Command(word, ..) if word == "SUCCESSFUL"));
    ended(&stage).await;
    assert!(knows(&stage.shared.journal, "one").await && knows(&stage.shared.journal, "two").await);
    assert_eq!(last(&stage.shared.journal).await, ("two".into(), Some("id-two".into()), None), "what Okta was told of");
    assert_eq!(
        stage.shared.journal.forget(&["main"], &phone(), Some(&user())).await,
        Ok(4),
        "two ids, one recipient, one user"
    );
    assert!(!knows(&stage.shared.journal, "one").await && !knows(&stage.shared.journal, "two").await);
}

#[tokio::test(start_paused = true)]
async fn a_code_that_was_used_is_unused_at_nobody_who_carried_it() {
    let stage = Stage::new("", &[("one", &[Act::Accept(4000), Act::Accept(100)]), ("two", &[Act::Accept(100)])]);
    stage.call(&okta::sms(NUMBER, "482913")).await;
    ended(&stage).await;
    let journal = &stage.shared.journal;
    let (person, event) = (journal.user_key("main", &user(), Channel::Sms), journal.event_key("main", "one"));
    let entry = async |provider, id| {
        journal.of_transaction(&ProviderName::new(provider), id).await.expect("answers").expect("an entry")
    };
    let (late, in_time) = (entry("one", "id-one").await, entry("two", "id-two").await);
    assert_eq!((journal.is_used(&late).await, journal.is_used(&in_time).await), (Ok(false), Ok(false)));
    assert!(matches!(journal.used(&person, &event).await, Ok(Use::Of(used)) if used == in_time));
    assert_eq!((journal.is_used(&late).await, journal.is_used(&in_time).await), (Ok(true), Ok(true)));
    // The next code of the same person is another one.
    stage.call(&okta::sms(NUMBER, "999999")).await;
    ended(&stage).await;
    assert_eq!(journal.is_used(&entry("one", "id-one-2").await).await, Ok(false));
}

#[tokio::test(start_paused = true)]
async fn a_newer_message_stays_the_last() {
    let only_one = "after_unconfirmed.sms = 'stop'";
    let stage = Stage::new(only_one, &[("one", &[Act::Accept(6000)]), ("two", &[Act::Accept(100)])]);
    stage.call(&okta::sms(NUMBER, "482913")).await;
    let resend = stage.call(&okta::sms(NUMBER, "999999")).await;
    assert!(matches!(understand(&resend.body), Understood::Command(_, by, _) if by.as_deref() == Some("two")));
    ended(&stage).await;
    assert!(knows(&stage.shared.journal, "one").await);
    assert_eq!(last(&stage.shared.journal).await, ("two".into(), Some("id-two".into()), None));
}

#[tokio::test(start_paused = true)]
async fn an_id_that_a_newer_message_has_stays_that_ones() {
    // As at Verify, where all codes for a number go out under one verification.
    let stage = Stage::new("after_unconfirmed.sms = 'stop'", &[("one", &[Act::Accept(6000), Act::Accept(100)])]);
    stage.call(&okta::sms(NUMBER, "482913")).await;
    stage.call(&okta::sms(NUMBER, "999999")).await;
    let (one, id) = (ProviderName::new("one"), TransactionId::parse("id-one").expect("an id"));
    let reported = stage.shared.journal.report(&one, &id, Delivery::Delivered, stage.shared.clock.now()).await;
    assert!(matches!(reported, Ok(Reported::News(_))));
    let newer = stage.shared.journal.of_transaction(&one, "id-one").await.expect("answers").expect("an entry");
    ended(&stage).await;
    assert_eq!(stage.transcript().last().map(String::as_str), Some("6000 one accepts"));
    assert_eq!(stage.shared.journal.of_transaction(&one, "id-one").await.expect("answers"), Some(newer));
}

#[tokio::test(start_paused = true)]
async fn who_took_a_message_late_hears_when_its_code_is_over() {
    let event_hook = "event_hook.auth.header.secret = 'an-event-hook-secret-0123'";
    for (provider, org, expected) in [("listener", event_hook, 1), ("one", event_hook, 0), ("listener", "", 0)] {
        let stage = Stage::new(org, &[(provider, &[Act::Accept(4000)])]);
        stage.call(&okta::sms(NUMBER, "482913")).await;
        ended(&stage).await;
        // Okta's example code lives for five minutes, and its use is told within one more.
        tokio::time::advance(Duration::from_secs(5 * 60 + 58)).await;
        assert_eq!(stage.shared.agenda.due(9).await.len(), 0);
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(stage.shared.agenda.due(9).await.len(), expected, "{provider} with {org:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_outcome_never_overwrites_what_was_taken_right_after_it() {
    // The outcome is noted from 2575 ms on; the store is slow for as long as told.
    for (taken, well_again) in [(2576, 2500), (2576, 9000), (2620, 9000), (2700, 9000), (2590, 2580)] {
        let store = Moody::new(Mood::Well);
        let stage = Stage::sharing(&(Arc::clone(&store) as Arc<dyn Store>), "", &[("one", &[Act::Accept(taken)])]);
        let moods = async {
            sleep(Duration::from_millis(2500)).await;
            store.be(if well_again > 2500 { Mood::Slow(40) } else { Mood::Well });
            sleep(Duration::from_millis(well_again - 2500)).await;
            store.be(Mood::Well);
        };
        let call = async {
            let reply = stage.call(&okta::sms(NUMBER, "482913")).await;
            assert!(matches!(understand(&reply.body), Understood::Command(word, ..) if word == "PENDING"));
            ended(&stage).await;
        };
        tokio::join!(call, moods);
        let noted = last(&stage.shared.journal).await;
        assert_eq!(noted, ("one".into(), Some("id-one".into()), None), "{taken} {well_again}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_failure_and_a_preview_are_not_noted() {
    let stage = Stage::new("", &[("one", &[Act::Fail(4000, FailureKind::Rejected)])]);
    stage.call(&okta::sms(NUMBER, "482913")).await;
    ended(&stage).await;
    assert_eq!(last(&stage.shared.journal).await, ("one".into(), None, Some(FailureKind::Unconfirmed)));

    let stage = Stage::new("", &[("one", &[Act::Accept(4000)])]);
    let mut preview = okta::sms(NUMBER, "482913");
    preview["data"]["context"]["request"]["url"]["value"] =
        "/api/v1/inlineHooks/calz6lVQA77AwFeEe0g3/generatePreview".into();
    stage.call(&preview).await;
    ended(&stage).await;
    let line = r#"okta_hook_late_attempts_total{provider="one",channel="sms",kind="accepted"}"#;
    assert_eq!(stage.metric(line), 1.0);
    assert!(!knows(&stage.shared.journal, "one").await);
    assert_eq!(stage.shared.journal.last("main", Some(&user()), &phone()).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_down_costs_a_late_outcome_its_entry_and_nothing_else() {
    let store = Moody::new(Mood::Well);
    let stage = Stage::sharing(&(Arc::clone(&store) as Arc<dyn Store>), "", &[("one", &[Act::Accept(4000)])]);
    let reply = stage.call(&okta::sms(NUMBER, "482913")).await;
    assert!(matches!(understand(&reply.body), Understood::Command(word, ..) if word == "PENDING"));
    store.be(Mood::Down);
    ended(&stage).await;
    let line = r#"okta_hook_late_attempts_total{provider="one",channel="sms",kind="accepted"}"#;
    assert_eq!(stage.metric(line), 1.0);
    store.be(Mood::Well);
    assert!(!knows(&stage.shared.journal, "one").await);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_for_a_moment_has_the_entry_in_the_end() {
    // Accepted in time, and late; what is noted is tried at once, after 250 ms, and after another second.
    for taken in [1000, 4000] {
        let store = Moody::new(Mood::Well);
        let stage = Stage::sharing(&(Arc::clone(&store) as Arc<dyn Store>), "", &[("one", &[Act::Accept(taken)])]);
        let moods = async {
            sleep(Duration::from_millis(taken - 100)).await;
            store.be(Mood::Down);
            sleep(Duration::from_millis(600)).await;
            store.be(Mood::Well);
        };
        let call = async {
            stage.call(&okta::sms(NUMBER, "482913")).await;
            ended(&stage).await;
        };
        tokio::join!(call, moods);
        assert_eq!(last(&stage.shared.journal).await, ("one".into(), Some("id-one".into()), None), "{taken}");
        assert!(knows(&stage.shared.journal, "one").await, "{taken}");
        let faults = stage.metric("okta_hook_store_faults_total{operation=\"tally\"}")
            + stage.metric("okta_hook_store_faults_total{operation=\"read\"}");
        assert!(faults >= 2.0, "{taken}: {faults}");
    }
}

#[tokio::test]
async fn a_real_vendor_that_reports_before_it_has_answered_is_believed() {
    const SECRET: &str = "Bearer 3f9c1d7a-webhook-secret";
    for redis in [None, Some(RedisServer::start())] {
        let queued = json!({ "umid": "u-late", "status": { "code": "QUEUED" } }).to_string();
        let vendor = VendorServer::start([Answer::Late(Duration::from_millis(1500), 200, queued)]).await;
        let state = redis.as_ref().map(|redis| format!("[state]\nurl = '{}'\n", redis.url())).unwrap_or_default();
        let server = TestServer::start(&format!(
            "privacy.hash_key = 'a test key'\n{state}[server]\npublic_url = 'https://otp.example.com'\n[orgs.main]\n\
             budget = '1s'\n[providers.eight]\nkind = '8x8'\napi_key = 'k'\nsubaccount_id = 'acme_otp'\n\
             base_url = '{}'\ncallback_secret = '{SECRET}'\n",
            vendor.url
        ))
        .await;
        let answer = server.hook(&okta::another_sms()).await;
        assert_eq!(understand(&answer.body), Understood::Command("PENDING".into(), Some("eight".into()), None));
        let report = json!({ "payload": { "umid": "u-late", "status": { "state": "delivered" } } }).to_string();
        let told = server.post("/callbacks/eight", &[("authorization", SECRET)], report.as_bytes()).await;
        assert_eq!(told.status, 200, "it never comes again");
        let delivered = r#"okta_hook_delivery_reports_total{provider="eight",channel="sms",status="delivered"}"#;
        assert_eq!(server.metric(delivered).await, 0.0, "nobody knows it yet");
        eventually("the report counts", async || server.metric(delivered).await == 1.0).await;
        let unknown = r#"okta_hook_callbacks_refused_total{provider="eight",reason="unknown"}"#;
        assert_eq!(server.metric(unknown).await, 0.0);
        server.stop().await;
        assert_eq!(vendor.finish().len(), 1, "asked once");
    }
}
