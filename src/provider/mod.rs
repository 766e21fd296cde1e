//! The providers: one trait, one folder a vendor, one place that builds them from the configuration.
//!
//! Must not know Okta, routes, deadlines or other providers. A provider makes one HTTP exchange and classifies the
//! answer; everything around it stays outside.

mod account;
mod error;
pub mod sandbox;
pub mod twilio;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::otp::{Accepted, Channel, Content, Message, ProviderName, SendError};
use crate::outbound::{Outbound, Request};
use crate::secret::{Environment, Pseudonyms};
use crate::settings::Findings;

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

    /// The exact request `send` would make; `None` when it makes none. For `preview`.
    fn request(&self, message: &Message, options: SendOptions<'_>) -> Option<Request>;

    /// Hands the message over, once.
    ///
    /// # Errors
    /// Classified by evidence alone: see `FailureKind`.
    async fn send(&self, message: &Message, options: SendOptions<'_>) -> Result<Accepted, SendError>;
}

/// The settings of one provider, as typed. The variant is chosen by `kind`.
#[derive(Debug, Clone)]
pub enum Settings {
    /// `kind = "twilio"`.
    Twilio(Box<twilio::Settings>),
    /// `kind = "twilio-verify"`.
    Verify(Box<twilio::verify::Settings>),
    /// `kind = "sandbox"`.
    Sandbox(sandbox::Settings),
}

/// The settings of one provider, checked and with their secrets read.
#[derive(Debug, Clone)]
pub enum Config {
    /// Twilio Messages and Calls.
    Twilio(Box<twilio::Config>),
    /// Twilio Verify.
    Verify(Box<twilio::verify::Config>),
    /// Nobody: answers by script.
    Sandbox(sandbox::Config),
}

/// Every `kind`, for error messages.
pub const KINDS: [&str; 3] = ["twilio", "twilio-verify", "sandbox"];

impl Settings {
    /// Reads the secrets and checks the rules; `at` is the key path of this table.
    pub fn check(&self, at: &str, environment: &Environment, findings: &mut Findings) -> Option<Config> {
        match self {
            Self::Twilio(settings) => settings.check(at, environment, findings).map(|c| Config::Twilio(Box::new(c))),
            Self::Verify(settings) => settings.check(at, environment, findings).map(|c| Config::Verify(Box::new(c))),
            Self::Sandbox(settings) => settings.check(at, findings).map(Config::Sandbox),
        }
    }
}

/// Builds a provider from its configuration. `pseudonyms` stand for the numbers that a provider has to remember.
pub fn build(name: &str, config: Config, outbound: &Outbound, pseudonyms: &Pseudonyms) -> Arc<dyn Provider> {
    let name = ProviderName::new(name);
    match config {
        Config::Twilio(config) => Arc::new(twilio::Twilio::new(name, *config, outbound.clone(), pseudonyms)),
        Config::Verify(config) => {
            Arc::new(twilio::verify::Verify::new(name, *config, outbound.clone(), pseudonyms.clone()))
        }
        Config::Sandbox(config) => Arc::new(sandbox::Sandbox::new(name, config)),
    }
}
