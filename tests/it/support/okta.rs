//! Okta's side: the requests it makes.

use std::sync::atomic::{AtomicU32, Ordering};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// The credential of every test org.
pub const SECRET: &str = "Basic dGVzdC1jcmVkZW50aWFsOnZlcnktc2VjcmV0";

/// A sign-in by text message, its code good for five minutes.
pub fn sms(to: &str, code: &str) -> Value {
    request("SMS", to, code, &format!("Example: your sign-in code is {code}."))
}

/// A sign-in by text message whose number and event repeat no other.
pub fn another_sms() -> Value {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    sms(&format!("+1500556{:04}", 1000 + COUNT.fetch_add(1, Ordering::Relaxed) % 9000), "482913")
}

/// A sign-in by call; Okta writes no text for those.
pub fn voice(to: &str, code: &str) -> Value {
    let mut request = request("Voice call", to, code, "");
    request["data"]["messageProfile"].as_object_mut().expect("object").remove("msgTemplate");
    request
}

/// The same request for a user nobody has heard of: neither a repeat nor a resend of anything.
pub fn for_a_stranger(mut request: Value) -> Value {
    request["data"]["userProfile"]["userId"] = format!("00u{}", Timestamp::now().as_nanosecond()).into();
    request
}

fn request(channel: &str, to: &str, code: &str, text: &str) -> Value {
    let now = Timestamp::now();
    let expires = now + SignedDuration::from_secs(300);
    json!({
        "eventId": format!("event-{}", now.as_nanosecond()),
        "eventTime": now.to_string(),
        "eventType": "com.okta.telephony.provider",
        "eventTypeVersion": "1.0",
        "contentType": "application/json",
        "cloudEventVersion": "0.1",
        "source": "https://example.okta.com/api/v1/inlineHooks/calz6lVQA77AwFeEe0g3",
        "requestType": "com.okta.user.telephony.mfa-verification",
        "data": {
            "context": { "request": {
                "id": "reqRgSk8IBBRhuo0YdlEDTmUw", "method": "POST",
                "url": { "value": "/idp/idx/challenge" }, "ipAddress": "203.0.113.7"
            } },
            "userProfile": {
                "firstName": "Canaria", "lastName": "Birdsong",
                "login": "canaria.birdsong@example.com", "userId": "00uyxxSknGtK8022w0g3"
            },
            "messageProfile": {
                "msgTemplate": text, "phoneNumber": to, "otpExpires": expires.to_string(),
                "deliveryChannel": channel, "otpCode": code, "locale": "EN-US"
            }
        }
    })
}

/// What Okta reads of an answer: the status word and provider of the command, or the summary of the error.
#[derive(Debug, PartialEq, Eq)]
pub enum Understood {
    /// `commands`: status, provider, transaction id.
    Command(String, Option<String>, Option<String>),
    /// `error`: summary.
    Error(String),
}

/// Reads an answer as strictly as Okta does: anything it would call malformed fails the test.
#[track_caller]
pub fn understand(body: &[u8]) -> Understood {
    let body: Value = serde_json::from_slice(body).expect("the answer is JSON");
    let members: Vec<&String> = body.as_object().expect("an object").keys().collect();
    if let Some(error) = body.get("error") {
        assert!(members.iter().all(|m| ["error", "debugContext"].contains(&m.as_str())), "{members:?}");
        return Understood::Error(error["errorSummary"].as_str().expect("errorSummary").to_owned());
    }
    assert_eq!(members, ["commands"]);
    let commands = body["commands"].as_array().expect("commands is an array");
    assert_eq!(commands.len(), 1);
    assert_eq!(commands[0]["type"], "com.okta.telephony.action");
    let values = commands[0]["value"].as_array().expect("value is an array");
    assert_eq!(values.len(), 1);
    let value = values[0].as_object().expect("an object");
    for (member, content) in value {
        assert!(["status", "provider", "transactionId", "transactionMetadata"].contains(&member.as_str()), "{member}");
        assert!(content.is_string(), "{member} must be a string");
    }
    let text = |member: &str| value.get(member).and_then(Value::as_str).map(str::to_owned);
    let status = text("status").expect("status");
    assert!(["SUCCESSFUL", "PENDING", "FAILED"].contains(&status.as_str()), "{status}");
    Understood::Command(status, text("provider"), text("transactionId"))
}
