//! Feeds: the body of a hook.
//!
//! Must hold: a message says what a plain reading of the JSON says, in forms that hold whatever comes after. No fault,
//! reply or `Debug` shows six characters in a row of the number or the code. Every reply is one that Okta can read.

#![cfg_attr(fuzzing, no_main)]

use std::time::Duration;

use okta_telephony_hook::okta::{self, Replies, Reply, ReplySettings};
use okta_telephony_hook::otp::{
    Accepted, Attempt, Country, FailureKind, Message, OtpCode, Outcome, Phone, ProviderName, Remedy, RequestType,
    SendError, TransactionId,
};
use serde_json::Value;

const MAX_TEXT_CHARS: usize = 1600;

/// Whether it was taken.
pub fn holds(data: &[u8]) -> bool {
    let plain = serde_json::from_slice(data).unwrap_or(Value::Null);
    let profile = &plain["data"]["messageProfile"];
    let written = ["phoneNumber", "otpCode"].map(|member| spelled(&profile[member]));
    let mut is_taken = false;
    for home in ["", "US"].map(Country::parse) {
        match okta::decode(data, home) {
            Ok(decoded) => {
                is_taken = true;
                is_sound(&decoded.message);
                agrees(&decoded.message, &written, home);
                replies(&decoded.message).iter().for_each(|reply| is_discreet(reply, &written));
            }
            Err(faults) => {
                assert!(!faults.is_empty());
                for fault in &faults {
                    assert!(!tells(&fault.to_string(), &written), "{fault}");
                }
                let reply = Reply::bad_request(&faults);
                assert_eq!(reply.status, 400);
                is_discreet(&reply, &written);
            }
        }
    }
    let _ = okta::request_id(data);
    is_taken
}

/// A text or a number as it stands; empty for everything else.
fn spelled(value: &Value) -> String {
    value.as_str().map(str::to_owned).or_else(|| value.as_u64().map(|number| number.to_string())).unwrap_or_default()
}

fn is_sound(message: &Message) {
    let again = Phone::parse(message.recipient.expose(), None).expect("taken once");
    assert_eq!(again.expose(), message.recipient.expose());
    assert!(OtpCode::parse(message.code.expose()).is_some());
    if let Some(text) = message.template.as_ref().map(|text| text.expose()) {
        assert!(text.chars().count() <= MAX_TEXT_CHARS);
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'));
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        assert!(digits.contains(message.code.expose()), "a text without the code");
    }
    // Without the members that are shown: ids and dates hold digits of their own.
    let (event_id, source, request_id, locale) = (None, None, None, None);
    let (asked, expires, client_ip, request_type) = (None, None, None, RequestType::ABSENT);
    let bare =
        Message { event_id, source, request_id, locale, asked, expires, client_ip, request_type, ..message.clone() };
    let shown = format!("{bare:?}");
    let longest = shown.split(|c: char| !c.is_ascii_digit()).map(str::len).max();
    assert!(longest < Some(5), "a text's length has four digits at most: {shown}");
}

/// Whether number and code are those that stand in the JSON, where they stand there by name.
fn agrees(message: &Message, [number, code]: &[String; 2], home: Option<Country>) {
    if !number.is_empty() {
        assert_eq!(Phone::parse(number, home).as_ref(), Ok(&message.recipient));
    }
    if !code.is_empty() {
        // A number has lost its zeros, and the text may give them back.
        assert!(message.code.expose().ends_with(code.trim()) || code == "0", "another code");
    }
}

/// What may be answered, for each way in which a message can end.
fn replies(message: &Message) -> Vec<Reply> {
    let id = TransactionId::parse("SM").expect("an id");
    let errors = FailureKind::ALL.map(|kind| Err(SendError::new(kind, "code")));
    let outcome = |result| {
        let attempt = Attempt { provider: ProviderName::new("first"), result, elapsed: Duration::ZERO };
        Outcome::of(message.channel, "route".into(), vec![attempt])
    };
    let refused = Outcome::refused(message.channel, "rule", Remedy::Later);
    let outcomes = errors.into_iter().chain([Ok(Accepted::new(id))]).map(outcome).chain([refused]);
    let (replies, locale) = (Replies::new(ReplySettings::default()), message.locale.as_ref());
    let told = outcomes.map(|outcome| replies.reply(&outcome, locale, Duration::ZERO));
    told.chain([Replies::expired(locale, Duration::ZERO), replies.doubtful(locale, Duration::ZERO)]).collect()
}

fn is_discreet(reply: &Reply, written: &[String; 2]) {
    let body: Value = serde_json::from_slice(&reply.body).expect("JSON");
    assert!(okta::is_taken(&body) || body["error"]["errorSummary"].is_string(), "{body}");
    assert!(!tells(&body.to_string(), written), "{body}");
}

/// Whether a text shows six characters in a row of a value that is written as numbers and codes are.
fn tells(text: &str, written: &[String; 2]) -> bool {
    let is_of_a_number = |c: char| c.is_ascii_digit() || " +-./()".contains(c);
    written.iter().filter(|value| value.chars().all(is_of_a_number)).any(|value| {
        let windows = value.as_bytes().windows(6).filter(|window| window.iter().any(u8::is_ascii_digit));
        windows.filter_map(|window| str::from_utf8(window).ok()).any(|window| text.contains(window))
    })
}

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    holds(data);
});
