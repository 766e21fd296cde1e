//! `[providers.*] kind = "twilio-verify"`: as typed, and checked.
//!
//! Must not know how a form is written or sent.

use std::collections::BTreeMap;

use http::HeaderValue;
use serde::Deserialize;
use url::Url;

use crate::otp::{Channel, Locale};
use crate::provider::account::{all_channels, base_url, channels};
use crate::provider::twilio::credentials::{Credentials, sid};
use crate::provider::twilio::messages::Switch;
use crate::secret::{Environment, IdRef, SecretRef};
use crate::settings::{Findings, List, Localized, optional_word, word};

/// Twilio's bounds of `Tags`: pairs, and characters of a key or a value.
const MAX_TAGS: usize = 10;
const MAX_TAG_CHARS: usize = 128;

/// `[providers.*] kind = "twilio-verify"`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The word that chose this variant.
    pub kind: String,
    /// `AC…`; not needed with an API key, as it is no part of Verify's paths.
    pub account_sid: Option<IdRef>,
    /// The account's auth token; or else:
    pub auth_token: Option<SecretRef>,
    /// `SK…`, with
    pub api_key: Option<IdRef>,
    /// its secret.
    pub api_secret: Option<SecretRef>,
    /// `VA…`: a Verify service with custom codes enabled.
    pub service_sid: Option<IdRef>,
    /// `https://verify.twilio.com`, or a test server.
    pub base_url: Option<Url>,
    /// `sms`, `voice`, or both.
    pub channels: List,
    /// `Locale` of the message, one for all or by the person's; `""` leaves the choice to Verify, which goes by the
    /// number's country. What is not named here is mapped to Verify's own list.
    pub locale: Localized,
    /// Fixed tags of every verification, such as an environment's name. No personal data.
    pub tags: BTreeMap<String, String>,
    /// Whether Twilio's Fraud Guard is told the address the user signs in from.
    pub device_ip: bool,
    /// `RiskCheck`: Fraud Guard, `enable` or `disable`; the service's own setting when absent.
    #[serde(deserialize_with = "optional_word")]
    pub risk_check: Option<Switch>,
    /// The name in the message, in place of the service's.
    pub custom_friendly_name: Option<String>,
    /// `HJ…`: the template of the message, in place of the service's.
    pub template_sid: Option<IdRef>,
    /// What becomes of the verification that is still pending when the same number gets a new code.
    #[serde(deserialize_with = "word")]
    pub supersede: Supersede,
}

/// What becomes of a pending verification.
///
/// Twilio says that a further create inside ten minutes repeats the earlier code; whether a new custom code replaces
/// it is documented nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Supersede {
    /// It is cancelled first: right under either reading, for one more round trip.
    #[default]
    Cancel,
    /// It takes the new code, as Okta's published sample trusts it to.
    Reuse,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            kind: "twilio-verify".to_owned(),
            account_sid: None,
            auth_token: None,
            api_key: None,
            api_secret: None,
            service_sid: None,
            base_url: None,
            channels: all_channels(),
            locale: Localized::default(),
            tags: BTreeMap::new(),
            device_ip: true,
            risk_check: None,
            custom_friendly_name: None,
            template_sid: None,
            supersede: Supersede::default(),
        }
    }
}

/// Checked settings.
#[derive(Debug, Clone)]
pub struct Config {
    pub(super) authorization: HeaderValue,
    pub(super) service_sid: String,
    pub(super) base_url: Url,
    pub(super) channels: Vec<Channel>,
    pub(super) locale: Localized,
    /// The JSON object Verify wants; `None` without tags.
    pub(super) tags: Option<String>,
    pub(super) device_ip: bool,
    pub(super) risk_check: Option<Switch>,
    pub(super) custom_friendly_name: Option<String>,
    pub(super) template_sid: Option<String>,
    pub(super) supersede: Supersede,
}

impl Config {
    /// Whether this channel is configured.
    pub fn supports(&self, channel: Channel) -> bool {
        self.channels.contains(&channel)
    }
}

impl Settings {
    /// Reads the secrets and checks the rules; `at` is the key path of this table.
    pub fn check(&self, at: &str, environment: &Environment, findings: &mut Findings) -> Option<Config> {
        let mut sid = |place: Option<&IdRef>, prefix: &str, key: &str| {
            sid(place, prefix, &format!("{at}.{key}"), environment, findings)
        };
        let needs_account = self.auth_token.is_some() || self.account_sid.is_some();
        let account_sid = needs_account.then(|| sid(self.account_sid.as_ref(), "AC", "account_sid")).flatten();
        let service_sid = sid(self.service_sid.as_ref(), "VA", "service_sid");
        let template_sid = self.template_sid.as_ref().and_then(|place| sid(Some(place), "HJ", "template_sid"));
        let credentials = Credentials {
            account_sid: account_sid.as_deref(),
            auth_token: self.auth_token.as_ref(),
            api_key: self.api_key.as_ref(),
            api_secret: self.api_secret.as_ref(),
        };
        let authorization = credentials.authorization(at, environment, findings);
        let key = format!("{at}.base_url");
        let base_url = base_url(self.base_url.as_ref(), "https://verify.twilio.com", &key, findings);
        let channels = channels(&self.channels, &format!("{at}.channels"), findings);
        self.check_message(at, findings);
        Some(Config {
            authorization: authorization?,
            service_sid: service_sid?,
            base_url: base_url?,
            channels: channels?,
            locale: self.locale.clone(),
            tags: (!self.tags.is_empty()).then(|| serde_json::json!(self.tags).to_string()),
            device_ip: self.device_ip,
            risk_check: self.risk_check,
            custom_friendly_name: self.custom_friendly_name.as_deref().map(|name| name.trim().to_owned()),
            template_sid,
            supersede: self.supersede,
        })
    }

    /// The rules of what goes into the form.
    fn check_message(&self, at: &str, findings: &mut Findings) {
        for (key, tag) in self.locale.iter() {
            if !tag.is_empty() && Locale::parse(tag).is_none() {
                findings.fault(format!("{at}.locale.{key}"), "must be a language tag such as pt-BR, or empty");
            }
        }
        if self.tags.len() > MAX_TAGS {
            findings.fault(format!("{at}.tags"), format!("must be at most {MAX_TAGS} tags"));
        }
        for (key, value) in &self.tags {
            if key.is_empty() || [key, value].iter().any(|text| text.chars().count() > MAX_TAG_CHARS) {
                let rule = format!("key and value must have at most {MAX_TAG_CHARS} characters, the key at least one");
                findings.fault(format!("{at}.tags.{key}"), rule);
            }
        }
        if self.custom_friendly_name.as_ref().is_some_and(|name| name.trim().is_empty()) {
            findings.fault(format!("{at}.custom_friendly_name"), "must not be empty");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::provider::twilio::testing::TOKEN;
    use crate::provider::twilio::verify::tests::check;

    #[test]
    fn settings_outside_the_rules_are_named() {
        let keys = |extra: Value| {
            let (_, findings) = check(extra);
            let keys = findings.faults.iter().map(|f| f.key.strip_prefix("providers.verify").expect("ours").to_owned());
            keys.collect::<Vec<_>>()
        };
        let many: serde_json::Map<_, _> = (0..11).map(|n| (n.to_string(), json!(""))).collect();
        for (settings, expected) in [
            (json!({ "account_sid": null }), vec![".account_sid"]),
            (json!({ "service_sid": null }), vec![".service_sid"]),
            (json!({ "auth_token": null }), vec![""]),
            (json!({ "channels": "sms, call" }), vec![".channels"]),
            (json!({ "channels": [] }), vec![".channels"]),
            (json!({ "locale": { "fr": "a b" } }), vec![".locale.fr"]),
            (json!({ "tags": many }), vec![".tags"]),
            (json!({ "tags": { "a": "é".repeat(129), "b": "é".repeat(128) } }), vec![".tags.a"]),
            (json!({ "custom_friendly_name": " " }), vec![".custom_friendly_name"]),
            (json!({ "template_sid": "HJ/../" }), vec![".template_sid"]),
        ] {
            assert_eq!(keys(settings.clone()), expected, "{settings}");
        }
        let api_key =
            json!({ "account_sid": null, "auth_token": null, "api_key": format!("SK{TOKEN}"), "api_secret": "s" });
        assert_eq!(keys(api_key), [""; 0], "the account is no part of Verify's paths");
    }
}
