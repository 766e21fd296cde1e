//! The provider as a whole: its settings, the requests of the fixtures, and what `Debug` may show.

use serde_json::{Value, json};

use super::fixtures::{Fixture, message};
use super::*;
use crate::otp::Text;
use crate::outbound;
use crate::provider::callback::Address;
use crate::secret::Environment;
use crate::settings::Findings;

fn check(settings: Value) -> (Option<Config>, Findings) {
    let mut findings = Findings::default();
    let settings: Settings = serde_json::from_value(settings).expect("well-formed settings");
    let config = settings.check("providers.x", &Environment::default(), &mut findings);
    (config, findings)
}

fn faults(settings: Value) -> Vec<String> {
    check(settings).1.faults.into_iter().map(|f| f.key).collect()
}

#[test]
fn calls_go_where_texts_go_unless_that_is_8x8() {
    let at = |base_url: Option<&str>, voice_base_url: Option<&str>| {
        let (config, findings) = check(json!({
            "api_key": "k", "subaccount_id": "acme", "base_url": base_url, "voice_base_url": voice_base_url,
            "voice": { "source": "+15005550006" },
        }));
        assert_eq!(findings.faults, []);
        let url = config.and_then(|config| config.voice).expect("calls").url;
        url.as_str().strip_suffix("/api/v1/subaccounts/acme/callflows").expect("callflows").to_owned()
    };
    let (real, test) = ("https://voice.8x8.com", "http://127.0.0.1:18080");
    for (base_url, voice_base_url, expected) in [
        (None, None, real),
        (Some("https://sms.8x8.com"), None, real),
        (Some("https://sms.us.8x8.com/"), None, real),
        (Some("https://sms.8x8.uk"), None, real),
        (Some("https://sms.8x8.id"), None, real),
        (Some(test), None, test),
        (Some("https://vendor.test/8x8/"), None, "https://vendor.test/8x8"),
        (Some("https://not8x8.com"), None, "https://not8x8.com"),
        (Some("https://8x8.com.vendor.test"), None, "https://8x8.com.vendor.test"),
        (Some(test), Some(real), real),
        (None, Some(test), test),
    ] {
        assert_eq!(at(base_url, voice_base_url), expected, "{base_url:?} {voice_base_url:?}");
    }
}

#[test]
fn every_fault_is_found_at_once_and_names_its_key() {
    assert_eq!(faults(json!({})), ["providers.x.api_key", "providers.x.subaccount_id"]);
    let many = json!({
        "api_key": "clé", "subaccount_id": "a/b", "base_url": "ftp://x", "callback_secret": { "env": "NONE" },
        "sms": { "source": " ", "by_country": { "GBR": "ACME" } },
        "voice": {
            "subaccount_id": "no", "source": "ACME", "by_country": { "GB": "12" }, "repeat": 4, "speed": 3,
            "profile": "", "language": "12",
        },
    });
    let keys = [
        "api_key",
        "callback_secret",
        "subaccount_id",
        "base_url",
        "sms.source",
        "sms.by_country.GBR",
        "voice.subaccount_id",
        "voice.source",
        "voice.by_country.GB",
        "voice.profile.default",
        "voice.language.default",
        "voice.repeat",
        "voice.speed",
    ];
    assert_eq!(faults(many), keys.map(|k| format!("providers.x.{k}")));
    let secrets = json!({
        "api_key": "k", "subaccount_id": "acme",
        "callback_secret": "Bearer clé", "previous_callback_secret": "Bearer a\tb",
    });
    assert_eq!(faults(secrets), ["providers.x.callback_secret", "providers.x.previous_callback_secret"]);
    let bearer = json!({ "api_key": "k", "subaccount_id": "acme", "callback_secret": "Bearer 3f9c" });
    assert_eq!(faults(bearer), [""; 0]);
    let no_source =
        json!({ "api_key": "k", "subaccount_id": "acme", "voice": { "by_country": { "GB": "+447400123456" } } });
    assert_eq!(faults(no_source), ["providers.x.voice.source"]);
}

#[test]
fn what_8x8_may_refuse_is_warned_of() {
    let (config, findings) = check(json!({
        "api_key": "k", "subaccount_id": "acme", "base_url": "http://sms.example.com",
        "sms": { "source": "A sender id that is too long" }, "voice": { "source": "6588000000", "profile": "en" },
    }));
    assert!(config.is_some() && findings.faults.is_empty());
    let keys: Vec<_> = findings.warnings.iter().map(|w| w.key.as_str()).collect();
    assert_eq!(keys, ["providers.x.base_url", "providers.x.sms.source", "providers.x.voice.profile.default"]);
}

#[test]
fn an_unknown_key_is_an_error() {
    assert!(serde_json::from_value::<Settings>(json!({ "dlr_callback_url": "https://x" })).is_err());
}

#[test]
fn channels_are_on_by_their_tables_and_have_their_own_subaccounts() {
    let sms = Some("https://sms.8x8.com/api/v1/subaccounts/R%26D.1/messages".to_owned());
    let voice = |id| Some(format!("https://voice.8x8.com/api/v1/subaccounts/{id}/callflows"));
    let call = || json!({ "source": "+15005550001" });
    for (tables, expected) in [
        (json!({}), (sms.clone(), None)),
        (json!({ "sms": {} }), (sms.clone(), None)),
        (json!({ "voice": call() }), (None, voice("R%26D.1"))),
        (json!({ "sms": {}, "voice": call() }), (sms.clone(), voice("R%26D.1"))),
        (json!({ "voice": { "source": "6588000000", "subaccount_id": "acme_voice" } }), (None, voice("acme_voice"))),
    ] {
        let mut settings = tables;
        settings["api_key"] = "k".into();
        settings["subaccount_id"] = "R&D.1".into();
        let provider = provider(check(settings).0.expect("no fault"));
        let url = |url: Option<&Url>| url.map(Url::to_string);
        let found =
            (url(provider.config.sms.as_ref().map(|e| &e.url)), url(provider.config.voice.as_ref().map(|e| &e.url)));
        assert_eq!(
            (provider.supports(Channel::Sms), provider.supports(Channel::Voice)),
            (found.0.is_some(), found.1.is_some())
        );
        assert_eq!(found, expected);
    }
}

fn provider(config: Config) -> EightByEight {
    let outbound = Outbound::new(&outbound::Settings::default()).expect("a client");
    EightByEight::new(ProviderName::new("x"), config, outbound)
}

/// Faults that these types and settings cannot commit: an invalid number, an unknown action, a missing call.
const IMPOSSIBLE: [&str; 4] = [
    "sms-400-1002-bad-number",
    "voice-4xx-1017-bad-number",
    "voice-400-1007-invalid-action",
    "voice-422-1013-first-action",
];

#[test]
fn every_other_request_of_the_fixtures_can_be_made() {
    let mut made = 0;
    for fixture in fixtures::all().iter().filter(|f| !IMPOSSIBLE.contains(&f.name.as_str())) {
        let (config, findings) = check(fixture.settings());
        assert!(findings.faults.is_empty(), "{}: {:?}", fixture.name, findings.faults);
        let (message, content) = fixture.message();
        let options = SendOptions { content: &content, now: fixtures::now() };
        let request = provider(config.expect("no fault"))
            .requests(&message, options)
            .expect("can be made")
            .pop()
            .expect("a request");
        assert_eq!(request.url.as_str(), fixture.request["url"], "{}", fixture.name);
        let headers = fixture.request["headers"].as_object().expect("headers");
        assert_eq!(request.headers.len(), headers.len(), "{}", fixture.name);
        assert!(headers.iter().all(|(name, value)| request.headers[name] == value.as_str().expect("a text")));
        assert!(request.headers["authorization"].is_sensitive());
        let body: Value = serde_json::from_slice(&request.body).expect("JSON");
        let mut recorded = fixture.request["json"].clone();
        if recorded["callflow"].is_null() && recorded["encoding"].is_null() {
            recorded["encoding"] = fixtures::DEFAULT_ENCODING.into();
        }
        assert_eq!(body, recorded, "{}", fixture.name);
        made += 1;
    }
    assert_eq!(made, 22, "as many as tests/data/8x8 holds");
}

#[test]
fn a_channel_that_is_off_sends_nothing() {
    let (config, _) = check(json!({ "api_key": "k", "subaccount_id": "acme" }));
    let call = fixtures::all().into_iter().find(Fixture::is_call).expect("a call");
    let (message, content) = call.message();
    let options = SendOptions { content: &content, now: fixtures::now() };
    assert!(provider(config.expect("no fault")).requests(&message, options).is_err());
}

#[test]
fn code_number_and_key_never_show() {
    let mut shown = String::new();
    for fixture in fixtures::all() {
        let settings = json!({
            "api_key": "fake-8x8-api-key", "subaccount_id": "acme", "callback_secret": "fake-8x8-callback-secret",
            "voice": { "source": "+15005550001" },
        });
        let typed: Settings = serde_json::from_value(settings.clone()).expect("well-formed settings");
        let config = check(settings).0.expect("no fault");
        let result = if fixture.is_call() { answer::call(&fixture.answer()) } else { answer::text(&fixture.answer()) };
        let error = result.as_ref().err().map(ToString::to_string);
        shown.push_str(&format!("{typed:?} {config:?} {result:?} {error:?}"));
        shown.push_str(&format!("{:?}", provider(config)));
    }
    for secret in ["482913", "4, 8, 2, 9, 1, 3", "5550006", "fake-8x8"] {
        assert!(!shown.contains(secret), "{secret}");
    }
    assert!(shown.contains("Sensitive"));
}

#[test]
fn the_token_in_the_address_of_reports_is_sent_and_shown_to_nobody() {
    let pseudonyms = crate::secret::Pseudonyms::new(None).expect("random");
    let address = Address::new(&Url::parse("https://otp.example.com").expect("an address"), "x", &pseudonyms);
    let token = address.token.to_string();
    let settings = json!({ "api_key": "key", "subaccount_id": "Acme_OTP", "callback_secret": "Bearer canary" });
    let mut config = check(settings).0.expect("good settings");
    config.report_to(Some(address));
    let content = Content::Text(Text::new("Your code".to_owned()));
    let options = SendOptions { content: &content, now: Timestamp::UNIX_EPOCH };
    let provider = provider(config);
    let request = provider.call(&message(), options).expect("a request");
    assert!(String::from_utf8_lossy(&request.body).contains(&format!("/callbacks/x?token={token}\"")));
    assert!(request.shown_body().contains("/callbacks/x?token=***\""), "{}", request.shown_body());
    let shown = format!("{provider:?} {:?}", Reports::new(&provider.config));
    assert!(shown.contains("otp.example.com") && !shown.contains(&token) && !shown.contains("canary"), "{shown}");
}
