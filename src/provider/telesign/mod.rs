//! Telesign: omnichannel Messaging for texts and calls, or the older SMS and Voice products.
//!
//! Must not know which of its accounts is asked first or what a failure leads to.
//! Sources: Telesign's guide for Okta telephony, its enterprise SDKs, its SMS and Voice specifications.

mod answer;
mod auth;
mod check;
mod codes;
mod omnichannel;
mod reports;
mod settings;
mod sms_voice;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use async_trait::async_trait;
use form_urlencoded::Serializer;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use url::Url;

use super::account::{join, person_ip, plain_event_id};
use super::{Check, FeedbackClient, Provider, SendOptions};
use crate::otp::{Accepted, Channel, Content, Message, ProviderName, SendError};
use crate::outbound::{Handover, Outbound, Request};

/// For the benches, which read an answer without a network.
#[doc(hidden)]
pub use answer::classify;
pub use auth::AuthMethod;
pub(super) use reports::Reports;
pub use settings::{Api, Config, Settings};

/// Longest `external_id`.
const MAX_EXTERNAL_ID_CHARS: usize = 100;

/// One of Telesign's products: it has its own resource, body and codes.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Product {
    /// Texts and calls of the full-service host.
    Omnichannel,
    /// The SMS API.
    Messaging,
    /// The Voice API, which reads a text out.
    Voice,
}

impl Product {
    /// That of a channel, of the older products.
    const fn of(channel: Channel) -> Self {
        match channel {
            Channel::Sms => Self::Messaging,
            Channel::Voice => Self::Voice,
        }
    }

    const fn resource(self) -> &'static str {
        match self {
            Self::Omnichannel => "/v1/omnichannel",
            Self::Messaging => "/v1/messaging",
            Self::Voice => "/v1/voice",
        }
    }

    const fn content_type(self) -> &'static str {
        match self {
            Self::Omnichannel => "application/json",
            Self::Messaging | Self::Voice => "application/x-www-form-urlencoded",
        }
    }
}

/// Telesign's words for what a person is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LifecycleEvent {
    /// Making an account.
    Create,
    /// Signing in.
    SignIn,
    /// Doing business.
    Transact,
    /// Changing the account.
    Update,
    /// Giving the account up.
    Delete,
}

impl LifecycleEvent {
    /// The word on the wire.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::SignIn => "sign-in",
            Self::Transact => "transact",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// What every product takes under the same names, each left out rather than empty: an empty value is refused.
#[derive(Debug, Serialize)]
struct Details<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    account_lifecycle_event: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    callback_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    originating_ip: Option<IpAddr>,
}

impl<'a> Details<'a> {
    fn of(config: &'a Config, message: &'a Message) -> Self {
        // Of enrolments and the like Telesign's pages do not say which event they are.
        let known = message.request_type.is_sign_in().then_some(LifecycleEvent::SignIn);
        let event = config.account_lifecycle_event.or(known);
        Self {
            account_lifecycle_event: event.map(LifecycleEvent::as_str),
            callback_url: config.reports_to.as_ref().map(|address| address.url.as_str()),
            external_id: plain_event_id(message, MAX_EXTERNAL_ID_CHARS),
            originating_ip: person_ip(message).filter(|_| config.originating_ip),
        }
    }

    fn append_to(&self, form: &mut Serializer<'_, String>) {
        form.extend_pairs(self.account_lifecycle_event.map(|event| ("account_lifecycle_event", event)));
        form.extend_pairs(self.callback_url.map(|url| ("callback_url", url)));
        form.extend_pairs(self.external_id.map(|id| ("external_id", id)));
        form.extend_pairs(self.originating_ip.map(|ip| ("originating_ip", ip.to_string())));
    }
}

/// One Telesign account.
#[derive(Debug)]
pub struct Telesign {
    name: ProviderName,
    config: Config,
    outbound: Outbound,
}

impl Telesign {
    /// An account under this name.
    pub fn new(name: ProviderName, config: Config, outbound: Outbound) -> Self {
        Self { name, config, outbound }
    }

    fn call(&self, message: &Message, options: SendOptions<'_>) -> Result<(Product, Request), SendError> {
        let config = &self.config;
        let channel = match options.content {
            Content::Text(_) => Channel::Sms,
            Content::Speech(_) => Channel::Voice,
        };
        if !self.supports(channel) {
            return Err(SendError::unasked("channel_not_configured"));
        }
        let (product, body) = match (config.api, options.content) {
            (Api::Messaging, content) => (Product::Omnichannel, omnichannel::body(config, message, content)),
            (Api::SmsVoice, Content::Text(text)) => (Product::Messaging, sms_voice::text_form(config, message, text)),
            (Api::SmsVoice, Content::Speech(speech)) => (Product::Voice, sms_voice::call_form(config, message, speech)),
        };
        let url = join(&config.base_url, product.resource());
        Ok((product, config.authorization.request(url, product, body, options.now)?))
    }
}

#[async_trait]
impl Provider for Telesign {
    fn name(&self) -> &ProviderName {
        &self.name
    }

    fn kind(&self) -> &'static str {
        "telesign"
    }

    fn supports(&self, channel: Channel) -> bool {
        self.config.supports(channel)
    }

    fn requests(&self, message: &Message, options: SendOptions<'_>) -> Result<Vec<Request>, SendError> {
        self.call(message, options).map(|(_, request)| vec![request])
    }

    fn addresses(&self) -> Vec<Url> {
        vec![self.config.base_url.clone()]
    }

    async fn check(&self) -> Vec<Check> {
        let mut checks = Vec::new();
        for product in self.config.products() {
            let resource = format!("{}/{}", product.resource(), check::NO_REFERENCE);
            let url = join(&self.config.base_url, &resource);
            checks.push(match self.config.authorization.look(url, &resource, Timestamp::now()) {
                Ok(request) => check::product(&self.outbound, product, request).await,
                Err(e) => check::unsigned(product, &e.code),
            });
        }
        checks
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
        let (product, request) = self.call(message, options)?;
        answer::classify(product, &self.outbound.deliver(request, handover).await?)
    }
}
