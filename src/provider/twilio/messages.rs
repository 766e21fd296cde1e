//! The form of `POST …/Messages.json`.
//!
//! Must not know how it is sent or answered. Source: twilio-oai `api_v2010`, `CreateMessage`.

use std::collections::BTreeMap;

use form_urlencoded::Serializer;
use jiff::Timestamp;
use serde::Deserialize;

use super::answer;
use super::credentials::{check_sid, sid};
use crate::otp::{Message, Phone, SendError, Text};
use crate::provider::account::{Senders, by_country};
use crate::secret::{Environment, IdRef};
use crate::settings::{Findings, optional_word};

/// Twilio's bounds for `ValidityPeriod`, in seconds.
const VALIDITY_SECS: std::ops::RangeInclusive<u64> = 1..=36_000;

/// What the SID of a messaging service begins with.
const SERVICE: &str = "MG";

/// Longest alphanumeric sender.
const MAX_NAME_CHARS: usize = 11;

/// Digits of a short code, the shortest of any country, and of a number without its `+`, the longest E.164 has.
const SENDER_DIGITS: std::ops::RangeInclusive<usize> = 3..=15;

/// `[providers.*.sms]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// A number, short code or alphanumeric sender of the account; or else:
    pub from: Option<String>,
    /// `MG…`: a pool of senders.
    pub messaging_service_sid: Option<IdRef>,
    /// Sender by country of the recipient: a number, a sender id, or a messaging service (`MG…`).
    pub by_country: BTreeMap<String, String>,
    /// `RiskCheck`: Twilio's SMS pumping protection, `enable` or `disable`; Twilio's own default when absent.
    #[serde(deserialize_with = "optional_word")]
    pub risk_check: Option<Switch>,
}

/// Twilio's words for on and off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Switch {
    /// On.
    Enable,
    /// Off.
    Disable,
}

impl Switch {
    /// The word.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Enable => "enable",
            Self::Disable => "disable",
        }
    }
}

/// Checked settings.
#[derive(Debug, Clone)]
pub struct Config {
    sender: Senders<Sender>,
    risk_check: Option<Switch>,
}

#[derive(Debug, Clone)]
enum Sender {
    From(String),
    Service(String),
}

impl Sender {
    /// A number, short code or name; a messaging service where it begins as one, and is longer than any name.
    fn parse(text: &str, at: String, findings: &mut Findings) -> Self {
        if text.starts_with(SERVICE) && text.len() > MAX_NAME_CHARS {
            check_sid(text, SERVICE, &at, findings);
            return Self::Service(text.to_owned());
        }
        if text.is_empty() {
            findings.fault(at, "must not be empty");
        } else if text.starts_with('+') && Phone::parse(text, None).is_err() {
            findings.fault(at, "must be an E.164 number, a short code or a sender name");
        } else if !text.starts_with('+') && !is_short_code_or_name(text) {
            let rule =
                "does not look like an E.164 number, a short code, or a name of at most 11 letters, digits and spaces";
            findings.warn(at, rule);
        }
        Self::From(text.to_owned())
    }
}

/// Digits alone, or what Twilio's pages allow in a name: ASCII letters, of which there must be one, digits, spaces and
/// a few signs.
fn is_short_code_or_name(text: &str) -> bool {
    let is_digits = text.bytes().all(|b| b.is_ascii_digit());
    let in_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b' ' | b'+' | b'-' | b'_' | b'&');
    let is_name = text.len() <= MAX_NAME_CHARS && text.bytes().all(in_name) && !is_digits;
    (is_digits && SENDER_DIGITS.contains(&text.len())) || (is_name && text.bytes().any(|b| b.is_ascii_alphabetic()))
}

impl Settings {
    /// Checks the rules; `at` is the key path of this table.
    pub fn check(&self, at: &str, environment: &Environment, findings: &mut Findings) -> Config {
        let general = match (self.from.as_deref(), &self.messaging_service_sid) {
            (Some(from), None) => Some(Sender::parse(from.trim(), format!("{at}.from"), findings)),
            (None, Some(place)) => {
                let at = format!("{at}.messaging_service_sid");
                sid(Some(place), SERVICE, &at, environment, findings).map(Sender::Service)
            }
            (Some(_), Some(_)) => {
                findings.fault(at, "takes from or messaging_service_sid, not both");
                None
            }
            (None, None) if self.by_country.is_empty() => {
                findings.fault(at, "needs from, messaging_service_sid or by_country");
                None
            }
            (None, None) => {
                findings.warn(at, "has senders for some countries only; texts to others go to the next provider");
                None
            }
        };
        let mut senders = BTreeMap::new();
        for (country, sender) in by_country(&self.by_country, at, findings) {
            senders.insert(country, Sender::parse(sender, format!("{at}.by_country.{country}"), findings));
        }
        Config { sender: Senders { general, by_country: senders }, risk_check: self.risk_check }
    }
}

/// Writes the form. `ValidityPeriod` is what is left of the code's life: a message later than that is useless.
pub(super) fn form(config: &Config, message: &Message, text: &Text, now: Timestamp) -> Result<String, SendError> {
    let sender = config.sender.of(message).ok_or_else(answer::not_configured)?;
    let mut form = Serializer::new(String::with_capacity(256));
    form.append_pair("To", message.recipient.expose());
    match sender {
        Sender::From(number) => form.append_pair("From", number),
        Sender::Service(sid) => form.append_pair("MessagingServiceSid", sid),
    };
    form.append_pair("Body", text.expose());
    if let Some(life) = message.life_left(now) {
        let left = life.as_secs().clamp(*VALIDITY_SECS.start(), *VALIDITY_SECS.end());
        form.append_pair("ValidityPeriod", &left.to_string());
    }
    if let Some(switch) = config.risk_check {
        form.append_pair("RiskCheck", switch.as_str());
    }
    Ok(form.finish())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn faults(settings: Value) -> Vec<String> {
        let settings: Settings = serde_json::from_value(settings).expect("readable");
        let mut findings = Findings::default();
        let _ = settings.check("sms", &Environment::default(), &mut findings);
        findings.faults.into_iter().map(|fault| fault.key).collect()
    }

    #[test]
    fn a_sender_that_cannot_be_one_is_a_fault() {
        let service = "MG0123456789abcdefABCDEF0123456789";
        for from in ["+15005550006", "12345", "15005550006", "Example", "MGM Grand", service] {
            assert_eq!(faults(json!({ "from": from })), [""; 0], "{from}");
        }
        for from in ["+12ab", "+", "+123", " ", "MG of many words"] {
            assert_eq!(faults(json!({ "from": from })), ["sms.from"], "{from}");
        }
        assert_eq!(faults(json!({ "messaging_service_sid": service })), [""; 0]);
        for sid in ["", "MG 1", "MG/1", "..", "MG\u{7}", "MG%31", "MGé"] {
            let at = "sms.messaging_service_sid";
            assert_eq!(faults(json!({ "messaging_service_sid": sid })), [at], "{sid}");
        }
        let by_country = json!({ "by_country": { "GB": "+12ab", "FR": service, "IE": "ExampleBank" } });
        assert_eq!(faults(by_country), ["sms.by_country.GB"]);
    }

    #[test]
    fn a_messaging_service_of_an_odd_shape_is_warned_of_and_sent_as_one() {
        let service = "MG0123456789abcdefABCDEF0123456789";
        let [short, long] = [service[..33].to_owned(), service.replace('F', "g")];
        for (key, sid) in [
            ("messaging_service_sid", "MGtest"),
            ("messaging_service_sid", "Example"),
            ("messaging_service_sid", "MG_test-1.a~"),
            ("messaging_service_sid", &long),
            ("from", &short),
            ("from", &long),
        ] {
            let settings: Settings = serde_json::from_value(json!({ key: sid })).expect("readable");
            let mut findings = Findings::default();
            let config = settings.check("sms", &Environment::default(), &mut findings);
            assert_eq!(findings.faults, [], "{sid}");
            assert_eq!(findings.warnings.len(), 1, "{sid}");
            assert!(matches!(config.sender.general, Some(Sender::Service(told)) if told == sid), "{sid}");
        }
    }

    #[test]
    fn a_sender_that_looks_like_none_is_warned_of() {
        let warned = |from: &str| {
            let settings: Settings = serde_json::from_value(json!({ "from": from })).expect("readable");
            let mut findings = Findings::default();
            let _ = settings.check("sms", &Environment::default(), &mut findings);
            assert_eq!(findings.faults, [], "{from}");
            !findings.warnings.is_empty()
        };
        for from in ["+15005550006", "123", "12345", "15005550006", "Example", "MGM Grand", "A&B_1-2", "3M"] {
            assert!(!warned(from), "{from}");
        }
        for from in ["ABCDEFGHIJKL", "é", "12", "1234567890123456", "tel:+1", "- -", "Acme!"] {
            assert!(warned(from), "{from}");
        }
    }
}
