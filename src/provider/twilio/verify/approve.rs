//! Tells Verify that a code was used: its routing and its Fraud Guard learn from it.
//!
//! Must not know how it became known. Source: twilio-oai `verify_v2`, `UpdateVerification`.

use http::HeaderValue;
use url::Url;

use super::{Config, FORM, answer};
use crate::otp::{FailureKind, SendError, TransactionId};
use crate::outbound::{Outbound, Request};
use crate::provider::account::join;

/// Approves the verifications of one service.
#[derive(Debug, Clone)]
pub struct Approver {
    verifications_url: Url,
    authorization: HeaderValue,
    outbound: Outbound,
}

impl Approver {
    /// For the service of this configuration.
    pub fn new(config: &Config, outbound: Outbound) -> Self {
        let verifications_url = super::verifications_url(config);
        Self { verifications_url, authorization: config.authorization.clone(), outbound }
    }

    /// Approves a verification. One that is over already, by itself or by an earlier call, is as good as approved.
    ///
    /// # Errors
    /// When Verify refuses or does not answer; nobody waits for it, and it is not tried again.
    pub async fn approve(&self, id: &TransactionId) -> Result<(), SendError> {
        let id = id.as_str();
        if !id.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(SendError::new(FailureKind::Rejected, "not_a_sid"));
        }
        let url = join(&self.verifications_url, &format!("/{id}"));
        let request = Request::post(url, &self.authorization, FORM, "Status=approved");
        let answer = self.outbound.send(request).await?;
        match answer.status {
            200..=299 | 404 => Ok(()),
            _ => Err(answer::classify(&answer).err().unwrap_or_else(answer::not_configured)),
        }
    }
}
