//! 8x8: the SMS API for texts, callflows of the Voice API for calls.
//!
//! Must not know which of its accounts is asked first or what a failure leads to.
//! Sources: 8x8's public API descriptions and developer pages.

mod answer;
mod check;
mod codes;
mod feedback;
#[cfg(test)]
mod fixtures;
mod reports;
mod settings;
mod sms;
#[cfg(test)]
mod tests;
mod voice;

use async_trait::async_trait;
use jiff::Timestamp;
use url::Url;

/// For the benches, which read an answer without a network.
#[doc(hidden)]
pub use self::answer::{call as classify_call, text as classify_text};
pub use self::feedback::Feedback;
pub(super) use self::reports::Reports;
pub use self::settings::{Config, Settings};
use super::{Check, FeedbackClient, Provider, SendOptions};
use crate::otp::{Accepted, Channel, Content, Message, ProviderName, SendError};
use crate::outbound::{Handover, Outbound, Request};
use crate::secret::Secret;

/// One 8x8 account.
#[derive(Debug)]
pub struct EightByEight {
    name: ProviderName,
    config: Config,
    outbound: Outbound,
}

impl EightByEight {
    /// An account under this name.
    pub fn new(name: ProviderName, config: Config, outbound: Outbound) -> Self {
        Self { name, config, outbound }
    }

    fn call(&self, message: &Message, options: SendOptions<'_>) -> Result<Request, SendError> {
        let config = &self.config;
        let (url, body) = match (options.content, &config.sms, &config.voice) {
            (Content::Text(text), Some(sms), _) => {
                let report_to = config.reports_to.as_ref().map(reports::text_address);
                (&sms.url, sms::body(&sms.config, message, text, options.now, report_to.as_ref())?)
            }
            (Content::Speech(speech), _, Some(voice)) => {
                (&voice.url, voice::body(&voice.config, message, speech, options.now)?)
            }
            (Content::Text(_), None, _) | (Content::Speech(_), _, None) => return Err(answer::not_configured()),
        };
        // The token of the address that reports go to stands in a body.
        let hidden = config.reports_to.as_ref().and_then(|address| Secret::new(&address.token.to_string()));
        Ok(Request { hidden, ..Request::post(url.clone(), &config.authorization, "application/json", body) })
    }
}

#[async_trait]
impl Provider for EightByEight {
    fn name(&self) -> &ProviderName {
        &self.name
    }

    fn kind(&self) -> &'static str {
        "8x8"
    }

    fn supports(&self, channel: Channel) -> bool {
        self.config.supports(channel)
    }

    fn requests(&self, message: &Message, options: SendOptions<'_>) -> Result<Vec<Request>, SendError> {
        self.call(message, options).map(|request| vec![request])
    }

    fn addresses(&self) -> Vec<Url> {
        let sms = self.config.sms.iter().map(|endpoint| &endpoint.url);
        sms.chain(self.config.voice.iter().map(|endpoint| &endpoint.url)).cloned().collect()
    }

    async fn check(&self) -> Vec<Check> {
        let mut checks = Vec::new();
        let authorization = &self.config.authorization;
        if let Some(sms) = &self.config.sms {
            checks.push(check::texts(&self.outbound, &sms.url, authorization).await);
        }
        if let Some(voice) = &self.config.voice {
            let profiles = voice.config.profiles();
            checks.push(check::voice(&self.outbound, &voice.url, authorization, profiles).await);
        }
        checks
    }

    fn feedback_client(&self) -> Option<FeedbackClient> {
        Feedback::new(&self.config, self.outbound.clone()).map(FeedbackClient::EightByEight)
    }

    async fn send(
        &self,
        message: &Message,
        options: SendOptions<'_>,
        handover: &Handover,
    ) -> Result<Accepted, SendError> {
        let request = self.call(message, options)?;
        let answer = self.outbound.deliver(request, handover).await?;
        match options.content {
            Content::Text(_) => answer::text(&answer),
            Content::Speech(_) => answer::call(&answer),
        }
    }
}

/// When the code stops working, written as its API wants it; `None` when `life_left` knows of no end.
fn expiry(message: &Message, now: Timestamp, format: &'static str) -> Option<String> {
    message.life_left(now).and(message.expires).map(|end| end.strftime(format).to_string())
}
