//! Feeds: an operator's text for SMS and calls. The first byte picks the channel and the person's language.
//!
//! Must hold: a text that passes the check holds the code when it is filled, and every provider's request holds it as it
//! is: in Twilio's TwiML, read as XML, in the others' JSON or form.

#![cfg_attr(fuzzing, no_main)]

use std::io::Write as _;
use std::sync::LazyLock;

use jiff::Timestamp;
use okta_telephony_hook::app::Hooks;
use okta_telephony_hook::config::{self, Sources};
use okta_telephony_hook::okta;
use okta_telephony_hook::otp::{Channel, Content, Locale, Message};
use okta_telephony_hook::provider::SendOptions;
use okta_telephony_hook::settings::Findings;
use okta_telephony_hook::text::Settings;
use quick_xml::Reader;
use quick_xml::events::Event;
use serde_json::{Value, json};

const BODY: &[u8] = include_bytes!("../../tests/data/okta/sms-mfa.json");

const LANGUAGES: [&str; 4] = ["en-US", "de", "pt-BR", "zh-Hant-TW"];

const TOML: &str = r#"
privacy.hash_key = "a key for fuzzing, of 32 letters or more"
[orgs.main.auth.header]
secret = "a secret for fuzzing, of 32 letters or more"
[providers.twilio]
kind = "twilio"
account_sid = "AC00000000000000000000000000000001"
auth_token = "0123456789abcdef0123456789abcdef"
sms = { from = "+15005550006" }
voice = { from = "+15005550006" }
[providers.omnichannel]
kind = "telesign"
customer_id = "11111111-2222-3333-4444-555555555555"
api_key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw=="
[providers.sms-voice]
kind = "telesign"
api = "sms-voice"
customer_id = "11111111-2222-3333-4444-555555555555"
api_key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw=="
[providers.eight]
kind = "8x8"
api_key = "fake-8x8-api-key"
subaccount_id = "acme_otp"
sms = {}
voice = { source = "+15005550001" }
"#;

static HOOKS: LazyLock<Hooks> = LazyLock::new(|| {
    let mut file = tempfile::Builder::new().suffix(".toml").tempfile().expect("a file");
    file.write_all(TOML.as_bytes()).expect("written");
    let loaded = config::load(&Sources { files: vec![file.path().to_owned()], ..Sources::default() });
    let config = loaded.unwrap_or_else(|invalid| panic!("{:?}", invalid.0.faults)).config;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let _inside = runtime.enter();
    Hooks::build(&config).expect("builds")
});

static MESSAGE: LazyLock<Message> = LazyLock::new(|| okta::decode(BODY, None).expect("documented").message);

/// Whether the text passed the check.
pub fn holds(data: &[u8]) -> bool {
    let Some((first, Ok(text))) = data.split_first().map(|(first, rest)| (*first, str::from_utf8(rest))) else {
        return false;
    };
    let channel = Channel::ALL[usize::from(first & 1)];
    let texts = json!({ "sms": { "default": text }, "voice": { "default": text } });
    let texts: Settings = serde_json::from_value(texts).expect("settings");
    let mut findings = Findings::default();
    let texts = texts.check("text", &mut findings);
    if !findings.faults.is_empty() {
        return false;
    }
    let locale = Locale::parse(LANGUAGES[usize::from(first >> 1) % LANGUAGES.len()]);
    let message = Message { channel, locale, ..MESSAGE.clone() };
    let now = Timestamp::now();
    let content = texts.content(&message, now);
    let said = match &content {
        Content::Text(text) => (text.expose(), message.code.expose().to_owned()),
        Content::Speech(speech) => (speech.sentence.expose(), message.code.spoken()),
    };
    assert!(said.0.contains(&said.1) && said.0.chars().count() <= 1600);
    for (name, provider) in &HOOKS.providers {
        let Ok(requests) = provider.requests(&message, SendOptions { content: &content, now }) else { continue };
        let body = &requests.last().expect("a request").body;
        let fields = fields(body);
        let holds = |field: &String| match (channel, name.as_str()) {
            (Channel::Voice, "twilio") => field.starts_with("<Response>") && is_twiml_of(field, said.0),
            // Telesign's own sentence around the code.
            (Channel::Voice, "omnichannel") => field == message.code.expose(),
            (_, _) => field.contains(said.0),
        };
        assert!(fields.iter().any(holds), "{}: {:?} in {fields:?}", name.as_str(), said.0);
    }
    true
}

/// Every text of a JSON object or a form.
fn fields(body: &[u8]) -> Vec<String> {
    fn collect(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::String(text) => found.push(text.clone()),
            Value::Array(list) => list.iter().for_each(|value| collect(value, found)),
            Value::Object(members) => members.values().for_each(|value| collect(value, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    let mut found = Vec::new();
    match serde_json::from_slice(body) {
        Ok(json) => collect(&json, &mut found),
        Err(_) => found.extend(form_urlencoded::parse(body).map(|(_, value)| value.into_owned())),
    }
    found
}

/// Whether it is TwiML that says this and nothing else. XML 1.0 has no other characters than these.
fn is_twiml_of(xml: &str, sentence: &str) -> bool {
    assert!(
        !xml.chars()
            .any(|c| matches!(c, '\u{0}'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}'))
    );
    let (mut reader, mut said, mut elements) = (Reader::from_str(xml), String::new(), Vec::new());
    loop {
        match reader.read_event().expect("XML") {
            Event::Start(element) => elements.push(element.name().as_ref().to_owned()),
            Event::Text(text) => said.push_str(&text),
            Event::GeneralRef(name) => said.push_str(&resolved(&name)),
            Event::End(_) => {}
            Event::Eof => break,
            other => panic!("{other:?} in {xml}"),
        }
    }
    assert_eq!(elements, ["Response", "Say"]);
    said == sentence
}

fn resolved(name: &str) -> String {
    let predefined = quick_xml::escape::resolve_predefined_entity(name).map(str::to_owned);
    let numbered = || char::from_u32(name.strip_prefix('#')?.parse().ok()?).map(String::from);
    predefined.or_else(numbered).expect("a reference of our own")
}

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    holds(data);
});
