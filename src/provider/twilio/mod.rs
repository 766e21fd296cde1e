//! Twilio: Programmable Messaging for texts, Programmable Voice for calls.
//!
//! Must not know which of its accounts is asked first or what a failure leads to.
//! Sources: twilio-oai `api_v2010`, Twilio's error dictionary.

mod answer;
mod calls;
mod codes;
mod messages;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use serde::Deserialize;
use url::Url;

use super::account::{base_url, join};
use super::{Provider, SendOptions};
use crate::otp::{Accepted, Channel, Content, Message, ProviderName, SendError};
use crate::outbound::{Outbound, Request};
use crate::secret::{Environment, Secret, SecretRef};
use crate::settings::Findings;

/// `[providers.*] kind = "twilio"`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The word that chose this variant.
    pub kind: String,
    /// `AC…`, also when an API key authenticates: it is part of the path.
    pub account_sid: Option<String>,
    /// The account's auth token; or else:
    pub auth_token: Option<SecretRef>,
    /// `SK…`, with
    pub api_key: Option<String>,
    /// its secret.
    pub api_secret: Option<SecretRef>,
    /// `https://api.twilio.com`, a regional host, or a test server.
    pub base_url: Option<Url>,
    /// Texts; without this table the provider sends none.
    pub sms: Option<messages::Settings>,
    /// Calls; without this table the provider makes none.
    pub voice: Option<calls::Settings>,
}

/// Checked settings.
#[derive(Debug, Clone)]
pub struct Config {
    account_sid: String,
    authorization: HeaderValue,
    base_url: Url,
    sms: Option<messages::Config>,
    voice: Option<calls::Config>,
}

impl Settings {
    /// Reads the secrets and checks the rules; `at` is the key path of this table.
    pub fn check(&self, at: &str, environment: &Environment, findings: &mut Findings) -> Option<Config> {
        let account_sid = self.account_sid.as_deref().unwrap_or_default();
        check_sid(account_sid, "AC", &format!("{at}.account_sid"), findings);
        let authorization = self.authorization(at, environment, findings);
        let base_url = base_url(self.base_url.as_ref(), "https://api.twilio.com", &format!("{at}.base_url"), findings);
        if self.sms.is_none() && self.voice.is_none() {
            findings.fault(at, "configure sms or voice: this provider could send nothing");
        }
        let sms = self.sms.as_ref().map(|s| s.check(&format!("{at}.sms"), findings));
        let voice = self.voice.as_ref().map(|v| v.check(&format!("{at}.voice"), findings));
        Some(Config {
            account_sid: account_sid.to_owned(),
            authorization: authorization?,
            base_url: base_url?,
            sms: sms.map_or(Some(None), |s| s.map(Some))?,
            voice: voice.map_or(Some(None), |v| v.map(Some))?,
        })
    }

    /// Whether this channel is configured.
    pub fn supports(&self, channel: Channel) -> bool {
        match channel {
            Channel::Sms => self.sms.is_some(),
            Channel::Voice => self.voice.is_some(),
        }
    }

    /// HTTP Basic from the account and its token, or from an API key and its secret.
    fn authorization(&self, at: &str, environment: &Environment, findings: &mut Findings) -> Option<HeaderValue> {
        let (user, key, place) = match (&self.auth_token, &self.api_key, &self.api_secret) {
            (Some(token), None, None) => (self.account_sid.as_deref(), format!("{at}.auth_token"), token),
            (None, Some(api_key), Some(secret)) => {
                check_sid(api_key, "SK", &format!("{at}.api_key"), findings);
                (Some(api_key.as_str()), format!("{at}.api_secret"), secret)
            }
            _ => {
                findings.fault(at, "needs either auth_token, or api_key and api_secret");
                return None;
            }
        };
        let secret = place.resolve(environment).map_err(|rule| findings.fault(key, rule)).ok()?;
        Some(basic(user?, &secret))
    }
}

/// `Basic …`, marked so that no `Debug` shows it.
fn basic(user: &str, secret: &Secret) -> HeaderValue {
    let pair = STANDARD.encode(format!("{user}:{}", secret.expose()));
    let mut value = HeaderValue::try_from(format!("Basic {pair}")).expect("base64 is visible ASCII");
    value.set_sensitive(true);
    value
}

/// A SID stands in a path: letters and digits only. Its usual form is two letters and 32 hexadecimal digits.
fn check_sid(sid: &str, prefix: &str, at: &str, findings: &mut Findings) {
    if sid.is_empty() {
        findings.fault(at, "is required");
    } else if !sid.bytes().all(|b| b.is_ascii_alphanumeric()) {
        findings.fault(at, format!("must be a SID: {prefix} and 32 hexadecimal digits"));
    } else if sid.len() != 34 || !sid.starts_with(prefix) {
        findings.warn(at, format!("does not look like a SID: {prefix} and 32 hexadecimal digits"));
    }
}

/// One Twilio account.
#[derive(Debug)]
pub struct Twilio {
    name: ProviderName,
    config: Config,
    messages_url: Url,
    calls_url: Url,
    outbound: Outbound,
}

impl Twilio {
    /// An account under this name.
    pub fn new(name: ProviderName, config: Config, outbound: Outbound) -> Self {
        outbound.keep_open(&config.base_url);
        let url = |resource: &str| {
            join(&config.base_url, &format!("/2010-04-01/Accounts/{}/{resource}.json", config.account_sid))
        };
        Self { name, messages_url: url("Messages"), calls_url: url("Calls"), config, outbound }
    }

    fn call(&self, message: &Message, options: SendOptions<'_>) -> Result<Request, SendError> {
        let (url, form) = match (options.content, &self.config.sms, &self.config.voice) {
            (Content::Text(text), Some(sms), _) => {
                (&self.messages_url, messages::form(sms, message, text, options.now)?)
            }
            (Content::Speech(speech), _, Some(voice)) => (&self.calls_url, calls::form(voice, message, speech)?),
            (Content::Text(_), None, _) | (Content::Speech(_), _, None) => return Err(answer::not_configured()),
        };
        Ok(Request::post(url.clone(), &self.config.authorization, "application/x-www-form-urlencoded", form))
    }
}

#[async_trait]
impl Provider for Twilio {
    fn name(&self) -> &ProviderName {
        &self.name
    }

    fn kind(&self) -> &'static str {
        "twilio"
    }

    fn supports(&self, channel: Channel) -> bool {
        match channel {
            Channel::Sms => self.config.sms.is_some(),
            Channel::Voice => self.config.voice.is_some(),
        }
    }

    fn request(&self, message: &Message, options: SendOptions<'_>) -> Option<Request> {
        self.call(message, options).ok()
    }

    async fn send(&self, message: &Message, options: SendOptions<'_>) -> Result<Accepted, SendError> {
        let request = self.call(message, options)?;
        answer::classify(&self.outbound.send(request).await?)
    }
}
