//! The cases in `tests/data/8x8`, as the settings and message that lead to them and the answer that ends them.
//!
//! Must not know how a request is written or an answer is read. For this folder's tests only.

use std::fs;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::otp::{Channel, Content, EventId, Locale, Message, Phone, Speech, Text};
use crate::outbound::Answer;

/// One case.
pub(super) struct Fixture {
    pub(super) name: String,
    pub(super) request: Value,
    pub(super) response: Value,
    pub(super) expect: Value,
}

/// The moment all cases happen.
pub(super) fn now() -> Timestamp {
    "2026-01-05T10:00:00Z".parse().expect("a time")
}

/// Every case but the feedback call, which is no send.
pub(super) fn all() -> Vec<Fixture> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/8x8");
    let mut paths: Vec<_> =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("a file").path()).collect();
    paths.sort();
    let read = |path| serde_json::from_slice::<Value>(&fs::read(path).expect("a file")).expect("JSON");
    let names = paths.iter().map(|path| path.file_stem().and_then(|stem| stem.to_str()).expect("a name").to_owned());
    let cases = names.zip(&paths).filter(|(name, _)| name.starts_with("sms-") || name.starts_with("voice-"));
    cases
        .filter(|(name, _)| name != "sms-feedback-200")
        .map(|(name, path)| {
            let mut case = read(path);
            let mut part = |key: &str| case[key].take();
            Fixture { name, request: part("request"), response: part("response"), expect: part("expect") }
        })
        .collect()
}

/// What a request without `encoding` means at 8x8; ours say it.
pub(super) const DEFAULT_ENCODING: &str = "AUTO";

impl Fixture {
    pub(super) fn is_call(&self) -> bool {
        self.name.starts_with("voice-")
    }

    /// The answer as `outbound` hands it over.
    pub(super) fn answer(&self) -> Answer {
        let body = &self.response["body"];
        let body = self.response["raw_body"].as_str().map_or_else(|| body.to_string(), str::to_owned);
        let retry_after = self.response["headers"]["Retry-After"].as_str();
        Answer {
            status: self.response["status"].as_u64().and_then(|s| s.try_into().ok()).expect("a status"),
            body: Bytes::from(body),
            retry_after: retry_after.map(|s| Duration::from_secs(s.parse().expect("seconds"))),
            max_age: None,
            date: None,
        }
    }

    /// The settings that lead to its request.
    pub(super) fn settings(&self) -> Value {
        let url: url::Url = self.request["url"].as_str().and_then(|u| u.parse().ok()).expect("an address");
        let key = self.request["headers"]["Authorization"].as_str().and_then(|h| h.strip_prefix("Bearer "));
        let origin = url.origin().ascii_serialization();
        let subaccount = url.path().split('/').nth(4).expect("a sub-account");
        let body = &self.request["json"];
        if self.is_call() {
            let (call, say) = (&body["callflow"][0]["params"], &body["callflow"][1]["params"]);
            json!({
                "kind": "8x8", "api_key": key, "subaccount_id": subaccount, "voice_base_url": origin,
                "voice": {
                    "source": call["source"], "profile": say["voiceProfile"], "repeat": say["repetition"],
                    "speed": say["speed"],
                },
            })
        } else {
            json!({
                "kind": "8x8", "api_key": key, "subaccount_id": subaccount, "base_url": origin,
                "sms": { "source": body["source"], "encoding": body["encoding"].as_str().unwrap_or(DEFAULT_ENCODING) },
            })
        }
    }

    /// The message that leads to its request.
    pub(super) fn message(&self) -> (Message, Content) {
        let body = &self.request["json"];
        let text = |value: &Value| Text::new(value.as_str().expect("a text").to_owned());
        let (content, destination) = if self.is_call() {
            let sentence = text(&body["callflow"][1]["params"]["text"]);
            let language = Locale::parse("en-US").expect("a tag");
            (Content::Speech(Speech { language, sentence }), &body["callflow"][0]["params"]["destination"])
        } else {
            (Content::Text(text(&body["text"])), &body["destination"])
        };
        let expires = body["expiry"].as_str().or(body["validUntil"].as_str());
        let expires: Option<Timestamp> = expires.map(|e| e.parse().expect("a time"));
        let message = Message {
            channel: if self.is_call() { Channel::Voice } else { Channel::Sms },
            recipient: Phone::parse(destination.as_str().expect("a number"), None).expect("a valid number"),
            event_id: body["clientMessageId"].as_str().and_then(EventId::parse),
            asked: expires.map(|end| end - Message::USUAL_LIFE),
            expires,
            ..message()
        };
        (message, content)
    }
}

/// A message that tells 8x8 nothing beyond number and text.
pub(super) fn message() -> Message {
    Message::bare("+15005550006", "482913")
}
