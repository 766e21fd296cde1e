//! Verify's sequences of calls, against a vendor on the loopback.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::super::testing::*;
use super::*;
use crate::metrics::LookupMetrics;
use crate::otp::OtpCode;
use crate::secret::Environment;
use crate::settings::Findings;

const SERVICE: &str = "VA00000000000000000000000000000004";

#[expect(clippy::needless_pass_by_value, reason = "json!(…) reads better as it stands")]
pub(super) fn check(extra: Value) -> (Option<Config>, Findings) {
    let mut settings = json!({ "account_sid": ACCOUNT, "auth_token": TOKEN, "service_sid": SERVICE });
    let extra = extra.as_object().expect("a table").clone();
    settings.as_object_mut().expect("a table").extend(extra);
    let settings: Settings = serde_json::from_value(settings).expect("readable");
    let mut findings = Findings::default();
    let config = settings.check("providers.verify", &Environment::default(), &mut findings);
    (config, findings)
}

pub(super) fn verify(extra: Value) -> Verify {
    let (config, findings) = check(extra);
    assert_eq!(findings.faults, []);
    let (outbound, pseudonyms, lookups, tasks) =
        (&outbound(), &pseudonyms(), &LookupMetrics::default(), &TaskTracker::new());
    let means = Means { outbound, pseudonyms, lookups, tasks };
    Verify::new(ProviderName::new("verify"), config.expect("complete"), means)
}

/// Sends a text in a language: its transaction id, or the kind and cause of the failure.
async fn text(verify: &Verify, locale: Option<&str>) -> Result<String, (FailureKind, String)> {
    send(verify, &message(Channel::Sms, CODE, locale)).await
}

async fn send(verify: &Verify, message: &Message) -> Result<String, (FailureKind, String)> {
    let sent = verify.send(message, options(&content(message.channel)), &Handover::default()).await;
    sent.map(|a| a.transaction_id.as_str().to_owned()).map_err(|e| (e.kind, e.code))
}

fn created(sid: &str) -> Step {
    Step::Answer(201, json!({ "sid": sid, "status": "pending" }))
}

fn refused(status: u16, code: i64) -> Step {
    Step::Answer(status, json!({ "code": code, "message": "paraphrased", "status": status }))
}

fn canceled() -> Step {
    Step::Answer(200, json!({ "sid": "VE1", "status": "canceled" }))
}

const CREATE: &str = "POST /v2/Services/VA00000000000000000000000000000004/Verifications \
                      To=%2B15005550010&Channel=sms&CustomCode=482913";
const CREATE_IN_FRENCH: &str = "POST /v2/Services/VA00000000000000000000000000000004/Verifications \
                                To=%2B15005550010&Channel=sms&CustomCode=482913&Locale=fr";
const CANCEL_VE1: &str = "POST /v2/Services/VA00000000000000000000000000000004/Verifications/VE1 Status=canceled";
const CANCEL_NUMBER: &str =
    "POST /v2/Services/VA00000000000000000000000000000004/Verifications/%2B15005550010 Status=canceled";

#[test]
fn the_locale_is_the_configured_one_else_the_mapped_one_else_none() {
    let table = json!({ "locale": { "zh-TW": "zh-HK", "de": "" } });
    let one = json!({ "locale": "en" });
    for (settings, locale, expected) in [
        (json!({}), Some("pt-BR"), Some("pt-BR")),
        (json!({}), Some("xx-YY"), None),
        (json!({}), None, None),
        (table.clone(), Some("zh-TW"), Some("zh-HK")),
        (table.clone(), Some("de-CH"), None),
        (table, Some("fr"), Some("fr")),
        (one.clone(), Some("fr"), Some("en")),
        (one, None, Some("en")),
    ] {
        let verify = verify(settings);
        let found = locale_of(&verify, locale);
        assert_eq!(found.as_deref(), expected, "{locale:?}");
    }
}

fn locale_of(verify: &Verify, locale: Option<&str>) -> Option<String> {
    verify.wording(&message(Channel::Sms, CODE, locale), Channel::Sms).locale.map(str::to_owned)
}

#[tokio::test]
async fn what_verify_cannot_send_is_refused_without_a_call() {
    let vendor = Vendor::playing([created("VE1")]).await;
    let sms_only = verify(json!({ "base_url": vendor.base_url, "channels": "sms" }));
    assert!(!sms_only.supports(Channel::Voice));
    assert_eq!(text(&sms_only, None).await, Ok("VE1".to_owned()));
    vendor.saw(&[CREATE]);
    let rejected = |cause: &str| Err((FailureKind::Rejected, cause.to_owned()));
    assert_eq!(send(&sms_only, &message(Channel::Voice, CODE, None)).await, rejected("no_sender"));
    for code in ["123", "12345678901"] {
        assert_eq!(send(&sms_only, &message(Channel::Sms, code, None)).await, rejected("code_length"));
    }
    vendor.saw(&[]);
}

#[tokio::test]
async fn a_refused_locale_is_left_out_once_and_then_always_for_its_channel() {
    let blames_locale = || Step::Answer(400, json!({ "code": 60200, "message": "Invalid parameter: Locale" }));
    for (name, refusal) in
        [("404", refused(404, 20404)), ("no speech", refused(400, 60331)), ("named", blames_locale())]
    {
        let script = [refusal, created("VE1"), created("VE1"), created("VE1")];
        let vendor = Vendor::playing(script).await;
        let verify = verify(json!({ "base_url": vendor.base_url, "supersede": "reuse" }));
        assert_eq!(text(&verify, Some("fr-FR")).await, Ok("VE1".to_owned()), "{name}");
        vendor.saw(&[CREATE_IN_FRENCH, CREATE]);
        assert_eq!(text(&verify, Some("fr-CA")).await, Ok("VE1".to_owned()), "{name}");
        vendor.saw(&[CREATE]);
        assert_eq!(send(&verify, &message(Channel::Voice, CODE, Some("fr"))).await, Ok("VE1".to_owned()), "{name}");
        vendor.saw(&[&CREATE_IN_FRENCH.replace("sms", "call")]);
    }
}

#[tokio::test]
async fn a_refused_template_is_left_out_with_the_locale_once_and_only_for_this_message() {
    let template = json!({ "template_sid": "HJ00000000000000000000000000000005" });
    let in_template = |create: &str| format!("{create}&TemplateSid=HJ00000000000000000000000000000005");
    for code in [60228, 60229, 60331, 60408] {
        for (settings, locale, first) in [
            (json!({}), Some("fr"), CREATE_IN_FRENCH.to_owned()),
            (template.clone(), Some("fr"), in_template(CREATE_IN_FRENCH)),
            (template.clone(), None, in_template(CREATE)),
        ] {
            let had_template = settings != json!({});
            let script = [refused(404, code), created("VE1"), refused(400, code), refused(400, code)];
            let vendor = Vendor::playing(script).await;
            let mut settings = settings;
            settings["base_url"] = json!(vendor.base_url);
            settings["supersede"] = json!("reuse");
            let verify = verify(settings);
            assert_eq!(text(&verify, locale).await, Ok("VE1".to_owned()), "{code}");
            vendor.saw(&[&first, CREATE]);
            if had_template {
                // A template may be approved any moment, so it is asked for again; one retry, then the next provider.
                assert_eq!(text(&verify, locale).await, Err((FailureKind::Rejected, code.to_string())));
                vendor.saw(&[&first, CREATE]);
            } else {
                assert_eq!(text(&verify, locale).await, Err((FailureKind::Rejected, code.to_string())));
                vendor.saw(&[CREATE]);
            }
        }
        let vendor = Vendor::playing([refused(400, code)]).await;
        let verify = verify(json!({ "base_url": vendor.base_url }));
        assert_eq!(text(&verify, None).await, Err((FailureKind::Rejected, code.to_string())), "nothing to leave out");
        vendor.saw(&[CREATE]);
    }
}

#[tokio::test]
async fn a_refused_locale_leaves_the_template() {
    let template = "HJ00000000000000000000000000000005";
    let vendor = Vendor::playing([refused(404, 20404), created("VE1")]).await;
    let verify = verify(json!({ "base_url": vendor.base_url, "template_sid": template }));
    assert_eq!(text(&verify, Some("fr")).await, Ok("VE1".to_owned()));
    let named = |create: &str| format!("{create}&TemplateSid={template}");
    vendor.saw(&[&named(CREATE_IN_FRENCH), &named(CREATE)]);
    assert_eq!(locale_of(&verify, Some("fr")), None);
}

#[tokio::test]
async fn a_wrong_service_is_an_account_fault_and_no_locale_is_blamed_for_it() {
    let vendor = Vendor::playing([refused(404, 20404), refused(404, 20404), refused(404, 20404)]).await;
    let verify = verify(json!({ "base_url": vendor.base_url }));
    let account = Err((FailureKind::Account, "20404".to_owned()));
    assert_eq!(text(&verify, Some("fr")).await, account);
    vendor.saw(&[CREATE_IN_FRENCH, CREATE]);
    assert_eq!(text(&verify, None).await, account);
    vendor.saw(&[CREATE]);
    assert_eq!(locale_of(&verify, Some("fr")).as_deref(), Some("fr"));
}

#[tokio::test]
async fn a_pending_verification_is_cancelled_before_the_next_code() {
    let script = [created("VE1"), canceled(), created("VE2")];
    let vendor = Vendor::playing(script).await;
    let verify = verify(json!({ "base_url": vendor.base_url }));
    assert_eq!(text(&verify, None).await, Ok("VE1".to_owned()));
    vendor.saw(&[CREATE]);
    assert_eq!(text(&verify, None).await, Ok("VE2".to_owned()));
    vendor.saw(&[CANCEL_VE1, CREATE]);
}

#[tokio::test]
async fn a_verification_that_is_over_is_not_cancelled_again() {
    let gone = || refused(404, 20404);
    let number = message(Channel::Sms, CODE, None).recipient;
    for (answer, by_number) in [(canceled(), false), (gone(), false), (canceled(), true), (gone(), true)] {
        let vendor =
            Vendor::playing([created("VE1"), answer, created("VE2"), refused(500, 20500), canceled(), created("VE3")])
                .await;
        let verify = verify(json!({ "base_url": vendor.base_url }));
        assert_eq!(text(&verify, None).await, Ok("VE1".to_owned()));
        let Some(FeedbackClient::Verify(feedback)) = verify.feedback_client() else { panic!("wants to hear") };
        let told = async |id: &str| feedback.tell(&TransactionId::parse(id).expect("an id"), Fate::Used).await;
        let first = if by_number { feedback.approve_number(&number).await } else { told("VE1").await };
        assert_eq!(first, Ok(()));
        assert_eq!(text(&verify, None).await, Ok("VE2".to_owned()));
        let approved = if by_number { CANCEL_NUMBER } else { CANCEL_VE1 }.replace("canceled", "approved");
        vendor.saw(&[CREATE, &approved, CREATE]);
        // One that could not be told may still pend.
        assert!(told("VE2").await.is_err());
        assert_eq!(text(&verify, None).await, Ok("VE3".to_owned()));
        let [approve, cancel] =
            [CANCEL_VE1.replace("canceled", "approved"), CANCEL_VE1.to_owned()].map(|c| c.replace("VE1", "VE2"));
        vendor.saw(&[&approve, &cancel, CREATE]);
    }
}

#[tokio::test]
async fn a_cancel_that_fails_or_hangs_does_not_keep_the_code_back() {
    for failure in [refused(404, 20404), refused(500, 20500), Step::Cut, Step::Hang] {
        let vendor = Vendor::playing([created("VE1"), failure, created("VE2")]).await;
        let verify = verify(json!({ "base_url": vendor.base_url }));
        assert_eq!(text(&verify, None).await, Ok("VE1".to_owned()));
        assert_eq!(text(&verify, None).await, Ok("VE2".to_owned()));
        vendor.saw(&[CREATE, CANCEL_VE1, CREATE]);
    }
}

#[tokio::test]
async fn only_a_verification_that_may_still_pend_is_cancelled() {
    let script = [created("VE1"), canceled(), refused(503, 20503), created("VE2")];
    let vendor = Vendor::playing(script).await;
    let verify = verify(json!({ "base_url": vendor.base_url }));
    assert_eq!(text(&verify, None).await, Ok("VE1".to_owned()));
    assert_eq!(text(&verify, None).await, Err((FailureKind::Unavailable, "20503".to_owned())));
    vendor.saw(&[CREATE, CANCEL_VE1, CREATE]);
    assert_eq!(text(&verify, None).await, Ok("VE2".to_owned()));
    vendor.saw(&[CREATE]);
}

#[tokio::test]
async fn a_create_without_an_answer_is_cancelled_by_number_before_the_next() {
    let vendor = Vendor::playing([Step::Cut, canceled(), created("VE2")]).await;
    let verify = verify(json!({ "base_url": vendor.base_url }));
    assert_eq!(text(&verify, Some("fr")).await, Err((FailureKind::Unconfirmed, "connection_lost".to_owned())));
    vendor.saw(&[CREATE_IN_FRENCH]);
    assert_eq!(text(&verify, None).await, Ok("VE2".to_owned()));
    vendor.saw(&[CANCEL_NUMBER, CREATE]);
    let recorded = &fixtures("verify-feedback-200-canceled-by-number")["verify-feedback-200-canceled-by-number.json"];
    let [url, body] =
        [&recorded["request"]["url"], &recorded["request"]["raw_body"]].map(|v| v.as_str().expect("a text"));
    assert_eq!(CANCEL_NUMBER, format!("POST {} {body}", url.trim_start_matches("https://verify.twilio.com")));
}

#[tokio::test]
async fn reuse_creates_at_once_and_cancels_only_before_a_create_that_must_fail() {
    let mut script: Vec<Step> = (0..5).map(|_| created("VE1")).collect();
    script.extend([canceled(), created("VE2"), created("VE2")]);
    let vendor = Vendor::playing(script).await;
    let verify = verify(json!({ "base_url": vendor.base_url, "supersede": "reuse" }));
    for _ in 0..5 {
        assert_eq!(text(&verify, None).await, Ok("VE1".to_owned()));
        vendor.saw(&[CREATE]);
    }
    assert_eq!(text(&verify, None).await, Ok("VE2".to_owned()));
    vendor.saw(&[CANCEL_VE1, CREATE]);
    assert_eq!(text(&verify, None).await, Ok("VE2".to_owned()));
    vendor.saw(&[CREATE]);
}

#[tokio::test]
async fn a_number_at_its_limit_is_left_to_the_next_provider_and_freed_for_the_next_sign_in() {
    for supersede in ["cancel", "reuse"] {
        let vendor = Vendor::playing([refused(429, 60203), canceled(), created("VE2")]).await;
        let verify = verify(json!({ "base_url": vendor.base_url, "supersede": supersede }));
        let options = content(Channel::Sms);
        let sent = verify
            .send(&message(Channel::Sms, CODE, None), super::super::testing::options(&options), &Handover::default())
            .await;
        let error = sent.expect_err("throttled");
        assert_eq!((error.kind, error.code.as_str()), (FailureKind::Throttled, "60203"), "{supersede}");
        assert_eq!(error.retry_after, Some(Duration::ZERO), "a limit of one number paces nobody else");
        verify.tasks.close();
        verify.tasks.wait().await;
        vendor.saw(&[CREATE, CANCEL_NUMBER]);
        assert_eq!(text(&verify, None).await, Ok("VE2".to_owned()), "{supersede}");
        vendor.saw(&[CREATE]);
    }
}

#[tokio::test]
async fn nobody_waits_for_a_number_to_be_freed() {
    let script = [refused(404, 20404), refused(429, 60203), Step::Hang];
    let vendor = Vendor::playing(script).await;
    let verify = verify(json!({ "base_url": vendor.base_url }));
    assert_eq!(text(&verify, Some("fr")).await, Err((FailureKind::Throttled, "60203".to_owned())));
    vendor.saw(&[CREATE_IN_FRENCH, CREATE]);
    assert_eq!(verify.tasks.len(), 1, "a shutdown waits for it");
    assert_eq!(locale_of(&verify, Some("fr")).as_deref(), Some("fr"), "nothing proves the locale wrong");
}

#[tokio::test]
async fn other_refusals_are_final_at_once() {
    for (refusal, kind) in [
        (refused(429, 60212), FailureKind::Throttled),
        (refused(429, 20429), FailureKind::Throttled),
        (refused(403, 60410), FailureKind::Blocked),
        (refused(403, 60204), FailureKind::Account),
        (refused(503, 20503), FailureKind::Unavailable),
        (refused(500, 20500), FailureKind::Unconfirmed),
    ] {
        let vendor = Vendor::playing([refusal]).await;
        let verify = verify(json!({ "base_url": vendor.base_url }));
        assert_eq!(text(&verify, Some("fr")).await.map_err(|(kind, _)| kind), Err(kind));
        vendor.saw(&[CREATE_IN_FRENCH]);
    }
}

#[tokio::test]
async fn no_debug_shows_number_code_or_token() {
    let blames_to = json!({ "code": 60200, "message": format!("Invalid parameter `To`: {NUMBER}") });
    let vendor = Vendor::playing([created("VE1"), canceled(), Step::Answer(400, blames_to)]).await;
    let verify = verify(json!({ "base_url": vendor.base_url }));
    let message = message(Channel::Sms, CODE, None);
    assert_eq!(send(&verify, &message).await, Ok("VE1".to_owned()));
    let while_pending = format!("{verify:?}");
    assert!(while_pending.contains("Remembered(1 entries)"), "{while_pending}");
    let error =
        verify.send(&message, options(&content(Channel::Sms)), &Handover::default()).await.expect_err("refused");
    assert_eq!(error.kind, FailureKind::Recipient);
    let config = check(json!({})).0;
    let shown = format!("{while_pending} {verify:?} {config:?} {error:?} {:?}", message.code);
    assert_eq!(OtpCode::parse(CODE), Some(message.code));
    for secret in ["5550010", CODE, TOKEN, "QUMw"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

#[tokio::test]
async fn a_vendor_that_is_gone_after_it_refused_the_words_was_reached() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("port");
    let base_url = format!("http://{}", listener.local_addr().expect("address"));
    let vendor = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a call");
        drop(listener);
        let mut call = Vec::new();
        while !call.ends_with(b"Locale=fr") {
            assert!(stream.read_buf(&mut call).await.expect("a request") > 0);
        }
        let (head, body) = ("HTTP/1.1 404 x\r\nconnection: close\r\ncontent-length: 14\r\n\r\n", r#"{"code":20404}"#);
        stream.write_all([head, body].concat().as_bytes()).await.expect("written");
    });
    let (verify, message) = (verify(json!({ "base_url": base_url })), message(Channel::Sms, CODE, Some("fr")));
    let mut unsent = Vec::new();
    for _ in 0..2 {
        let sent = verify.send(&message, options(&content(Channel::Sms)), &Handover::default()).await;
        let error = sent.expect_err("nobody is there");
        assert_eq!((error.kind, error.code.as_str()), (FailureKind::Unavailable, "connect"));
        unsent.push(error.unsent);
    }
    assert_eq!(unsent, [false, true], "the first one had an answer, the second one met nobody");
    vendor.await.expect("no panic");
}
