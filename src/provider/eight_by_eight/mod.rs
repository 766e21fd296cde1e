//! 8x8: the SMS API for texts, callflows of the Voice API for calls.
//!
//! Must not know which of its accounts is asked first or what a failure leads to.
//! Sources: 8x8's public API descriptions and developer pages.

mod answer;
mod check;
mod codes;
mod feedback;
#[cfg(test)]
mod fixtures;
mod reports;
mod sms;
#[cfg(test)]
mod tests;
mod voice;

use std::collections::BTreeMap;

use async_trait::async_trait;
use http::HeaderValue;
use jiff::Timestamp;
use serde::Deserialize;
use url::Url;

/// For the benches, which read an answer without a network.
#[doc(hidden)]
pub use self::answer::{call as classify_call, text as classify_text};
pub use self::feedback::Feedback;
pub(super) use self::reports::Reports;
use super::account::{self, Senders, base_url, is_at, join};
use super::callback::Address;
use super::{Check, FeedbackClient, Handover, Provider, SendOptions};
use crate::otp::{Accepted, Channel, Content, Message, ProviderName, SendError};
use crate::outbound::{Outbound, Request};
use crate::secret::{Environment, IdRef, Secret, SecretRef};
use crate::settings::Findings;

/// 8x8's own: one for each region.
const DOMAINS: [&str; 3] = ["8x8.com", "8x8.uk", "8x8.id"];

/// `[providers.*] kind = "8x8"`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The word that chose this variant.
    pub kind: String,
    /// The account's API key. It works in the account's own region only.
    pub api_key: Option<SecretRef>,
    /// The sub-account of texts, and of calls unless `voice` has its own.
    pub subaccount_id: Option<IdRef>,
    /// `https://sms.8x8.com` (Asia Pacific), the host of another region, or a test server.
    pub base_url: Option<Url>,
    /// `https://voice.8x8.com`, the only one documented, or a test server; `base_url` when that is a test server.
    pub voice_base_url: Option<Url>,
    /// What 8x8 puts into the `Authorization` of its webhooks.
    pub callback_secret: Option<SecretRef>,
    /// What it put there before the last rotation, still accepted.
    pub previous_callback_secret: Option<SecretRef>,
    /// Texts; on without this table too, unless `voice` stands alone.
    pub sms: Option<sms::Settings>,
    /// Calls; without this table the provider makes none.
    pub voice: Option<voice::Settings>,
}

/// Checked settings.
#[derive(Debug, Clone)]
pub struct Config {
    authorization: HeaderValue,
    callback_secret: Option<Secret>,
    previous_callback_secret: Option<Secret>,
    reports_to: Option<Address>,
    sms: Option<Endpoint<sms::Config>>,
    voice: Option<Endpoint<voice::Config>>,
}

/// A channel that is on: where to post, and what to say there.
#[derive(Debug, Clone)]
struct Endpoint<T> {
    url: Url,
    config: T,
}

impl Settings {
    /// Reads the secrets and checks the rules; `at` is the key path of this table.
    pub fn check(&self, at: &str, environment: &Environment, findings: &mut Findings) -> Option<Config> {
        let authorization = self.authorization(at, environment, findings);
        let (callback_secret, previous_callback_secret) = self.callback_secrets(at, environment, findings);
        let general = subaccount(self.subaccount_id.as_ref(), &format!("{at}.subaccount_id"), environment, findings);
        let sms_url = base_url(self.base_url.as_ref(), "https://sms.8x8.com", &format!("{at}.base_url"), findings);
        let voice_at = format!("{at}.voice_base_url");
        let voice_url = match (&self.voice_base_url, &self.base_url) {
            // Whoever has texts go to a test server does not mean calls to be real.
            (None, Some(elsewhere)) if !is_at(elsewhere, &DOMAINS) => sms_url.clone(),
            (own, _) => base_url(own.as_ref(), "https://voice.8x8.com", &voice_at, findings),
        };
        let texts = self.sms.clone().or_else(|| self.voice.is_none().then(sms::Settings::default));
        let sms = texts.map(|s| s.check(&format!("{at}.sms"), findings));
        let voice = self.voice.as_ref().map(|v| {
            let own_at = format!("{at}.voice.subaccount_id");
            let own = v.subaccount_id.as_ref().map(|own| subaccount(Some(own), &own_at, environment, findings));
            (own.unwrap_or_else(|| general.clone()), v.check(&format!("{at}.voice"), findings))
        });
        let (sms_url, voice_url, general) = (sms_url?, voice_url?, general?);
        let voice = match voice {
            Some((id, config)) => Some(Endpoint { url: resource(&voice_url, &id?, "callflows"), config }),
            None => None,
        };
        Some(Config {
            authorization: authorization?,
            callback_secret,
            previous_callback_secret,
            reports_to: None,
            sms: sms.map(|config| Endpoint { url: resource(&sms_url, &general, "messages"), config }),
            voice,
        })
    }

    /// The present one and the one before.
    fn callback_secrets(
        &self,
        at: &str,
        environment: &Environment,
        findings: &mut Findings,
    ) -> (Option<Secret>, Option<Secret>) {
        let [present, previous] = [
            (&self.callback_secret, format!("{at}.callback_secret")),
            (&self.previous_callback_secret, format!("{at}.previous_callback_secret")),
        ]
        .map(|(place, at)| {
            let secret = place.as_ref()?.resolve(environment).map_err(|rule| findings.fault(at.as_str(), rule)).ok()?;
            // Inside, a space may stand in it: `Bearer …`.
            if !secret.expose().bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
                findings.fault(at, "must be visible ASCII: it stands in a header");
            }
            Some(secret)
        });
        if self.callback_secret.is_none() && previous.is_some() {
            findings.warn(format!("{at}.previous_callback_secret"), "has no effect without callback_secret");
        }
        (present, previous)
    }

    /// `Bearer …`, marked so that no `Debug` shows it.
    fn authorization(&self, at: &str, environment: &Environment, findings: &mut Findings) -> Option<HeaderValue> {
        let at = format!("{at}.api_key");
        let Some(place) = &self.api_key else {
            findings.fault(at, "is required");
            return None;
        };
        let key = place.resolve(environment).map_err(|rule| findings.fault(at.as_str(), rule)).ok()?;
        if !key.expose().bytes().all(|b| b.is_ascii_graphic()) {
            findings.fault(at, "must be visible ASCII: it stands in a header");
            return None;
        }
        let mut value = HeaderValue::try_from(format!("Bearer {}", key.expose())).expect("visible ASCII");
        value.set_sensitive(true);
        Some(value)
    }
}

/// The configured sub-account, held against 8x8's pattern, as it stands in a path; `None` when it cannot be read.
fn subaccount(place: Option<&IdRef>, at: &str, environment: &Environment, findings: &mut Findings) -> Option<String> {
    let id = account::id(place, at, environment, findings)?;
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'&');
    if id.is_empty() {
        findings.fault(at, "is required");
    } else if !(3..=50).contains(&id.len()) || !id.bytes().all(allowed) {
        findings.fault(at, "must be 3 to 50 letters, digits and - . _ &");
    }
    Some(id)
}

/// The address of a sub-account's resource. Of the characters an id may have, `&` alone needs encoding.
fn resource(base_url: &Url, subaccount_id: &str, name: &str) -> Url {
    join(base_url, &format!("/api/v1/subaccounts/{}/{name}", subaccount_id.replace('&', "%26")))
}

/// The senders of a channel's table, each held against `rule`, which is told the key path and the text.
fn senders(
    general: Option<&str>,
    countries: &BTreeMap<String, String>,
    at: &str,
    findings: &mut Findings,
    rule: fn(String, &str, &mut Findings),
) -> Senders<String> {
    let general = general.map(|sender| sender.trim().to_owned());
    if let Some(sender) = &general {
        rule(format!("{at}.source"), sender, findings);
    }
    let mut by_country = BTreeMap::new();
    for (country, sender) in account::by_country(countries, at, findings) {
        rule(format!("{at}.by_country.{country}"), sender, findings);
        by_country.insert(country, sender.to_owned());
    }
    Senders { general, by_country }
}

/// When the code stops working, written as its API wants it; `None` when `life_left` knows of no end.
fn expiry(message: &Message, now: Timestamp, format: &'static str) -> Option<String> {
    message.life_left(now).and(message.expires).map(|end| end.strftime(format).to_string())
}

impl Config {
    /// Whether this channel is configured.
    pub fn supports(&self, channel: Channel) -> bool {
        match channel {
            Channel::Sms => self.sms.is_some(),
            Channel::Voice => self.voice.is_some(),
        }
    }

    /// Whether 8x8 is asked to watch which texts led to a sign-in.
    pub fn tracks(&self) -> bool {
        self.sms.as_ref().is_some_and(|endpoint| endpoint.config.tracks())
    }

    /// Why reports could not be verified.
    pub(super) fn unproven(&self) -> Option<&'static str> {
        let rule = "has no callback_secret, by which alone delivery reports are known: none are asked for";
        self.callback_secret.is_none().then_some(rule)
    }

    /// Where reports go, if they can be verified.
    pub(super) fn report_to(&mut self, address: Option<Address>) {
        self.reports_to = address.filter(|_| self.unproven().is_none());
    }
}

/// One 8x8 account.
#[derive(Debug)]
pub struct EightByEight {
    name: ProviderName,
    config: Config,
    outbound: Outbound,
}

impl EightByEight {
    /// An account under this name.
    pub fn new(name: ProviderName, config: Config, outbound: Outbound) -> Self {
        Self { name, config, outbound }
    }
}

impl Config {
    fn call(&self, message: &Message, options: SendOptions<'_>) -> Result<Request, SendError> {
        let (url, body) = match (options.content, &self.sms, &self.voice) {
            (Content::Text(text), Some(sms), _) => {
                let report_to = self.reports_to.as_ref().map(reports::text_address);
                (&sms.url, sms::body(&sms.config, message, text, options.now, report_to.as_ref())?)
            }
            (Content::Speech(speech), _, Some(voice)) => {
                (&voice.url, voice::body(&voice.config, message, speech, options.now)?)
            }
            (Content::Text(_), None, _) | (Content::Speech(_), _, None) => return Err(answer::not_configured()),
        };
        // The token of the address that reports go to stands in a body.
        let hidden = self.reports_to.as_ref().and_then(|address| Secret::new(&address.token.to_string()));
        Ok(Request { hidden, ..Request::post(url.clone(), &self.authorization, "application/json", body) })
    }
}

#[async_trait]
impl Provider for EightByEight {
    fn name(&self) -> &ProviderName {
        &self.name
    }

    fn kind(&self) -> &'static str {
        "8x8"
    }

    fn supports(&self, channel: Channel) -> bool {
        self.config.supports(channel)
    }

    fn requests(&self, message: &Message, options: SendOptions<'_>) -> Result<Vec<Request>, SendError> {
        self.config.call(message, options).map(|request| vec![request])
    }

    fn addresses(&self) -> Vec<Url> {
        let sms = self.config.sms.iter().map(|endpoint| &endpoint.url);
        sms.chain(self.config.voice.iter().map(|endpoint| &endpoint.url)).cloned().collect()
    }

    async fn check(&self) -> Vec<Check> {
        let mut checks = Vec::new();
        let authorization = &self.config.authorization;
        if let Some(sms) = &self.config.sms {
            checks.push(check::texts(&self.outbound, &sms.url, authorization).await);
        }
        if let Some(voice) = &self.config.voice {
            let profiles = voice.config.profiles();
            checks.push(check::voice(&self.outbound, &voice.url, authorization, profiles).await);
        }
        checks
    }

    fn feedback_client(&self) -> Option<FeedbackClient> {
        Feedback::new(&self.config, self.outbound.clone()).map(FeedbackClient::EightByEight)
    }

    async fn send(&self, message: &Message, options: SendOptions<'_>, _: &Handover) -> Result<Accepted, SendError> {
        let request = self.config.call(message, options)?;
        let answer = self.outbound.send(request).await?;
        match options.content {
            Content::Text(_) => answer::text(&answer),
            Content::Speech(_) => answer::call(&answer),
        }
    }
}
