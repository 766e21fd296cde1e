//! A real request through a real socket to a vendor on loopback.

use okta_telephony_hook::config::{self, Sources};
use serde_json::json;

use crate::support::okta::{self, SECRET, Understood, understand};
use crate::support::server::TestServer;
use crate::support::vendor::{Answer, VendorServer};

const ACCOUNT: &str = "AC00000000000000000000000000000001";
const MESSAGE_SID: &str = "SMaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const CALL_SID: &str = "CAbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

fn twilio(url: &str) -> String {
    format!(
        "[orgs.main]\n[providers.twilio]\nkind = 'twilio'\naccount_sid = '{ACCOUNT}'\n\
         auth_token = '0123456789abcdef0123456789abcdef'\nbase_url = '{url}'\n\
         sms = {{ from = '+15005550006' }}\nvoice = {{ from = '+15005550006' }}\n"
    )
}

#[tokio::test]
async fn a_text_and_a_call_leave_as_twilio_documents_them() {
    let vendor = VendorServer::start([
        Answer::json(201, json!({ "sid": MESSAGE_SID, "status": "queued", "body": "482913" })),
        Answer::json(201, json!({ "sid": CALL_SID, "status": "queued" })),
    ])
    .await;
    let server = TestServer::start(&twilio(&vendor.url)).await;

    let answer = server.hook(&okta::sms("+15005550010", "482913")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.head.contains("content-type: application/json"));
    let expected = Understood::Command("SUCCESSFUL".into(), Some("twilio".into()), Some(MESSAGE_SID.into()));
    assert_eq!(understand(&answer.body), expected);

    let answer = server.hook(&okta::voice("+15005550010", "482913")).await;
    let expected = Understood::Command("SUCCESSFUL".into(), Some("twilio".into()), Some(CALL_SID.into()));
    assert_eq!(understand(&answer.body), expected);
    server.stop().await;

    let calls = vendor.finish();
    let (text, call) = (&calls[0], &calls[1]);
    assert_eq!(
        (text.method.as_str(), text.path.as_str()),
        ("POST", "/2010-04-01/Accounts/AC00000000000000000000000000000001/Messages.json")
    );
    assert_eq!(call.path, "/2010-04-01/Accounts/AC00000000000000000000000000000001/Calls.json");
    for sent in &calls {
        let basic =
            "Basic QUMwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMTowMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZg==";
        assert_eq!(sent.header("authorization"), Some(basic));
        assert_eq!(sent.header("content-type"), Some("application/x-www-form-urlencoded"));
        assert_eq!(sent.header("accept"), Some("application/json"));
        assert_eq!(sent.header("transfer-encoding"), None);
        assert_eq!(sent.header("content-length"), Some(sent.body.len().to_string().as_str()));
    }
    let (body, validity) = text.body.rsplit_once('=').expect("fields");
    assert_eq!(
        body,
        "To=%2B15005550010&From=%2B15005550006&Body=Example%3A+your+sign-in+code+is+482913.&ValidityPeriod"
    );
    assert!((290..=300).contains(&validity.parse::<u32>().expect("seconds")), "{validity}");
    assert_eq!(
        call.body,
        "To=%2B15005550010&From=%2B15005550006&Twiml=%3CResponse%3E%3CSay+language%3D%22en-US%22+loop%3D%222%22%3EYour+code+is+4%2C+8%2C+2%2C+9%2C+1%2C+3.%3C%2FSay%3E%3C%2FResponse%3E&Timeout=25&TimeLimit=60"
    );
}

#[tokio::test]
async fn one_provider_works_from_the_environment_alone() {
    let vendor = VendorServer::start([Answer::json(201, json!({ "sid": MESSAGE_SID, "status": "accepted" }))]).await;
    let variables = [
        ("SERVER__LISTEN", "127.0.0.1:0"),
        ("ADMIN__LISTEN", "127.0.0.1:0"),
        ("ORGS__MAIN__AUTH__HEADER__SECRET", SECRET),
        ("PROVIDERS__TWILIO__KIND", "twilio"),
        ("PROVIDERS__TWILIO__ACCOUNT_SID", ACCOUNT),
        ("PROVIDERS__TWILIO__API_KEY", "SK00000000000000000000000000000002"),
        ("PROVIDERS__TWILIO__API_SECRET", "fake-api-key-secret-0001"),
        ("PROVIDERS__TWILIO__BASE_URL", &vendor.url),
        ("PROVIDERS__TWILIO__SMS__MESSAGING_SERVICE_SID", "MG00000000000000000000000000000003"),
        ("PROVIDERS__TWILIO__SMS__BY_COUNTRY__GB", "+447700900000"),
    ];
    let variables = variables.map(|(name, value)| (format!("OKTA_HOOK__{name}"), value.to_owned()));
    let loaded = config::load(&Sources { variables: variables.to_vec(), ..Sources::default() }).expect("valid");
    let server = TestServer::run(loaded).await;
    let answer = server.hook(&okta::sms("+15005550010", "482913")).await;
    assert_eq!(answer.status, 200);
    vendor.then(Answer::json(201, json!({ "sid": MESSAGE_SID, "status": "accepted" })));
    server.hook(&okta::sms("+447400123456", "482914")).await;
    server.stop().await;
    let calls = vendor.finish();
    assert_eq!(calls[0].field("MessagingServiceSid").as_deref(), Some("MG00000000000000000000000000000003"));
    assert_eq!(calls[0].field("From"), None);
    let basic = "Basic U0swMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMjpmYWtlLWFwaS1rZXktc2VjcmV0LTAwMDE=";
    assert_eq!(calls[0].header("authorization"), Some(basic));
    assert_eq!(calls[1].field("From").as_deref(), Some("+447700900000"));
}

#[tokio::test]
async fn a_vendor_that_hangs_is_answered_inside_the_budget() {
    let vendor = VendorServer::start([Answer::Hang]).await;
    let server = TestServer::start(&twilio(&vendor.url).replace("[orgs.main]", "[orgs.main]\nbudget = '1500ms'")).await;
    let started = tokio::time::Instant::now();
    let answer = server.hook(&okta::sms("+15005550010", "482913")).await;
    assert!(started.elapsed().as_millis() < 2600, "{:?}", started.elapsed());
    assert_eq!(understand(&answer.body), Understood::Command("PENDING".into(), Some("twilio".into()), None));
    assert_eq!(vendor.finish().len(), 1);
}

#[tokio::test]
async fn orgs_have_their_own_path_credential_and_replies() {
    let vendor = VendorServer::start([Answer::json(400, json!({ "code": 21211 }))]).await;
    let toml = format!(
        "{}\n[orgs.other]\npath = '/'\nreply = {{ refused = 'failed' }}\n\
         auth.basic = {{ username = 'okta', password = 'correct horse battery staple' }}\n",
        twilio(&vendor.url)
    );
    let server = TestServer::start(&toml).await;
    let request = okta::sms("+15005550010", "482913").to_string();
    let basic = "Basic b2t0YTpjb3JyZWN0IGhvcnNlIGJhdHRlcnkgc3RhcGxl";
    let refused = [
        server.post("/", &[("authorization", SECRET)], request.as_bytes()).await,
        server.post("/okta/telephony", &[("authorization", basic)], request.as_bytes()).await,
    ];
    assert_eq!(refused.map(|a| a.status), [401, 401]);
    let answer = server.post("/", &[("authorization", basic)], request.as_bytes()).await;
    assert!(matches!(understand(&answer.body), Understood::Command(status, ..) if status == "FAILED"));
    assert_eq!(vendor.finish().len(), 1);
    assert_eq!(server.metric(r#"okta_hook_requests_total{org="other",channel="sms",verdict="refused"}"#).await, 1.0);
}

#[tokio::test]
async fn whom_a_provider_refuses_reads_what_would_help() {
    let refusal = |status: u16, code: i64| {
        Answer::json(status, json!({ "code": code, "statusCode": code, "sessionStatus": "NOT_CREATED" }))
    };
    let vendor = VendorServer::start([refusal(400, 1400), refusal(400, 1002), refusal(400, -1015)]).await;
    let server = TestServer::start(&format!(
        "[providers.eight]\nkind = '8x8'\napi_key = 'secret-canary'\nsubaccount_id = 'example_sub'\nbase_url = '{0}'\n\
         voice_base_url = '{0}'\nsms = {{}}\nvoice = {{ source = '+15005550006' }}\n",
        vendor.url
    ))
    .await;
    for (request, start) in [
        (okta::another_sms(), "We could not send your code. Please try again"),
        (okta::another_sms(), "We cannot send a code to this phone number."),
        (okta::voice("+15005550010", "482913"), "This code has expired."),
    ] {
        let Understood::Error(summary) = understand(&server.hook(&request).await.body) else {
            panic!("{start}: no error")
        };
        assert!(summary.starts_with(start), "{start}: {summary}");
    }
    assert_eq!(vendor.finish().len(), 3, "nobody is asked twice");
}

#[tokio::test]
async fn okta_style_twiml_urls_carry_the_code_in_their_query() {
    let vendor = VendorServer::start([Answer::json(201, json!({ "sid": CALL_SID, "status": "queued" }))]).await;
    let toml = twilio(&vendor.url).replace(
        "voice = { from = '+15005550006' }",
        "voice = { from = '+15005550006', twiml_url = 'https://handler.example.com/twiml/EH1?a=b' }",
    );
    let server = TestServer::start(&toml).await;
    server.hook(&okta::voice("+15005550010", "482913")).await;
    let call = &vendor.finish()[0];
    assert_eq!(
        call.field("Url").as_deref(),
        Some("https://handler.example.com/twiml/EH1?a=b&otp=4%2C+8%2C+2%2C+9%2C+1%2C+3")
    );
    assert_eq!((call.field("Method").as_deref(), call.field("Twiml")), (Some("GET"), None));
}

#[tokio::test]
async fn twiml_escapes_voices_and_follows_the_locale() {
    let vendor = VendorServer::start([Answer::json(201, json!({ "sid": CALL_SID, "status": "queued" }))]).await;
    let toml = twilio(&vendor.url).replace(
        "voice = { from = '+15005550006' }",
        "voice = { from = '+15005550006', repeat = 3, voice = { fr = 'Polly.<\"L&a>' }, language = { fr-FR = 'fr-CA' } }",
    );
    let server = TestServer::start(&toml).await;
    let mut request = okta::voice("+15005550010", "482913");
    request["data"]["messageProfile"]["locale"] = "fr_BE".into();
    server.hook(&request).await;
    let twiml = vendor.finish()[0].field("Twiml");
    let expected = "<Response><Say voice=\"Polly.&lt;&quot;L&amp;a&gt;\" language=\"fr-CA\" loop=\"3\">Votre code est 4, 8, 2, 9, 1, 3.</Say></Response>";
    assert_eq!(twiml.as_deref(), Some(expected));
}
