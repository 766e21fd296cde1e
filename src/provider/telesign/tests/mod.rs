//! The provider as a whole: what it sends for which settings and message, and what must never be shown.

mod recorded;
mod settings;

use serde_json::{Value, json};

use super::*;
use crate::otp::{EventId, Locale, RequestType, Speech, Text};
use crate::outbound::Handover;
use crate::provider::callback::Address;
use crate::secret::Environment;
use crate::settings::Findings;

const CUSTOMER: &str = "11111111-2222-3333-4444-555555555555";
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==";

fn provider(settings: Value) -> Telesign {
    let settings: Settings = serde_json::from_value(settings).expect("settings");
    let mut findings = Findings::default();
    let config = settings.check("providers.t", &Environment::default(), &mut findings).expect("a config");
    assert!(findings.faults.is_empty(), "{findings:?}");
    let outbound = Outbound::new(&crate::outbound::Settings::default()).expect("a client");
    Telesign::new(ProviderName::new("t"), config, outbound)
}

fn message(channel: Channel, number: &str, code: &str) -> Message {
    Message { channel, ..Message::bare(number, code) }
}

fn content(channel: Channel, language: &str, words: &str) -> Content {
    let sentence = Text::new(words.to_owned());
    match channel {
        Channel::Sms => Content::Text(sentence),
        Channel::Voice => Content::Speech(Speech { language: Locale::parse(language).expect("a language"), sentence }),
    }
}

fn write(provider: &Telesign, message: &Message, content: &Content) -> Request {
    let now: Timestamp = "2026-01-05T10:00:00Z".parse().expect("a time");
    provider.requests(message, SendOptions { content, now }).expect("can be made").pop().expect("a request")
}

fn form(request: &Request) -> Value {
    form_urlencoded::parse(&request.body).map(|(name, value)| json!([name, value])).collect()
}

/// The settings of an account, beside or under those given.
fn account(more: Value) -> Value {
    let Value::Object(mut settings) = more else { panic!("no table of settings") };
    settings.entry("customer_id").or_insert_with(|| CUSTOMER.into());
    settings.entry("api_key").or_insert_with(|| KEY.into());
    settings.into()
}

fn body(request: &Request) -> Value {
    serde_json::from_slice(&request.body).expect("JSON")
}

/// The value of a field of a form, or of the top of a JSON body.
fn field(request: &Request, name: &str) -> Value {
    if request.headers["Content-Type"] == "application/json" {
        return body(request)[name].clone();
    }
    let pairs = form(request);
    let pair = pairs.as_array().and_then(|pairs| pairs.iter().find(|pair| pair[0] == name));
    pair.map_or(Value::Null, |pair| pair[1].clone())
}

#[test]
fn only_what_is_known_and_harmless_is_told_about_the_sign_in() {
    let long = "a".repeat(101);
    for (event_id, ip, expected_id, expected_ip) in [
        ("uS5871kJThSa_x", "203.0.113.7", json!("uS5871kJThSa_x"), json!("203.0.113.7")),
        (&long[..100], "2001:db8::7", json!(&long[..100]), json!("2001:db8::7")),
        (long.as_str(), "127.0.0.1", json!(null), json!(null)),
        ("who@example.com", "::1", json!(null), json!(null)),
        ("naïve", "::ffff:127.0.0.1", json!(null), json!(null)),
        ("a b", "::ffff:203.0.113.7", json!(null), json!("203.0.113.7")),
    ] {
        for api in ["messaging", "sms-voice"] {
            for channel in Channel::ALL {
                let mut message = message(channel, "+15005550006", "482913");
                message.event_id = EventId::parse(event_id);
                message.client_ip = ip.parse().ok();
                let content = content(channel, "en-US", "Your code is 482913");
                let told = write(&provider(account(json!({ "api": api }))), &message, &content);
                assert_eq!(field(&told, "external_id"), expected_id, "{api} {channel} {event_id}");
                assert_eq!(field(&told, "originating_ip"), expected_ip, "{api} {channel} {ip}");
                assert_eq!(field(&told, "account_lifecycle_event"), json!(null), "{api} {channel}");
                let settings = json!({ "api": api, "originating_ip": false, "account_lifecycle_event": "sign-in" });
                let told = write(&provider(account(settings)), &message, &content);
                assert_eq!(field(&told, "originating_ip"), json!(null), "{api} {channel}");
                assert_eq!(field(&told, "account_lifecycle_event"), json!("sign-in"), "{api} {channel}");
            }
        }
    }
}

#[test]
fn a_sign_in_is_told_as_one_and_what_else_there_is_only_as_configured() {
    for (asked, configured, expected) in [
        ("com.okta.user.telephony.mfa-verification", json!(null), json!("sign-in")),
        ("com.okta.user.telephony.mfa-verification", json!("transact"), json!("transact")),
        ("com.okta.user.telephony.pre-enrollment", json!(null), json!(null)),
        ("com.okta.user.telephony.password-reset", json!("update"), json!("update")),
        ("", json!(null), json!(null)),
    ] {
        for api in ["messaging", "sms-voice"] {
            for channel in Channel::ALL {
                let request_type = RequestType::parse(asked);
                let message = Message { request_type, ..message(channel, "+15005550006", "482913") };
                let provider = provider(account(json!({ "api": api, "account_lifecycle_event": configured })));
                let told = write(&provider, &message, &content(channel, "en-US", "Your code is 482913"));
                assert_eq!(field(&told, "account_lifecycle_event"), expected, "{api} {channel} {asked}");
            }
        }
    }
}

#[test]
fn texts_have_a_sender_by_country_and_calls_a_caller_id() {
    let shared =
        json!({ "sender_id": "+18005550100", "by_country": { "gb": "Example" }, "caller_id": "+1 800 555 0101" });
    for api in ["messaging", "sms-voice"] {
        let mut settings = account(shared.clone());
        settings["api"] = json!(api);
        let provider = provider(settings);
        for (number, sender) in
            [("+15005550006", "18005550100"), ("+447400123456", "Example"), ("+447911123456", "Example")]
        {
            let text = write(&provider, &message(Channel::Sms, number, "482913"), &content(Channel::Sms, "", "482913"));
            assert_eq!(field(&text, "sender_id"), json!(sender), "{api} {number}");
            assert_eq!(field(&text, "caller_id"), json!(null), "{api} {number}");
        }
        let call = message(Channel::Voice, "+447400123456", "482913");
        let call = write(&provider, &call, &content(Channel::Voice, "en-GB", "4, 8"));
        assert_eq!(field(&call, "sender_id"), json!(null), "{api}");
        let caller_id = if api == "sms-voice" { json!("18005550101") } else { json!(null) };
        assert_eq!(field(&call, "caller_id"), caller_id, "{api}");
    }
}

#[test]
fn a_call_says_the_sentence_as_often_as_configured_in_a_voice_of_its_language() {
    for (more, language, said, voice) in [
        (json!({}), "en-US", "4, 8. 4, 8.", json!("f-en-US")),
        (json!({}), "fr-CA", "4, 8. 4, 8.", json!("f-fr-CA")),
        (json!({}), "cs-CZ", "4, 8. 4, 8.", json!(null)),
        (json!({}), "en", "4, 8. 4, 8.", json!(null)),
        (json!({ "repeat": 1, "voice": { "cs": "f-pl-PL" } }), "cs-CZ", "4, 8.", json!("f-pl-PL")),
        (json!({ "repeat": 3, "voice": "f-en-GB" }), "en-US", "4, 8. 4, 8. 4, 8.", json!("f-en-GB")),
    ] {
        let mut settings = account(more);
        settings["api"] = json!("sms-voice");
        let message = message(Channel::Voice, "+15005550006", "48291");
        let call = write(&provider(settings), &message, &content(Channel::Voice, language, "4, 8."));
        assert_eq!(field(&call, "message"), json!(said), "{language}");
        assert_eq!(field(&call, "voice"), voice, "{language}");
    }
}

#[test]
fn a_sentence_is_said_only_as_often_as_there_is_room_for() {
    for (chars, repeat, said) in [(799, 2, 2), (800, 2, 1), (799, 5, 2), (320, 5, 4), (319, 5, 5), (1600, 2, 1)] {
        // Letters of two bytes: it is characters that count.
        let sentence = "é".repeat(chars);
        let message = message(Channel::Voice, "+15005550006", "48291");
        let settings = account(json!({ "api": "sms-voice", "repeat": repeat }));
        let call = write(&provider(settings), &message, &content(Channel::Voice, "fr-FR", &sentence));
        assert_eq!(field(&call, "message"), json!(vec![sentence; said].join(" ")), "{chars} {repeat}");
    }
}

#[test]
fn an_omnichannel_call_names_english_and_any_other_language_when_it_is_configured() {
    for (map, person, sentence, expected) in [
        (json!({}), Some("fr-FR"), "fr-FR", json!(null)),
        (json!({}), Some("en-GB"), "en-GB", json!("en")),
        (json!({}), None, "en-US", json!("en")),
        (json!({ "en": "en-GB" }), Some("en-US"), "en-US", json!("en-GB")),
        (json!({ "fr": "fr" }), Some("fr-BE"), "fr-FR", json!("fr")),
        (json!({ "sv": "sv" }), Some("sv-SE"), "en-US", json!("sv")),
        (json!({ "fr-FR": "fr" }), Some("fr-BE"), "fr-FR", json!("fr")),
        (json!({ "en": "en" }), None, "en-US", json!("en")),
        (json!({ "de": "de" }), Some("fr-FR"), "fr-FR", json!(null)),
        (json!("en"), Some("fr-FR"), "fr-FR", json!("en")),
    ] {
        let mut message = message(Channel::Voice, "+15005550006", "048291");
        message.locale = person.and_then(Locale::parse);
        let provider = provider(account(json!({ "language": map })));
        let call = body(&write(&provider, &message, &content(Channel::Voice, sentence, "not spoken")));
        let parameters = &call["message"]["voice"]["parameters"];
        assert_eq!(parameters["otp_code"], json!("048291"));
        assert_eq!(parameters["language"], expected, "{map} {person:?}");
        assert!(!call.to_string().contains("not spoken"));
    }
}

#[tokio::test]
async fn a_channel_that_is_not_configured_is_left_to_the_next_provider() {
    for (channels, on, off) in
        [(json!("sms"), Channel::Sms, Channel::Voice), (json!(["voice"]), Channel::Voice, Channel::Sms)]
    {
        let provider = provider(account(json!({ "channels": channels })));
        assert!(provider.supports(on) && !provider.supports(off), "{channels}");
        let (message, content) = (message(off, "+15005550006", "482913"), content(off, "en-US", "482913"));
        let options = SendOptions { content: &content, now: Timestamp::UNIX_EPOCH };
        assert!(provider.requests(&message, options).is_err());
        let error = provider.send(&message, options, &Handover::default()).await.expect_err("a failure");
        assert_eq!(error, SendError::unasked("channel_not_configured"));
    }
}

#[test]
fn debug_shows_neither_key_nor_code_nor_number() {
    for auth in ["basic", "digest"] {
        let typed: Settings = serde_json::from_value(account(json!({ "auth": auth }))).expect("settings");
        let provider = provider(account(json!({ "auth": auth })));
        let (message, content) = (message(Channel::Sms, "+15005550006", "482913"), content(Channel::Sms, "", "482913"));
        let request = write(&provider, &message, &content);
        let shown =
            format!("{typed:?} {:?} {provider:?} {message:?} {content:?} {:?}", provider.config, request.headers);
        let sent = request.headers["Authorization"].to_str().expect("text");
        let credential = sent.split_once(' ').expect("a scheme").1;
        for secret in [KEY, credential, "482913", "5005550006"] {
            assert!(!shown.contains(secret), "{auth}: {secret} in {shown}");
        }
    }
}

#[test]
fn reports_are_asked_for_on_port_443_alone() {
    let pseudonyms = crate::secret::Pseudonyms::new(None).expect("random bytes");
    for (public_url, asked) in [
        ("https://otp.example.com", true),
        ("https://otp.example.com:443/a", true),
        ("https://otp.example.com:8443", false),
    ] {
        let url: Url = public_url.parse().expect("an address");
        for api in ["messaging", "sms-voice"] {
            let mut provider = provider(account(json!({ "api": api })));
            provider.config.report_to(Some(Address::new(&url, "t", &pseudonyms)));
            let message = message(Channel::Sms, "+15005550006", "482913");
            let request = write(&provider, &message, &content(Channel::Sms, "en-US", "Code 482913"));
            assert_eq!(!field(&request, "callback_url").is_null(), asked, "{public_url} {api}");
            assert_eq!(provider.config.unreported(&url).is_none(), asked, "{public_url}");
        }
    }
}
