//! After the answer: who hears that a code was used or is over, what is tried again, and what Okta's complaints are held
//! against.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use okta_telephony_hook::dispatch::switches::{Setting, Target};
use okta_telephony_hook::feedback::Taken;
use okta_telephony_hook::otp::{FailureKind, ProviderName};
use okta_telephony_hook::recent::Ending;
use okta_telephony_hook::store::{Memory, Store};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::support::eventually;
use crate::support::moody::{Mood, Moody};
use crate::support::okta::{self, SECRET as HOOK_SECRET};
use crate::support::server::TestServer;
use crate::support::stub::{Act, Stage};
use crate::support::vendor::{Answer, Call, VendorServer};

const SECRET: &str = "an-event-hook-secret-0123";

fn toml(verify: &str, more: &str) -> String {
    format!(
        "[orgs.main.event_hook.auth.header]\nname = 'x-okta-events'\nsecret = '{SECRET}'\n\
         [providers.verify]\nkind = 'twilio-verify'\naccount_sid = 'AC00000000000000000000000000000001'\n\
         auth_token = '0123456789abcdef0123456789abcdef'\nservice_sid = 'VA00000000000000000000000000000004'\n\
         base_url = '{verify}'\n{more}"
    )
}

fn eight(url: &str) -> String {
    format!(
        "[providers.eight]\nkind = '8x8'\napi_key = 'an-8x8-key'\nsubaccount_id = 'acme_otp'\nbase_url = '{url}'\n\
         sms = {{ source = 'ACME', track = true }}\n"
    )
}

fn created(n: u8) -> Answer {
    Answer::json(201, json!({ "sid": sid(n), "status": "pending" }))
}

fn sid(n: u8) -> String {
    format!("VE{n:032x}")
}

fn queued(umid: &str) -> Answer {
    Answer::json(200, json!({ "umid": umid, "status": { "code": "QUEUED" } }))
}

fn done() -> Answer {
    Answer::json(200, json!({ "status": "approved" }))
}

/// A hook for a user of ours.
fn hook_for(user: &str) -> Value {
    let mut body = okta::another_sms();
    body["data"]["userProfile"]["userId"] = user.into();
    body
}

fn used(uuid: &str, user: &str) -> Value {
    json!({
        "uuid": uuid,
        "published": "2026-01-05T10:00:38.159Z",
        "eventType": "user.authentication.auth_via_mfa",
        "actor": { "id": user },
        "outcome": { "result": "SUCCESS" },
        "debugContext": { "debugData": { "factor": "SMS_FACTOR" } },
    })
}

async fn tell(server: &TestServer, delivery: &str, events: &[Value]) {
    let body = json!({ "eventType": "com.okta.event_hook", "eventId": delivery, "data": { "events": events } });
    let answer = server.post("/okta/events", &[("x-okta-events", SECRET)], body.to_string().as_bytes()).await;
    assert_eq!(answer.status, 200);
}

async fn accepted(server: &TestServer, body: &Value) {
    let answer = server.post("/okta/telephony", &[("authorization", HOOK_SECRET)], body.to_string().as_bytes()).await;
    assert!(String::from_utf8_lossy(&answer.body).contains("SUCCESSFUL"), "{answer:?}");
}

/// Waits until the vendor has been asked so often, and a little longer for what should not come.
async fn calls(vendor: &VendorServer, expected: usize) -> Vec<Call> {
    eventually("the vendor is asked", async || vendor.calls().len() >= expected).await;
    sleep(Duration::from_millis(300)).await;
    assert_eq!(vendor.calls().len(), expected, "{:#?}", vendor.calls());
    vendor.calls()
}

/// How often each message of Verify's was told what.
fn fates(calls: &[Call]) -> BTreeMap<(String, String), usize> {
    let mut told = BTreeMap::new();
    for call in calls.iter().filter(|call| call.body.starts_with("Status=")) {
        let id = call.path.rsplit('/').next().expect("a path").to_owned();
        *told.entry((id, call.body.clone())).or_default() += 1;
    }
    told
}

#[tokio::test]
async fn of_a_batch_each_used_code_is_approved_once_whoever_is_repeated_or_unknown() {
    let vendor = VendorServer::start([created(1), created(2), created(3)]).await;
    let server = TestServer::start(&toml(&vendor.url, "")).await;
    for user in ["00uone", "00utwo", "00uthree"] {
        accepted(&server, &hook_for(user)).await;
    }
    (0..3).for_each(|_| vendor.then(done()));
    let batch =
        [used("1", "00uone"), used("2", "00utwo"), used("1", "00uone"), used("9", "00unobody"), used("3", "00uthree")];
    tell(&server, "first", &batch).await;
    tell(&server, "first", &batch).await;
    tell(&server, "second", &batch[..2]).await;
    let told = fates(&calls(&vendor, 6).await);
    let expected = [1, 2, 3].map(|n| ((sid(n), "Status=approved".to_owned()), 1));
    assert_eq!(told, BTreeMap::from(expected));
    assert_eq!(server.metric("okta_hook_conversions_total{provider=\"verify\",channel=\"sms\"}").await, 3.0);
    let told = "okta_hook_fates_told_total{provider=\"verify\",fate=\"used\",result=\"told\"}";
    assert_eq!(server.metric(told).await, 3.0);
    server.stop().await;
    vendor.finish();
}

#[tokio::test]
async fn what_a_provider_could_not_be_told_is_told_later_and_what_it_refuses_is_not() {
    let down = Answer::json(503, json!({ "code": 20503, "status": 503 }));
    let wrong = Answer::json(401, json!({ "code": 20003, "status": 401 }));
    let vendor = VendorServer::start([created(1), down, done()]).await;
    let server = TestServer::start(&toml(&vendor.url, "")).await;
    accepted(&server, &hook_for("00uone")).await;
    tell(&server, "first", &[used("1", "00uone")]).await;
    let converted = "okta_hook_conversions_total{provider=\"verify\",channel=\"sms\"}";
    assert_eq!(server.metric(converted).await, 0.0, "not yet told");
    // Meanwhile the same event comes again, and another of the same sign-in.
    tell(&server, "again", &[used("1", "00uone"), used("2", "00uone")]).await;
    let told = fates(&calls(&vendor, 3).await);
    assert_eq!(told, BTreeMap::from([((sid(1), "Status=approved".to_owned()), 2)]));
    assert_eq!(server.metric(converted).await, 1.0);
    vendor.then(created(2));
    vendor.then(wrong);
    accepted(&server, &hook_for("00utwo")).await;
    tell(&server, "third", &[used("3", "00utwo")]).await;
    // Counted when nothing is left to be told.
    eventually("what was refused is over", async || server.metric(converted).await == 2.0).await;
    calls(&vendor, 5).await;
    server.stop().await;
    vendor.finish();
}

#[tokio::test]
async fn a_code_that_another_provider_has_superseded_is_not_left_pending() {
    let (verify, other) = (VendorServer::start([created(1), done()]).await, VendorServer::start([queued("u1")]).await);
    let routes = "[[orgs.main.routes]]\nsend = ['verify', 'eight']\n";
    let server = TestServer::start(&toml(&verify.url, &format!("{}{routes}", eight(&other.url)))).await;
    let first = hook_for("00uone");
    accepted(&server, &first).await;
    let mut second = first.clone();
    second["eventId"] = "another event".into();
    let text =
        first.to_string().replace(first["data"]["messageProfile"]["otpCode"].as_str().expect("a code"), "135790");
    second["data"]["messageProfile"] =
        serde_json::from_str::<Value>(&text).expect("JSON")["data"]["messageProfile"].take();
    accepted(&server, &second).await;
    let told = fates(&calls(&verify, 2).await);
    assert_eq!(told, BTreeMap::from([((sid(1), "Status=canceled".to_owned()), 1)]));
    // The newer one is used: 8x8 hears it, and Verify nothing more.
    other.then(Answer::json(200, json!({})));
    tell(&server, "first", &[used("1", "00uone")]).await;
    let told = calls(&other, 2).await;
    assert_eq!(told[1].path, "/api/v1/subaccounts/acme_otp/messages/u1/feedback");
    let said: Value = serde_json::from_str(&told[1].body).expect("JSON");
    assert_eq!(said, json!({ "outcome": "success", "timestamp": "2026-01-05T10:00:38Z" }));
    calls(&verify, 2).await;
    server.stop().await;
    verify.finish();
    other.finish();
}

#[tokio::test]
async fn what_another_org_sends_to_the_same_person_supersedes_nothing() {
    let (verify, other) = (VendorServer::start([created(1)]).await, VendorServer::start([queued("u1")]).await);
    let orgs = format!(
        "[orgs.gamma]\npath = '/gamma'\nguard.mode = 'off'\nauth.header.secret = '{HOOK_SECRET}'\n\
         [orgs.gamma.event_hook]\npath = '/gamma/events'\nauth.header.secret = '{SECRET}'\n\
         [[orgs.gamma.routes]]\nsend = ['eight', 'verify']\n[[orgs.main.routes]]\nsend = ['verify', 'eight']\n"
    );
    let server = TestServer::start(&toml(&verify.url, &format!("{}{orgs}", eight(&other.url)))).await;
    let body = hook_for("00uone");
    accepted(&server, &body).await;
    let answer = server.post("/gamma", &[("authorization", HOOK_SECRET)], body.to_string().as_bytes()).await;
    let said: Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!(said["commands"][0]["value"][0]["provider"], "eight", "{said}");
    // Nobody has Verify cancel the other org's code, which is still awaited.
    calls(&verify, 1).await;
    verify.then(done());
    tell(&server, "first", &[used("1", "00uone")]).await;
    let told = fates(&calls(&verify, 2).await);
    assert_eq!(told, BTreeMap::from([((sid(1), "Status=approved".to_owned()), 1)]));
    server.stop().await;
    verify.finish();
    assert_eq!(other.finish().len(), 1, "no feedback: that org's code was not used");
}

#[tokio::test(start_paused = true)]
async fn a_code_is_over_a_minute_after_its_time_and_only_for_who_wants_to_hear() {
    let event_hook = format!("[orgs.main.event_hook.auth.header]\nsecret = '{SECRET}'\n");
    for (provider, org, expected) in
        [("listener", event_hook.as_str(), 1), ("one", &event_hook, 0), ("listener", "", 0)]
    {
        let stage = Stage::new(org, &[(provider, &[Act::Accept(5)])]);
        stage.call(&okta::sms("+15005550010", "482913")).await;
        sleep(Duration::from_millis(1)).await;
        // Okta's example code lives for five minutes.
        tokio::time::advance(Duration::from_secs(5 * 60 + 58)).await;
        assert_eq!(stage.shared.agenda.due(9).await.len(), 0);
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(stage.shared.agenda.due(9).await.len(), expected, "{provider} with {org:?}");
        assert_eq!(stage.shared.agenda.due(9).await.len(), 0, "taken");
    }
}

#[tokio::test]
async fn what_okta_could_not_use_is_held_against_our_own_record() {
    let vendor = VendorServer::start([created(1), Answer::json(400, json!({ "code": 60200, "status": 400 }))]).await;
    let server = TestServer::start(&toml(&vendor.url, "")).await;
    let with_id = |id: &str, user: &str| {
        let mut body = hook_for(user);
        body["data"]["context"]["request"]["id"] = id.into();
        body
    };
    accepted(&server, &with_id("Wfine", "00uone")).await;
    assert_eq!(server.hook(&with_id("Wrefused", "00utwo")).await.status, 200);
    let failed = |uuid: &str, id: &str| {
        json!({
            "uuid": uuid, "eventType": "inline_hook.executed", "outcome": { "result": "FAILURE", "reason": "timeout" },
            "transaction": { "type": "WEB", "id": id },
        })
    };
    let batch = [failed("1", "Wfine"), failed("2", "Wrefused"), failed("3", "Wneverseen")];
    tell(&server, "first", &batch).await;
    tell(&server, "again", &batch).await;
    for cause in ["unusable", "refused", "unreachable"] {
        let line = format!("okta_hook_okta_reported_failures_total{{org=\"main\",cause=\"{cause}\"}}");
        assert_eq!(server.metric(&line).await, 1.0, "{cause}");
    }
    server.stop().await;
    vendor.finish();
}

#[tokio::test(start_paused = true)]
async fn every_answer_that_okta_may_complain_of_is_remembered_whatever_it_was() {
    let org = format!(
        "event_hook.auth.header = {{ name = 'x-okta-events', secret = '{SECRET}' }}\n\
         guard.countries.deny = ['GB']\nguard.per_user.mode = 'off'\nguard.per_ip.mode = 'off'"
    );
    let acts = [Act::Accept(5), Act::Fail(5, FailureKind::Rejected), Act::Accept(2800)];
    for store in [Arc::new(Memory::new(1000)) as Arc<dyn Store>, Moody::new(Mood::Well)] {
        let stage = Stage::sharing(&store, &org, &[("one", &acts)]);
        let request = |id: &str, change: fn(&mut Value)| {
            let mut body = hook_for(&format!("00u{id}"));
            body["data"]["context"]["request"]["id"] = id.into();
            change(&mut body);
            body
        };
        let fine = request("Wfine", |_| {});
        let mut repeat = fine.clone();
        repeat["data"]["context"]["request"]["id"] = "Wrepeat".into();
        for body in [
            fine,
            repeat,
            request("Wpreview", |body| {
                body["data"]["context"]["request"]["url"]["value"] = "/api/v1/inlineHooks/x/generatePreview".into();
            }),
            request("Wguard", |body| body["data"]["messageProfile"]["phoneNumber"] = "+447700900123".into()),
            request("Wexpired", |body| body["data"]["messageProfile"]["otpExpires"] = "2020-01-05T10:00:00Z".into()),
            request("Wunreadable", |body| body["data"]["messageProfile"]["phoneNumber"] = "no number".into()),
            request("Wodd", |body| body["data"]["messageProfile"]["otpCode"] = json!([])),
            request("Wlate", |_| {}),
        ] {
            stage.call(&body).await;
        }
        stage.shared.switches.set(Target::Provider(ProviderName::new("one")), Setting::Disabled);
        stage.call(&request("Wnobody", |_| {})).await;
        assert_eq!(stage.unused(), BTreeMap::new(), "the others were not sent");
        sleep(Duration::from_millis(1)).await;
        for (request, cause) in [
            ("Wfine", "unusable"),
            ("Wrepeat", "unusable"),
            ("Wpreview", "refused"),
            ("Wguard", "refused"),
            ("Wexpired", "refused"),
            ("Wunreadable", "refused"),
            ("Wodd", "refused"),
            ("Wlate", "unusable"),
            ("Wnobody", "refused"),
            ("Wneverseen", "unreachable"),
        ] {
            assert_eq!(complain(&stage, request).await, [cause], "{request}");
        }
    }
}

/// Okta tells of a request that it could not use the answer of: the causes that are counted.
async fn complain(stage: &Stage, request: &str) -> Vec<&'static str> {
    let causes = ["unusable", "refused", "unreachable", "late", "unknown"];
    let counted =
        |cause| stage.metric(&format!("okta_hook_okta_reported_failures_total{{org=\"main\",cause=\"{cause}\"}}"));
    let before = causes.map(counted);
    let event = json!({
        "uuid": request, "eventType": "inline_hook.executed", "outcome": { "result": "FAILURE" },
        "transaction": { "id": request },
    });
    let mut headers = HeaderMap::new();
    headers.insert("x-okta-events", HeaderValue::from_static(SECRET));
    let body = Bytes::from(json!({ "data": { "events": [event] } }).to_string());
    assert_eq!(stage.events().take(&headers, async { Ok::<_, ()>(body) }).await, Taken::Noted);
    let is_new = |(cause, before): (&'static str, f64)| (counted(cause) > before).then_some(cause);
    causes.into_iter().zip(before).filter_map(is_new).collect()
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_panicked_is_told_of_like_any_other() {
    let org = format!("event_hook.auth.header = {{ name = 'x-okta-events', secret = '{SECRET}' }}");
    let store = Moody::new(Mood::Shocked);
    let stage = Stage::sharing(&(Arc::clone(&store) as Arc<dyn Store>), &org, &[("one", &[])]);
    let mut body = hook_for("00upanic");
    body["data"]["context"]["request"]["id"] = "Wpanic".into();
    let reply = stage.call(&body).await;
    let reply: Value = serde_json::from_slice(&reply.body).expect("JSON");
    assert_eq!(reply["debugContext"]["verdict"], "broken");
    assert_eq!(stage.metric("okta_hook_panics_total"), 1.0);
    assert_eq!(stage.metric(r#"okta_hook_requests_total{org="main",channel="sms",verdict="broken"}"#), 1.0);
    assert_eq!(stage.metric("okta_hook_in_flight"), 0.0);
    let told = stage.shared.recent.list();
    assert_eq!((told.len(), told[0].ending, told[0].fault.as_deref()), (1, Ending::Broken, Some("panic")));
    assert!(!told[0].phone_ref.is_empty(), "as far as it was read");
    sleep(Duration::from_millis(1)).await;
    assert_eq!(complain(&stage, "Wpanic").await, ["refused"], "it was answered");
    assert_eq!(stage.transcript(), ["0 Okta hears 200"], "nothing was sent");
}

#[tokio::test]
async fn okta_is_asked_for_the_number_of_a_user_nobody_knows_and_of_nobody_else() {
    let okta = VendorServer::start([]).await;
    let vendor = VendorServer::start([created(1), done()]).await;
    let factors = format!("[orgs.main.okta]\nurl = '{}'\napi_token = 'a-token-of-this-org'\n", okta.url);
    let server = TestServer::start(&toml(&vendor.url, &format!("{factors}{}", eight(&vendor.url)))).await;
    let mut first = hook_for("00uone0000000000000a");
    first["data"]["messageProfile"]["deliveryChannel"] = "CALL".into();
    accepted(&server, &first).await;
    let mut known = used("1", "00uone0000000000000a");
    known["debugContext"]["debugData"]["factor"] = "CALL_FACTOR".into();
    tell(&server, "known", &[known]).await;
    calls(&vendor, 2).await;
    assert_eq!(okta.calls().len(), 0, "the journal knows");

    let factor = |kind: &str, number: &str| json!({ "factorType": kind, "status": "ACTIVE", "profile": { "phoneNumber": number } });
    okta.then(Answer::json(429, json!({ "errorCode": "E0000047" })));
    tell(&server, "paced", &[used("2", "00ustranger000000000")]).await;
    assert_eq!(calls(&okta, 1).await[0].path, "/api/v1/users/00ustranger000000000/factors");
    assert_eq!(okta.calls()[0].header("authorization"), Some("SSWS a-token-of-this-org"));
    calls(&vendor, 2).await;
    server.stop().await;

    // Another server, which the limit does not bind: what waits is in memory and gone, so the event comes again.
    let server = TestServer::start(&toml(&vendor.url, &format!("{factors}{}", eight(&vendor.url)))).await;
    okta.then(Answer::json(200, json!([factor("call", "+15005550011"), factor("sms", "+15005550010")])));
    vendor.then(done());
    tell(&server, "again", &[used("2", "00ustranger000000000"), used("3", "no id of Okta's")]).await;
    let told = calls(&vendor, 3).await;
    assert!(told[2].path.ends_with("/Verifications/%2B15005550010"), "{told:?}");
    assert_eq!(told[2].body, "Status=approved");
    calls(&okta, 2).await;
    assert_eq!(server.metric("okta_hook_conversions_total{provider=\"verify\",channel=\"sms\"}").await, 0.0);
    server.stop().await;
    vendor.finish();
    okta.finish();
}
