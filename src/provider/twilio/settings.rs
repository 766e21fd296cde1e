//! `[providers.*] kind = "twilio"`: the settings as typed, their rules, and what they amount to.
//!
//! Must not know what a request or an answer looks like.

use http::HeaderValue;
use serde::Deserialize;
use url::Url;

use super::credentials::{Credentials, sid};
use super::{calls, lookup, messages};
use crate::otp::Channel;
use crate::provider::account::{base_url, is_at, previous};
use crate::provider::callback::Address;
use crate::secret::{Environment, IdRef, Secret, SecretRef};
use crate::settings::Findings;

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
    pub(super) account_sid: String,
    pub(super) authorization: HeaderValue,
    /// Signs callbacks, also where an API key authenticates requests.
    pub(super) auth_token: Option<Secret>,
    pub(super) previous_auth_token: Option<Secret>,
    pub(super) reports_to: Option<Address>,
    pub(super) base_url: Url,
    pub(super) sms: Option<messages::Config>,
    pub(super) voice: Option<calls::Config>,
    pub(super) lookup: Option<lookup::Config>,
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
    pub(in crate::provider) fn unreported(&self, public_url: &Url) -> Option<&'static str> {
        if self.auth_token.is_none() {
            Some("has an API key and no auth_token, which alone signs delivery reports: none are asked for")
        } else if public_url.host_str().is_some_and(|host| host.contains('_')) {
            Some("takes no server.public_url with an underscore in its host: no delivery reports are asked for")
        } else {
            None
        }
    }

    /// Where callbacks go, if they can be verified.
    pub(in crate::provider) fn report_to(&mut self, address: Option<Address>) {
        self.reports_to = address.filter(|address| self.unreported(&address.url).is_none());
    }
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
            sms,
            voice,
            lookup: lookup.map_or(Some(None), |l| l.map(Some))?,
        })
    }
}
