//! Twilio: Programmable Messaging for texts, with Lookup before them if wanted; Programmable Voice for calls.
//!
//! Must not know which of its accounts is asked first or what a failure leads to.
//! Sources: twilio-oai `api_v2010`, Twilio's error dictionary.

mod answer;
mod calls;
mod check;
mod codes;
mod credentials;
mod lookup;
mod messages;
mod remembered;
mod reports;
mod settings;
#[cfg(test)]
mod testing;
pub mod verify;

use async_trait::async_trait;
use url::Url;

/// For the benches, which read an answer without a network.
#[doc(hidden)]
pub use self::answer::classify;
use self::lookup::Gate;
pub(super) use self::reports::Reports;
pub use self::settings::{Config, Settings};
use super::account::join;
use super::{Check, FeedbackClient, Provider, SendOptions};
use crate::metrics::LookupMetrics;
use crate::otp::{Accepted, Channel, Content, Message, ProviderName, SendError};
use crate::outbound::{Handover, Outbound, Request};
use crate::secret::Pseudonyms;

/// The only media type Twilio's create calls take.
const FORM: &str = "application/x-www-form-urlencoded";

/// One Twilio account.
#[derive(Debug)]
pub struct Twilio {
    name: ProviderName,
    config: Config,
    messages_url: Url,
    calls_url: Url,
    gate: Option<Gate>,
    lookups: LookupMetrics,
    outbound: Outbound,
}

impl Twilio {
    /// An account under this name.
    pub fn new(
        name: ProviderName,
        config: Config,
        outbound: Outbound,
        pseudonyms: &Pseudonyms,
        lookups: LookupMetrics,
    ) -> Self {
        let url = |resource: &str| {
            join(&config.base_url, &format!("/2010-04-01/Accounts/{}/{resource}.json", config.account_sid))
        };
        let gate = config
            .lookup
            .clone()
            .map(|lookup| Gate::new(lookup, config.authorization.clone(), outbound.clone(), pseudonyms));
        Self { name, messages_url: url("Messages"), calls_url: url("Calls"), config, gate, lookups, outbound }
    }

    fn call(&self, message: &Message, options: SendOptions<'_>) -> Result<Request, SendError> {
        let report_to = self.config.reports_to.as_ref().map(|address| &address.url);
        let (url, mut form) = match (options.content, &self.config.sms, &self.config.voice) {
            (Content::Text(text), Some(sms), _) => {
                (&self.messages_url, messages::form(sms, message, text, options.now)?)
            }
            (Content::Speech(speech), _, Some(voice)) => (&self.calls_url, calls::form(voice, message, speech)?),
            (Content::Text(_), None, _) | (Content::Speech(_), _, None) => return Err(answer::not_configured()),
        };
        if let Some(address) = report_to {
            form = reports::asked(form, options.content, address);
        }
        Ok(Request::post(url.clone(), &self.config.authorization, FORM, form))
    }
}

#[async_trait]
impl Provider for Twilio {
    fn name(&self) -> &ProviderName {
        &self.name
    }

    fn kind(&self) -> &'static str {
        "twilio"
    }

    fn supports(&self, channel: Channel) -> bool {
        self.config.supports(channel)
    }

    fn requests(&self, message: &Message, options: SendOptions<'_>) -> Result<Vec<Request>, SendError> {
        let request = self.call(message, options)?;
        let gate = self.gate.as_ref().filter(|_| matches!(options.content, Content::Text(_)));
        Ok(gate.and_then(|gate| gate.request(&message.recipient)).into_iter().chain([request]).collect())
    }

    fn addresses(&self) -> Vec<Url> {
        let lookup = self.gate.as_ref().map(|gate| gate.address().clone());
        [self.config.base_url.clone()].into_iter().chain(lookup).collect()
    }

    async fn check(&self) -> Vec<Check> {
        let config = &self.config;
        let url = join(&config.base_url, &format!("/2010-04-01/Accounts/{}.json", config.account_sid));
        vec![check::account(&self.outbound, url, &config.authorization).await]
    }

    fn feedback_client(&self) -> Option<FeedbackClient> {
        None
    }

    async fn send(
        &self,
        message: &Message,
        options: SendOptions<'_>,
        handover: &Handover,
    ) -> Result<Accepted, SendError> {
        let request = self.call(message, options)?;
        if let (Content::Text(_), Some(gate)) = (options.content, &self.gate)
            && let Some(unseen) = gate.pass(&message.recipient).await?
        {
            self.lookups.skipped(&self.name, unseen.as_str());
            tracing::debug!(provider = %self.name, reason = unseen.as_str(), "sending unseen: no lookup");
        }
        answer::classify(&self.outbound.deliver(request, handover).await?)
    }
}
