//! Okta's event hook: who is admitted, what counts as a used code, and who hears of it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::support::okta;
use crate::support::server::{Answer as Answered, TestServer, exchange};
use crate::support::vendor::{Answer, VendorServer};

const SECRET: &str = "an-event-hook-secret-0123";
const AUTH: (&str, &str) = ("x-okta-events", SECRET);
const SID: &str = "VEcccccccccccccccccccccccccccccccc";
const USER: &str = "00uyxxSknGtK8022w0g3";

async fn start(url: &str) -> TestServer {
    TestServer::start(&format!(
        "[orgs.main.event_hook.auth.header]\nname = 'x-okta-events'\nsecret = '{SECRET}'\n\
         [providers.verify]\nkind = 'twilio-verify'\naccount_sid = 'AC00000000000000000000000000000001'\n\
         auth_token = '0123456789abcdef0123456789abcdef'\nservice_sid = 'VA00000000000000000000000000000004'\n\
         base_url = '{url}'\n"
    ))
    .await
}

fn created() -> Answer {
    Answer::json(201, json!({ "sid": SID, "status": "pending" }))
}

fn approved(name: &str) -> Answer {
    let path = crate::support::data(&format!("twilio/verify-feedback-{name}.json"));
    let case: Value = serde_json::from_slice(&std::fs::read(path).expect("readable")).expect("JSON");
    let status = case["response"]["status"].as_u64().and_then(|s| s.try_into().ok()).expect("a status");
    Answer::json(status, case["response"]["body"].clone())
}

/// Somebody has signed in with a code; no event is like another.
fn used(user: &str, factor: &str) -> Value {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    json!({
        "uuid": format!("event-{}", COUNT.fetch_add(1, Ordering::Relaxed)),
        "eventType": "user.authentication.auth_via_mfa",
        "actor": { "id": user, "type": "User" },
        "outcome": { "result": "SUCCESS", "reason": null },
        "debugContext": { "debugData": { "factor": factor } },
    })
}

async fn tell(server: &TestServer, events: &[Value]) -> Answered {
    let body = json!({ "eventType": "com.okta.event_hook", "eventId": "x", "data": { "events": events } });
    server.post("/okta/events", &[AUTH], body.to_string().as_bytes()).await
}

async fn conversions(server: &TestServer) -> f64 {
    server.metric("okta_hook_conversions_total{provider=\"verify\",channel=\"sms\"}").await
}

async fn get(server: &TestServer, headers: &str) -> Answered {
    let request = format!("GET /okta/events HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n");
    exchange(server.public, request.as_bytes()).await
}

#[tokio::test]
async fn a_challenge_is_repeated_to_okta_alone() {
    let vendor = VendorServer::start([]).await;
    let server = start(&vendor.url).await;
    let challenge = "x-okta-verification-challenge: My \"value\"\r\n";
    let answer = get(&server, &format!("x-okta-events: {SECRET}\r\n{challenge}")).await;
    assert_eq!(answer.status, 200);
    let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!(body, json!({ "verification": "My \"value\"" }));
    let answer = get(&server, challenge).await;
    assert_eq!(answer.status, 401);
    assert!(!String::from_utf8_lossy(&answer.body).contains("My"));
    assert_eq!(get(&server, &format!("x-okta-events: {SECRET}\r\n")).await.status, 400);
    server.stop().await;
    vendor.finish();
}

#[tokio::test]
async fn a_used_code_counts_once_and_verify_hears_of_it_once() {
    let vendor = VendorServer::start([created(), approved("200-approved")]).await;
    let server = start(&vendor.url).await;
    assert_eq!(server.hook(&okta::another_sms()).await.status, 200);
    let event = used(USER, "SMS_FACTOR");
    let answer = tell(&server, &[event.clone(), event.clone()]).await;
    assert_eq!((answer.status, answer.body.as_slice()), (200, b"".as_slice()));
    assert!(!answer.head.contains("content-type"), "{answer:?}");
    assert_eq!(tell(&server, &[event]).await.status, 200);
    // The enrolment that goes with it is another event about the same code.
    let mut activated = used(USER, "SMS_FACTOR");
    activated["eventType"] = "user.mfa.factor.activate".into();
    assert_eq!(tell(&server, &[activated]).await.status, 200);
    assert_eq!(conversions(&server).await, 1.0);
    server.stop().await;
    let calls = vendor.finish();
    assert_eq!(calls[1].path, format!("/v2/Services/VA00000000000000000000000000000004/Verifications/{SID}"));
    assert_eq!((calls[1].method.as_str(), calls[1].body.as_str()), ("POST", "Status=approved"));
    assert!(calls[1].header("authorization").is_some_and(|value| value.starts_with("Basic ")));
}

#[tokio::test]
async fn events_about_others_change_nothing_and_tell_nobody() {
    let vendor = VendorServer::start([created()]).await;
    let server = start(&vendor.url).await;
    assert_eq!(server.hook(&okta::another_sms()).await.status, 200);
    let mut failed = used(USER, "SMS_FACTOR");
    failed["outcome"]["result"] = "FAILURE".into();
    let mut unknown = used(USER, "SMS_FACTOR");
    unknown["eventType"] = "user.session.start".into();
    let others = [
        failed,
        unknown,
        used("00uother", "SMS_FACTOR"),
        used(USER, "CALL_FACTOR"),
        used(USER, "OKTA_VERIFY_PUSH"),
        json!("what Okta may think of next"),
    ];
    assert_eq!(tell(&server, &others).await.status, 200);
    assert_eq!(tell(&server, &[]).await.status, 200);
    assert_eq!(conversions(&server).await, 0.0);
    let right = json!({ "data": { "events": [used(USER, "SMS_FACTOR")] } }).to_string();
    let huge = vec![b'x'; 4 * 1024 * 1024 + 1];
    for (headers, body, status) in [
        (vec![], right.as_bytes(), 401),
        (vec![("x-okta-events", "another-secret-0123456")], right.as_bytes(), 401),
        (vec![("authorization", okta::SECRET)], right.as_bytes(), 401),
        (vec![], huge.as_slice(), 401),
        (vec![AUTH], huge.as_slice(), 413),
        (vec![AUTH], b"not JSON".as_slice(), 400),
    ] {
        assert_eq!(server.post("/okta/events", &headers, body).await.status, status, "{headers:?}");
    }
    assert_eq!(conversions(&server).await, 0.0);
    let body = format!("x-okta-events: {SECRET}\r\n");
    assert_eq!((get(&server, "").await.status, get(&server, &body).await.status), (401, 400));
    for (result, count) in
        [("taken", 2.0), ("unauthorized", 5.0), ("unreadable", 2.0), ("too_large", 1.0), ("slow", 0.0)]
    {
        let line = format!("okta_hook_event_hooks_total{{org=\"main\",result=\"{result}\"}}");
        assert_eq!(server.metric(&line).await, count, "{result}");
    }
    server.stop().await;
    assert_eq!(vendor.finish().len(), 1, "the text alone");
}

#[tokio::test]
async fn a_verification_that_is_gone_is_no_trouble_and_a_slow_one_outlives_the_answer() {
    let slow = Answer::Late(Duration::from_millis(2600), 200, "{}".to_owned());
    let vendor = VendorServer::start([created(), approved("404-already-gone")]).await;
    let server = start(&vendor.url).await;
    assert_eq!(server.hook(&okta::another_sms()).await.status, 200);
    assert_eq!(tell(&server, &[used(USER, "SMS_FACTOR")]).await.status, 200);
    assert_eq!(conversions(&server).await, 1.0);
    // Another number of the same user: another verification.
    let other = json!({ "sid": "VEdddddddddddddddddddddddddddddddd", "status": "pending" });
    vendor.then(Answer::json(201, other));
    vendor.then(slow);
    assert_eq!(server.hook(&okta::another_sms()).await.status, 200);
    let before = SystemTime::now();
    assert_eq!(tell(&server, &[used(USER, "SMS_FACTOR")]).await.status, 200);
    let waited = before.elapsed().expect("forward");
    assert!((1900..2500).contains(&waited.as_millis()), "{waited:?}");
    server.stop().await;
    assert_eq!(vendor.finish().len(), 4);
}

#[tokio::test]
async fn what_okta_saw_fail_is_counted_once() {
    let vendor = VendorServer::start([]).await;
    let server = start(&vendor.url).await;
    let failed = json!({
        "uuid": "one", "eventType": "inline_hook.executed", "outcome": { "result": "FAILURE", "reason": "timeout" },
    });
    let mut fine = failed.clone();
    fine["uuid"] = "two".into();
    fine["outcome"]["result"] = "SUCCESS".into();
    assert_eq!(tell(&server, &[failed.clone(), fine, failed]).await.status, 200);
    assert_eq!(server.metric("okta_hook_okta_reported_failures_total{org=\"main\",cause=\"unknown\"}").await, 1.0);
    server.stop().await;
    vendor.finish();
}

#[test]
fn an_event_hook_needs_a_credential_and_a_path_of_its_own() {
    use crate::config::{GOOD, SECRETS, findings};
    let (faults, _) = findings(&format!("{GOOD}\n[orgs.main.event_hook]\npath = '/okta/telephony'\n"), &SECRETS);
    assert!(faults.contains("orgs.main.event_hook.path: is the same as a path of orgs.main"), "{faults}");
    assert!(faults.contains("orgs.main.event_hook.auth: configure header or basic"), "{faults}");
    let oauth = "[orgs.main.event_hook.auth.oauth]\nissuer = 'https://example.okta.com'\n";
    assert!(findings(&format!("{GOOD}\n{oauth}"), &SECRETS).0.contains("orgs.main.event_hook.auth"));
}

#[test]
fn a_secret_of_the_inline_hook_is_warned_of() {
    use crate::config::{GOOD, SECRETS, findings};
    let secrets = [SECRETS[0], SECRETS[1], ("OTHER", "fedcba9876543210fedcba9876543210")];
    for (auth, shared) in [
        ("header.secret = { env = 'HOOK_SECRET' }", true),
        ("header = { name = 'x-events', secret = { env = 'HOOK_SECRET' } }", true),
        ("header = { secret = { env = 'OTHER' }, previous_secret = { env = 'HOOK_SECRET' } }", true),
        ("header.secret = { env = 'OTHER' }", false),
        ("basic = { username = 'okta', password = { env = 'OTHER' } }", false),
    ] {
        let told = findings(&format!("{GOOD}\n[orgs.main.event_hook]\nauth.{auth}\n"), &secrets);
        let warned = told.1.contains("orgs.main.event_hook.auth: has a secret of the inline hook");
        assert_eq!((told.0.as_str(), warned), ("", shared), "{auth}: {}", told.1);
    }
}
