//! Every recorded case of `tests/data/telesign`: what we send for it, and what we make of its answer.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{CUSTOMER, KEY, body, content, form, message, provider, write};
use crate::otp::FailureKind::{self, Account, Blocked, Recipient, Rejected, Throttled, Unavailable, Unconfirmed};
use crate::otp::{Channel, EventId, Next, RequestType};
use crate::outbound::{Answer, Request};
use crate::provider::telesign::{Product, answer};

/// Requests of the recorded cases that this provider never makes.
const NOT_OURS: [(&str, &str); 9] = [
    ("messaging-400-11000-bad-number", "1500 is no number to us"),
    ("omnichannel-200-3001-sms-okta-guide-shape", "the shape of the guide; ours is that of the SDKs"),
    ("omnichannel-400-3102-bad-message-type", "message_type is fixed"),
    ("omnichannel-400-3106-empty-callback-url", "callback_url is not sent"),
    ("omnichannel-400-3110-malformed-json", "a serializer writes the body"),
    ("omnichannel-400-3113-duplicate-channel", "one channel only"),
    ("omnichannel-400-3302-missing-phone-number", "a message has a number"),
    ("omnichannel-400-3303-missing-message", "a message has a content"),
    ("voice-400-11000-bad-number", "1500 is no number to us"),
];

/// Failures whose answer names no code we know: HTTP alone promises nothing.
const UNCERTAIN: [&str; 2] = ["omnichannel-200-unknown-code", "omnichannel-502-non-json"];

/// Name and content of every recorded send; status queries are not ours to make.
fn recorded_sends() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/telesign");
    let mut cases: Vec<(String, Value)> = std::fs::read_dir(folder)
        .expect("the folder of recorded cases")
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let case = serde_json::from_slice(&std::fs::read(&path).expect("readable")).expect("JSON");
            (path.file_stem().expect("a name").to_string_lossy().into_owned(), case)
        })
        .collect();
    cases.retain(|(_, case)| case["request"]["method"] == "POST");
    cases.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(cases.len() >= 30, "only {} cases", cases.len());
    cases
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}"))
}

#[test]
fn recorded_answers_mean_what_they_are_recorded_as() {
    for (name, case) in recorded_sends() {
        let product = match text(&case["product"]) {
            "omnichannel" => Product::Omnichannel,
            "messaging" => Product::Messaging,
            "voice" => Product::Voice,
            other => panic!("{name}: unknown product {other}"),
        };
        let (response, expect) = (&case["response"], &case["expect"]);
        let body = match &response["raw_body"] {
            Value::String(raw) => raw.clone(),
            _ => response["body"].to_string(),
        };
        let status = response["status"].as_u64().and_then(|s| s.try_into().ok()).expect("a status");
        let result = answer::classify(
            product,
            &Answer { status, body: body.into(), retry_after: None, max_age: None, date: None },
        );
        match text(&expect["outcome"]) {
            "accepted" => {
                let accepted = result.unwrap_or_else(|e| panic!("{name}: {e:?}"));
                assert_eq!(accepted.transaction_id.as_str(), text(&expect["transaction_id"]), "{name}");
            }
            "rejected" => {
                let next = expect["next_provider"].as_bool().expect("a bool");
                let kind = result.expect_err(&name).kind;
                let allowed: &[FailureKind] = match text(&expect["class"]) {
                    "bad-credentials" => &[Account],
                    "rate-limited" => &[Throttled],
                    "bad-number" if next => &[Rejected],
                    "bad-number" => &[Recipient],
                    "blocked/opt-out" => &[Blocked],
                    "config-error" => &[Account, Rejected],
                    "provider-outage" if UNCERTAIN.contains(&name.as_str()) => &[Unconfirmed],
                    "provider-outage" => &[Unavailable],
                    other => panic!("{name}: unknown class {other}"),
                };
                assert!(allowed.contains(&kind), "{name}: {kind}");
                assert_eq!(kind.next() != Next::Stop, next, "{name}: {kind}");
            }
            other => panic!("{name}: unknown outcome {other}"),
        }
    }
}

#[test]
fn recorded_requests_are_the_ones_we_make() {
    let mut skipped = Vec::new();
    for (name, case) in recorded_sends() {
        if NOT_OURS.iter().any(|(other, _)| *other == name) {
            skipped.push(name);
            continue;
        }
        let request = write_recorded(&case["request"]);
        check_recorded(&name, &case["request"], &request);
    }
    assert_eq!(skipped, NOT_OURS.map(|(name, _)| name), "cases that are no longer there");
}

/// Writes the request of a recorded case from settings and a message that fit it.
fn write_recorded(recorded: &Value) -> Request {
    let (json, header) = (&recorded["json"], text(&recorded["headers"]["Authorization"]));
    let pairs = recorded["form"].as_array().map(Vec::as_slice).unwrap_or_default();
    let field = |name: &str| pairs.iter().find(|pair| pair[0] == name).map_or(&Value::Null, |pair| &pair[1]);
    let basic = header.strip_prefix("Basic ").map(|pair| STANDARD.decode(pair).expect("base64"));
    let basic = basic.map(|pair| String::from_utf8(pair).expect("text"));
    let (customer, key) = basic.as_deref().map_or((CUSTOMER, KEY), |b| b.split_once(':').expect("a pair"));
    let path = text(&recorded["url"]).split_once(".com").expect("a host").1;
    let parameters = &json["message"]["voice"]["parameters"];
    let (channel, number, words) = match path {
        "/v1/omnichannel" if parameters.is_null() => {
            (Channel::Sms, &json["recipient"]["phone_number"], &json["message"]["sms"]["parameters"]["text"])
        }
        "/v1/omnichannel" => (Channel::Voice, &json["recipient"]["phone_number"], &parameters["otp_code"]),
        "/v1/messaging" => (Channel::Sms, field("phone_number"), field("message")),
        _ => (Channel::Voice, field("phone_number"), field("message")),
    };
    let mut settings = json!({
        "customer_id": customer,
        "api_key": key,
        "api": if path == "/v1/omnichannel" { "messaging" } else { "sms-voice" },
        "auth": if basic.is_some() { "basic" } else { "digest" },
        "base_url": text(&recorded["url"]).trim_end_matches(path),
        "repeat": 1,
    });
    if !field("voice").is_null() {
        settings["voice"] = field("voice").clone();
    }
    let mut message =
        message(channel, &format!("+{}", text(number)), parameters["otp_code"].as_str().unwrap_or("482913"));
    if json["account_lifecycle_event"] == "sign-in" {
        message.request_type = RequestType::parse("mfa-verification");
    }
    message.event_id = json["external_id"].as_str().and_then(EventId::parse);
    // A language that is not configured is not named either.
    let language = if parameters.is_object() && parameters["language"].is_null() { "fr-FR" } else { "en-US" };
    write(&provider(settings), &message, &content(channel, language, text(words)))
}

fn check_recorded(name: &str, recorded: &Value, request: &Request) {
    assert_eq!(request.url.as_str(), text(&recorded["url"]), "{name}");
    if recorded["json"].is_null() {
        assert_eq!(form(request), recorded["form"], "{name}");
    } else {
        let mut expected = recorded["json"].clone();
        // Not sent yet; left out rather than empty.
        expected.as_object_mut().expect("an object").remove("callback_url");
        assert_eq!(body(request), expected, "{name}");
    }
    let header = |key: &str| request.headers[key].to_str().expect("text");
    let is_digest = text(&recorded["headers"]["Authorization"]).starts_with("TSA ");
    for (key, value) in recorded["headers"].as_object().expect("headers") {
        match key.as_str() {
            // A new nonce every time, hence another signature: those of the vectors are tested beside the signer.
            "Authorization" if is_digest => {
                let prefix = format!("TSA {CUSTOMER}:");
                assert!(header(key).starts_with(&prefix), "{name}");
            }
            "x-ts-nonce" => assert_ne!(header(key), text(value), "{name}"),
            _ => assert_eq!(header(key), text(value), "{name}: {key}"),
        }
    }
    assert!(request.headers["Authorization"].is_sensitive(), "{name}");
    if is_digest {
        assert_eq!(request.body, text(&recorded["raw_body"]), "{name}: the bytes a signature covers");
    }
}
