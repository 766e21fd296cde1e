//! The form of `POST …/Messages.json`.
//!
//! Must not know how it is sent or answered. Source: twilio-oai `api_v2010`, `CreateMessage`.

use std::collections::BTreeMap;

use form_urlencoded::Serializer;
use jiff::Timestamp;
use serde::Deserialize;

use super::answer;
use crate::otp::{Message, SendError, Text};
use crate::provider::account::{Senders, by_country};
use crate::settings::{Findings, optional_word};

/// Twilio's bounds for `ValidityPeriod`, in seconds.
const VALIDITY_SECS: std::ops::RangeInclusive<u64> = 1..=36_000;

/// `[providers.*.sms]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// A number, short code or alphanumeric sender of the account; or else:
    pub from: Option<String>,
    /// `MG…`: a pool of senders.
    pub messaging_service_sid: Option<String>,
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
    fn parse(text: &str) -> Self {
        let is_sid = text.len() == 34 && text.starts_with("MG") && text.bytes().all(|b| b.is_ascii_alphanumeric());
        if is_sid { Self::Service(text.to_owned()) } else { Self::From(text.to_owned()) }
    }
}

impl Settings {
    /// Checks the rules; `at` is the key path of this table.
    pub fn check(&self, at: &str, findings: &mut Findings) -> Option<Config> {
        let general = match (self.from.as_deref(), self.messaging_service_sid.as_deref()) {
            (Some(from), None) => Some(Sender::From(from.trim().to_owned())),
            (None, Some(sid)) => Some(Sender::Service(sid.trim().to_owned())),
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
        if let Some(Sender::From(text) | Sender::Service(text)) = &general
            && text.is_empty()
        {
            findings.fault(at, "has an empty sender");
        }
        let by_country = by_country(&self.by_country, at, findings);
        let by_country = by_country.into_iter().map(|(country, sender)| (country, Sender::parse(sender))).collect();
        Some(Config { sender: Senders { general, by_country }, risk_check: self.risk_check })
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
