//! The contract of the provider trait, held by every kind over real sockets: what is accepted, what each failure is,
//! that hangs, cuts and garbage leave a doubt, and that nobody's `Debug` shows what it must not.

use okta_telephony_hook::otp::FailureKind::{
    self, Account, Blocked, Recipient, Rejected, Throttled, Unavailable, Unconfirmed,
};
use serde_json::{Value, json};

use crate::support::okta::{self, Understood, understand};
use crate::support::server::TestServer;
use crate::support::vendor::{Answer, Call, VendorServer};

/// One operation of one kind of provider.
struct Operation {
    kind: &'static str,
    voice: bool,
    /// Settings beside `kind`; `URL` stands for the vendor's address.
    settings: &'static str,
    path: &'static str,
    /// A documented success, and the id in it.
    accepted: (u16, fn() -> Value, &'static str),
    /// Documented failures: status, body, kind.
    failures: fn() -> Vec<(u16, Value, FailureKind)>,
}

const TWILIO: &str = "account_sid = 'AC00000000000000000000000000000001'\nauth_token = 'secret-canary'\nbase_url = 'URL'\n\
    sms = { from = '+15005550006' }\nvoice = { from = '+15005550006' }";
const VERIFY: &str = "account_sid = 'AC00000000000000000000000000000001'\nauth_token = 'secret-canary'\nbase_url = 'URL'\n\
    service_sid = 'VA00000000000000000000000000000004'";
const TELESIGN: &str =
    "customer_id = '11111111-2222-3333-4444-555555555555'\napi_key = 'secret-canary'\nbase_url = 'URL'";
const TELESIGN_SMS_VOICE: &str = "customer_id = '11111111-2222-3333-4444-555555555555'\napi_key = 'secret-canary'\nbase_url = 'URL'\napi = 'sms-voice'";
const EIGHT: &str = "api_key = 'secret-canary'\nsubaccount_id = 'example_sub'\nbase_url = 'URL'\nvoice_base_url = 'URL'\n\
    sms = {}\nvoice = { source = '+15005550006' }";
const REFERENCE: &str = "0123456789ABCDEF0123456789ABCDEF";

fn twilio_failures() -> Vec<(u16, Value, FailureKind)> {
    let code = |code: i64| json!({ "code": code, "message": "…" });
    vec![
        (401, code(20003), Account),
        (400, code(21216), Blocked),
        (400, code(21211), Recipient),
        (400, code(21408), Rejected),
        (429, code(20429), Throttled),
        (503, code(20503), Unavailable),
        (500, code(20500), Unconfirmed),
    ]
}

fn verify_failures() -> Vec<(u16, Value, FailureKind)> {
    let code = |code: i64| json!({ "code": code, "message": "…" });
    vec![
        (401, code(20003), Account),
        (403, code(60410), Blocked),
        (403, code(60205), Recipient),
        (400, code(60223), Rejected),
        (429, code(20429), Throttled),
        (503, code(20503), Unavailable),
        (500, code(20500), Unconfirmed),
    ]
}

fn telesign(code: i64) -> Value {
    json!({ "reference_id": REFERENCE, "status": { "code": code, "description": "…" } })
}

fn telesign_failures() -> Vec<(u16, Value, FailureKind)> {
    vec![
        (401, telesign(3400), Account),
        (400, telesign(3101), Recipient),
        (400, telesign(3102), Rejected),
        (429, telesign(3204), Throttled),
        (503, telesign(3500), Unavailable),
        (502, json!({}), Unconfirmed),
    ]
}

fn telesign_sms_voice_failures() -> Vec<(u16, Value, FailureKind)> {
    vec![
        (401, telesign(10008), Account),
        (400, telesign(10032), Blocked),
        (400, telesign(11000), Recipient),
        (400, telesign(11009), Rejected),
        (429, telesign(10019), Throttled),
        (502, json!({}), Unconfirmed),
    ]
}

fn eight_sms_failures() -> Vec<(u16, Value, FailureKind)> {
    let code = |code: i64| json!({ "code": code, "message": "…", "errorId": "x", "timestamp": "x" });
    vec![
        (401, code(1200), Account),
        (400, code(1002), Recipient),
        (400, code(1004), Rejected),
        (200, json!({ "umid": "x", "status": { "code": "REJECTED" } }), Rejected),
        (429, code(429), Throttled),
        (500, code(2000), Unconfirmed),
    ]
}

fn eight_voice_failures() -> Vec<(u16, Value, FailureKind)> {
    let code = |code: i64| json!({ "sessionStatus": "NOT_CREATED", "statusCode": code, "statusMessage": "…" });
    vec![
        (401, code(401), Account),
        (400, code(-1017), Recipient),
        (400, code(-1002), Rejected),
        (429, json!({}), Throttled),
        (500, code(500), Unavailable),
        (502, json!({}), Unconfirmed),
    ]
}

const OPERATIONS: [Operation; 10] = [
    Operation {
        kind: "twilio",
        voice: false,
        settings: TWILIO,
        path: "/2010-04-01/Accounts/AC00000000000000000000000000000001/Messages.json",
        accepted: (201, || json!({ "sid": "SM1", "status": "queued" }), "SM1"),
        failures: twilio_failures,
    },
    Operation {
        kind: "twilio",
        voice: true,
        settings: TWILIO,
        path: "/2010-04-01/Accounts/AC00000000000000000000000000000001/Calls.json",
        accepted: (201, || json!({ "sid": "CA1", "status": "queued" }), "CA1"),
        failures: twilio_failures,
    },
    Operation {
        kind: "twilio-verify",
        voice: false,
        settings: VERIFY,
        path: "/v2/Services/VA00000000000000000000000000000004/Verifications",
        accepted: (201, || json!({ "sid": "VE1", "status": "pending" }), "VE1"),
        failures: verify_failures,
    },
    Operation {
        kind: "twilio-verify",
        voice: true,
        settings: VERIFY,
        path: "/v2/Services/VA00000000000000000000000000000004/Verifications",
        accepted: (201, || json!({ "sid": "VE1", "status": "pending" }), "VE1"),
        failures: verify_failures,
    },
    Operation {
        kind: "telesign",
        voice: false,
        settings: TELESIGN,
        path: "/v1/omnichannel",
        accepted: (200, || telesign(3001), REFERENCE),
        failures: telesign_failures,
    },
    Operation {
        kind: "telesign",
        voice: true,
        settings: TELESIGN,
        path: "/v1/omnichannel",
        accepted: (200, || telesign(3001), REFERENCE),
        failures: telesign_failures,
    },
    Operation {
        kind: "telesign",
        voice: false,
        settings: TELESIGN_SMS_VOICE,
        path: "/v1/messaging",
        accepted: (201, || telesign(290), REFERENCE),
        failures: telesign_sms_voice_failures,
    },
    Operation {
        kind: "telesign",
        voice: true,
        settings: TELESIGN_SMS_VOICE,
        path: "/v1/voice",
        accepted: (201, || telesign(103), REFERENCE),
        failures: telesign_sms_voice_failures,
    },
    Operation {
        kind: "8x8",
        voice: false,
        settings: EIGHT,
        path: "/api/v1/subaccounts/example_sub/messages",
        accepted: (200, || json!({ "umid": "u-1", "status": { "code": "QUEUED" } }), "u-1"),
        failures: eight_sms_failures,
    },
    Operation {
        kind: "8x8",
        voice: true,
        settings: EIGHT,
        path: "/api/v1/subaccounts/example_sub/callflows",
        accepted: (200, || json!({ "sessionId": "s-1", "sessionStatus": "CREATED", "statusCode": 1 }), "s-1"),
        failures: eight_voice_failures,
    },
];

impl Operation {
    fn name(&self) -> String {
        format!("{} {}", self.kind, self.path)
    }

    /// Has one message delivered against one scripted answer; what Okta hears, what was asked, and the kind counted.
    async fn play(&self, answer: Answer) -> (Understood, Vec<Call>, String) {
        let vendor = VendorServer::start([answer]).await;
        let settings = self.settings.replace("URL", &vendor.url);
        let toml = format!(
            "[orgs.main]\nbudget = '600ms'\nmin_attempt = '50ms'\n[providers.one]\nkind = '{}'\n{settings}\n",
            self.kind
        );
        let server = TestServer::start(&toml).await;
        let make = if self.voice { okta::voice } else { okta::sms };
        let answer = server.hook(&make("+15005550010", "482913")).await;
        let attempts = server.attempts().await;
        let mut kinds = attempts.iter();
        let kind =
            kinds.next().and_then(|l| l.split("kind=\"").nth(1)?.split('"').next()).expect("one attempt").to_owned();
        assert!(kinds.next().is_none(), "{}: more than one attempt", self.name());
        (understand(&answer.body), vendor.finish(), kind)
    }
}

#[tokio::test]
async fn every_operation_is_accepted_with_the_vendors_id() {
    for operation in &OPERATIONS {
        let (status, body, id) = operation.accepted;
        let (understood, calls, kind) = operation.play(Answer::json(status, body())).await;
        let expected = Understood::Command("SUCCESSFUL".into(), Some("one".into()), Some(id.into()));
        assert_eq!((understood, kind.as_str()), (expected, "accepted"), "{}", operation.name());
        assert_eq!((calls[0].method.as_str(), calls[0].path.as_str()), ("POST", operation.path));
        let said = if operation.voice { ["4, 8, 2, 9, 1, 3", "482913"] } else { ["482913", "482913"] };
        let body =
            form_urlencoded::parse(calls[0].body.as_bytes()).map(|(k, v)| format!("{k}={v} ")).collect::<String>();
        assert!(said.iter().any(|code| body.contains(code)), "{}: {body}", operation.name());
        assert!(!calls[0].path.contains("482913"), "no code in an address");
        assert!(calls[0].header("authorization").is_some());
    }
}

#[tokio::test]
async fn every_documented_failure_has_its_kind() {
    for operation in &OPERATIONS {
        for (status, body, expected) in (operation.failures)() {
            let (_, _, kind) = operation.play(Answer::json(status, body.clone())).await;
            assert_eq!(kind, expected.as_str(), "{}: {status} {body}", operation.name());
        }
    }
}

#[tokio::test]
async fn what_cannot_be_read_leaves_a_doubt() {
    for operation in &OPERATIONS {
        let (status, body, _) = operation.accepted;
        let half: String = body().to_string().chars().take(12).collect();
        for answer in [
            Answer::Hang,
            Answer::Close,
            Answer::Reset,
            Answer::Bytes(b"garbage\r\n\r\n".to_vec()),
            Answer::Http(status, vec![], "<html>".into()),
            Answer::Http(status, vec![], half),
            Answer::Http(status, vec![], String::new()),
            Answer::json(status, json!({})),
            Answer::Http(302, vec![("location".into(), "http://127.0.0.1:9/".into())], String::new()),
        ] {
            let (understood, calls, kind) = operation.play(answer.clone()).await;
            assert_eq!(kind, "unconfirmed", "{}: {answer:?}", operation.name());
            let expected = Understood::Command("PENDING".into(), Some("one".into()), None);
            assert_eq!((understood, calls.len()), (expected, 1), "{}: {answer:?}", operation.name());
        }
    }
}

#[tokio::test]
async fn nobody_listening_is_certain() {
    for operation in &OPERATIONS {
        let settings = operation.settings.replace("URL", "http://127.0.0.1:9");
        let server =
            TestServer::start(&format!("[orgs.main]\n[providers.one]\nkind = '{}'\n{settings}\n", operation.kind))
                .await;
        let make = if operation.voice { okta::voice } else { okta::sms };
        let answer = server.hook(&make("+15005550010", "482913")).await;
        assert!(matches!(understand(&answer.body), Understood::Error(_)), "{}", operation.name());
        let channel = if operation.voice { "voice" } else { "sms" };
        let line = format!(r#"okta_hook_attempts_total{{provider="one",channel="{channel}",kind="unavailable"}}"#);
        assert_eq!(server.metric(&line).await, 1.0, "{}", operation.name());
    }
}
