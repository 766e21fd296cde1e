//! The provider that sends nothing: its outcome is chosen by the last digits of the number.
//!
//! Must not reach the network. For trying the server without an account, and for tests of everything around providers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use url::Url;

use super::{Check, Diagnosis, FeedbackClient, Provider, SendOptions};
use crate::otp::{Accepted, Channel, FailureKind, Message, ProviderName, SendError, TransactionId};
use crate::outbound::{Handover, Request};
use crate::settings::{Findings, duration};

/// `[providers.*] kind = "sandbox"`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The word that chose this variant.
    pub kind: String,
    /// Last digits of the number → outcome: `accepted`, `hang`, `slow` or a failure kind. Added to the built-in ones.
    pub outcomes: BTreeMap<String, String>,
    /// How long an answer takes.
    #[serde(deserialize_with = "duration")]
    pub delay: Duration,
    /// As the key of that name at the top, for this provider alone.
    pub allow_sandbox: bool,
}

impl Default for Settings {
    fn default() -> Self {
        let delay = Duration::from_millis(20);
        Self { kind: "sandbox".to_owned(), outcomes: BTreeMap::new(), delay, allow_sandbox: false }
    }
}

/// What a number's last digits bring about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Script {
    /// Accepted at once.
    Accept,
    /// Accepted after 1.5 s: inside the budget, beyond a patient user's liking.
    Slow,
    /// Never answers.
    Hang,
    /// Fails at once.
    Fail(FailureKind),
}

impl Script {
    /// The built-in script; every other number is accepted.
    pub const TABLE: [(&'static str, Self); 9] = [
        ("0001", Self::Fail(FailureKind::Recipient)),
        ("0002", Self::Fail(FailureKind::Unavailable)),
        ("0003", Self::Fail(FailureKind::Throttled)),
        ("0004", Self::Fail(FailureKind::Account)),
        ("0005", Self::Fail(FailureKind::Rejected)),
        ("0007", Self::Fail(FailureKind::Blocked)),
        ("0008", Self::Fail(FailureKind::Unconfirmed)),
        ("0009", Self::Hang),
        ("0011", Self::Slow),
    ];

    /// What happens, for people.
    pub fn describe(self) -> String {
        match self {
            Self::Accept => "accepted".to_owned(),
            Self::Slow => "accepted after 1.5 s".to_owned(),
            Self::Hang => "never answers: Okta hears PENDING at the deadline".to_owned(),
            Self::Fail(kind) => format!("fails: {kind}"),
        }
    }

    fn parse(word: &str) -> Option<Self> {
        match word {
            "accepted" => Some(Self::Accept),
            "slow" => Some(Self::Slow),
            "hang" => Some(Self::Hang),
            kind => FailureKind::parse(kind).map(Self::Fail),
        }
    }
}

/// Checked settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// Longest suffix first.
    outcomes: Vec<(String, Script)>,
    delay: Duration,
}

impl Settings {
    /// Checks the rules; `at` is the key path of this table.
    pub fn check(&self, at: &str, findings: &mut Findings) -> Config {
        let mut outcomes: BTreeMap<String, Script> = Script::TABLE.iter().map(|(s, o)| ((*s).to_owned(), *o)).collect();
        for (suffix, word) in &self.outcomes {
            let at = format!("{at}.outcomes.{suffix}");
            if suffix.is_empty() || !suffix.bytes().all(|b| b.is_ascii_digit()) {
                findings.fault(at, "must be keyed by the last digits of a number");
            } else if let Some(script) = Script::parse(word) {
                outcomes.insert(suffix.clone(), script);
            } else {
                findings.fault(at, "must be accepted, slow, hang or a failure kind such as unavailable");
            }
        }
        let mut outcomes: Vec<_> = outcomes.into_iter().collect();
        outcomes.sort_by_key(|(suffix, _)| std::cmp::Reverse(suffix.len()));
        Config { outcomes, delay: self.delay }
    }
}

/// Sends nothing, answers by script.
#[derive(Debug)]
pub struct Sandbox {
    name: ProviderName,
    config: Config,
    count: AtomicU64,
}

impl Sandbox {
    /// A sandbox under this name.
    pub fn new(name: ProviderName, config: Config) -> Self {
        Self { name, config, count: AtomicU64::new(0) }
    }
}

#[async_trait]
impl Provider for Sandbox {
    fn name(&self) -> &ProviderName {
        &self.name
    }

    fn kind(&self) -> &'static str {
        "sandbox"
    }

    fn supports(&self, _: Channel) -> bool {
        true
    }

    fn requests(&self, _: &Message, _: SendOptions<'_>) -> Result<Vec<Request>, SendError> {
        Ok(Vec::new())
    }

    fn addresses(&self) -> Vec<Url> {
        Vec::new()
    }

    async fn check(&self) -> Vec<Check> {
        vec![Check::new("account", Diagnosis::Ok("sends nothing".to_owned()))]
    }

    fn feedback_client(&self) -> Option<FeedbackClient> {
        None
    }

    async fn send(&self, message: &Message, _: SendOptions<'_>, handover: &Handover) -> Result<Accepted, SendError> {
        handover.claim()?;
        let number = message.recipient.expose();
        let script = self.config.outcomes.iter().find(|(suffix, _)| number.ends_with(suffix.as_str()));
        tokio::time::sleep(self.config.delay).await;
        match script.map_or(Script::Accept, |(_, script)| *script) {
            Script::Accept => {}
            Script::Slow => tokio::time::sleep(Duration::from_millis(1500)).await,
            Script::Hang => std::future::pending().await,
            Script::Fail(kind) => return Err(SendError::new(kind, "script")),
        }
        let count = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        let id = TransactionId::parse(&format!("sandbox-{count}")).expect("printable ASCII");
        Ok(Accepted::new(id))
    }
}
