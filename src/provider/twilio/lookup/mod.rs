//! Twilio Lookup: a look at the number before a text is paid for.
//!
//! Must not know what the text says. Fails open: only an answer that condemns the number stops a text; a slow, failing
//! or unsure Lookup never does. Source: twilio-oai `lookups_v2`.

#[cfg(test)]
mod tests;
mod verdict;

use std::time::Duration;

use http::HeaderValue;
use serde::Deserialize;
use tokio::time::timeout;
use url::Url;

use self::verdict::{Verdict, judge};
use super::remembered::Remembered;
use crate::otp::{Phone, SendError};
use crate::outbound::{Outbound, Request};
use crate::provider::account::{base_url, join};
use crate::secret::Pseudonyms;
use crate::settings::{Findings, List, duration};

/// The packages that are judged here. Any other would be charged for and not read.
const FIELDS: [&str; 2] = ["line_type_intelligence", "sms_pumping_risk"];

/// A week: by then a number may have moved to another carrier, or to another person.
const MAX_CACHE: Duration = Duration::from_secs(7 * 24 * 3600);

/// `[providers.*.lookup]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Packages to ask for, each charged by Twilio; none: whether the number is valid, which is free.
    pub fields: List,
    /// The highest SMS pumping risk, of 100, that still gets a text. Twilio does not recommend the score for the US
    /// and Canada.
    pub max_risk_score: u8,
    /// Carrier risk categories that get no text.
    pub deny_risk_category: List,
    /// `https://lookups.twilio.com`, a regional host, or a test server; the account's `base_url` when that is one.
    pub base_url: Option<Url>,
    /// Longest wait; then the text is sent unseen.
    #[serde(deserialize_with = "duration")]
    pub timeout: Duration,
    /// How long an answer is relied on; zero: not at all.
    #[serde(deserialize_with = "duration")]
    pub cache: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            fields: List(FIELDS.map(str::to_owned).into()),
            max_risk_score: 90,
            deny_risk_category: List(vec!["high".to_owned()]),
            base_url: None,
            timeout: Duration::from_millis(250),
            cache: Duration::from_secs(24 * 3600),
        }
    }
}

/// Checked settings.
#[derive(Debug, Clone)]
pub struct Config {
    fields: String,
    max_risk_score: f64,
    deny_risk_category: Vec<String>,
    base_url: Url,
    timeout: Duration,
    cache: Duration,
}

impl Settings {
    /// Checks the rules; `at` is the key path of this table, `elsewhere` the account's address where that is not Twilio's.
    pub fn check(&self, at: &str, elsewhere: Option<&Url>, findings: &mut Findings) -> Option<Config> {
        if !self.fields.0.iter().all(|field| FIELDS.contains(&field.as_str())) {
            findings.fault(format!("{at}.fields"), format!("must be among {}", FIELDS.join(" and ")));
        }
        if self.max_risk_score > 100 {
            findings.fault(format!("{at}.max_risk_score"), "must be between 0 and 100");
        }
        findings.within(format!("{at}.timeout"), self.timeout, Duration::from_millis(50), Duration::from_secs(2));
        findings.within(format!("{at}.cache"), self.cache, Duration::ZERO, MAX_CACHE);
        let key = format!("{at}.base_url");
        let base_url = match (&self.base_url, elsewhere) {
            (None, Some(elsewhere)) => Some(elsewhere.clone()),
            (own, _) => base_url(own.as_ref(), "https://lookups.twilio.com", &key, findings),
        };
        Some(Config {
            fields: self.fields.0.join(","),
            max_risk_score: f64::from(self.max_risk_score),
            deny_risk_category: self.deny_risk_category.0.clone(),
            base_url: base_url?,
            timeout: self.timeout,
            cache: self.cache,
        })
    }
}

/// Why nothing was learnt of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unseen {
    /// No answer within `timeout`.
    Late,
    /// No answer that says anything: a cut connection, an error, a package that failed.
    Failed,
}

impl Unseen {
    /// The word of the metric.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Late => "late",
            Self::Failed => "failed",
        }
    }
}

/// Asks before texts, and remembers the answers.
#[derive(Debug)]
pub(super) struct Gate {
    config: Config,
    authorization: HeaderValue,
    outbound: Outbound,
    verdicts: Remembered<Verdict>,
}

impl Gate {
    /// A gate before the texts of one account.
    pub(super) fn new(config: Config, authorization: HeaderValue, outbound: Outbound, pseudonyms: &Pseudonyms) -> Self {
        let verdicts = Remembered::new(config.cache, pseudonyms);
        Self { config, authorization, outbound, verdicts }
    }

    /// The address it asks.
    pub(super) fn address(&self) -> &Url {
        &self.config.base_url
    }

    /// Lets a text to this number through, or not; tells why the number was not seen, if it was not.
    ///
    /// # Errors
    /// `Recipient` when the number is none or takes no texts, `Blocked` when Twilio finds it fraudulent.
    pub(super) async fn pass(&self, recipient: &Phone) -> Result<Option<Unseen>, SendError> {
        let verdict = match self.verdicts.find(recipient) {
            Some(known) => Ok(known),
            None => self.ask(recipient).await,
        };
        match verdict {
            Ok(Verdict::Pass) => Ok(None),
            Ok(Verdict::Refuse(kind, cause)) => Err(SendError::new(kind, cause)),
            Err(unseen) => Ok(Some(unseen)),
        }
    }

    /// What is asked about a number; `None` when the answer is known.
    pub(super) fn request(&self, recipient: &Phone) -> Option<Request> {
        let known = self.verdicts.find(recipient);
        known.is_none().then(|| Request::get(self.url(recipient), &self.authorization))
    }

    async fn ask(&self, recipient: &Phone) -> Result<Verdict, Unseen> {
        let answer = self.outbound.send(Request::get(self.url(recipient), &self.authorization));
        let answer = timeout(self.config.timeout, answer).await.map_err(|_| Unseen::Late)?;
        let answer = answer.map_err(|_| Unseen::Failed)?;
        let verdict = judge(&self.config, &answer).ok_or(Unseen::Failed)?;
        self.verdicts.put(recipient, verdict);
        Ok(verdict)
    }

    fn url(&self, recipient: &Phone) -> Url {
        // An unescaped plus would be read as a space.
        let mut url = join(&self.config.base_url, &format!("/v2/PhoneNumbers/%2B{}", recipient.expose_digits()));
        if !self.config.fields.is_empty() {
            url.set_query(Some(&format!("Fields={}", self.config.fields)));
        }
        url
    }
}
