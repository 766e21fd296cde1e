//! The body of `POST …/callflows`: call, say, hang up.
//!
//! Must not know how it is sent or answered. Source: 8x8's Voice API description.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Number;

use super::settings::senders;
use super::{answer, expiry};
use crate::otp::{Locale, Message, SendError, Speech};
use crate::provider::account::Senders;
use crate::secret::IdRef;
use crate::settings::{Findings, Localized};

/// 8x8's bounds for `speed`.
const SPEED: std::ops::RangeInclusive<f64> = 0.5..=2.0;

/// 8x8 documents milliseconds for `validUntil`.
const VALID_UNTIL_FORMAT: &str = "%Y-%m-%dT%H:%M:%S.%3fZ";

/// `[providers.*.voice]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Caller id: a number of the account, or the placeholder 8x8 gave for a sub-account that overwrites it.
    pub source: Option<String>,
    /// Caller id by country of the recipient.
    pub by_country: BTreeMap<String, String>,
    /// The sub-account of calls; the provider's general one when absent.
    pub subaccount_id: Option<IdRef>,
    /// `voiceProfile`, one for all or by language of the sentence; where absent, `language` decides.
    pub profile: Localized,
    /// `language`, where no profile is set; a built-in profile for English and the sentence's own language when absent.
    pub language: Localized,
    /// How often the sentence is said.
    pub repeat: u8,
    /// How fast, 1 being normal.
    pub speed: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            source: None,
            by_country: BTreeMap::new(),
            subaccount_id: None,
            profile: Localized::default(),
            language: Localized::default(),
            repeat: 2,
            speed: 1.0,
        }
    }
}

/// Checked settings.
#[derive(Debug, Clone)]
pub struct Config {
    source: Senders<String>,
    profile: Localized,
    language: Localized,
    repeat: u8,
    speed: Number,
}

impl Settings {
    /// Checks the rules; `at` is the key path of this table.
    pub fn check(&self, at: &str, findings: &mut Findings) -> Config {
        if self.source.is_none() {
            findings.fault(format!("{at}.source"), "is required");
        }
        let source = senders(self.source.as_deref(), &self.by_country, at, findings, check_source);
        for (language, profile) in self.profile.iter() {
            if profile.trim().is_empty() {
                findings.fault(format!("{at}.profile.{language}"), "must not be empty");
            // The shape of every profile 8x8 shows: en-US-Jenny, en-IE-EmilyNeural.
            } else if profile.split('-').count() < 3 {
                findings.warn(format!("{at}.profile.{language}"), "does not look like a voice profile: en-US-Jenny");
            }
        }
        let is_tag = |tag: &str| Locale::parse(tag).is_some_and(|l| l.as_str() == tag);
        for (language, _) in self.language.iter().filter(|(_, tag)| !is_tag(tag)) {
            findings.fault(format!("{at}.language.{language}"), "must be a language tag such as en-US");
        }
        if !(1..=3).contains(&self.repeat) {
            findings.fault(format!("{at}.repeat"), "must be between 1 and 3");
        }
        if !SPEED.contains(&self.speed) {
            findings.fault(format!("{at}.speed"), "must be between 0.5 and 2");
        }
        Config {
            source,
            profile: self.profile.clone(),
            language: self.language.clone(),
            repeat: self.repeat,
            speed: number(self.speed),
        }
    }
}

impl Config {
    /// The configured voice profiles.
    pub(super) fn profiles(&self) -> impl Iterator<Item = &str> {
        self.profile.iter().map(|(_, profile)| profile)
    }
}

/// Digits with or without `+`, as many as a number can have.
fn check_source(at: String, source: &str, findings: &mut Findings) {
    let digits = source.strip_prefix('+').unwrap_or(source);
    if !(7..=15).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        findings.fault(at, "must be an E.164 number, or the placeholder digits 8x8 gave");
    }
}

/// A whole number without its fraction: 8x8's API description takes integers only, its guide decimals too.
fn number(speed: f64) -> Number {
    let whole = [1_u8, 2].into_iter().find(|w| f64::from(*w).total_cmp(&speed).is_eq());
    // What is not finite was found above, and the call is never made.
    whole.map(Number::from).or_else(|| Number::from_f64(speed)).unwrap_or_else(|| Number::from(1_u8))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_until: Option<String>,
    callflow: [Action<'a>; 3],
}

#[derive(Serialize)]
#[serde(tag = "action", content = "params", rename_all = "camelCase")]
enum Action<'a> {
    MakeCall {
        source: &'a str,
        destination: &'a str,
    },
    Say {
        text: &'a str,
        #[serde(flatten)]
        voice: Voice<'a>,
        repetition: u8,
        speed: &'a Number,
    },
    Hangup,
}

/// Who speaks: a voice by name, or any of a language.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Voice<'a> {
    #[serde(rename = "voiceProfile")]
    Profile(&'a str),
    Language(&'a str),
}

impl<'a> Voice<'a> {
    /// What is configured, then the built-in profiles, then the sentence's language and 8x8's choice of voice.
    fn of(config: &'a Config, language: &'a Locale) -> Self {
        let configured = config.profile.of(language).map(Self::Profile);
        let configured = configured.or_else(|| config.language.of(language).map(Self::Language));
        configured.or_else(|| built_in(language).map(Self::Profile)).unwrap_or(Self::Language(language.as_str()))
    }
}

/// The profiles 8x8's own pages name. Those of other languages are unconfirmed, and a wrong one rejects the call (-1002).
fn built_in(language: &Locale) -> Option<&'static str> {
    match (language.as_str(), language.language()) {
        ("en-GB", _) => Some("en-GB-Emma"),
        (_, "en") => Some("en-US-Jenny"),
        _ => None,
    }
}

/// Writes the body. `validUntil` is the end of the code's life: a call later than that is useless.
pub(super) fn body(config: &Config, message: &Message, speech: &Speech, now: Timestamp) -> Result<Vec<u8>, SendError> {
    let source = config.source.of(message).ok_or_else(answer::not_configured)?;
    let say = Action::Say {
        text: speech.sentence.expose(),
        voice: Voice::of(config, &speech.language),
        repetition: config.repeat,
        speed: &config.speed,
    };
    let body = Body {
        valid_until: expiry(message, now, VALID_UNTIL_FORMAT),
        callflow: [Action::MakeCall { source, destination: message.recipient.expose() }, say, Action::Hangup],
    };
    Ok(serde_json::to_vec(&body).expect("texts and numbers, into a Vec"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::fixtures::{message, now};
    use super::*;
    use crate::otp::Text;

    fn written(mut settings: Value, tag: &str, message: &Message) -> Value {
        settings["source"] = "6588000000".into();
        let settings: Settings = serde_json::from_value(settings).expect("well-formed settings");
        let config = settings.check("voice", &mut Findings::default());
        let language = Locale::parse(tag).expect("a tag");
        let speech = Speech { language, sentence: Text::new("4, 8, 2.".to_owned()) };
        serde_json::from_slice(&body(&config, message, &speech, now()).expect("a body")).expect("JSON")
    }

    #[test]
    fn a_call_is_placed_spoken_and_ended() {
        let message = Message { expires: "2026-01-05T10:05:00.1239Z".parse().ok(), ..message() };
        let expected = json!({
            "validUntil": "2026-01-05T10:05:00.123Z",
            "callflow": [
                { "action": "makeCall", "params": { "source": "6588000000", "destination": "+15005550006" } },
                { "action": "say", "params": { "text": "4, 8, 2.", "voiceProfile": "en-US-Jenny", "repetition": 2, "speed": 1 } },
                { "action": "hangup" },
            ],
        });
        assert_eq!(written(json!({}), "en-US", &message), expected);
        let stale = Message { expires: "2020-01-01T00:00:00Z".parse().ok(), preview: true, ..message };
        assert_eq!(written(json!({}), "en-US", &stale)["validUntil"], Value::Null);
    }

    #[test]
    fn the_caller_id_may_depend_on_the_country() {
        let recipient = crate::otp::Phone::parse("+447400123456", None).expect("a valid number");
        let settings = json!({ "by_country": { "GB": "+442079460000" } });
        let body = written(settings, "en-GB", &Message { recipient, ..message() });
        assert_eq!(body["callflow"][0]["params"]["source"], "+442079460000");
    }

    #[test]
    fn the_voice_is_the_configured_one_else_a_confirmed_one_else_the_languages() {
        for (settings, tag, profile, language) in [
            (json!({}), "en-US", json!("en-US-Jenny"), json!(null)),
            (json!({}), "en-IN", json!("en-US-Jenny"), json!(null)),
            (json!({}), "en-GB", json!("en-GB-Emma"), json!(null)),
            (json!({}), "fr-CA", json!(null), json!("fr-CA")),
            (json!({ "profile": { "fr": "fr-FR-X" } }), "fr-CA", json!("fr-FR-X"), json!(null)),
            (json!({ "profile": { "fr": "fr-FR-X" } }), "en-GB", json!("en-GB-Emma"), json!(null)),
            (json!({ "profile": { "fr": "fr-FR-X", "default": "en-GB-Y" } }), "de-DE", json!("en-GB-Y"), json!(null)),
            (json!({ "profile": "en-IE-EmilyNeural" }), "en-US", json!("en-IE-EmilyNeural"), json!(null)),
            (json!({ "language": { "en": "en-AU" } }), "en-GB", json!(null), json!("en-AU")),
            (json!({ "profile": { "en": "en-US-X" }, "language": "en-AU" }), "en-GB", json!("en-US-X"), json!(null)),
        ] {
            let say = written(settings, tag, &message())["callflow"][1]["params"].take();
            assert_eq!((&say["voiceProfile"], &say["language"]), (&profile, &language), "{tag}");
        }
    }

    #[test]
    fn a_whole_speed_has_no_fraction() {
        for (speed, expected) in [(json!(1), "1"), (json!(1.0), "1"), (json!(2.0), "2"), (json!(0.9), "0.9")] {
            let settings = json!({ "speed": speed, "repeat": 3 });
            let say = written(settings, "en-US", &message())["callflow"][1]["params"].take();
            assert_eq!((say["speed"].to_string().as_str(), &say["repetition"]), (expected, &json!(3)));
        }
    }
}
