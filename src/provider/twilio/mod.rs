//! Twilio: Programmable Messaging for texts, with Lookup before them if wanted; Programmable Voice for calls.
//!
//! Must not know which of its accounts is asked first or what a failure leads to.
//! Sources: twilio-oai `api_v2010`, Twilio's error dictionary.

mod answer;
mod calls;
mod check;
mod codes;
mod credentials;
mod lookup;
mod messages;
mod remembered;
mod reports;
#[cfg(test)]
mod testing;
pub mod verify;

use async_trait::async_trait;
use http::HeaderValue;
use serde::Deserialize;
use url::Url;

/// For the benches, which read an answer without a network.
#[doc(hidden)]
pub use self::answer::classify;
use self::credentials::{Credentials, sid};
use self::lookup::Gate;
pub(super) use self::reports::Reports;
use super::account::{base_url, is_at, join, previous};
use super::callback::Address;
use super::{Check, FeedbackClient, Handover, Provider, SendOptions};
use crate::metrics::LookupMetrics;
use crate::otp::{Accepted, Channel, Content, Message, ProviderName, SendError};
use crate::outbound::{Outbound, Request};
use crate::secret::{Environment, IdRef, Pseudonyms, Secret, SecretRef};
use crate::settings::Findings;

/// The only media type Twilio's create calls take.
const FORM: &str = "application/x-www-form-urlencoded";

/// `[providers.*] kind = "twilio"`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The word that chose this variant.
    pub kind: String,
    /// `AC…`, also when an API key authenticates: it is part of the path.
    pub account_sid: Option<IdRef>,
    /// The account's auth token; or else:
    pub auth_token: Option<SecretRef>,
    /// The token before the last rotation: callbacks signed with it are still taken.
    pub previous_auth_token: Option<SecretRef>,
    /// `SK…`, with
    pub api_key: Option<IdRef>,
    /// its secret.
    pub api_secret: Option<SecretRef>,
    /// `https://api.twilio.com`, a regional host, or a test server.
    pub base_url: Option<Url>,
    /// Texts; without this table the provider sends none.
    pub sms: Option<messages::Settings>,
    /// Calls; without this table the provider makes none.
    pub voice: Option<calls::Settings>,
    /// A look at the number before a text is sent; without this table there is none.
    pub lookup: Option<lookup::Settings>,
}

/// Checked settings.
#[derive(Debug, Clone)]
pub struct Config {
    account_sid: String,
    authorization: HeaderValue,
    /// Signs callbacks, also where an API key authenticates requests.
    auth_token: Option<Secret>,
    previous_auth_token: Option<Secret>,
    reports_to: Option<Address>,
    base_url: Url,
    sms: Option<messages::Config>,
    voice: Option<calls::Config>,
    lookup: Option<lookup::Config>,
}

impl Settings {
    /// Reads the secrets and checks the rules; `at` is the key path of this table.
    pub fn check(&self, at: &str, environment: &Environment, findings: &mut Findings) -> Option<Config> {
        let account_sid = sid(self.account_sid.as_ref(), "AC", &format!("{at}.account_sid"), environment, findings);
        let credentials = Credentials {
            account_sid: account_sid.as_deref(),
            auth_token: self.auth_token.as_ref(),
            api_key: self.api_key.as_ref(),
            api_secret: self.api_secret.as_ref(),
        };
        let authorization = credentials.authorization(at, environment, findings);
        let previous_at = format!("{at}.previous_auth_token");
        let previous_auth_token = previous(self.previous_auth_token.as_ref(), &previous_at, environment, findings);
        if self.auth_token.is_none() && previous_auth_token.is_some() {
            findings.warn(previous_at, "has no effect without auth_token");
        }
        let base_url = base_url(self.base_url.as_ref(), "https://api.twilio.com", &format!("{at}.base_url"), findings);
        if self.sms.is_none() && self.voice.is_none() {
            findings.fault(at, "configure sms or voice: this provider could send nothing");
        }
        let sms = self.sms.as_ref().map(|s| s.check(&format!("{at}.sms"), environment, findings));
        let voice = self.voice.as_ref().map(|v| v.check(&format!("{at}.voice"), findings));
        // Whoever has texts go to a test server does not mean numbers, and a credential, to go to Twilio.
        let elsewhere = base_url.as_ref().filter(|url| !is_at(url, &["twilio.com"]));
        let lookup = self.lookup.as_ref().map(|l| l.check(&format!("{at}.lookup"), elsewhere, findings));
        if self.lookup.is_some() && self.sms.is_none() {
            findings.warn(format!("{at}.lookup"), "has no effect without sms: calls are not looked up");
        }
        Some(Config {
            account_sid: account_sid?,
            authorization: authorization?,
            // One that cannot be read has been told above.
            auth_token: self.auth_token.as_ref().and_then(|token| token.resolve(environment).ok()),
            previous_auth_token,
            reports_to: None,
            base_url: base_url?,
            sms: sms.map_or(Some(None), |s| s.map(Some))?,
            voice: voice.map_or(Some(None), |v| v.map(Some))?,
            lookup: lookup.map_or(Some(None), |l| l.map(Some))?,
        })
    }
}

impl Config {
    /// Whether a number is looked at before a text.
    pub fn looks_up(&self) -> bool {
        self.lookup.is_some()
    }

    /// Whether this channel is configured.
    pub fn supports(&self, channel: Channel) -> bool {
        match channel {
            Channel::Sms => self.sms.is_some(),
            Channel::Voice => self.voice.is_some(),
        }
    }

    /// Why callbacks below this address could not be verified, or would cost the message: Twilio refuses one that asks
    /// for them at a host with an underscore (21609).
    pub(super) fn unreported(&self, public_url: &Url) -> Option<&'static str> {
        if self.auth_token.is_none() {
            Some("has an API key and no auth_token, which alone signs delivery reports: none are asked for")
        } else if public_url.host_str().is_some_and(|host| host.contains('_')) {
            Some("takes no server.public_url with an underscore in its host: no delivery reports are asked for")
        } else {
            None
        }
    }

    /// Where callbacks go, if they can be verified.
    pub(super) fn report_to(&mut self, address: Option<Address>) {
        self.reports_to = address.filter(|address| self.unreported(&address.url).is_none());
    }
}

/// One Twilio account.
#[derive(Debug)]
pub struct Twilio {
    name: ProviderName,
    config: Config,
    messages_url: Url,
    calls_url: Url,
    gate: Option<Gate>,
    lookups: LookupMetrics,
    outbound: Outbound,
}

impl Twilio {
    /// An account under this name.
    pub fn new(
        name: ProviderName,
        config: Config,
        outbound: Outbound,
        pseudonyms: &Pseudonyms,
        lookups: LookupMetrics,
    ) -> Self {
        let url = |resource: &str| {
            join(&config.base_url, &format!("/2010-04-01/Accounts/{}/{resource}.json", config.account_sid))
        };
        let gate = config
            .lookup
            .clone()
            .map(|lookup| Gate::new(lookup, config.authorization.clone(), outbound.clone(), pseudonyms));
        Self { name, messages_url: url("Messages"), calls_url: url("Calls"), config, gate, lookups, outbound }
    }

    fn call(&self, message: &Message, options: SendOptions<'_>) -> Result<Request, SendError> {
        let report_to = self.config.reports_to.as_ref().map(|address| &address.url);
        let (url, mut form) = match (options.content, &self.config.sms, &self.config.voice) {
            (Content::Text(text), Some(sms), _) => {
                (&self.messages_url, messages::form(sms, message, text, options.now)?)
            }
            (Content::Speech(speech), _, Some(voice)) => (&self.calls_url, calls::form(voice, message, speech)?),
            (Content::Text(_), None, _) | (Content::Speech(_), _, None) => return Err(answer::not_configured()),
        };
        if let Some(address) = report_to {
            form = reports::asked(form, options.content, address);
        }
        Ok(Request::post(url.clone(), &self.config.authorization, FORM, form))
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
        self.config.supports(channel)
    }

    fn requests(&self, message: &Message, options: SendOptions<'_>) -> Result<Vec<Request>, SendError> {
        let request = self.call(message, options)?;
        let gate = self.gate.as_ref().filter(|_| matches!(options.content, Content::Text(_)));
        Ok(gate.and_then(|gate| gate.request(&message.recipient)).into_iter().chain([request]).collect())
    }

    fn addresses(&self) -> Vec<Url> {
        let lookup = self.gate.as_ref().map(|gate| gate.address().clone());
        [self.config.base_url.clone()].into_iter().chain(lookup).collect()
    }

    async fn check(&self) -> Vec<Check> {
        let config = &self.config;
        let url = join(&config.base_url, &format!("/2010-04-01/Accounts/{}.json", config.account_sid));
        vec![check::account(&self.outbound, url, &config.authorization).await]
    }

    fn feedback_client(&self) -> Option<FeedbackClient> {
        None
    }

    async fn send(
        &self,
        message: &Message,
        options: SendOptions<'_>,
        handover: &Handover,
    ) -> Result<Accepted, SendError> {
        let request = self.call(message, options)?;
        if let (Content::Text(_), Some(gate)) = (options.content, &self.gate) {
            handover.prepare();
            if let Some(unseen) = gate.pass(&message.recipient).await? {
                self.lookups.skipped(&self.name, unseen.as_str());
                tracing::debug!(provider = %self.name, reason = unseen.as_str(), "sending unseen: no lookup");
            }
        }
        handover.claim()?;
        answer::classify(&self.outbound.send(request).await?)
    }
}
