//! `[providers.*] kind = "telesign"`: the settings as typed, their rules, and what they amount to.
//!
//! Must not know what a request or an answer looks like.

use std::collections::BTreeMap;

use aws_lc_rs::hmac;
use serde::Deserialize;
use url::Url;

use super::auth::{AuthMethod, Authorization, is_base64, signing_key};
use super::{LifecycleEvent, Product, sms_voice};
use crate::otp::{Channel, Phone};
use crate::provider::account::{Senders, all_channels, base_url, by_country, channels, id, previous};
use crate::provider::callback::Address;
use crate::secret::{Environment, IdRef, SecretRef};
use crate::settings::{Findings, List, Localized, optional_word, word};

/// `[providers.*] kind = "telesign"`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The word that chose this variant.
    pub kind: String,
    /// The account, a UUID in Telesign's portal.
    pub customer_id: Option<IdRef>,
    /// Its key, 88 characters of base64.
    pub api_key: Option<SecretRef>,
    /// The key before the last rotation: reports signed with it are still taken.
    pub previous_api_key: Option<SecretRef>,
    /// Which products carry the messages.
    #[serde(deserialize_with = "word")]
    pub api: Api,
    /// How requests are authenticated.
    #[serde(deserialize_with = "word")]
    pub auth: AuthMethod,
    /// Sender of texts, provisioned by Telesign; its own choice when absent.
    pub sender_id: Option<String>,
    /// Sender of texts by country of the recipient.
    pub by_country: BTreeMap<String, String>,
    /// Number shown in calls of `api = "sms-voice"`; Telesign's own choice when absent.
    pub caller_id: Option<String>,
    /// `https://rest-ww.telesign.com`; `https://rest-api.telesign.com` for self-service accounts; or a test server.
    pub base_url: Option<Url>,
    /// What the account is enabled for: `sms`, `voice` or both.
    pub channels: List,
    /// Language of omnichannel calls, one for all or by language of the person; English when there is none.
    pub language: Localized,
    /// Voice of `/v1/voice`, one for all or by language of the sentence; that language's own when absent.
    pub voice: Localized,
    /// How often `/v1/voice` says the sentence; less often where that would be too long.
    pub repeat: u8,
    /// What the person is doing, for Telesign's scoring; `sign-in` for sign-ins when absent, and nothing for what else there
    /// is.
    #[serde(deserialize_with = "optional_word")]
    pub account_lifecycle_event: Option<LifecycleEvent>,
    /// Whether the person's address is told, for Telesign's scoring.
    pub originating_ip: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            kind: "telesign".to_owned(),
            customer_id: None,
            api_key: None,
            previous_api_key: None,
            api: Api::default(),
            auth: AuthMethod::default(),
            sender_id: None,
            by_country: BTreeMap::new(),
            caller_id: None,
            base_url: None,
            channels: all_channels(),
            language: Localized::default(),
            voice: Localized::default(),
            repeat: 2,
            account_lifecycle_event: None,
            originating_ip: true,
        }
    }
}

/// Which of Telesign's products are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Api {
    /// Omnichannel Messaging, which Telesign documents for Okta: both channels, full-service accounts only.
    #[default]
    Messaging,
    /// The SMS and Voice APIs: they say at once when a number is bad, and read our sentence out.
    SmsVoice,
}

/// Checked settings.
#[derive(Debug, Clone)]
pub struct Config {
    pub(super) api: Api,
    pub(super) customer_id: String,
    pub(super) authorization: Authorization,
    /// What Telesign signs its reports with; `None` when the key is no base64.
    pub(super) signing_key: Option<hmac::Key>,
    pub(super) previous_signing_key: Option<hmac::Key>,
    pub(super) reports_to: Option<Address>,
    pub(super) base_url: Url,
    pub(super) channels: Vec<Channel>,
    pub(super) sender: Senders<String>,
    /// Digits only.
    pub(super) caller_id: Option<String>,
    pub(super) language: Localized,
    pub(super) voice: Localized,
    pub(super) repeat: u8,
    pub(super) account_lifecycle_event: Option<LifecycleEvent>,
    pub(super) originating_ip: bool,
}

impl Config {
    /// Whether this channel is configured.
    pub fn supports(&self, channel: Channel) -> bool {
        self.channels.contains(&channel)
    }

    /// The products that carry the configured channels.
    pub(super) fn products(&self) -> Vec<Product> {
        match self.api {
            Api::Messaging => vec![Product::Omnichannel],
            Api::SmsVoice => self.channels.iter().map(|channel| Product::of(*channel)).collect(),
        }
    }

    /// Why reports below this address could not be verified, or would not come: Telesign's pages on callbacks want port
    /// 443.
    pub(in crate::provider) fn unreported(&self, public_url: &Url) -> Option<&'static str> {
        if self.signing_key.is_none() {
            Some("has an api_key without any base64, as which it signs delivery reports: none are asked for")
        } else if public_url.port_or_known_default() != Some(443) {
            Some("takes no server.public_url with a port other than 443: no delivery reports are asked for")
        } else {
            None
        }
    }

    /// Where reports go, if they can be verified.
    pub(in crate::provider) fn report_to(&mut self, address: Option<Address>) {
        self.reports_to = address.filter(|address| self.unreported(&address.url).is_none());
    }
}

impl Settings {
    /// Reads the secrets and checks the rules; `at` is the key path of this table.
    pub fn check(&self, at: &str, environment: &Environment, findings: &mut Findings) -> Option<Config> {
        let customer_id = self.customer_id(at, environment, findings);
        let authorization = self.authorization(customer_id.as_deref().unwrap_or_default(), at, environment, findings);
        let previous_signing_key = self.previous_signing_key(at, environment, findings);
        let base_url = self.base_url(at, findings);
        let channels = channels(&self.channels, &format!("{at}.channels"), findings);
        let sender = self.sender(at, findings);
        let caller_id = self.caller_id(at, findings);
        self.check_speech(at, findings);
        Some(Config {
            api: self.api,
            customer_id: customer_id?,
            authorization: authorization?,
            // One that cannot be read has been told above.
            signing_key: self.api_key.as_ref().and_then(|key| signing_key(&key.resolve(environment).ok()?)),
            previous_signing_key,
            reports_to: None,
            base_url: base_url?,
            channels: channels?,
            sender,
            caller_id,
            language: self.language.clone(),
            voice: self.voice.clone(),
            repeat: self.repeat,
            account_lifecycle_event: self.account_lifecycle_event,
            originating_ip: self.originating_ip,
        })
    }

    fn customer_id(&self, at: &str, environment: &Environment, findings: &mut Findings) -> Option<String> {
        let at = format!("{at}.customer_id");
        let id = id(self.customer_id.as_ref(), &at, environment, findings)?;
        check_customer_id(&id, &at, findings).then_some(id)
    }

    fn authorization(
        &self,
        customer_id: &str,
        at: &str,
        environment: &Environment,
        findings: &mut Findings,
    ) -> Option<Authorization> {
        let key = format!("{at}.api_key");
        let Some(place) = &self.api_key else {
            findings.fault(key, "is required");
            return None;
        };
        let api_key = place.resolve(environment).map_err(|rule| findings.fault(key.as_str(), rule)).ok()?;
        let authorization = match self.auth {
            AuthMethod::Basic => Some(Authorization::basic(customer_id, &api_key)),
            AuthMethod::Digest => Authorization::digest(customer_id, &api_key),
        };
        if authorization.is_none() {
            findings.fault(key, "must be base64 for digest: that is how Telesign hands keys out");
        } else if self.auth == AuthMethod::Digest && !is_base64(&api_key) {
            findings
                .warn(key, "is not all base64: what is not is left out, as by Telesign's SDKs; check that it is whole");
        }
        authorization
    }

    fn previous_signing_key(&self, at: &str, environment: &Environment, findings: &mut Findings) -> Option<hmac::Key> {
        let at = format!("{at}.previous_api_key");
        let api_key = previous(self.previous_api_key.as_ref(), &at, environment, findings)?;
        let key = signing_key(&api_key);
        if key.is_none() {
            findings.fault(at, "must be base64: it is kept for the signatures of delivery reports alone");
        }
        key
    }

    fn base_url(&self, at: &str, findings: &mut Findings) -> Option<Url> {
        let at = format!("{at}.base_url");
        let url = base_url(self.base_url.as_ref(), "https://rest-ww.telesign.com", &at, findings)?;
        if self.api == Api::Messaging && url.host_str() == Some("rest-api.telesign.com") {
            findings.warn(at, "is the self-service host, which has no omnichannel: set api = \"sms-voice\"");
        }
        Some(url)
    }

    fn sender(&self, at: &str, findings: &mut Findings) -> Senders<String> {
        // Telesign writes numbers without `+`, also where they send; no name begins with one.
        let digits = |sender: &str| sender.strip_prefix('+').unwrap_or(sender).to_owned();
        let general = self.sender_id.as_deref().map(|sender| digits(sender.trim()));
        if general.as_ref().is_some_and(String::is_empty) {
            findings.fault(format!("{at}.sender_id"), "must not be empty");
        }
        let by_country = by_country(&self.by_country, at, findings);
        Senders { general, by_country: by_country.into_iter().map(|(c, sender)| (c, digits(sender))).collect() }
    }

    fn caller_id(&self, at: &str, findings: &mut Findings) -> Option<String> {
        let at = format!("{at}.caller_id");
        let number = self.caller_id.as_deref()?.trim();
        if self.api == Api::Messaging {
            findings.warn(at.as_str(), "is used with api = \"sms-voice\" only");
        }
        let phone = Phone::parse(&format!("+{}", number.trim_start_matches('+')), None);
        let phone = phone.map_err(|_| findings.fault(at, "must be a number with its country code")).ok()?;
        Some(phone.expose_digits().to_owned())
    }

    /// The settings of calls, of which each product uses its own.
    fn check_speech(&self, at: &str, findings: &mut Findings) {
        for (key, text) in self.language.iter().map(|(k, t)| (format!("{at}.language.{k}"), t)) {
            if text.trim().is_empty() {
                findings.fault(key, "must not be empty");
            } else if self.api == Api::SmsVoice {
                findings.warn(key, "is used with api = \"messaging\" only; here, voice tells the language");
            }
        }
        for (key, text) in self.voice.iter().map(|(k, t)| (format!("{at}.voice.{k}"), t)) {
            if text.trim().is_empty() {
                findings.fault(key, "must not be empty");
            } else if self.api == Api::Messaging {
                findings.warn(key, "is used with api = \"sms-voice\" only; here, language tells the voice");
            } else if !sms_voice::is_voice(text) {
                findings.warn(key, "is no voice Telesign documents, such as f-en-US: it refuses any other");
            }
        }
        if !(1..=5).contains(&self.repeat) {
            findings.fault(format!("{at}.repeat"), "must be between 1 and 5");
        }
    }
}

/// Part of a header, before a colon: letters, digits and hyphens only. Its usual form is a UUID.
fn check_customer_id(id: &str, at: &str, findings: &mut Findings) -> bool {
    let is_hyphen_at = |at: usize| matches!(at, 8 | 13 | 18 | 23);
    if id.is_empty() {
        findings.fault(at, "is required");
        return false;
    }
    if !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        findings.fault(at, "must be the customer id of Telesign's portal, a UUID");
        return false;
    }
    if id.len() != 36 || !id.bytes().enumerate().all(|(at, b)| is_hyphen_at(at) == (b == b'-')) {
        findings.warn(at, "does not look like a customer id: a UUID");
    }
    true
}
