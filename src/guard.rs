//! The guard: limits and fraud checks before anything is sent.
//!
//! Must not know who sends, nor what Okta is told. It counts in the state store, under keyed hashes, and goes on
//! without it when it fails: a guard that cannot count lets people in.

mod config;
mod destination;
mod explain;
mod forget;
mod kinds;
mod ledger;
mod prefix;
mod settings;
#[cfg(test)]
mod tests;
mod volume;
mod windows;

use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

use crate::deadline::Clock;
use crate::metrics::{GuardLabels, Metrics};
use crate::otp::{FailureKind, Message, Outcome, Remedy, SendError};
use crate::secret::Pseudonyms;
use crate::seldom::Seldom;
use crate::store::{Store, StoreFault};
pub use config::Config;
pub use explain::{Explanation, Line};
pub use forget::forget;
use ledger::{Case, HOUR, Known, Ledger};
use prefix::Block;
pub use settings::{Mode, Settings};
use volume::Caps;
use windows::Window;

/// What the guard says to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Let it go.
    Allow,
    /// No, and a person may have hit it.
    Refuse {
        /// The rule.
        rule: Rule,
    },
    /// No, with confidence that it is fraud.
    Block {
        /// The rule.
        rule: Rule,
    },
}

/// Every rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// `countries`: a country that gets nothing.
    Country,
    /// `countries`: a range of numbers that gets nothing.
    Range,
    /// `per_phone`.
    Phone,
    /// `per_user`.
    User,
    /// `per_ip`.
    Ip,
    /// `per_prefix`: new numbers in one prefix.
    Prefix,
    /// `per_prefix`: consecutive new numbers.
    Sequence,
    /// `provider_fraud`.
    ProviderFraud,
    /// `per_country`.
    Volume,
    /// `spend`.
    Spend,
}

impl Rule {
    /// Every rule, in the order they are asked.
    pub const ALL: [Self; 10] = [
        Self::Range,
        Self::Country,
        Self::ProviderFraud,
        Self::Phone,
        Self::User,
        Self::Ip,
        Self::Sequence,
        Self::Prefix,
        Self::Volume,
        Self::Spend,
    ];

    /// The word used in logs, metrics and what Okta's administrators see.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Country => "country",
            Self::Range => "range",
            Self::Phone => "per_phone",
            Self::User => "per_user",
            Self::Ip => "per_ip",
            Self::Prefix => "prefix",
            Self::Sequence => "sequence",
            Self::ProviderFraud => "provider_fraud",
            Self::Volume => "per_country",
            Self::Spend => "spend",
        }
    }

    /// What may help whom it refuses: what is only too much now goes later.
    const fn remedy(self) -> Remedy {
        match self {
            Self::Country | Self::Range | Self::Prefix | Self::Sequence | Self::ProviderFraud => Remedy::OtherNumber,
            Self::Phone | Self::User | Self::Ip | Self::Volume | Self::Spend => Remedy::Later,
        }
    }

    /// What follows when it is enforced: only what no person comes near is called fraud.
    const fn verdict(self) -> Verdict {
        match self {
            Self::Prefix | Self::Sequence | Self::ProviderFraud => Verdict::Block { rule: self },
            Self::Country | Self::Range | Self::Phone | Self::User | Self::Ip | Self::Volume | Self::Spend => {
                Verdict::Refuse { rule: self }
            }
        }
    }
}

/// What is done about a rule that was broken, or about a guard that cannot count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    /// The message goes, as nobody knows what it would break.
    AllowedFailOpen,
    /// It is fraud.
    Blocked,
    /// Nothing but this line.
    Observed,
    /// A person may have hit it.
    Refused,
    /// It will soon be broken.
    Warned,
}

impl Decision {
    /// The word in logs and metrics.
    const fn as_str(self) -> &'static str {
        match self {
            Self::AllowedFailOpen => "allowed_fail_open",
            Self::Blocked => "blocked",
            Self::Observed => "observed",
            Self::Refused => "refused",
            Self::Warned => "warned",
        }
    }
}

impl Verdict {
    /// The outcome of a message that must not be sent.
    pub fn outcome(self, message: &Message) -> Option<Outcome> {
        match self {
            Self::Allow => None,
            Self::Refuse { rule } => Some(Outcome::refused(message.channel, rule.as_str(), rule.remedy())),
            Self::Block { rule } => Some(Outcome::blocked(message.channel, rule.as_str())),
        }
    }
}

/// The rule that was broken, if one was.
type Found = Result<Option<Rule>, StoreFault>;

/// Why no further rule is asked.
enum Stop {
    Verdict(Verdict),
    Fault,
}

impl From<StoreFault> for Stop {
    /// A fault was counted and told where it came up.
    fn from(_: StoreFault) -> Self {
        Self::Fault
    }
}

/// What a guard stands on.
#[derive(Debug, Clone)]
pub struct Tools {
    /// Where it counts.
    pub store: Arc<dyn Store>,
    /// Where it remembers for a month which numbers are known. Apart, if it is memory: they would leave no room for what
    /// is counted for ten minutes.
    pub numbers: Arc<dyn Store>,
    /// Makes keyed hashes.
    pub pseudonyms: Pseudonyms,
    /// Where decisions are counted.
    pub metrics: Arc<Metrics>,
    /// The wall clock, for the hour of the day.
    pub clock: Clock,
}

/// One org's guard.
#[derive(Debug)]
pub struct Guard {
    config: Config,
    is_off: bool,
    ledger: Ledger,
    caps: Caps,
    /// Spend caps that messages are refused by.
    reached: Seldom<&'static str>,
    metrics: Arc<Metrics>,
    clock: Clock,
}

impl Guard {
    /// One org's guard, from its checked settings.
    pub fn new(config: Config, org: &Arc<str>, tools: Tools) -> Self {
        Self {
            is_off: config.is_off(),
            config,
            ledger: Ledger {
                store: tools.store,
                numbers: tools.numbers,
                pseudonyms: tools.pseudonyms,
                org: Arc::clone(org),
            },
            caps: Caps::default(),
            reached: Seldom::new(HOUR),
            metrics: tools.metrics,
            clock: tools.clock,
        }
    }

    /// Whether a message may go, and counts it. `phone_ref` stands for its number in log lines.
    ///
    /// Waits for a store until `until` at most, and takes no time at all with one in memory. A preview is not counted.
    pub async fn check(&self, message: &Message, phone_ref: &str, until: Instant) -> Verdict {
        if self.is_off {
            return Verdict::Allow;
        }
        let mut case = self.ledger.case(message, phone_ref);
        if let Err(Stop::Verdict(verdict)) = self.judge(&mut case, self.config.destinations.forbids(message)) {
            return verdict;
        }
        if message.preview {
            return Verdict::Allow;
        }
        match timeout_at(until, self.rounds(&mut case)).await.unwrap_or(Err(Stop::Fault)) {
            Ok(()) => Verdict::Allow,
            Err(Stop::Verdict(verdict)) => verdict,
            Err(Stop::Fault) => {
                self.metrics.guard.get_or_create(&self.labels("store", Decision::AllowedFailOpen)).inc();
                Verdict::Allow
            }
        }
    }

    /// What is asked in one round is asked at once; what a round refuses is not charged to the rounds behind it. Short
    /// windows come first: whoever hits one keeps what is left of the long ones.
    async fn rounds(&self, case: &mut Case<'_>) -> Result<(), Stop> {
        let (block, known) = tokio::join!(self.block(case), self.acquaintance(case));
        case.beside_block = block == Ok(Block::Beside);
        case.known = known.clone().unwrap_or(Known::Never);
        if let Ok(Block::By(rule)) = block
            && !case.is_known()
        {
            self.judge(case, [rule])?;
        }
        block.and(known.map(drop))?;
        let short = [self.phone(case, Window::TenMinutes), self.user(case, Window::TenMinutes), self.address(case)];
        let broken = self.count(short).await?;
        self.judge(case, broken)?;
        let broken = self.count([self.phone(case, Window::Hour)]).await?;
        self.judge(case, broken)?;
        let (phone, user) = (self.phone(case, Window::Day), self.user(case, Window::Day));
        let broken = self.count([phone, user, self.numbers_of_user(case), self.numbers_of_address(case)]).await?;
        self.judge(case, broken)?;
        let (neighbours, volume) = tokio::join!(self.neighbours(case), self.volume(case));
        self.judge(case, [&neighbours, &volume].into_iter().flatten().copied().flatten())?;
        neighbours.and(volume)?;
        let broken = self.spend(case).await?;
        self.judge(case, broken)?;
        Ok(self.remember(case).await?)
    }

    /// Draws the consequences of one round.
    fn judge(&self, case: &mut Case<'_>, broken: impl IntoIterator<Item = Rule>) -> Result<(), Stop> {
        for rule in broken {
            match self.config.mode(rule) {
                Mode::Off => {}
                Mode::Observe if case.observed.contains(&rule) => {}
                Mode::Observe => {
                    case.observed.push(rule);
                    self.tell(case, rule, Decision::Observed);
                }
                Mode::Enforce => {
                    let verdict = rule.verdict();
                    let is_block = matches!(verdict, Verdict::Block { .. });
                    self.tell(case, rule, if is_block { Decision::Blocked } else { Decision::Refused });
                    return Err(Stop::Verdict(verdict));
                }
            }
        }
        Ok(())
    }

    /// Learns from what became of a message: numbers beside one that a provider's fraud guard refused are blocked.
    pub async fn learn(&self, message: &Message, outcome: &Outcome) {
        let is_off = self.config.mode(Rule::ProviderFraud) == Mode::Off;
        if !is_off && !message.preview && Self::learns_from(outcome) {
            // A fault is counted and told by the store; the provider still refuses by itself.
            let case = self.ledger.case(message, "");
            let _ = tokio::join!(self.block_for_provider(&case), self.forget(&case));
        }
    }

    /// Whether an outcome tells of fraud.
    pub fn learns_from(outcome: &Outcome) -> bool {
        let is_fraud = |error: &SendError| error.kind == FailureKind::Blocked && !error.number_alone;
        outcome.attempts.iter().any(|attempt| attempt.result.as_ref().is_err_and(is_fraud))
    }

    fn tell(&self, case: &Case<'_>, rule: Rule, decision: Decision) {
        self.note(rule, decision);
        tracing::warn!(
            org = %self.ledger.org,
            rule = rule.as_str(),
            mode = if decision == Decision::Observed { "observed" } else { "enforced" },
            decision = decision.as_str(),
            phone_ref = case.phone_ref,
            country = case.message.recipient.country().map(tracing::field::display),
            channel = case.message.channel.as_str(),
            "guard"
        );
    }

    fn note(&self, rule: Rule, decision: Decision) {
        self.metrics.guard.get_or_create(&self.labels(rule.as_str(), decision)).inc();
    }

    fn labels(&self, rule: &'static str, decision: Decision) -> GuardLabels {
        GuardLabels { org: Arc::clone(&self.ledger.org), rule, decision: decision.as_str() }
    }
}
