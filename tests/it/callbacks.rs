//! Delivery reports: who is believed, what a report changes, and what it must not.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::okta;
use crate::support::server::{Answer as Answered, TestServer};
use crate::support::vendor::{Answer, Call, VendorServer};

pub const PUBLIC: &str = "https://otp.example.com";
pub const TOKEN: &str = "0123456789abcdef0123456789abcdef";
pub const CUSTOMER: &str = "11111111-2222-3333-4444-555555555555";
pub const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==";
pub const WEBHOOK: &str = "Bearer 3f9c1d7a-webhook-secret";
const SID: &str = "SMaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
pub const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

pub fn twilio(url: &str, credentials: &str) -> String {
    format!(
        "[providers.twilio]\nkind = 'twilio'\naccount_sid = 'AC00000000000000000000000000000001'\n{credentials}\n\
         base_url = '{url}'\nsms = {{ from = '+15005550006' }}\nvoice = {{ from = '+15005550006' }}\n"
    )
}

pub fn telesign(url: &str, key: &str) -> String {
    format!(
        "[providers.telesign]\nkind = 'telesign'\ncustomer_id = '{CUSTOMER}'\napi_key = '{key}'\nbase_url = '{url}'\n"
    )
}

pub fn eight(url: &str, secret: &str) -> String {
    format!(
        "[providers.eight]\nkind = '8x8'\napi_key = 'k'\nsubaccount_id = 'acme_otp'\nbase_url = '{url}'\n{secret}\n"
    )
}

async fn start(public: bool, provider: &str) -> TestServer {
    let public = if public { format!("[server]\npublic_url = '{PUBLIC}'\n") } else { String::new() };
    TestServer::start(&format!("{public}[orgs.main]\n{provider}")).await
}

/// Twilio's signature over address and form.
pub fn signature(url: &str, form: &[(&str, &str)]) -> String {
    let mut form = form.to_vec();
    form.sort_unstable();
    let signed: String = form.iter().flat_map(|(name, value)| [*name, *value]).collect();
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, TOKEN.as_bytes());
    STANDARD.encode(hmac::sign(&key, format!("{url}{signed}").as_bytes()))
}

async fn report(server: &TestServer, sid: &str, status: &str) -> Answered {
    report_of(server, "twilio", sid, status).await
}

/// A report of the Twilio account of this name.
pub async fn report_of(server: &TestServer, provider: &str, sid: &str, status: &str) -> Answered {
    let form = [("MessageStatus", status), ("MessageSid", sid), ("To", "+15005550010"), ("Later", "unknown field")];
    let path = format!("/callbacks/{provider}");
    let signature = signature(&format!("{PUBLIC}{path}"), &form);
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    server.post(&path, &[FORM, ("x-twilio-signature", &signature)], body.as_bytes()).await
}

async fn reports(server: &TestServer, status: &str) -> f64 {
    let labels = format!("{{provider=\"twilio\",channel=\"sms\",status=\"{status}\"}}");
    server.metric(&format!("okta_hook_delivery_reports_total{labels}")).await
}

async fn refused(server: &TestServer, provider: &str, reason: &str) -> f64 {
    let labels = format!("{{provider=\"{provider}\",reason=\"{reason}\"}}");
    server.metric(&format!("okta_hook_callbacks_refused_total{labels}")).await
}

fn accepted() -> Answer {
    Answer::json(201, json!({ "sid": SID, "status": "queued" }))
}

#[tokio::test]
async fn a_report_counts_once_and_the_first_final_one_stands() {
    let vendor = VendorServer::start([accepted()]).await;
    let server = start(true, &twilio(&vendor.url, &format!("auth_token = '{TOKEN}'"))).await;
    assert_eq!(server.hook(&okta::another_sms()).await.status, 200);
    for status in ["sent", "sent", "undelivered", "sent", "undelivered", "delivered"] {
        let answer = report(&server, SID, status).await;
        assert_eq!((answer.status, answer.body.as_slice()), (204, b"".as_slice()), "{status}");
        assert!(!answer.head.contains("content-type"), "{answer:?}");
    }
    assert_eq!(reports(&server, "underway").await, 1.0);
    assert_eq!(reports(&server, "undelivered").await, 1.0);
    assert_eq!(reports(&server, "delivered").await, 0.0, "it had been undelivered for good");
    for reason in ["forged", "unreadable", "unknown"] {
        assert_eq!(refused(&server, "twilio", reason).await, 0.0, "{reason}");
    }
    server.stop().await;
    let calls = vendor.finish();
    assert_eq!(calls.len(), 1, "a report sends nothing");
}

#[tokio::test]
async fn what_is_forged_changes_nothing_and_what_is_of_no_use_is_taken() {
    let vendor = VendorServer::start([accepted()]).await;
    let server = start(true, &twilio(&vendor.url, &format!("auth_token = '{TOKEN}'"))).await;
    assert_eq!(server.hook(&okta::another_sms()).await.status, 200);
    let body = format!("MessageSid={SID}&MessageStatus=delivered");
    let form = [("MessageSid", SID), ("MessageStatus", "delivered")];
    // Signed for the address that the request line and `Host` would give.
    let elsewhere = signature("https://x/callbacks/twilio", &form);
    for headers in [vec![FORM], vec![FORM, ("x-twilio-signature", &elsewhere)], vec![("x-twilio-signature", "AAAA")]] {
        let answer = server.post("/callbacks/twilio", &headers, body.as_bytes()).await;
        assert_eq!(answer.status, 403, "{headers:?}");
        assert!(answer.head.contains("content-type: application/json") && answer.body.len() < 200, "{answer:?}");
    }
    assert_eq!(refused(&server, "twilio", "forged").await, 3.0);
    assert_eq!(reports(&server, "delivered").await, 0.0);

    assert_eq!(report(&server, "SMbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", "delivered").await.status, 204);
    assert_eq!(refused(&server, "twilio", "unknown").await, 0.0, "its message may yet become known");
    assert_eq!(report(&server, SID, "a new word").await.status, 204);
    assert_eq!(report(&server, "", "delivered").await.status, 204);
    assert_eq!(refused(&server, "twilio", "unreadable").await, 2.0);
    assert_eq!(reports(&server, "delivered").await, 0.0);

    let huge = vec![b'x'; 64 * 1024 + 1];
    assert_eq!(server.post("/callbacks/twilio", &[FORM], &huge).await.status, 413);
    for nobody in ["/callbacks/nobody", "/callbacks/nobody/sms", "/callbacks/"] {
        assert_eq!(server.post(nobody, &[FORM], body.as_bytes()).await.status, 404, "{nobody}");
    }
    assert_eq!(refused(&server, "nobody", "forged").await, 0.0);
    server.stop().await;
    vendor.finish();
}

#[tokio::test]
async fn a_webhook_that_was_set_up_by_hand_is_believed_without_a_public_address() {
    let text = json!({ "umid": "u-1", "status": { "code": "QUEUED" } });
    let vendor = VendorServer::start([Answer::json(200, text)]).await;
    let server = start(false, &eight(&vendor.url, &format!("callback_secret = '{WEBHOOK}'"))).await;
    server.hook(&okta::another_sms()).await;
    let body =
        json!({ "namespace": "SMS", "payload": { "umid": "u-1", "status": { "state": "delivered" } } }).to_string();
    for (path, authorization, status) in [
        ("/callbacks/eight", "Bearer nobody", 401),
        ("/callbacks/eight?token=made+up", WEBHOOK, 401),
        ("/callbacks/eight", WEBHOOK, 200),
    ] {
        assert_eq!(
            server.post(path, &[("authorization", authorization)], body.as_bytes()).await.status,
            status,
            "{path}"
        );
    }
    let delivered = r#"okta_hook_delivery_reports_total{provider="eight",channel="sms",status="delivered"}"#;
    assert_eq!(server.metric(delivered).await, 1.0);
    vendor.finish();
}

#[tokio::test]
async fn who_cannot_prove_itself_is_not_asked_and_refused_as_a_forger_is() {
    let key = "api_key = 'SK00000000000000000000000000000002'\napi_secret = 's'";
    let token = format!("auth_token = '{TOKEN}'");
    let secret = format!("callback_secret = '{WEBHOOK}'");
    let text = json!({ "umid": "u-1", "status": { "code": "QUEUED" } });
    let taken = json!({ "reference_id": "R", "status": { "code": 3001 } });
    // Without an address of ours, who signs no address can still be believed.
    for (public, name, configure, answer, refusal) in [
        (true, "twilio", &(|url: &str| twilio(url, key)) as &dyn Fn(&str) -> String, accepted(), 403),
        (false, "twilio", &|url: &str| twilio(url, &token), accepted(), 403),
        (true, "telesign", &|url: &str| telesign(url, "-----"), Answer::json(200, taken.clone()), 403),
        (false, "telesign", &|url: &str| telesign(url, KEY), Answer::json(200, taken), 403),
        (true, "eight", &|url: &str| eight(url, ""), Answer::json(200, text.clone()), 401),
        (false, "eight", &|url: &str| eight(url, &secret), Answer::json(200, text), 401),
    ] {
        let vendor = VendorServer::start([answer]).await;
        let server = start(public, &configure(&vendor.url)).await;
        assert_eq!(server.hook(&okta::another_sms()).await.status, 200);
        let path = format!("/callbacks/{name}");
        let signed = signature(&format!("{PUBLIC}{path}"), &[]);
        let headers = [("authorization", "Bearer nobody"), ("x-twilio-signature", &signed)];
        assert_eq!(server.post(&path, &headers, b"").await.status, refusal, "{name}");
        assert_eq!(server.post(&format!("{path}/more?a=b"), &[], b"{}").await.status, refusal, "{name}");
        assert_eq!(refused(&server, name, "forged").await, 2.0, "{name}");
        server.stop().await;
        let body = vendor.finish()[0].body.to_ascii_lowercase();
        assert!(!body.contains("callback"), "{name}: {body}");
    }
}

#[tokio::test]
async fn nothing_is_read_of_a_report_that_cannot_be_proved_and_who_reports_nothing_has_no_address() {
    let verify = "[providers.verify]\nkind = 'twilio-verify'\naccount_sid = 'AC00000000000000000000000000000001'\n\
                  auth_token = 't'\nservice_sid = 'VA00000000000000000000000000000001'\n";
    let nowhere = "http://127.0.0.1:9";
    let sandbox = "[providers.sandbox]\nkind = 'sandbox'\n";
    let providers = [twilio(nowhere, "auth_token = 't'"), eight(nowhere, ""), verify.to_owned(), sandbox.to_owned()];
    let toml = format!("allow_sandbox = true\n[orgs.main]\n{}", providers.concat());
    let server = TestServer::start(&toml).await;
    let too_large = vec![b'x'; 64 * 1024 + 1];
    for (name, status) in [("twilio", 403), ("eight", 401), ("verify", 404), ("sandbox", 404), ("nobody", 404)] {
        let answer = server.post(&format!("/callbacks/{name}"), &[FORM], &too_large).await;
        assert_eq!(answer.status, status, "{name}");
        assert_eq!(refused(&server, name, "forged").await, if status == 404 { 0.0 } else { 1.0 }, "{name}");
    }
    server.stop().await;
}

#[tokio::test]
async fn every_provider_is_told_where_its_reports_go() {
    let call = Answer::json(201, json!({ "sid": "CAbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", "status": "queued" }));
    let vendor = VendorServer::start([accepted(), call]).await;
    let server = start(true, &twilio(&vendor.url, &format!("auth_token = '{TOKEN}'"))).await;
    server.hook(&okta::another_sms()).await;
    server.hook(&okta::voice("+15005557001", "482913")).await;
    server.stop().await;
    let asked = |call: &Call| -> Vec<(String, String)> {
        call.form().into_iter().filter(|(name, _)| name.starts_with("StatusCallback")).collect()
    };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let address = pair("StatusCallback", "https://otp.example.com/callbacks/twilio");
    let calls = vendor.finish();
    assert_eq!(asked(&calls[0]), vec![address.clone()]);
    let events = ["initiated", "answered", "completed"].map(|event| pair("StatusCallbackEvent", event));
    assert_eq!(asked(&calls[1]), [vec![address], events.to_vec()].concat());
}

#[tokio::test]
async fn telesign_reports_with_its_key() {
    let id = "0123456789ABCDEF0123456789ABCDEF";
    let vendor = VendorServer::start([Answer::json(200, json!({ "reference_id": id, "status": { "code": 3001 } }))]);
    let vendor = vendor.await;
    let server = start(true, &telesign(&vendor.url, KEY)).await;
    assert_eq!(server.hook(&okta::another_sms()).await.status, 200);
    let path = crate::support::data("telesign/callback-delivered.json");
    let case: Value = serde_json::from_slice(&std::fs::read(path).expect("readable")).expect("JSON");
    let body = case["inbound_request"]["raw_body"].as_str().expect("a body").as_bytes();
    let signed = case["inbound_request"]["headers"]["Authorization"].as_str().expect("a header");
    assert_eq!(server.post("/callbacks/telesign", &[("authorization", "TSA x:AAAA")], body).await.status, 403);
    assert_eq!(server.post("/callbacks/telesign", &[("authorization", signed)], body).await.status, 200);
    let line = "okta_hook_delivery_reports_total{provider=\"telesign\",channel=\"sms\",status=\"delivered\"}";
    assert_eq!(server.metric(line).await, 1.0);
    server.stop().await;
    let sent: Value = serde_json::from_str(&vendor.finish()[0].body).expect("JSON");
    assert_eq!(sent["callback_url"], "https://otp.example.com/callbacks/telesign");
}

#[tokio::test]
async fn telesign_signs_with_what_its_own_decoders_make_of_a_key() {
    // The key that Telesign's SDKs are tested with; the signature is made with Python's base64.b64decode(key) and hmac.
    let key = "EXAMPLE----TE8sTgg45yusumoN6BYsBVkh+yRJ5czgsnCehZaOYldPJdmFh6NeX8kunZ2zU1YWaUw/0wV6xfw==";
    let signed = format!("TSA {CUSTOMER}:ST+iEFXQgzTVZr6ulMGzCQog/rNDiwjMv7Frd6DJiBc=");
    let id = "0123456789ABCDEF0123456789ABCDEF";
    let body = format!(r#"{{"reference_id":"{id}","status":{{"code":3000}}}}"#);
    let vendor = VendorServer::start([Answer::json(200, json!({ "reference_id": id, "status": { "code": 3001 } }))]);
    let vendor = vendor.await;
    let server = start(true, &telesign(&vendor.url, key)).await;
    assert_eq!(server.hook(&okta::another_sms()).await.status, 200);
    let path = "/callbacks/telesign";
    assert_eq!(server.post(path, &[("authorization", &signed)], b"{}").await.status, 403);
    assert_eq!(server.post(path, &[("authorization", &signed)], body.as_bytes()).await.status, 200);
    let line = "okta_hook_delivery_reports_total{provider=\"telesign\",channel=\"sms\",status=\"delivered\"}";
    assert_eq!(server.metric(line).await, 1.0);
    server.stop().await;
    let sent: Value = serde_json::from_str(&vendor.finish()[0].body).expect("JSON");
    assert_eq!(sent["callback_url"], "https://otp.example.com/callbacks/telesign");
}

#[tokio::test]
async fn eight_by_eight_reports_with_our_secret_at_an_address_nobody_can_guess() {
    let queued = json!({ "umid": "u-1", "status": { "code": "QUEUED" } });
    let vendor = VendorServer::start([Answer::json(200, queued)]).await;
    let server = start(true, &eight(&vendor.url, &format!("callback_secret = '{WEBHOOK}'"))).await;
    assert_eq!(server.hook(&okta::another_sms()).await.status, 200);
    let sent: Value = serde_json::from_str(&vendor.finish()[0].body).expect("JSON");
    let address = sent["dlrCallbackUrl"].as_str().expect("an address");
    let path = address.strip_prefix(PUBLIC).expect("ours");
    let token = path.strip_prefix("/callbacks/eight?token=").expect("a token");
    assert_eq!(token.len(), 32);
    let body = json!({ "namespace": "SMS", "payload": { "umid": "u-1", "status": { "state": "delivered" } } });
    let body = body.to_string();
    let other = format!("/callbacks/eight?token={}", "0".repeat(32));
    for (path, authorization) in [(other.as_str(), WEBHOOK), (path, "Bearer nope"), (path, "")] {
        let answer = server.post(path, &[("authorization", authorization)], body.as_bytes()).await;
        assert_eq!(answer.status, 401, "{path} {authorization}");
    }
    let line = "okta_hook_delivery_reports_total{provider=\"eight\",channel=\"sms\",status=\"delivered\"}";
    assert_eq!(server.metric(line).await, 0.0);
    assert_eq!(server.post(path, &[("authorization", WEBHOOK)], body.as_bytes()).await.status, 200);
    assert_eq!(server.metric(line).await, 1.0);
    server.stop().await;
}

#[tokio::test]
async fn a_report_proved_by_the_credential_before_is_taken_while_it_is_configured() {
    let path = crate::support::data("telesign/callback-delivered.json");
    let case: Value = serde_json::from_slice(&std::fs::read(path).expect("readable")).expect("JSON");
    let telesigned = case["inbound_request"]["raw_body"].as_str().expect("a body");
    let signed = case["inbound_request"]["headers"]["Authorization"].as_str().expect("a header");
    let twilio_body = format!("MessageSid={SID}&MessageStatus=delivered");
    let signature =
        signature(&format!("{PUBLIC}/callbacks/twilio"), &[("MessageSid", SID), ("MessageStatus", "delivered")]);
    let other_key = STANDARD.encode([7; 64]);
    let nowhere = "http://127.0.0.1:9";
    for (previous, taken) in [(true, true), (false, false)] {
        let [token, key, secret] =
            [("previous_auth_token", TOKEN), ("previous_api_key", KEY), ("previous_callback_secret", WEBHOOK)]
                .map(|(name, value)| if previous { format!("{name} = '{value}'") } else { String::new() });
        let providers = [
            twilio(nowhere, &format!("auth_token = '{}'\n{token}", "f".repeat(32))),
            telesign(nowhere, &other_key) + &key + "\n",
            eight(nowhere, &format!("callback_secret = 'Bearer new-webhook-secret'\n{secret}")),
        ];
        let server = start(true, &providers.concat()).await;
        for (provider, headers, body, thanks, refusal) in [
            ("twilio", vec![FORM, ("x-twilio-signature", signature.as_str())], twilio_body.as_str(), 204, 403),
            ("telesign", vec![("authorization", signed)], telesigned, 200, 403),
            (
                "eight",
                vec![("authorization", WEBHOOK)],
                r#"{"payload":{"umid":"u","status":{"state":"read"}}}"#,
                200,
                401,
            ),
        ] {
            let answer = server.post(&format!("/callbacks/{provider}"), &headers, body.as_bytes()).await;
            assert_eq!(answer.status, if taken { thanks } else { refusal }, "{provider}");
            assert_eq!(refused(&server, provider, "forged").await, if taken { 0.0 } else { 1.0 }, "{provider}");
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn the_path_of_the_public_address_may_be_taken_off_or_left() {
    let toml = format!(
        "[server]\npublic_url = 'https://example.com/otp/'\n[orgs.main]\n{}",
        twilio("http://127.0.0.1:9", &format!("auth_token = '{TOKEN}'"))
    );
    let server = TestServer::start(&toml).await;
    let (form, body) = ([("MessageStatus", "delivered")], b"MessageStatus=delivered");
    let ours = signature("https://example.com/otp/callbacks/twilio", &form);
    let bare = signature("https://example.com/callbacks/twilio", &form);
    for (path, signature, status) in [
        ("/otp/callbacks/twilio", &ours, 204),
        ("/callbacks/twilio", &ours, 204),
        ("/otp/callbacks/twilio", &bare, 403),
        ("/callbacks/twilio", &bare, 403),
        ("/other/callbacks/twilio", &ours, 404),
        ("/otpcallbacks/twilio", &ours, 404),
    ] {
        let answer = server.post(path, &[FORM, ("x-twilio-signature", signature)], body).await;
        assert_eq!(answer.status, status, "{path}");
    }
    server.stop().await;
}

#[tokio::test]
async fn what_stands_behind_the_name_in_an_address_is_covered_by_the_signature_alone() {
    let vendor = VendorServer::start([accepted()]).await;
    let server = start(true, &twilio(&vendor.url, &format!("auth_token = '{TOKEN}'"))).await;
    assert_eq!(server.hook(&okta::another_sms()).await.status, 200);
    let (path, body) = ("/callbacks/twilio/message?tx=7f3a", format!("MessageSid={SID}&MessageStatus=delivered"));
    let form = [("MessageSid", SID), ("MessageStatus", "delivered")];
    for (signed, status) in [("/callbacks/twilio", 403), (path, 204)] {
        let signature = signature(&format!("{PUBLIC}{signed}"), &form);
        let answer = server.post(path, &[FORM, ("x-twilio-signature", &signature)], body.as_bytes()).await;
        assert_eq!(answer.status, status, "signed for {signed}");
    }
    assert_eq!(reports(&server, "delivered").await, 1.0);
    assert_eq!(server.post("/callbacks/nobody/message", &[FORM], body.as_bytes()).await.status, 404);
    assert_eq!(server.post("/callbacks/", &[FORM], body.as_bytes()).await.status, 404);
    server.stop().await;
    vendor.finish();
}

#[tokio::test]
async fn reports_come_in_clear_to_this_machine_alone() {
    let vendor = VendorServer::start([accepted()]).await;
    let twilio = twilio(&vendor.url, &format!("auth_token = '{TOKEN}'"));
    let toml = format!("[server]\npublic_url = 'http://127.0.0.1:18080'\n[orgs.main]\n{twilio}");
    let server = TestServer::start(&toml).await;
    assert_eq!(server.hook(&okta::another_sms()).await.status, 200);
    let (form, body) =
        ([("MessageSid", SID), ("MessageStatus", "delivered")], format!("MessageSid={SID}&MessageStatus=delivered"));
    for (origin, status) in [("https://127.0.0.1:18080", 403), ("http://127.0.0.1:18080", 204)] {
        let signature = signature(&format!("{origin}/callbacks/twilio"), &form);
        let headers = [FORM, ("x-twilio-signature", signature.as_str())];
        assert_eq!(server.post("/callbacks/twilio", &headers, body.as_bytes()).await.status, status, "{origin}");
    }
    assert_eq!(reports(&server, "delivered").await, 1.0);
    server.stop().await;
    let address = vendor.finish()[0].field("StatusCallback");
    assert_eq!(address.as_deref(), Some("http://127.0.0.1:18080/callbacks/twilio"));
}
