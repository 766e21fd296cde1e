//! Tells 8x8 what became of a code, for the texts it was asked to track: its choice of routes learns from it.
//!
//! Must not know how it became known. Source: 8x8's SMS API description, "outcome feedback".

use http::HeaderValue;
use jiff::Timestamp;
use serde::Serialize;
use url::Url;

use super::{Config, answer, sms};
use crate::otp::{FailureKind, SendError, TransactionId};
use crate::outbound::{Outbound, Request};
use crate::provider::account::join;
use crate::provider::feedback::Fate;

/// Tells the outcomes of one sub-account's texts.
#[derive(Debug, Clone)]
pub struct Feedback {
    messages_url: Url,
    authorization: HeaderValue,
    outbound: Outbound,
}

#[derive(Serialize)]
struct Body {
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<String>,
}

impl Feedback {
    /// `None` without `sms.track`: of a text that was sent without it 8x8 does not want to hear.
    pub(in crate::provider) fn new(config: &Config, outbound: Outbound) -> Option<Self> {
        let sms = config.sms.as_ref().filter(|endpoint| endpoint.config.tracks())?;
        Some(Self { messages_url: sms.url.clone(), authorization: config.authorization.clone(), outbound })
    }

    /// Tells of one text. One that 8x8 no longer knows is as good as told.
    ///
    /// # Errors
    /// When 8x8 refuses or does not answer.
    pub(in crate::provider) async fn tell(
        &self,
        id: &TransactionId,
        fate: Fate,
        at: Option<Timestamp>,
    ) -> Result<(), SendError> {
        let id = id.as_str();
        if !id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')) {
            return Err(SendError::new(FailureKind::Rejected, "not_a_umid"));
        }
        let outcome = match fate {
            Fate::Used => "success",
            Fate::Unused => "failure",
        };
        let body = Body { outcome, timestamp: at.map(|at| at.strftime(sms::TIME_FORMAT).to_string()) };
        let body = serde_json::to_vec(&body).expect("texts, into a Vec");
        let url = join(&self.messages_url, &format!("/{id}/feedback"));
        answer::feedback(&self.outbound.send(Request::post(url, &self.authorization, "application/json", body)).await?)
    }
}
