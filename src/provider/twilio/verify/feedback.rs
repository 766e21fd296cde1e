//! Tells Verify what became of a code: its routing and its Fraud Guard learn from it.
//!
//! Must not know how it became known. Source: twilio-oai `verify_v2`, `UpdateVerification`.

use std::sync::Arc;

use http::HeaderValue;
use url::Url;

use super::{Config, FORM, Pending, Remembered, answer};
use crate::otp::{FailureKind, Phone, SendError, TransactionId};
use crate::outbound::{Outbound, Request};
use crate::provider::account::join;
use crate::provider::feedback::Fate;

/// Ends the verifications of one service.
#[derive(Debug, Clone)]
pub struct Feedback {
    verifications_url: Url,
    authorization: HeaderValue,
    outbound: Outbound,
    /// What is over need not be cancelled before the next code.
    pending: Arc<Remembered<Pending>>,
}

impl Feedback {
    /// For the service of this configuration, whose verifications these are.
    pub(super) fn new(config: &Config, outbound: Outbound, pending: Arc<Remembered<Pending>>) -> Self {
        let verifications_url = super::verifications_url(config);
        Self { verifications_url, authorization: config.authorization.clone(), outbound, pending }
    }

    /// Ends a verification: approved when its code was used, else cancelled, so that Verify does not take a code that
    /// was superseded for one that was abandoned.
    ///
    /// # Errors
    /// When Verify refuses or does not answer.
    pub(in crate::provider) async fn tell(&self, id: &TransactionId, fate: Fate) -> Result<(), SendError> {
        if !id.as_str().bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(SendError::new(FailureKind::Rejected, "not_a_sid"));
        }
        self.end(id.as_str(), fate).await?;
        self.pending.remove_all(|pending| pending.id.as_ref() == Some(id));
        Ok(())
    }

    /// Approves whatever is pending for a number: a service keeps one verification for each.
    ///
    /// # Errors
    /// As `tell`.
    pub(in crate::provider) async fn approve_number(&self, number: &Phone) -> Result<(), SendError> {
        self.end_of(number, Fate::Used).await
    }

    /// Cancels whatever is pending for a number.
    ///
    /// # Errors
    /// As `tell`.
    pub(super) async fn cancel_number(&self, number: &Phone) -> Result<(), SendError> {
        self.end_of(number, Fate::Unused).await
    }

    async fn end_of(&self, number: &Phone, fate: Fate) -> Result<(), SendError> {
        let ended = self.pending.find(number);
        self.end(&format!("%2B{}", number.expose_digits()), fate).await?;
        // Another may have been created meanwhile.
        self.pending.remove_if(number, |pending| Some(pending) == ended.as_ref());
        Ok(())
    }

    /// `segment` names the verification in the path. One that is over already, by itself or by an earlier call, is as
    /// good as told.
    pub(super) async fn end(&self, segment: &str, fate: Fate) -> Result<(), SendError> {
        let url = join(&self.verifications_url, &format!("/{segment}"));
        let status = match fate {
            Fate::Used => "Status=approved",
            Fate::Unused => "Status=canceled",
        };
        let answer = self.outbound.send(Request::post(url, &self.authorization, FORM, status)).await?;
        match answer.status {
            200..=299 | 404 => Ok(()),
            _ => Err(answer::classify(&answer).err().unwrap_or_else(answer::not_configured)),
        }
    }
}
