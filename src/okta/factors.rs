//! The numbers that a user has enrolled, as Okta's Factors API tells them.
//!
//! Must not be asked while a hook waits, and never changes anything. It is second best: a user may have several numbers
//! for one channel, and nobody says to which of them a code went. Source: Okta API, "List all factors".

mod pace;
mod settings;

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio::time::{Instant, timeout};

use crate::otp::{Channel, FailureKind, Phone, UserId};
use crate::outbound::Outbound;
use pace::Pace;
pub use settings::{Config, Settings};

/// Nobody waits for this answer, but a shutdown waits for who asks.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Okta's own ids have 20.
const MAX_ID_CHARS: usize = 64;

/// The form of an id, and nobody's. Asking for it takes the very permission that is needed later, and shows nothing of
/// anybody: with it the answer is 404, without it 401 or 403.
const NOBODY: &str = "00u00000000000000000";

/// Asks one org. Share it: it keeps to the org's rate limits by what it has heard.
#[derive(Debug)]
pub struct Factors {
    config: Config,
    outbound: Outbound,
    pace: Pace,
}

/// Why the numbers are not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FactorsFault {
    /// The org's rate limit has to be spared until then. Nothing was asked, or Okta refused to answer.
    #[error("the org's rate limit is to be spared for now")]
    Paced(Instant),
    /// The id has not the form of Okta's. Nothing was asked.
    #[error("the user id is none of Okta's")]
    NotAnId,
    /// The token is unknown or expired (401), or may not read factors (403).
    #[error("the API token is refused (HTTP {0})")]
    Refused(u16),
    /// Nothing came, for the cause in one word.
    #[error("no answer ({0})")]
    NoAnswer(String),
    /// An answer with another status than those expected.
    #[error("HTTP {0} instead of factors")]
    Status(u16),
    /// It is no list of factors.
    #[error("the answer is no list of factors")]
    Unreadable,
}

impl FactorsFault {
    /// Whether the same question may well be answered later; for `Paced`, not before its instant.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Paced(_) | Self::NoAnswer(_) => true,
            Self::Status(status) => *status >= 500,
            Self::NotAnId | Self::Refused(_) | Self::Unreadable => false,
        }
    }
}

impl Factors {
    /// Asks the org of these settings.
    pub fn new(config: Config, outbound: Outbound) -> Self {
        Self { config, outbound, pace: Pace::default() }
    }

    /// The numbers at which a user can get codes over a channel, in Okta's order; none when Okta knows no such user.
    /// Waits up to 10 s.
    ///
    /// # Errors
    /// When Okta was not asked or did not tell them.
    pub async fn phones(&self, user: &UserId, channel: Channel) -> Result<Vec<Phone>, FactorsFault> {
        // Okta would also take a login, or `me` for the token's owner: neither is what a message or an event holds.
        let id = user.expose();
        if !(3..=MAX_ID_CHARS).contains(&id.len()) || !id.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(FactorsFault::NotAnId);
        }
        if let Some(until) = self.pace.paused_until(Instant::now()) {
            return Err(FactorsFault::Paced(until));
        }
        let mut url = self.config.url.clone();
        url.set_path(&format!("/api/v1/users/{id}/factors"));
        let answer = timeout(TIMEOUT, self.outbound.read_whole(url, Some(&self.config.authorization))).await;
        let answer = answer.map_err(|_| FactorsFault::NoAnswer("timeout".to_owned()))?;
        let (answer, headers) = match answer {
            Ok(answer) => answer,
            // One came, larger than any list: it would be as large again.
            Err(e) if e.kind == FailureKind::Unconfirmed => return Err(FactorsFault::Unreadable),
            Err(e) => return Err(FactorsFault::NoAnswer(e.code)),
        };
        let paused = self.pace.learn(&answer, &headers, Instant::now());
        match (answer.status, paused) {
            (200, _) => phones(&answer.body, channel).ok_or(FactorsFault::Unreadable),
            (404, _) => Ok(Vec::new()),
            (status @ (401 | 403), _) => Err(FactorsFault::Refused(status)),
            (429, Some(until)) => Err(FactorsFault::Paced(until)),
            (status, _) => Err(FactorsFault::Status(status)),
        }
    }

    /// Makes sure that Okta would answer, with one read that concerns nobody. For `doctor`.
    ///
    /// # Errors
    /// When it would not.
    pub async fn check(&self) -> Result<(), FactorsFault> {
        let nobody = UserId::parse(NOBODY).ok_or(FactorsFault::NotAnId)?;
        self.phones(&nobody, Channel::Sms).await.map(drop)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Factor {
    factor_type: String,
    status: Option<String>,
    profile: Option<Profile>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    phone_number: Option<String>,
}

/// The numbers in a list of factors; `None` when it is none.
fn phones(body: &[u8], channel: Channel) -> Option<Vec<Phone>> {
    let factors: Vec<Value> = serde_json::from_slice(body).ok()?;
    let word = match channel {
        Channel::Sms => "sms",
        Channel::Voice => "call",
    };
    // One that has another form does not cost the others.
    let factors = factors.into_iter().filter_map(|factor| serde_json::from_value::<Factor>(factor).ok());
    let ready = factors.filter(|factor| {
        factor.factor_type == word && factor.status.as_deref().is_none_or(|status| status == "ACTIVE")
    });
    let numbers = ready.filter_map(|factor| Phone::parse(&factor.profile?.phone_number?, None).ok());
    let mut phones = Vec::new();
    for number in numbers {
        if !phones.contains(&number) {
            phones.push(number);
        }
    }
    Some(phones)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_active_factors_of_the_channel_tell_a_number() {
        let sms =
            |number: Value| json!({ "factorType": "sms", "status": "ACTIVE", "profile": { "phoneNumber": number } });
        let list = json!([
            { "factorType": "push", "status": "ACTIVE", "profile": { "credentialId": "x", "phoneNumber": "+15005550001" } },
            { "factorType": "call", "profile": { "phoneNumber": "+15005550002", "phoneExtension": "12" } },
            sms(json!("+1 (500) 555-0003")),
            sms(json!("+15005550003")),
            sms(json!("5005550004")),
            sms(json!(15005550005_u64)),
            sms(Value::Null),
            { "factorType": "sms", "status": "PENDING_ACTIVATION", "profile": { "phoneNumber": "+15005550006" } },
            { "factorType": "sms", "status": "ACTIVE" },
            { "factorType": 7 },
            "what Okta may think of next",
            sms(json!("+15005550007")),
        ]);
        let told = |channel| {
            let phones = phones(list.to_string().as_bytes(), channel).expect("a list");
            phones.iter().map(|phone| phone.expose().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(told(Channel::Sms), ["+15005550003", "+15005550007"]);
        assert_eq!(told(Channel::Voice), ["+15005550002"]);
        assert!(phones(b"[]", Channel::Sms).is_some_and(|phones| phones.is_empty()));
        for body in ["", "{}", "null", "<html>", r#"{"errorCode":"E0000009"}"#] {
            assert!(phones(body.as_bytes(), Channel::Sms).is_none(), "{body}");
        }
    }
}
