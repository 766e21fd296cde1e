//! The body of `POST …/messages`.
//!
//! Must not know how it is sent or answered. Source: 8x8's SMS API description.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use url::Url;

use super::expiry;
use super::settings::senders;
use crate::otp::{Message, SendError, Text};
use crate::provider::account::{Senders, person_ip, plain_event_id};
use crate::segments::{self, Segments};
use crate::settings::{Findings, word};

/// Longest `source` of the API description; a guide says 17 for numeric ones, so more only warns.
const MAX_SOURCE_CHARS: usize = 16;

/// 8x8 cuts what is longer without an error, and the code may stand at the end.
const MAX_PARTS: usize = 10;

/// As many bytes are ten parts at most in either encoding, and hardly any text has more: the others need no counting.
const FITS_ANYHOW: usize = MAX_PARTS * 67;

/// Longest `clientMessageId` in 8x8's older pages; the newer ones allow 350. It is echoed, never used to drop repeats.
const MAX_CLIENT_MESSAGE_ID_CHARS: usize = 50;

/// ISO 8601 in UTC, to the second.
pub(super) const TIME_FORMAT: &str = "%Y-%m-%dT%H:%M:%SZ";

/// `[providers.*.sms]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// A number or alphanumeric sender id; the sub-account's own when absent.
    pub source: Option<String>,
    /// Sender by country of the recipient.
    pub by_country: BTreeMap<String, String>,
    /// Asks 8x8 to watch which texts led to a sign-in (`"track": "Outcome"`).
    pub track: bool,
    /// Tells 8x8 the address the person signs in from. 8x8 limits texts by it: turn it off where many share one address.
    pub client_ip: bool,
    /// Character set; 8x8 had better choose by the text unless a carrier needs otherwise.
    #[serde(deserialize_with = "word")]
    pub encoding: Encoding,
}

impl Default for Settings {
    fn default() -> Self {
        Self { source: None, by_country: BTreeMap::new(), track: false, client_ip: true, encoding: Encoding::Auto }
    }
}

/// 8x8's words for character sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Encoding {
    /// By the text.
    Auto,
    /// 160 characters a part.
    Gsm7,
    /// 70 characters a part, every script.
    Ucs2,
}

/// Checked settings.
#[derive(Debug, Clone)]
pub struct Config {
    source: Senders<String>,
    track: bool,
    client_ip: bool,
    encoding: Encoding,
}

impl Settings {
    /// Checks the rules; `at` is the key path of this table.
    pub fn check(&self, at: &str, findings: &mut Findings) -> Config {
        Config {
            source: senders(self.source.as_deref(), &self.by_country, at, findings, check_source),
            track: self.track,
            client_ip: self.client_ip,
            encoding: self.encoding,
        }
    }
}

impl Config {
    /// Whether 8x8 is asked to watch which texts led to a sign-in.
    pub(super) fn tracks(&self) -> bool {
        self.track
    }
}

fn check_source(at: String, source: &str, findings: &mut Findings) {
    if source.is_empty() {
        findings.fault(at, "must not be empty");
    } else if source.chars().count() > MAX_SOURCE_CHARS {
        findings.warn(at, "is longer than the 16 characters 8x8 documents");
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    destination: &'a str,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_message_id: Option<&'a str>,
    encoding: Encoding,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiry: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_ip: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    track: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dlr_callback_url: Option<&'a str>,
}

/// Writes the body.
pub(super) fn body(
    config: &Config,
    message: &Message,
    text: &Text,
    now: Timestamp,
    report_to: Option<&Url>,
) -> Result<Vec<u8>, SendError> {
    let text = text.expose();
    if text.len() > FITS_ANYHOW && parts(text, config.encoding) > MAX_PARTS {
        return Err(SendError::unasked("text_too_long"));
    }
    let body = Body {
        destination: message.recipient.expose(),
        text,
        source: config.source.of(message).map(String::as_str),
        client_message_id: plain_event_id(message, MAX_CLIENT_MESSAGE_ID_CHARS),
        encoding: config.encoding,
        expiry: expiry(message, now, TIME_FORMAT),
        client_ip: person_ip(message).filter(|_| config.client_ip),
        track: config.track.then_some("Outcome"),
        dlr_callback_url: report_to.map(Url::as_str),
    };
    Ok(serde_json::to_vec(&body).expect("texts and numbers, into a Vec"))
}

/// The parts of a text. One that GSM-7 cannot write is counted in UCS-2 whatever is set: how 8x8 writes it then is not
/// documented, and UCS-2 holds less.
fn parts(text: &str, encoding: Encoding) -> usize {
    let segments = match encoding {
        Encoding::Ucs2 => Segments::written(text, segments::Encoding::Ucs2),
        Encoding::Auto | Encoding::Gsm7 => Segments::of(text),
    };
    segments.parts
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::fixtures::{message, now};
    use super::*;
    use crate::otp::EventId;

    fn written(settings: Value, message: &Message) -> Value {
        let settings: Settings = serde_json::from_value(settings).expect("well-formed settings");
        let config = settings.check("sms", &mut Findings::default());
        let body = body(&config, message, &Text::new("Code 482913".to_owned()), now(), None).expect("a body");
        serde_json::from_slice(&body).expect("JSON")
    }

    #[test]
    fn every_member_is_written_when_there_is_something_to_say() {
        let message = Message {
            recipient: crate::otp::Phone::parse("+447400123456", None).expect("a valid number"),
            event_id: EventId::parse("Zm9v-_1"),
            expires: "2026-01-05T10:05:00.987Z".parse().ok(),
            client_ip: "2001:db8::7".parse().ok(),
            ..message()
        };
        let settings =
            json!({ "source": "ACME", "by_country": { "gb": "Acme UK" }, "track": true, "encoding": "UCS2" });
        let expected = json!({
            "destination": "+447400123456", "text": "Code 482913", "source": "Acme UK", "clientMessageId": "Zm9v-_1",
            "encoding": "UCS2", "expiry": "2026-01-05T10:05:00Z", "clientIp": "2001:db8::7", "track": "Outcome",
        });
        assert_eq!(written(settings, &message), expected);
    }

    #[test]
    fn an_event_id_goes_along_only_when_it_is_plain_and_short() {
        let id = |id: &str| {
            written(json!({}), &Message { event_id: EventId::parse(id), ..message() })["clientMessageId"].take()
        };
        assert_eq!(id(&"a".repeat(50)), "a".repeat(50));
        assert_eq!(id(&"a".repeat(51)), Value::Null);
        assert_eq!(id("a b"), Value::Null);
        assert_eq!(id("é"), Value::Null);
    }

    #[test]
    fn an_address_goes_along_unless_it_is_our_own_or_unwanted() {
        let ip = |settings, ip: &str| {
            written(settings, &Message { client_ip: ip.parse().ok(), ..message() })["clientIp"].take()
        };
        assert_eq!(ip(json!({}), "203.0.113.9"), "203.0.113.9");
        assert_eq!(ip(json!({}), "::ffff:203.0.113.9"), "203.0.113.9");
        assert_eq!(ip(json!({ "client_ip": false }), "203.0.113.9"), Value::Null);
        for own in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(ip(json!({}), own), Value::Null, "{own}");
        }
    }

    #[test]
    fn a_stale_preview_has_no_expiry() {
        let (asked, expires) = ("2019-12-31T23:55:00Z".parse().ok(), "2020-01-01T00:00:00Z".parse().ok());
        let stale = Message { asked, expires, ..message() };
        assert_eq!(written(json!({}), &stale)["expiry"], "2020-01-01T00:00:00Z");
        assert_eq!(written(json!({}), &Message { preview: true, ..stale })["expiry"], Value::Null);
    }

    #[test]
    fn a_text_that_8x8_would_cut_is_not_sent() {
        for (encoding, letter, fits) in [
            (Encoding::Auto, "é", 1530),
            (Encoding::Auto, "ê", 670),
            (Encoding::Gsm7, "é", 1530),
            (Encoding::Gsm7, "ê", 670),
            (Encoding::Ucs2, "é", 670),
        ] {
            let config = Settings { encoding, ..Settings::default() }.check("sms", &mut Findings::default());
            let send = |units| {
                let text = Text::new(letter.repeat(units));
                body(&config, &message(), &text, now(), None).map_err(|e| e.to_string())
            };
            assert!(send(fits).is_ok(), "{encoding:?} {letter}");
            assert_eq!(send(fits + 1), Err("rejected: text_too_long".to_owned()), "{encoding:?} {letter}");
        }
    }
}
