//! What providers are told of codes they delivered, after the fact: the recorded calls, and what is not asked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use okta_telephony_hook::agenda::{Agenda, Item};
use okta_telephony_hook::deadline::Clock;
use okta_telephony_hook::feedback::{Tools, Worker};
use okta_telephony_hook::journal::{self, Journal};
use okta_telephony_hook::learn::Learn;
use okta_telephony_hook::metrics::{LookupMetrics, Metrics};
use okta_telephony_hook::okta::decode;
use okta_telephony_hook::otp::{
    Accepted, Attempt, Channel, FailureKind, Outcome, Phone, ProviderName, SendError, TransactionId,
};
use okta_telephony_hook::outbound::{self, Outbound};
use okta_telephony_hook::provider::{self, Fate, FeedbackClient, Means, News};
use okta_telephony_hook::secret::Pseudonyms;
use okta_telephony_hook::store::{State, Store};
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::support::eventually;
use crate::support::moody::{Mood, Moody};
use crate::support::okta;
use crate::support::server::{self, TestServer};
use crate::support::vendor::{Answer, Call, VendorServer};

const UMID: &str = "d1f0a2b4-0000-4000-8000-000000000001";
const SID: &str = "VEcccccccccccccccccccccccccccccccc";
const VERIFICATIONS: &str = "/v2/Services/VA00000000000000000000000000000004/Verifications";

fn verify(url: &str) -> String {
    format!(
        "kind = 'twilio-verify'\naccount_sid = 'AC00000000000000000000000000000001'\n\
         auth_token = '0123456789abcdef0123456789abcdef'\nservice_sid = 'VA00000000000000000000000000000004'\n\
         base_url = '{url}'"
    )
}

fn eight(url: &str, sms: &str) -> String {
    format!(
        "kind = '8x8'\napi_key = 'fake-8x8-api-key'\nsubaccount_id = 'acme_otp'\nbase_url = '{url}'\n{sms}\n\
         voice = {{ source = '+6588000000' }}"
    )
}

/// The feedback client of a provider, if that wants to hear.
fn client(provider: &str) -> Option<FeedbackClient> {
    let config = server::load(&format!("[orgs.main]\n[providers.x]\n{provider}\n")).config;
    let outbound = Outbound::new(&outbound::Settings::default()).expect("certificate authorities");
    let (pseudonyms, lookups, tasks) = (&config.pseudonyms, &LookupMetrics::default(), &TaskTracker::new());
    let means = Means { outbound: &outbound, pseudonyms, lookups, tasks };
    provider::build("x", config.providers["x"].clone(), means).feedback_client()
}

async fn tell(client: &FeedbackClient, channel: Channel, id: &str, fate: Fate) -> Result<bool, SendError> {
    let id = TransactionId::parse(id).expect("an id");
    let at = "2026-01-05T10:00:40.159Z".parse::<Timestamp>().ok();
    client.tell(News { id: &id, channel, fate, at }).await
}

fn fixture(name: &str) -> Value {
    let path = crate::support::data(&format!("{name}.json"));
    serde_json::from_slice(&std::fs::read(path).expect("readable")).expect("JSON")
}

fn response(case: &Value) -> Answer {
    let status = case["response"]["status"].as_u64().and_then(|s| s.try_into().ok()).expect("a status");
    Answer::json(status, case["response"]["body"].clone())
}

/// The call is the recorded one, byte for byte.
#[track_caller]
fn is_recorded(call: &Call, case: &Value) {
    let request = &case["request"];
    let url: url::Url = request["url"].as_str().expect("an address").parse().expect("an address");
    assert_eq!((call.method.as_str(), call.path.as_str()), ("POST", url.path()));
    assert_eq!(call.body, request["raw_body"].as_str().expect("a body"));
    for header in ["Authorization", "Content-Type", "Accept"] {
        assert_eq!(call.header(header), request["headers"][header].as_str(), "{header}");
    }
}

#[tokio::test]
async fn every_recorded_call_is_made_as_it_stands() {
    for name in ["twilio/verify-feedback-200-approved", "twilio/verify-feedback-404-already-gone"] {
        let case = fixture(name);
        let vendor = VendorServer::start([response(&case)]).await;
        let client = client(&verify(&vendor.url)).expect("Verify wants to hear");
        assert_eq!(tell(&client, Channel::Voice, SID, Fate::Used).await, Ok(true), "{name}");
        is_recorded(&vendor.finish()[0], &case);
    }
    let case = fixture("8x8/sms-feedback-200");
    let vendor = VendorServer::start([response(&case)]).await;
    let client = client(&eight(&vendor.url, "sms = { track = true }")).expect("8x8 wants to hear");
    assert_eq!(tell(&client, Channel::Sms, UMID, Fate::Used).await, Ok(true));
    is_recorded(&vendor.finish()[0], &case);
}

#[tokio::test]
async fn a_code_that_was_not_used_is_told_in_the_vendors_word() {
    let gone = Answer::json(404, json!({ "code": 1300, "message": "not found" }));
    let vendor = VendorServer::start([Answer::json(200, json!({})), gone]).await;
    let verify = client(&verify(&vendor.url)).expect("Verify wants to hear");
    let eight = client(&eight(&vendor.url, "sms = { track = true }")).expect("8x8 wants to hear");
    assert_eq!(tell(&verify, Channel::Sms, SID, Fate::Unused).await, Ok(true));
    assert_eq!(tell(&eight, Channel::Sms, UMID, Fate::Unused).await, Ok(true), "gone is as good as told");
    let calls = vendor.finish();
    assert_eq!((&*calls[0].path, &*calls[0].body), (&*format!("{VERIFICATIONS}/{SID}"), "Status=canceled"));
    let body: Value = serde_json::from_str(&calls[1].body).expect("JSON");
    assert_eq!(body, json!({ "outcome": "failure", "timestamp": "2026-01-05T10:00:40Z" }));
}

#[tokio::test]
async fn verify_can_be_told_of_a_number_alone() {
    let vendor = VendorServer::start([Answer::json(200, json!({}))]).await;
    let verify = client(&verify(&vendor.url)).expect("Verify wants to hear");
    let eight = client(&eight(&vendor.url, "sms = { track = true }")).expect("8x8 wants to hear");
    let number = Phone::parse("+15005550010", None).expect("a number");
    assert_eq!(verify.approve_number(&number).await, Ok(true));
    assert_eq!(eight.approve_number(&number).await, Ok(false));
    let calls = vendor.finish();
    assert_eq!((&*calls[0].path, &*calls[0].body), (&*format!("{VERIFICATIONS}/%2B15005550010"), "Status=approved"));
}

#[tokio::test]
async fn nobody_is_asked_who_does_not_want_to_hear_or_by_an_id_that_would_leave_its_place() {
    let vendor = VendorServer::start([]).await;
    let url = vendor.url.as_str();
    for provider in [
        "kind = 'twilio'\naccount_sid = 'AC00000000000000000000000000000001'\nauth_token = 't'\nsms.from = '+15005550006'",
        "kind = 'telesign'\ncustomer_id = '11111111-2222-3333-4444-555555555555'\napi_key = 'AAAA'",
        &eight(url, ""),
        &eight(url, "sms = { track = false }"),
    ] {
        assert!(client(provider).is_none(), "{provider}");
    }
    let verify = client(&verify(url)).expect("Verify wants to hear");
    let eight = client(&eight(url, "sms = { track = true }")).expect("8x8 wants to hear");
    assert_eq!(tell(&eight, Channel::Voice, UMID, Fate::Used).await, Ok(false), "only texts are tracked");
    for id in ["..", "a/b", "a?b", "a%2Fb", "a#b", "."] {
        for client in [&verify, &eight] {
            let error = tell(client, Channel::Sms, id, Fate::Used).await.expect_err("no id of theirs");
            assert_eq!((error.kind, error.kind.is_transient()), (FailureKind::Rejected, false), "{id}");
        }
    }
    vendor.finish();
}

#[tokio::test]
async fn what_failed_says_whether_it_is_worth_another_try() {
    for (answer, transient) in [
        (Answer::json(401, json!({ "code": 20003 })), false),
        (Answer::json(400, json!({ "code": 1000 })), false),
        (Answer::json(429, json!({})), true),
        (Answer::json(500, json!({})), true),
        (Answer::json(503, json!({})), true),
        (Answer::Close, true),
    ] {
        let vendor = VendorServer::start([answer.clone(), answer.clone()]).await;
        let verify = client(&verify(&vendor.url)).expect("Verify wants to hear");
        let eight = client(&eight(&vendor.url, "sms = { track = true }")).expect("8x8 wants to hear");
        for (client, id) in [(verify, SID), (eight, UMID)] {
            let error = tell(&client, Channel::Sms, id, Fate::Used).await.expect_err("a failure");
            assert_eq!(error.kind.is_transient(), transient, "{answer:?}: {error}");
        }
        assert_eq!(vendor.finish().len(), 2, "nothing is tried again by itself");
    }
    let nobody = client(&verify("http://127.0.0.1:9")).expect("Verify wants to hear");
    let error = tell(&nobody, Channel::Sms, SID, Fate::Used).await.expect_err("nobody there");
    assert_eq!((error.kind, error.kind.is_transient()), (FailureKind::Unavailable, true));
}

#[tokio::test]
async fn okta_tells_of_a_sign_in_and_8x8_hears_when_it_was() {
    let queued = Answer::json(200, json!({ "umid": UMID, "status": { "code": "QUEUED" } }));
    let vendor = VendorServer::start([queued, Answer::json(200, json!({}))]).await;
    let server = TestServer::start(&format!(
        "[orgs.main.event_hook.auth.header]\nname = 'x-okta-events'\nsecret = 'an-event-hook-secret-0123'\n\
         [providers.x]\n{}\n",
        eight(&vendor.url, "sms = { track = true }")
    ))
    .await;
    assert_eq!(server.hook(&okta::another_sms()).await.status, 200);
    let event = json!({
        "uuid": "listener-1", "published": "2026-01-05T10:00:38.159Z", "eventType": "user.authentication.auth_via_mfa",
        "actor": { "id": "00uyxxSknGtK8022w0g3" }, "outcome": { "result": "SUCCESS" },
        "debugContext": { "debugData": { "factor": "SMS_FACTOR" } },
    });
    let body = json!({ "data": { "events": [event] } }).to_string();
    let answer = server.post("/okta/events", &[("x-okta-events", "an-event-hook-secret-0123")], body.as_bytes()).await;
    assert_eq!(answer.status, 200);
    server.stop().await;
    let calls = vendor.finish();
    let sent: Value = serde_json::from_str(&calls[0].body).expect("JSON");
    assert_eq!(sent["track"], "Outcome");
    assert_eq!(calls[1].path, format!("/api/v1/subaccounts/acme_otp/messages/{UMID}/feedback"));
    assert_eq!(calls[1].body, r#"{"outcome":"success","timestamp":"2026-01-05T10:00:38Z"}"#);
}

#[tokio::test]
async fn nobody_hears_that_a_code_was_not_used_while_that_is_not_known() {
    let vendor = VendorServer::start([]).await;
    let store = Moody::new(Mood::Well);
    let metrics = Arc::new(Metrics::new());
    let state = State::over(Arc::clone(&store) as Arc<dyn Store>, Duration::from_secs(1), Arc::clone(&metrics));
    let (pseudonyms, clock, tasks) = (Pseudonyms::new(None).expect("random"), Clock::SYSTEM, TaskTracker::new());
    let agenda = Agenda::new(&state, &pseudonyms);
    let journal = Journal::new(&state, &journal::Settings::default(), pseudonyms, clock, tasks.clone());
    let verify = client(&verify(&vendor.url)).expect("Verify");
    let worker = Arc::new(Worker::new(Tools {
        agenda: agenda.clone(),
        journal: journal.clone(),
        clients: Arc::new(BTreeMap::from([(ProviderName::new("x"), Some(verify))])),
        unknown_users: Arc::default(),
        learn: Learn::new(clock, Arc::clone(&metrics)),
        metrics,
        clock,
    }));
    let work_off = async || {
        let (provider, since) = ("x".into(), Timestamp::now());
        let over = Item::Over { provider, transaction_id: SID.into(), channel: Channel::Sms, since };
        let tasks = agenda.take([over]).await;
        worker.work_off(tasks, Instant::now() + Duration::from_secs(5)).await;
    };
    work_off().await;
    assert_eq!(vendor.calls().len(), 0, "the journal could not have told whose code was used");
    let message = decode(okta::another_sms().to_string().as_bytes(), None).expect("readable").message;
    let transaction_id = TransactionId::parse(SID).expect("an id");
    let result = Ok(Accepted::new(transaction_id));
    let attempt = Attempt { provider: ProviderName::new("x"), result, elapsed: Duration::ZERO };
    let outcome = Outcome::of(Channel::Sms, "default".into(), vec![attempt]);
    journal.note("main", &message, &outcome, None, CancellationToken::new().drop_guard()).await;
    tasks.close();
    tasks.wait().await;
    store.be(Mood::Down);
    work_off().await;
    assert_eq!(vendor.calls().len(), 0, "it may have been used");
    store.be(Mood::Well);
    vendor.then(Answer::json(200, json!({ "status": "canceled" })));
    work_off().await;
    assert_eq!(vendor.finish()[0].body, "Status=canceled");
}

#[tokio::test]
async fn who_carried_a_used_code_beside_another_does_not_hear_that_it_was_not_used() {
    let vendor = VendorServer::start([]).await;
    let (metrics, clock, tasks) = (Arc::new(Metrics::new()), Clock::SYSTEM, TaskTracker::new());
    let store = Moody::new(Mood::Well) as Arc<dyn Store>;
    let state = State::over(store, Duration::from_secs(1), Arc::clone(&metrics));
    let pseudonyms = Pseudonyms::new(None).expect("random");
    let agenda = Agenda::new(&state, &pseudonyms);
    let journal = Journal::new(&state, &journal::Settings::default(), pseudonyms, clock, tasks.clone());
    let worker = Arc::new(Worker::new(Tools {
        agenda: agenda.clone(),
        journal: journal.clone(),
        clients: Arc::new([("slow", client(&verify(&vendor.url))), ("quick", None)].map(known).into()),
        unknown_users: Arc::default(),
        learn: Learn::new(clock, Arc::clone(&metrics)),
        metrics: Arc::clone(&metrics),
        clock,
    }));
    let (message, since) =
        (decode(okta::another_sms().to_string().as_bytes(), None).expect("readable").message, Timestamp::now());
    let attempt = |provider: &str, id: &str| {
        let result = Ok(Accepted::new(TransactionId::parse(id).expect("an id")));
        Attempt { provider: ProviderName::new(provider), result, elapsed: Duration::ZERO }
    };
    let outcome = Outcome::of(Channel::Sms, "default".into(), vec![attempt("quick", "u-1")]);
    journal.note("main", &message, &outcome, None, CancellationToken::new().drop_guard()).await;
    tasks.close();
    tasks.wait().await;
    assert!(journal.note_late("main", &message, &attempt("slow", SID), since).await);
    let user = journal.user_key("main", message.user.as_ref().expect("a user"), Channel::Sms).to_string();
    let event = journal.event_key("main", "an event").to_string();
    let (org, channel) = ("main".to_owned(), Channel::Sms);
    let used = Item::Used { org, event, user, channel, at: None, since, user_id: None };
    let over = Item::Over { provider: "slow".into(), transaction_id: SID.into(), channel, since };
    for item in [used, over] {
        worker.work_off(agenda.take([item]).await, Instant::now() + Duration::from_secs(5)).await;
    }
    let page = metrics.render();
    assert!(page.contains("okta_hook_conversions_total{provider=\"quick\",channel=\"sms\"} 1"), "{page}");
    assert_eq!(vendor.finish().len(), 0, "nobody knows whose copy was used");
}

fn known((name, client): (&str, Option<FeedbackClient>)) -> (ProviderName, Option<FeedbackClient>) {
    (ProviderName::new(name), client)
}

#[tokio::test]
async fn who_does_not_know_a_provider_leaves_its_work_to_others_for_an_hour() {
    let vendor = VendorServer::start([]).await;
    let (shared, clock, tasks) = (Arc::new(Metrics::new()), Clock::SYSTEM, TaskTracker::new());
    let store = Moody::new(Mood::Well) as Arc<dyn Store>;
    let state = State::over(store, Duration::from_secs(1), Arc::clone(&shared));
    let pseudonyms = Pseudonyms::new(None).expect("random");
    let agenda = Agenda::new(&state, &pseudonyms);
    let journal = Journal::new(&state, &journal::Settings::default(), pseudonyms, clock, tasks.clone());
    let process = |known: Option<FeedbackClient>| {
        let metrics = Arc::new(Metrics::new());
        let tools = Tools {
            agenda: agenda.clone(),
            journal: journal.clone(),
            clients: Arc::new(known.map(|client| (ProviderName::new("x"), Some(client))).into_iter().collect()),
            unknown_users: Arc::default(),
            learn: Learn::new(clock, Arc::clone(&metrics)),
            metrics: Arc::clone(&metrics),
            clock,
        };
        (Arc::new(Worker::new(tools)), metrics)
    };
    let message = decode(okta::another_sms().to_string().as_bytes(), None).expect("readable").message;
    let sent = |id: &str| {
        let result = Ok(Accepted::new(TransactionId::parse(id).expect("an id")));
        let attempt = Attempt { provider: ProviderName::new("x"), result, elapsed: Duration::ZERO };
        Outcome::of(Channel::Sms, "default".into(), vec![attempt])
    };
    let user = journal.user_key("main", message.user.as_ref().expect("a user"), Channel::Sms).to_string();
    let used = |event: &str, since| Item::Used {
        org: "main".into(),
        event: journal.event_key("main", event).to_string(),
        user: user.clone(),
        channel: Channel::Sms,
        at: None,
        since,
        user_id: None,
    };
    let noted = async |id: &str| {
        journal.note("main", &message, &sent(id), None, CancellationToken::new().drop_guard()).await;
        tasks.close();
        tasks.wait().await;
    };
    let until = || Instant::now() + Duration::from_secs(5);
    let ((old, seen_by_old), (new, seen_by_new)) = (process(None), process(client(&verify(&vendor.url))));
    let conversions =
        |metrics: &Metrics| metrics.render().contains("okta_hook_conversions_total{provider=\"x\",channel=\"sms\"} 1");

    noted(SID).await;
    old.work_off(agenda.take([used("now", Timestamp::now())]).await, until()).await;
    assert!(!conversions(&seen_by_old));
    vendor.then(Answer::json(200, json!({ "status": "approved" })));
    eventually("Verify is told", async || {
        new.work_off(agenda.due(9).await, until()).await;
        conversions(&seen_by_new)
    })
    .await;
    assert_eq!(vendor.calls()[0].body, "Status=approved");

    noted("VEdddddddddddddddddddddddddddddddd").await;
    let long_ago = Timestamp::now() - Duration::from_secs(61 * 60);
    old.work_off(agenda.take([used("long ago", long_ago)]).await, until()).await;
    assert!(seen_by_old.render().contains("okta_hook_fates_given_up_total 1"));
    assert_eq!(vendor.finish().len(), 1, "nobody calls for who is not known");
}
