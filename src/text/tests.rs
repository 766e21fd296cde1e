//! What people read and hear: which text is found, and what stands in it.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::otp::{OtpCode, Phone, RequestType};
use crate::settings::Findings;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn texts(settings: serde_json::Value) -> Texts {
    let settings: Settings = serde_json::from_value(settings).expect("settings");
    let mut findings = Findings::default();
    let texts = settings.check("text", &mut findings);
    assert!(findings.faults.is_empty(), "{:?}", findings.faults);
    texts
}

fn message(channel: Channel, locale: &str, request_type: &str) -> Message {
    Message {
        event_id: None,
        source: None,
        request_id: None,
        channel,
        recipient: Phone::parse("+15005550010", None).expect("a number"),
        code: OtpCode::parse("048291").expect("digits"),
        template: Some(Text::new("Okta: 048291".to_owned())),
        locale: Locale::parse(locale),
        request_type: RequestType::parse(request_type),
        asked: None,
        expires: Some(NOW + SignedDuration::from_secs(299)),
        user: None,
        client_ip: None::<IpAddr>,
        preview: false,
    }
}

/// The text, or the language and the sentence.
fn said(texts: &Texts, message: &Message) -> String {
    match texts.content(message, NOW) {
        Content::Text(text) => text.expose().to_owned(),
        Content::Speech(speech) => format!("{}: {}", speech.language, speech.sentence.expose()),
    }
}

#[test]
fn without_texts_of_ones_own_okta_and_the_built_in_sentences_speak() {
    let texts = texts(serde_json::json!({}));
    assert_eq!(said(&texts, &message(Channel::Sms, "fr-CA", "mfa-verification")), "Okta: 048291");
    let spoken = said(&texts, &message(Channel::Voice, "fr-CA", "mfa-verification"));
    assert_eq!(spoken, "fr-CA: Votre code est 0, 4, 8, 2, 9, 1.");
    let bare = Message { template: None, ..message(Channel::Sms, "fr-CA", "mfa-verification") };
    assert_eq!(said(&texts, &bare), "Your verification code is 048291.");
}

#[test]
fn the_nearest_text_is_found_by_request_type_then_locale() {
    let texts = texts(serde_json::json!({
        "sms": { "default": "D {code}", "fr": "F {code}", "fr-CA": "C {code}" },
        "voice": { "de": "Code {code}" },
        "by_request_type": {
            "password-reset": { "sms": { "fr": "RF {code}" } },
            "account_unlock": { "sms": "UD {code}", "voice": { "default": "Unlock {code}" } },
        },
    }));
    for (locale, request_type, expected) in [
        ("fr-CA", "mfa-verification", "C 048291"),
        ("fr-BE", "mfa-verification", "F 048291"),
        ("fr", "", "F 048291"),
        ("it-IT", "mfa-verification", "D 048291"),
        ("", "mfa-verification", "D 048291"),
        ("fr-CA", "password-reset", "RF 048291"),
        ("it-IT", "password-reset", "D 048291"),
        ("", "com.okta.user.telephony.account-unlock", "UD 048291"),
        ("fr-CA", "account-unlock", "UD 048291"),
    ] {
        assert_eq!(said(&texts, &message(Channel::Sms, locale, request_type)), expected, "{locale} {request_type}");
    }
    for (locale, request_type, expected) in [
        ("de-AT", "mfa-verification", "de-DE: Code 0, 4, 8, 2, 9, 1"),
        ("de-AT", "account-unlock", "en-US: Unlock 0, 4, 8, 2, 9, 1"),
        ("it-IT", "password-reset", "it-IT: Il suo codice è 0, 4, 8, 2, 9, 1."),
    ] {
        assert_eq!(said(&texts, &message(Channel::Voice, locale, request_type)), expected, "{locale} {request_type}");
    }
}

#[test]
fn a_sentence_is_told_in_the_language_it_stands_under() {
    let texts = texts(serde_json::json!({
        "voice": { "default": "{code}.", "fr": "F {code}", "fr-CA": "C {code}", "no": "N {code}", "hu": "H {code}" },
        "voice_language": "EN_gb",
    }));
    for (locale, expected) in [
        ("", "en-GB: 0"),
        ("it", "en-GB: 0"),
        ("fr-BE", "fr-FR: F"),
        ("fr-CA", "fr-CA: C"),
        ("no", "nb-NO: N"),
        ("hu-HU", "hu: H"),
    ] {
        let spoken = said(&texts, &message(Channel::Voice, locale, ""));
        assert!(spoken.starts_with(expected), "{locale}: {spoken}");
    }
}

#[test]
fn minutes_are_those_left_and_never_none() {
    let texts = texts(serde_json::json!({ "sms": "{code} {minutes}", "voice": "{code} {minutes}" }));
    for (seconds, expected) in [
        (Some(300), 5),
        (Some(299), 5),
        (Some(285), 4),
        (Some(60), 1),
        (Some(20), 1),
        (Some(-9), 1),
        (Some(7200), 120),
        (Some(90_000), 5),
        (None, 5),
    ] {
        let expires = seconds.map(|s| NOW + SignedDuration::from_secs(s));
        let message = Message { expires, ..message(Channel::Sms, "en", "") };
        assert_eq!(said(&texts, &message), format!("048291 {expected}"), "{seconds:?}");
        let message = Message { channel: Channel::Voice, ..message };
        assert_eq!(said(&texts, &message), format!("en-US: 0, 4, 8, 2, 9, 1 {expected}"), "{seconds:?}");
    }
    let preview = Message { expires: Some(NOW), preview: true, ..message(Channel::Sms, "en", "") };
    assert_eq!(said(&texts, &preview), "048291 5", "the dates of a preview are canned");
}

#[test]
fn a_bound_code_stands_in_the_last_line_of_every_text() {
    let texts = texts(serde_json::json!({ "sms": { "fr": "F {code}" }, "webotp": "example.com" }));
    for (locale, expected) in
        [("fr", "F 048291\n\n@example.com #048291"), ("en", "Okta: 048291\n\n@example.com #048291")]
    {
        assert_eq!(said(&texts, &message(Channel::Sms, locale, "")), expected);
    }
    assert_eq!(said(&texts, &message(Channel::Voice, "it", "")), "it-IT: Il suo codice è 0, 4, 8, 2, 9, 1.");
    for template in [format!("048291{}", "x".repeat(1590)), "048291\n@example.com #048291".to_owned()] {
        let message = Message { template: Some(Text::new(template.clone())), ..message(Channel::Sms, "en", "") };
        assert_eq!(said(&texts, &message), template, "too long to grow, or bound already");
    }
}
