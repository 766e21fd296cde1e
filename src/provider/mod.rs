//! The providers: one trait, one folder a vendor, one place that builds them from the configuration.
//!
//! Must not know Okta, routes, deadlines or other providers. A provider makes one HTTP exchange and classifies the
//! answer; everything around it stays outside.

mod account;
pub mod callback;
mod check;
mod code;
pub mod eight_by_eight;
mod error;
mod feedback;
pub mod sandbox;
pub mod telesign;
pub mod twilio;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::metrics::LookupMetrics;
use crate::otp::{Accepted, Channel, Content, Message, ProviderName, SendError};
use crate::outbound::{Handover, Outbound, Request};
use crate::secret::{Environment, Pseudonyms};
use crate::settings::Findings;
pub use check::{Check, Contact, Diagnosis};
pub use feedback::{Fate, FeedbackClient, News};

/// What an attempt is told besides the message.
#[derive(Debug, Clone, Copy)]
pub struct SendOptions<'a> {
    /// What the message says, in the form of its channel.
    pub content: &'a Content,
    /// The present moment: what is left of the code's life is told to vendors that can drop a late message.
    pub now: Timestamp,
}

/// One configured account of one vendor.
///
/// No default bodies: a method that a vendor forgets must not compile.
#[async_trait]
pub trait Provider: fmt::Debug + Send + Sync + 'static {
    /// The configuration key, also shown to Okta as `provider`.
    fn name(&self) -> &ProviderName;

    /// The word after `kind =` in the configuration.
    fn kind(&self) -> &'static str;

    /// Whether it is configured for this channel.
    fn supports(&self, channel: Channel) -> bool;

    /// The exact requests `send` would make if each was answered well, the one that hands the message over last; none when
    /// it makes none. For `preview`.
    ///
    /// # Errors
    /// When `send` would fail without asking anybody.
    fn requests(&self, message: &Message, options: SendOptions<'_>) -> Result<Vec<Request>, SendError>;

    /// The addresses it calls, to keep connections there open, and for `doctor` to see whether they can be reached.
    fn addresses(&self) -> Vec<Url>;

    /// Looks, without sending or changing anything, whether it could send. For `doctor`.
    async fn check(&self) -> Vec<Check>;

    /// Who tells its vendor afterwards what became of a code; `None` when it does not want to hear.
    fn feedback_client(&self) -> Option<FeedbackClient>;

    /// Hands the message over, once: writes nothing that delivers it without the handover's leave, which `Outbound::deliver`
    /// asks for.
    ///
    /// # Errors
    /// Classified by evidence alone: see `FailureKind`.
    async fn send(
        &self,
        message: &Message,
        options: SendOptions<'_>,
        handover: &Handover,
    ) -> Result<Accepted, SendError>;
}

/// The table of one provider in the configuration, waiting for someone who knows what it may hold.
pub trait Read {
    /// Reads it; what does not fit is noted and left at its default.
    fn read<T: DeserializeOwned + Default>(self) -> T;
}

/// The settings of one provider, as typed. The variant is chosen by `kind`.
#[derive(Debug, Clone)]
pub enum Settings {
    /// `kind = "8x8"`.
    EightByEight(Box<eight_by_eight::Settings>),
    /// `kind = "sandbox"`.
    Sandbox(sandbox::Settings),
    /// `kind = "telesign"`.
    Telesign(Box<telesign::Settings>),
    /// `kind = "twilio"`.
    Twilio(Box<twilio::Settings>),
    /// `kind = "twilio-verify"`.
    Verify(Box<twilio::verify::Settings>),
}

/// The settings of one provider, checked and with their secrets read.
#[derive(Debug, Clone)]
pub enum Config {
    /// 8x8's SMS and Voice APIs.
    EightByEight(Box<eight_by_eight::Config>),
    /// Nobody: answers by script.
    Sandbox(sandbox::Config),
    /// Telesign.
    Telesign(Box<telesign::Config>),
    /// Twilio Messages and Calls.
    Twilio(Box<twilio::Config>),
    /// Twilio Verify.
    Verify(Box<twilio::verify::Config>),
}

impl Config {
    /// The word after `kind =` in the configuration.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::EightByEight(_) => "8x8",
            Self::Sandbox(_) => "sandbox",
            Self::Telesign(_) => "telesign",
            Self::Twilio(_) => "twilio",
            Self::Verify(_) => "twilio-verify",
        }
    }

    /// Whether it wants to hear what became of a code that it took.
    pub fn wants_feedback(&self) -> bool {
        match self {
            Self::EightByEight(config) => config.tracks(),
            Self::Verify(_) => true,
            Self::Sandbox(_) | Self::Telesign(_) | Self::Twilio(_) => false,
        }
    }

    /// The key, below the provider's own, of a setting that is of use only where an event hook tells which codes were
    /// used; `None` when none is on.
    pub fn needs_event_hook(&self) -> Option<&'static str> {
        match self {
            Self::EightByEight(config) => config.tracks().then_some("sms.track"),
            // It works as well without: only Fraud Guard learns less.
            Self::Verify(_) | Self::Sandbox(_) | Self::Telesign(_) | Self::Twilio(_) => None,
        }
    }

    /// Whether it looks at a number before it sends.
    pub fn looks_up(&self) -> bool {
        match self {
            Self::Twilio(config) => config.looks_up(),
            Self::EightByEight(_) | Self::Sandbox(_) | Self::Telesign(_) | Self::Verify(_) => false,
        }
    }

    /// Whether a provider with this configuration can deliver over a channel.
    pub fn supports(&self, channel: Channel) -> bool {
        match self {
            Self::EightByEight(config) => config.supports(channel),
            Self::Sandbox(_) => true,
            Self::Telesign(config) => config.supports(channel),
            Self::Twilio(config) => config.supports(channel),
            Self::Verify(config) => config.supports(channel),
        }
    }
}

/// Every `kind`, for error messages.
pub const KINDS: [&str; 5] = ["8x8", "sandbox", "telesign", "twilio", "twilio-verify"];

impl Settings {
    /// Reads the table of a provider of this kind; `None` when there is no such kind.
    pub fn read(kind: &str, table: impl Read) -> Option<Self> {
        match kind {
            "8x8" => Some(Self::EightByEight(table.read())),
            "sandbox" => Some(Self::Sandbox(table.read())),
            "telesign" => Some(Self::Telesign(table.read())),
            "twilio" => Some(Self::Twilio(table.read())),
            "twilio-verify" => Some(Self::Verify(table.read())),
            _ => None,
        }
    }

    /// Reads the secrets and checks the rules; `at` is the key path of this table.
    pub fn check(&self, at: &str, environment: &Environment, findings: &mut Findings) -> Option<Config> {
        match self {
            Self::EightByEight(settings) => {
                settings.check(at, environment, findings).map(|c| Config::EightByEight(Box::new(c)))
            }
            Self::Sandbox(settings) => Some(Config::Sandbox(settings.check(at, findings))),
            Self::Telesign(settings) => {
                settings.check(at, environment, findings).map(|c| Config::Telesign(Box::new(c)))
            }
            Self::Twilio(settings) => settings.check(at, environment, findings).map(|c| Config::Twilio(Box::new(c))),
            Self::Verify(settings) => settings.check(at, environment, findings).map(|c| Config::Verify(Box::new(c))),
        }
    }
}

/// What providers are built with.
#[derive(Debug, Clone, Copy)]
pub struct Means<'a> {
    /// The client of their calls.
    pub outbound: &'a Outbound,
    /// Stand for the numbers that a provider has to remember.
    pub pseudonyms: &'a Pseudonyms,
    /// Counts where one was to look at a number and could not.
    pub lookups: &'a LookupMetrics,
    /// Carries what an answer need not wait for; a shutdown waits for it.
    pub tasks: &'a TaskTracker,
}

/// Builds a provider from its configuration.
pub fn build(name: &str, config: Config, means: Means<'_>) -> Arc<dyn Provider> {
    let (name, outbound) = (ProviderName::new(name), means.outbound.clone());
    match config {
        Config::EightByEight(config) => Arc::new(eight_by_eight::EightByEight::new(name, *config, outbound)),
        Config::Sandbox(config) => Arc::new(sandbox::Sandbox::new(name, config)),
        Config::Telesign(config) => Arc::new(telesign::Telesign::new(name, *config, outbound)),
        Config::Twilio(config) => {
            Arc::new(twilio::Twilio::new(name, *config, outbound, means.pseudonyms, means.lookups.clone()))
        }
        Config::Verify(config) => Arc::new(twilio::verify::Verify::new(name, *config, means)),
    }
}
