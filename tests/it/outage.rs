//! What is heard while Redis does not answer: kept until it is done, and nothing concluded from its silence.

use serde_json::{Value, json};

use crate::callbacks;
use crate::support::eventually;
use crate::support::okta;
use crate::support::redis::RedisServer;
use crate::support::server::TestServer;
use crate::support::vendor::{Answer, VendorServer};

const SECRET: &str = "an-event-hook-secret-0123";

async fn start(redis: &RedisServer, providers: &str) -> TestServer {
    let event_hook = format!("[orgs.main.event_hook.auth.header]\nname = 'x-okta-events'\nsecret = '{SECRET}'\n");
    start_without_events(redis, &format!("{event_hook}{providers}")).await
}

async fn start_without_events(redis: &RedisServer, rest: &str) -> TestServer {
    TestServer::start(&format!(
        "privacy.hash_key = 'a key that outlives processes'\n[state]\nurl = '{}'\ntimeout = '50ms'\n\
         [server]\npublic_url = 'https://otp.example.com'\n[orgs.main]\n{rest}",
        redis.url()
    ))
    .await
}

fn verify(url: &str) -> String {
    format!(
        "[providers.verify]\nkind = 'twilio-verify'\naccount_sid = 'AC00000000000000000000000000000001'\n\
         auth_token = '0123456789abcdef0123456789abcdef'\nservice_sid = 'VA00000000000000000000000000000004'\n\
         base_url = '{url}'\n"
    )
}

async fn tell(server: &TestServer, event: &Value) {
    let body = json!({ "data": { "events": [event] } }).to_string();
    let answer = server.post("/okta/events", &[("x-okta-events", SECRET)], body.as_bytes()).await;
    assert_eq!(answer.status, 200);
}

/// Waits until what a hook leaves behind is in the store.
async fn is_noted(redis: &RedisServer) {
    eventually("the journal has it", async || redis.keys().iter().any(|key| key.contains("journal-transaction"))).await;
}

#[tokio::test]
async fn a_used_code_is_told_when_redis_answers_again() {
    let redis = RedisServer::start();
    let created = json!({ "sid": "VEcccccccccccccccccccccccccccccccc", "status": "pending" });
    let vendor = VendorServer::start([Answer::json(201, created)]).await;
    let server = start(&redis, &verify(&vendor.url)).await;
    assert_eq!(server.hook(&okta::another_sms()).await.status, 200);
    is_noted(&redis).await;
    let used = json!({
        "uuid": "outage-1", "eventType": "user.authentication.auth_via_mfa",
        "actor": { "id": "00uyxxSknGtK8022w0g3" }, "outcome": { "result": "SUCCESS" },
        "debugContext": { "debugData": { "factor": "SMS_FACTOR" } },
    });
    redis.freeze();
    tell(&server, &used).await;
    assert_eq!(vendor.calls().len(), 1, "nobody knows whose code it was");
    vendor.then(Answer::json(200, json!({ "status": "approved" })));
    redis.thaw();
    let converted = "okta_hook_conversions_total{provider=\"verify\",channel=\"sms\"}";
    eventually("Verify hears of it", async || server.metric(converted).await > 0.0).await;
    tell(&server, &used).await;
    assert_eq!(server.metric(converted).await, 1.0, "once");
    server.stop().await;
    assert_eq!(vendor.finish()[1].body, "Status=approved");
}

#[tokio::test]
async fn a_report_and_a_complaint_that_cannot_be_held_against_anything_are_not_taken_for_strangers() {
    let redis = RedisServer::start();
    let sid = format!("SM{:032x}", 7);
    let vendor = VendorServer::start([Answer::json(201, json!({ "sid": sid, "status": "queued" }))]).await;
    let token = "auth_token = '0123456789abcdef0123456789abcdef'";
    let server = start(&redis, &callbacks::twilio(&vendor.url, token)).await;
    let mut hook = okta::another_sms();
    hook["data"]["context"]["request"]["id"] = "Wknown".into();
    assert_eq!(server.hook(&hook).await.status, 200);
    is_noted(&redis).await;
    redis.freeze();
    assert_eq!(callbacks::report_of(&server, "twilio", &sid, "delivered").await.status, 204);
    let failed = json!({
        "uuid": "outage-2", "eventType": "inline_hook.executed", "outcome": { "result": "FAILURE" },
        "transaction": { "id": "Wknown" },
    });
    tell(&server, &failed).await;
    redis.thaw();
    let delivered = "okta_hook_delivery_reports_total{provider=\"twilio\",channel=\"sms\",status=\"delivered\"}";
    eventually("the report counts", async || server.metric(delivered).await > 0.0).await;
    assert_eq!(server.metric("okta_hook_callbacks_refused_total{provider=\"twilio\",reason=\"unknown\"}").await, 0.0);
    for (cause, expected) in [("unknown", 1.0), ("unreachable", 0.0)] {
        let line = format!("okta_hook_okta_reported_failures_total{{org=\"main\",cause=\"{cause}\"}}");
        assert_eq!(server.metric(&line).await, expected, "{cause}");
    }
    server.stop().await;
    assert_eq!(vendor.finish().len(), 1, "the text alone");
}

#[tokio::test]
async fn a_report_that_had_to_wait_counts_without_an_event_hook_too() {
    let redis = RedisServer::start();
    let sid = format!("SM{:032x}", 8);
    let vendor = VendorServer::start([Answer::json(201, json!({ "sid": sid, "status": "queued" }))]).await;
    let token = "auth_token = '0123456789abcdef0123456789abcdef'";
    let server = start_without_events(&redis, &callbacks::twilio(&vendor.url, token)).await;
    assert_eq!(server.hook(&okta::another_sms()).await.status, 200);
    is_noted(&redis).await;
    redis.freeze();
    assert_eq!(callbacks::report_of(&server, "twilio", &sid, "delivered").await.status, 204);
    redis.thaw();
    let delivered = "okta_hook_delivery_reports_total{provider=\"twilio\",channel=\"sms\",status=\"delivered\"}";
    eventually("the report counts", async || server.metric(delivered).await > 0.0).await;
    server.stop().await;
    assert_eq!(vendor.finish().len(), 1, "the text alone");
}
