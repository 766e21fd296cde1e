//! Providers of several steps: what they have not sent when nobody waits for them any more is never sent.

use std::time::Duration;

use serde_json::json;

use crate::callbacks;
use crate::support::okta::{self, Understood, understand};
use crate::support::server::TestServer;
use crate::support::vendor::{Answer, VendorServer};

/// One who waits for nobody long.
const IMPATIENT: &str = "attempt_timeout = '400ms'\nmin_attempt = '200ms'";

fn verify(url: &str) -> String {
    format!(
        "[providers.a]\nkind = 'twilio-verify'\naccount_sid = 'AC00000000000000000000000000000001'\n\
         auth_token = '0123456789abcdef0123456789abcdef'\nservice_sid = 'VA00000000000000000000000000000004'\n\
         base_url = '{url}'\n"
    )
}

/// Twilio, which looks at numbers first and has all the time for it.
fn looking(url: &str) -> String {
    let account = callbacks::twilio(url, "auth_token = '0123456789abcdef0123456789abcdef'");
    format!("{}lookup = {{ timeout = '2s', base_url = '{url}' }}\n", account.replace("providers.twilio", "providers.a"))
}

async fn start(org: &str, first: &str, second: &VendorServer) -> TestServer {
    let token = "auth_token = '0123456789abcdef0123456789abcdef'";
    let second = callbacks::twilio(&second.url, token).replace("providers.twilio", "providers.b");
    TestServer::start(&format!("[orgs.main]\n{org}\n{first}{second}")).await
}

fn created(sid: &str) -> Answer {
    Answer::json(201, json!({ "sid": sid, "status": "pending" }))
}

/// Refuses the language of Okta's example, slowly.
fn late_refusal() -> Answer {
    let body = json!({ "code": 20404, "message": "paraphrased", "status": 404 });
    Answer::Late(Duration::from_millis(900), 404, body.to_string())
}

fn word(answer: &[u8]) -> (String, Option<String>) {
    match understand(answer) {
        Understood::Command(status, by, _) => (status, by),
        Understood::Error(error) => (error, None),
    }
}

fn accepted_by(provider: &str) -> (String, Option<String>) {
    ("SUCCESSFUL".into(), Some(provider.into()))
}

#[tokio::test]
async fn words_that_are_refused_late_are_not_put_otherwise() {
    let a = VendorServer::start([late_refusal()]).await;
    let b = VendorServer::start([created("SM1")]).await;
    let server = start(IMPATIENT, &verify(&a.url), &b).await;
    assert_eq!(word(&server.hook(&okta::another_sms()).await.body), accepted_by("b"));
    server.stop().await;
    let calls = a.finish();
    assert!(calls.len() == 1 && calls[0].field("Locale").is_some(), "{calls:?}");
    assert_eq!(b.finish().len(), 1);
}

#[tokio::test]
async fn a_refusal_that_may_be_of_the_words_alone_opens_no_breaker() {
    let a = VendorServer::start([late_refusal(), created("VE1")]).await;
    let b = VendorServer::start([created("SM1")]).await;
    let server = start(IMPATIENT, &verify(&a.url), &b).await;
    assert_eq!(word(&server.hook(&okta::another_sms()).await.body), accepted_by("b"));
    let late = "okta_hook_late_attempts_total{provider=\"a\",channel=\"sms\",kind=\"rejected\"}";
    crate::support::eventually("the refusal is heard", async || server.metric(late).await > 0.0).await;
    assert_eq!(word(&server.hook(&okta::another_sms()).await.body), accepted_by("a"));
    server.stop().await;
    assert_eq!((a.finish().len(), b.finish().len()), (2, 1));
}

#[tokio::test]
async fn a_code_is_not_created_behind_a_cancel_that_took_too_long() {
    let a = VendorServer::start([created("VE1"), Answer::Hang]).await;
    let b = VendorServer::start([created("SM1")]).await;
    let server = start("attempt_timeout = '250ms'\nmin_attempt = '200ms'", &verify(&a.url), &b).await;
    let number = "+15005564711";
    let first = server.hook(&okta::for_a_stranger(okta::sms(number, "482913"))).await;
    assert_eq!(word(&first.body), accepted_by("a"));
    let second = server.hook(&okta::for_a_stranger(okta::sms(number, "482914"))).await;
    assert_eq!(word(&second.body), accepted_by("b"));
    // Behind the cancel's own time-out of 400 ms.
    tokio::time::sleep(Duration::from_millis(400)).await;
    server.stop().await;
    let calls = a.finish();
    assert!(calls.len() == 2 && calls[1].field("Status").is_some(), "{calls:?}");
    assert_eq!(b.finish().len(), 1);
}

#[tokio::test]
async fn a_number_that_was_looked_at_too_long_gets_no_text_any_more() {
    let seen = json!({ "valid": true, "line_type_intelligence": { "type": "mobile", "error_code": null } });
    let a = VendorServer::start([Answer::Late(Duration::from_millis(700), 200, seen.to_string())]).await;
    let b = VendorServer::start([created("SM1")]).await;
    let server = start(IMPATIENT, &looking(&a.url), &b).await;
    assert_eq!(word(&server.hook(&okta::another_sms()).await.body), accepted_by("b"));
    tokio::time::sleep(Duration::from_millis(500)).await;
    server.stop().await;
    let calls = a.finish();
    assert!(calls.len() == 1 && calls[0].method == "GET", "{calls:?}");
    assert_eq!(b.finish().len(), 1);
}

#[tokio::test]
async fn a_late_refusal_that_stops_the_message_stops_whoever_only_prepares() {
    let opted_out = json!({ "code": 21610, "message": "paraphrased", "status": 400 }).to_string();
    let a = VendorServer::start([Answer::Late(Duration::from_millis(600), 400, opted_out)]).await;
    let fine = json!({ "valid": true }).to_string();
    let b = VendorServer::start([Answer::Late(Duration::from_millis(900), 200, fine)]).await;
    let first = callbacks::twilio(&a.url, "auth_token = '0123456789abcdef0123456789abcdef'");
    let first = first.replace("providers.twilio", "providers.a");
    let second = looking(&b.url).replace("providers.a", "providers.b");
    let server = TestServer::start(&format!("[orgs.main]\n{IMPATIENT}\n{first}{second}")).await;
    let (heard, by) = word(&server.hook(&okta::another_sms()).await.body);
    assert!(by.is_none() && heard.contains("use another number"), "{heard}");
    tokio::time::sleep(Duration::from_millis(1200)).await;
    server.stop().await;
    assert_eq!(a.finish().len(), 1);
    assert!(b.finish().iter().all(|call| call.method == "GET"), "nothing may be sent");
}

#[tokio::test]
async fn after_okta_was_answered_nobody_is_called() {
    let a = VendorServer::start([late_refusal()]).await;
    let b = VendorServer::start([]).await;
    let server = start("budget = '600ms'", &verify(&a.url), &b).await;
    let (status, by) = word(&server.hook(&okta::voice("+15005564712", "482913")).await.body);
    assert_eq!((status.as_str(), by.as_deref()), ("PENDING", Some("a")));
    server.stop().await;
    let calls = a.finish();
    assert!(calls.len() == 1 && calls[0].field("Channel").as_deref() == Some("call"), "{calls:?}");
    assert_eq!(b.finish().len(), 0);
}
