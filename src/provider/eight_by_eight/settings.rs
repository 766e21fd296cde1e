//! `[providers.*] kind = "8x8"`: the settings as typed, their rules, and what they amount to.
//!
//! Must not know what a request or an answer looks like.

use std::collections::BTreeMap;

use http::HeaderValue;
use serde::Deserialize;
use url::Url;

use super::{sms, voice};
use crate::otp::Channel;
use crate::provider::account::{self, Senders, base_url, is_at, join, sensitive};
use crate::provider::callback::Address;
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
    pub(super) authorization: HeaderValue,
    pub(super) callback_secret: Option<Secret>,
    pub(super) previous_callback_secret: Option<Secret>,
    pub(super) reports_to: Option<Address>,
    pub(super) sms: Option<Endpoint<sms::Config>>,
    pub(super) voice: Option<Endpoint<voice::Config>>,
}

/// A channel that is on: where to post, and what to say there.
#[derive(Debug, Clone)]
pub(super) struct Endpoint<T> {
    pub(super) url: Url,
    pub(super) config: T,
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
    pub(in crate::provider) fn unproven(&self) -> Option<&'static str> {
        let rule = "has no callback_secret, by which alone delivery reports are known: none are asked for";
        self.callback_secret.is_none().then_some(rule)
    }

    /// Where reports go, if they can be verified.
    pub(in crate::provider) fn report_to(&mut self, address: Option<Address>) {
        self.reports_to = address.filter(|_| self.unproven().is_none());
    }
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
        Some(sensitive(format!("Bearer {}", key.expose())))
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
pub(super) fn senders(
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
