//! A person asks again: another provider is asked first, and the last one last.

use std::time::Duration;

use serde_json::{Value, json};

use crate::callbacks::{PUBLIC, TOKEN, report_of};
use crate::console;
use crate::support::eventually;
use crate::support::okta::{self, Understood, understand};
use crate::support::redis::RedisServer;
use crate::support::server::{Answer as Answered, TestServer, exchange};
use crate::support::stub::{Act, Stage};
use crate::support::vendor::{Answer, VendorServer};

const SID: &str = "SMaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn taken() -> Answer {
    Answer::json(201, json!({ "sid": SID, "status": "queued" }))
}

/// Two Twilio accounts, `a` before `b`, that report.
fn two(a: &VendorServer, b: &VendorServer, head: &str) -> String {
    let account = |name: &str, url: &str| {
        format!(
            "[providers.{name}]\nkind = 'twilio'\naccount_sid = 'AC00000000000000000000000000000001'\n\
             auth_token = '{TOKEN}'\nbase_url = '{url}'\nsms = {{ from = '+15005550006' }}\n"
        )
    };
    let (a, b) = (account("a", &a.url), account("b", &b.url));
    format!("{head}\n[server]\npublic_url = '{PUBLIC}'\n[orgs.main]\n{a}{b}")
}

/// A new code for the person of an earlier request.
fn again(request: &Value, code: &str) -> Value {
    let mut request = request.clone();
    request["eventId"] = format!("{}-{code}", request["eventId"]).into();
    request["data"]["messageProfile"]["otpCode"] = code.into();
    request["data"]["messageProfile"]["msgTemplate"] = format!("Your code is {code}").into();
    request
}

#[track_caller]
fn took(answer: &Answered) -> (String, Value) {
    let Understood::Command(status, Some(provider), _) = understand(&answer.body) else { panic!("{answer:?}") };
    assert_eq!(status, "SUCCESSFUL");
    let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
    (provider, body["commands"][0]["value"][0]["transactionMetadata"].clone())
}

/// Reports that the message will not arrive. A shared store is told of a message after its answer: a report that comes
/// sooner is of a message that nobody knows, so it is repeated until it counts.
async fn undelivered(server: &TestServer) {
    let counted = r#"okta_hook_delivery_reports_total{provider="a",channel="sms",status="undelivered"}"#;
    eventually("the report counts", async || {
        assert_eq!(report_of(server, "a", SID, "undelivered").await.status, 204);
        server.metric(counted).await >= 1.0
    })
    .await;
}

#[tokio::test]
async fn row_23_who_did_not_deliver_a_message_is_asked_last() {
    let redis = RedisServer::start();
    let shared = format!("privacy.hash_key = 'a test key'\n[state]\nurl = '{}'\ntimeout = '1s'", redis.url());
    for head in ["", &shared] {
        let unavailable = Answer::json(503, json!({ "code": 20503, "status": 503 }));
        let (a, b) = (VendorServer::start([taken()]).await, VendorServer::start([unavailable]).await);
        let server = TestServer::start(&two(&a, &b, head)).await;
        let first = okta::for_a_stranger(okta::another_sms());
        assert_eq!(took(&server.hook(&first).await).0, "a");
        undelivered(&server).await;
        // The other provider fails for certain: then another try is better than none.
        a.then(taken());
        assert_eq!(took(&server.hook(&again(&first, "111111")).await).0, "a");
        let page = console::page(&server).await;
        assert!(page.contains("resend: a ") && page.contains("s ago, undelivered"), "{page}");
        server.stop().await;
        assert_eq!((a.finish().len(), b.finish().len()), (2, 1));
    }
}

#[tokio::test]
async fn who_did_not_deliver_is_asked_again_when_nobody_else_may_be() {
    let (a, b) = (VendorServer::start([taken(), taken()]).await, VendorServer::start([]).await);
    let server = TestServer::start(&two(&a, &b, "")).await;
    let disable = b"PUT /switches/provider/b HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 20\r\n\r\n{\"state\":\"disabled\"}";
    assert_eq!(exchange(server.admin, disable).await.status, 200);
    let first = okta::for_a_stranger(okta::another_sms());
    assert_eq!(took(&server.hook(&first).await).0, "a");
    assert_eq!(report_of(&server, "a", SID, "undelivered").await.status, 204);
    assert_eq!(took(&server.hook(&again(&first, "111111")).await).0, "a");
    server.stop().await;
    assert_eq!((a.finish().len(), b.finish().len()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn row_24_a_resend_after_half_a_minute_goes_to_another_provider() {
    let stage = Stage::new("", &[("a", &[Act::Accept(5)]), ("b", &[Act::Accept(5)])]);
    let first = okta::sms("+15005550010", "482913");
    stage.call(&first).await;
    tokio::time::advance(Duration::from_secs(30)).await;
    let reply = stage.call(&again(&first, "111111")).await;
    assert!(matches!(understand(&reply.body), Understood::Command(_, Some(p), _) if p == "b"));
    assert_eq!(stage.metric(r#"okta_hook_resends_total{org="main",channel="sms",previous="a"}"#), 1.0);
    stage.call(&again(&first, "111111")).await;
    assert_eq!(stage.metric(r#"okta_hook_resends_total{org="main",channel="sms",previous="a"}"#), 1.0, "a repeat");
    assert!(stage.unused().is_empty(), "{:?}", stage.transcript());
}
