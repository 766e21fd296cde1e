//! The form of `POST …/Calls.json`, and the TwiML in it.
//!
//! Must not know how it is sent or answered. Source: twilio-oai `api_v2010`, `CreateCall`; TwiML `<Say>`.

use std::collections::BTreeMap;
use std::time::Duration;

use form_urlencoded::Serializer;
use quick_xml::Writer;
use quick_xml::events::{BytesEnd, BytesStart, BytesText, Event};
use serde::Deserialize;
use url::Url;

use super::answer;
use crate::otp::{Message, Phone, SendError, Speech};
use crate::provider::account::{Senders, by_country};
use crate::settings::{Findings, Localized, duration};

/// Twilio refuses longer inline TwiML.
const MAX_TWIML_CHARS: usize = 4000;

/// `[providers.*.voice]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// A number of the account, or a caller id verified there.
    pub from: Option<String>,
    /// Caller id by country of the recipient.
    pub by_country: BTreeMap<String, String>,
    /// A TwiML bin that speaks `{{otp}}`, as Okta's guide has it. The code then stands in a URL: prefer the inline default.
    pub twiml_url: Option<Url>,
    /// `language` of `<Say>`, one for all or by language of the sentence; the sentence's own when absent.
    pub language: Localized,
    /// `voice` of `<Say>`, one for all or by language; Twilio's default when absent.
    pub voice: Localized,
    /// How often the sentence is said.
    pub repeat: u8,
    /// How long the phone rings.
    #[serde(deserialize_with = "duration")]
    pub ring_timeout: Duration,
    /// Longest call; a person who does not hang up costs no more than this.
    #[serde(deserialize_with = "duration")]
    pub time_limit: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            from: None,
            by_country: BTreeMap::new(),
            twiml_url: None,
            language: Localized::default(),
            voice: Localized::default(),
            repeat: 2,
            ring_timeout: Duration::from_secs(25),
            time_limit: Duration::from_secs(60),
        }
    }
}

/// Checked settings.
#[derive(Debug, Clone)]
pub struct Config {
    from: Senders<String>,
    twiml_url: Option<Url>,
    language: Localized,
    voice: Localized,
    repeat: u8,
    ring_timeout_secs: u64,
    time_limit_secs: u64,
}

impl Settings {
    /// Checks the rules; `at` is the key path of this table.
    pub fn check(&self, at: &str, findings: &mut Findings) -> Config {
        if self.from.is_none() && self.by_country.is_empty() {
            findings.fault(format!("{at}.from"), "is required");
        }
        let by_country = by_country(&self.by_country, at, findings);
        let numbers = self.from.iter().map(|n| (format!("{at}.from"), n.as_str()));
        let numbers = numbers.chain(by_country.iter().map(|(c, n)| (format!("{at}.by_country.{c}"), *n)));
        for (at, number) in numbers {
            if Phone::parse(number, None).is_err() {
                findings.fault(at, "must be an E.164 number: calls have no other sender");
            }
        }
        if self.twiml_url.as_ref().is_some_and(|url| !matches!(url.scheme(), "https" | "http")) {
            findings.fault(format!("{at}.twiml_url"), "must be an http or https address");
        } else if self.twiml_url.is_some() {
            findings.warn(
                format!("{at}.twiml_url"),
                "puts the code in a URL, which Twilio and proxies may log; leave it out to send inline TwiML",
            );
        }
        if !(1..=5).contains(&self.repeat) {
            findings.fault(format!("{at}.repeat"), "must be between 1 and 5");
        }
        let seconds = Duration::from_secs;
        findings.within(format!("{at}.ring_timeout"), self.ring_timeout, seconds(5), seconds(120));
        findings.within(format!("{at}.time_limit"), self.time_limit, seconds(10), seconds(600));
        let by_country = by_country.into_iter().map(|(c, n)| (c, n.to_owned())).collect();
        Config {
            from: Senders { general: self.from.clone(), by_country },
            twiml_url: self.twiml_url.clone(),
            language: self.language.clone(),
            voice: self.voice.clone(),
            repeat: self.repeat,
            ring_timeout_secs: self.ring_timeout.as_secs(),
            time_limit_secs: self.time_limit.as_secs(),
        }
    }
}

/// Writes the form.
pub(super) fn form(config: &Config, message: &Message, speech: &Speech) -> Result<String, SendError> {
    let from = config.from.of(message).ok_or_else(answer::not_configured)?;
    let mut form = Serializer::new(String::with_capacity(512));
    form.append_pair("To", message.recipient.expose());
    form.append_pair("From", from);
    match &config.twiml_url {
        Some(url) => {
            let mut url = url.clone();
            url.query_pairs_mut().append_pair("otp", &message.code.spoken());
            form.append_pair("Url", url.as_str());
            form.append_pair("Method", "GET");
        }
        None => {
            let twiml = twiml(config, speech)?;
            form.append_pair("Twiml", &twiml);
        }
    }
    form.append_pair("Timeout", &config.ring_timeout_secs.to_string());
    form.append_pair("TimeLimit", &config.time_limit_secs.to_string());
    Ok(form.finish())
}

/// `<Response><Say …>sentence</Say></Response>`, escaped by the writer: a sentence is data.
fn twiml(config: &Config, speech: &Speech) -> Result<String, SendError> {
    let repeat = config.repeat.to_string();
    let mut say = BytesStart::new("Say");
    if let Some(voice) = config.voice.of(&speech.language) {
        say.push_attribute(("voice", voice));
    }
    say.push_attribute(("language", config.language.of(&speech.language).unwrap_or(speech.language.as_str())));
    say.push_attribute(("loop", repeat.as_str()));
    let mut writer = Writer::new(Vec::with_capacity(256));
    let events = [
        Event::Start(BytesStart::new("Response")),
        Event::Start(say),
        Event::Text(BytesText::new(speech.sentence.expose())),
        Event::End(BytesEnd::new("Say")),
        Event::End(BytesEnd::new("Response")),
    ];
    for event in events {
        writer.write_event(event).expect("a Vec takes every byte");
    }
    let twiml = String::from_utf8(writer.into_inner()).expect("made of texts");
    if twiml.chars().count() > MAX_TWIML_CHARS {
        return Err(SendError::unasked("twiml_too_long"));
    }
    Ok(twiml)
}
