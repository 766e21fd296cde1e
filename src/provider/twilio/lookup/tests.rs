//! The gate before texts, against a vendor on the loopback.

use serde_json::{Value, json};

use crate::metrics::Metrics;
use crate::otp::{Channel, FailureKind, ProviderName};
use crate::outbound::Handover;
use crate::provider::Provider as _;
use crate::provider::twilio::testing::*;
use crate::provider::twilio::{Config, Settings, Twilio};
use crate::secret::Environment;
use crate::settings::Findings;

const LOOKUP: &str = "GET /v2/PhoneNumbers/%2B15005550010?Fields=line_type_intelligence,sms_pumping_risk";
const TEXT: &str = "POST /2010-04-01/Accounts/AC00000000000000000000000000000001/Messages.json \
                    To=%2B15005550010&From=%2B15005550006&Body=Your+code+is+482913.";

#[expect(clippy::needless_pass_by_value, reason = "json!(…) reads better as it stands")]
fn config(base_url: &str, lookup: Value) -> Config {
    let settings: Settings = serde_json::from_value(json!({
        "account_sid": ACCOUNT, "auth_token": TOKEN, "base_url": base_url, "lookup": lookup,
        "sms": { "from": "+15005550006" }, "voice": { "from": "+15005550006" },
    }))
    .expect("readable");
    let mut findings = Findings::default();
    let config = settings.check("providers.twilio", &Environment::default(), &mut findings).expect("complete");
    assert_eq!(findings.faults, []);
    config
}

fn twilio(base_url: &str, lookup: Value) -> Twilio {
    counting(base_url, lookup, &Metrics::new())
}

fn counting(base_url: &str, lookup: Value, metrics: &Metrics) -> Twilio {
    let config = config(base_url, lookup);
    Twilio::new(ProviderName::new("twilio"), config, outbound(), &pseudonyms(), metrics.lookups.clone())
}

fn skipped(metrics: &Metrics, reason: &str) -> bool {
    metrics.render().contains(&format!("okta_hook_lookups_skipped_total{{provider=\"twilio\",reason=\"{reason}\"}} 2"))
}

/// Sends a code: its transaction id, or the kind and cause of the failure.
async fn send(twilio: &Twilio, channel: Channel) -> Result<String, (FailureKind, String)> {
    let sent = twilio.send(&message(channel, CODE, None), options(&content(channel)), &Handover::default()).await;
    sent.map(|a| a.transaction_id.as_str().to_owned()).map_err(|e| (e.kind, e.code))
}

fn lookup_answer(fixture: &str) -> Step {
    let response = &fixtures(fixture)[&format!("{fixture}.json")]["response"];
    Step::Answer(answer(response).status, response["body"].clone())
}

fn accepted() -> Step {
    Step::Answer(201, json!({ "sid": "SM1", "status": "queued" }))
}

#[tokio::test]
async fn a_number_is_looked_up_once_and_its_texts_go_through() {
    let vendor = Vendor::playing([lookup_answer("lookup-200-valid-mobile-low-risk"), accepted(), accepted()]).await;
    let twilio = twilio(&vendor.base_url, json!({ "base_url": vendor.base_url }));
    assert_eq!(send(&twilio, Channel::Sms).await, Ok("SM1".to_owned()));
    vendor.saw(&[LOOKUP, TEXT]);
    assert_eq!(send(&twilio, Channel::Sms).await, Ok("SM1".to_owned()));
    vendor.saw(&[TEXT]);
}

#[test]
fn numbers_are_looked_up_at_the_test_server_that_texts_go_to() {
    for (account, own, expected) in [
        ("https://api.twilio.com", json!({}), "https://lookups.twilio.com/"),
        ("https://api.dublin.ie1.twilio.com", json!({}), "https://lookups.twilio.com/"),
        ("https://twilio.example.com/mock", json!({}), "https://twilio.example.com/mock"),
        ("https://nottwilio.com", json!({}), "https://nottwilio.com/"),
        ("http://127.0.0.1:9", json!({}), "http://127.0.0.1:9/"),
        ("http://127.0.0.1:9", json!({ "base_url": "http://127.0.0.1:8" }), "http://127.0.0.1:8/"),
    ] {
        let twilio = twilio(account, own);
        assert_eq!(twilio.gate.expect("a gate").address().as_str(), expected, "{account}");
    }
}

#[tokio::test]
async fn a_condemned_number_gets_no_text_now_or_later_but_may_be_called() {
    for (fixture, kind, cause) in [
        ("lookup-200-landline", FailureKind::Recipient, "lookup_line_type"),
        ("lookup-200-high-pumping-risk-blocked", FailureKind::Blocked, "lookup_number_blocked"),
        ("lookup-200-invalid-number", FailureKind::Recipient, "lookup_invalid_number"),
    ] {
        let call = Step::Answer(201, json!({ "sid": "CA1", "status": "queued" }));
        let vendor = Vendor::playing([lookup_answer(fixture), call]).await;
        let twilio = twilio(&vendor.base_url, json!({ "base_url": vendor.base_url }));
        assert_eq!(send(&twilio, Channel::Sms).await, Err((kind, cause.to_owned())), "{fixture}");
        assert_eq!(send(&twilio, Channel::Sms).await, Err((kind, cause.to_owned())), "{fixture}");
        vendor.saw(&[LOOKUP]);
        assert_eq!(send(&twilio, Channel::Voice).await, Ok("CA1".to_owned()), "{fixture}");
    }
}

#[tokio::test]
async fn a_lookup_that_fails_or_takes_too_long_stops_nothing_and_is_asked_again() {
    for fail in [
        || Step::Hang,
        || Step::Cut,
        || lookup_answer("lookup-401-20003-bad-credentials"),
        || lookup_answer("lookup-429-20429-rate-limited"),
        || Step::Answer(404, json!({ "code": 20404 })),
    ] {
        let reason = if matches!(fail(), Step::Hang) { "late" } else { "failed" };
        let vendor = Vendor::playing([fail(), accepted(), fail(), accepted()]).await;
        let metrics = Metrics::new();
        let lookup = json!({ "base_url": vendor.base_url, "timeout": "150ms" });
        let twilio = counting(&vendor.base_url, lookup, &metrics);
        for _ in 0..2 {
            assert_eq!(send(&twilio, Channel::Sms).await, Ok("SM1".to_owned()));
            vendor.saw(&[LOOKUP, TEXT]);
        }
        assert!(skipped(&metrics, reason), "{reason}: {}", metrics.render());
    }
}

#[tokio::test]
async fn the_free_lookup_asks_for_no_fields() {
    let vendor = Vendor::playing([lookup_answer("lookup-200-basic-valid"), accepted()]).await;
    let twilio = twilio(&vendor.base_url, json!({ "base_url": vendor.base_url, "fields": [] }));
    assert_eq!(send(&twilio, Channel::Sms).await, Ok("SM1".to_owned()));
    vendor.saw(&["GET /v2/PhoneNumbers/%2B15005550010", TEXT]);
}

#[tokio::test]
async fn without_the_table_nothing_is_looked_up() {
    let vendor = Vendor::playing([accepted()]).await;
    let twilio = twilio(&vendor.base_url, json!(null));
    assert_eq!(send(&twilio, Channel::Sms).await, Ok("SM1".to_owned()));
    vendor.saw(&[TEXT]);
}

#[tokio::test]
async fn no_debug_shows_number_code_or_token() {
    let vendor = Vendor::playing([lookup_answer("lookup-200-landline")]).await;
    let twilio = twilio(&vendor.base_url, json!({ "base_url": vendor.base_url }));
    let message = message(Channel::Sms, CODE, None);
    let error =
        twilio.send(&message, options(&content(Channel::Sms)), &Handover::default()).await.expect_err("a landline");
    let shown = format!("{twilio:?} {error:?} {:?}", twilio.gate);
    assert!(shown.contains("Remembered(1 entries)"), "{shown}");
    for secret in ["5550010", CODE, TOKEN, "QUMw"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

#[test]
fn settings_outside_the_rules_are_named() {
    let settings = json!({ "fields": ["sim_swap"], "max_risk_score": 101, "timeout": "3s", "cache": "169h" });
    let settings: super::Settings = serde_json::from_value(settings).expect("readable");
    let mut findings = Findings::default();
    let _ = settings.check("p.lookup", None, &mut findings);
    let keys: Vec<_> = findings.faults.iter().map(|f| f.key.as_str()).collect();
    assert_eq!(keys, ["p.lookup.fields", "p.lookup.max_risk_score", "p.lookup.timeout", "p.lookup.cache"]);
}
