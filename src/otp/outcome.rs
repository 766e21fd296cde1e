//! What became of a message: of one attempt, and of all of them together.
//!
//! Must not know how an attempt is made or how the outcome is told to Okta.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::Channel;

/// The name of a configured provider: its key in the configuration, shown in routes, logs, metrics and to Okta.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProviderName(Arc<str>);

impl ProviderName {
    /// Wraps a configuration key.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name, shared: for labels, which outlive a message.
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl fmt::Display for ProviderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A provider's id of an accepted message. Vendor-chosen, and it goes to Okta and into logs, so its form is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionId(Box<str>);

impl TransactionId {
    /// Parses an id: 1 to 128 printable ASCII characters. `None` otherwise.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        fits.then(|| Self(text.into()))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The provider took the message: a documented success status and an id in the body. Not yet delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The provider's id.
    pub transaction_id: TransactionId,
    /// The provider's id of this send alone, where the other one stands for several.
    pub attempt_id: Option<TransactionId>,
}

impl Accepted {
    /// Taken under this id.
    pub fn new(transaction_id: TransactionId) -> Self {
        Self { transaction_id, attempt_id: None }
    }
}

/// How an attempt failed. Decides what follows; nothing else does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FailureKind {
    /// Our credentials, balance, permission or sender. A person must act.
    Account,
    /// The provider's fraud guard or a legal block. Never laundered through the next provider.
    Blocked,
    /// The recipient cannot or must not get it: invalid number, landline for a text, opt-out. Every provider would agree.
    Recipient,
    /// This provider refuses this content, sender or country for a reason of configuration.
    Rejected,
    /// Too many requests: nothing was accepted, try again later.
    Throttled,
    /// Certain that nothing was accepted.
    Unavailable,
    /// Bytes were written and no readable answer came: it may have been accepted.
    Unconfirmed,
}

/// What a failed attempt allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Go on to the next provider at once.
    Provider,
    /// The first send may have worked: the org's `after_unconfirmed` decides.
    ByPolicy,
    /// No further send.
    Stop,
}

impl FailureKind {
    /// Every kind, in alphabetical order.
    pub const ALL: [Self; 7] = [
        Self::Account,
        Self::Blocked,
        Self::Recipient,
        Self::Rejected,
        Self::Throttled,
        Self::Unavailable,
        Self::Unconfirmed,
    ];

    /// The word used in logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Blocked => "blocked",
            Self::Recipient => "recipient",
            Self::Rejected => "rejected",
            Self::Throttled => "throttled",
            Self::Unavailable => "unavailable",
            Self::Unconfirmed => "unconfirmed",
        }
    }

    /// Reads the word back, for settings.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// What may follow this failure.
    pub const fn next(self) -> Next {
        match self {
            Self::Account | Self::Rejected | Self::Throttled | Self::Unavailable => Next::Provider,
            Self::Unconfirmed => Next::ByPolicy,
            Self::Blocked | Self::Recipient => Next::Stop,
        }
    }

    /// Whether the same call may well succeed later. Not for sends: those are never made twice.
    pub const fn is_transient(self) -> bool {
        match self {
            Self::Throttled | Self::Unavailable | Self::Unconfirmed => true,
            Self::Account | Self::Blocked | Self::Recipient | Self::Rejected => false,
        }
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What may help a person who is refused a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Another number: this one gets no messages.
    OtherNumber,
    /// To wait: only too much was asked for.
    Later,
    /// A new code: this one has run out.
    NewCode,
}

/// One attempt did not end in acceptance.
///
/// `code` is the vendor's error code or our word for what happened on the wire (`connect`, `timeout`); never a
/// vendor's message, which may quote the number or the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {code}")]
pub struct SendError {
    /// What kind of failure it was.
    pub kind: FailureKind,
    /// Its cause in one word.
    pub code: String,
    /// How long the provider asked us to wait.
    pub retry_after: Option<Duration>,
    /// Whether the provider says that the person wants no messages.
    pub opted_out: bool,
    /// Whether the provider holds it against this number alone, and says nothing of fraud beside it.
    pub number_alone: bool,
    /// What may help the person, where it is the person who is refused.
    pub remedy: Remedy,
    /// Whether the provider was never asked: what is configured for it does not fit this message.
    pub unasked: bool,
    /// Whether it never got as far as the provider: not a byte of the request was written.
    pub unsent: bool,
    /// Why it may be more than an outage.
    pub suspicion: Option<Suspicion>,
}

/// Why a failure may be the work of somebody between us and the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Suspicion {
    /// An answer that sends us elsewhere.
    Redirect,
    /// No TLS: a certificate that is not to be trusted, as a rule.
    Tls,
}

impl Suspicion {
    /// Every one.
    pub const ALL: [Self; 2] = [Self::Redirect, Self::Tls];

    /// The word in logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Redirect => "redirect",
            Self::Tls => "tls",
        }
    }
}

impl SendError {
    /// A failure with its cause in one word.
    pub fn new(kind: FailureKind, code: impl Into<String>) -> Self {
        Self {
            kind,
            code: code.into(),
            retry_after: None,
            opted_out: false,
            number_alone: false,
            remedy: Remedy::OtherNumber,
            unasked: false,
            unsent: false,
            suspicion: None,
        }
    }

    /// A provider that was not reached, with the reason in one word: not a byte of the request was written.
    pub fn unsent(code: impl Into<String>) -> Self {
        Self { unsent: true, ..Self::new(FailureKind::Unavailable, code) }
    }

    /// A message that cannot be put to the provider, with the reason in one word: nothing was asked, and another one may
    /// well take it.
    pub fn unasked(code: impl Into<String>) -> Self {
        Self { unasked: true, ..Self::new(FailureKind::Rejected, code) }
    }
}

/// One send to one provider, as the outcome remembers it.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Who was asked.
    pub provider: ProviderName,
    /// What came of it while we were waiting.
    pub result: Result<Accepted, SendError>,
    /// How long we waited for it.
    pub elapsed: Duration,
}

/// As log lines, the operator's page and Okta's administrators read it.
impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { provider, result, elapsed } = self;
        match result {
            Ok(_) => write!(f, "{provider} accepted {}ms", elapsed.as_millis()),
            Err(e) => write!(f, "{provider} {e} {}ms", elapsed.as_millis()),
        }
    }
}

/// The final class of a hook's attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// A provider took the message.
    Accepted,
    /// A provider's fraud guard or our own refused it with confidence.
    Blocked,
    /// Every provider failed for certain; nothing was sent.
    Exhausted,
    /// Something a person may hit: invalid number, opt-out.
    Refused,
    /// A message may be under way; nobody confirmed it.
    Unconfirmed,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: [Self; 5] = [Self::Accepted, Self::Blocked, Self::Exhausted, Self::Refused, Self::Unconfirmed];

    /// The word used in logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Blocked => "blocked",
            Self::Exhausted => "exhausted",
            Self::Refused => "refused",
            Self::Unconfirmed => "unconfirmed",
        }
    }
}

/// What became of a message, as far as is known when Okta must be answered. Data, not an error.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// How the message travelled.
    pub channel: Channel,
    /// The final class.
    pub verdict: Verdict,
    /// The attempts in the order they were started.
    pub attempts: Vec<Attempt>,
    /// Providers of the plan that were not asked, each with the reason in one word.
    pub skipped: Vec<(ProviderName, &'static str)>,
    /// The name of the route that was taken.
    pub route: Arc<str>,
    /// What may help the person, where it is the person who is refused.
    pub remedy: Remedy,
}

impl Outcome {
    /// Draws the verdict from the attempts: an acceptance outweighs a doubt, a doubt a refusal, a refusal a failure.
    pub fn of(channel: Channel, route: Arc<str>, attempts: Vec<Attempt>) -> Self {
        let kinds = || attempts.iter().filter_map(|a| a.result.as_ref().err().map(|e| e.kind));
        let verdict = if attempts.iter().any(|a| a.result.is_ok()) {
            Verdict::Accepted
        } else if kinds().any(|k| k == FailureKind::Unconfirmed) {
            Verdict::Unconfirmed
        } else if kinds().any(|k| k == FailureKind::Blocked) {
            Verdict::Blocked
        } else if kinds().any(|k| k == FailureKind::Recipient) {
            Verdict::Refused
        } else {
            Verdict::Exhausted
        };
        let mut outcome = Self { attempts, ..Self::ours(channel, verdict, route, Remedy::OtherNumber) };
        if let Some(Err(error)) = outcome.decisive().map(|attempt| &attempt.result) {
            outcome.remedy = error.remedy;
        }
        outcome
    }

    /// What we refuse ourselves, with confidence, before anybody is asked. `rule` stands where a route's name would.
    pub fn blocked(channel: Channel, rule: &str) -> Self {
        Self::ours(channel, Verdict::Blocked, rule.into(), Remedy::OtherNumber)
    }

    /// What we refuse ourselves and a person may hit, before anybody is asked.
    pub fn refused(channel: Channel, rule: &str, remedy: Remedy) -> Self {
        Self::ours(channel, Verdict::Refused, rule.into(), remedy)
    }

    fn ours(channel: Channel, verdict: Verdict, route: Arc<str>, remedy: Remedy) -> Self {
        Self { channel, verdict, attempts: Vec::new(), skipped: Vec::new(), route, remedy }
    }

    /// The attempt that decided the verdict: the accepted one, else the last one that explains it.
    pub fn decisive(&self) -> Option<&Attempt> {
        let explains = |a: &&Attempt| match (&a.result, self.verdict) {
            (Ok(_), Verdict::Accepted) => true,
            (Ok(_), _) | (Err(_), Verdict::Accepted) => false,
            (Err(e), Verdict::Blocked) => e.kind == FailureKind::Blocked,
            (Err(e), Verdict::Refused) => e.kind == FailureKind::Recipient,
            (Err(e), Verdict::Unconfirmed) => e.kind == FailureKind::Unconfirmed,
            (Err(_), Verdict::Exhausted) => true,
        };
        self.attempts.iter().rev().find(explains)
    }
}
