//! What Twilio's answer to a create call means.
//!
//! Must not know which resource was created: Messages and Calls answer in one shape.

use serde::Deserialize;

use super::codes;
use crate::otp::{Accepted, FailureKind, SendError, TransactionId};
use crate::outbound::Answer;
use crate::provider::error::by_status;

/// The members of a resource that matter; everything else, the echoed code above all, is not read.
#[derive(Deserialize)]
struct Created {
    sid: Option<String>,
    status: Option<String>,
    error_code: Option<i64>,
}

#[derive(Deserialize)]
struct Failure {
    code: Option<i64>,
}

/// Classifies an answer: accepted only with a 2xx, an id, and a status that is no final failure.
pub(super) fn classify(answer: &Answer) -> Result<Accepted, SendError> {
    if !(200..300).contains(&answer.status) {
        return Err(failure(answer));
    }
    let created: Option<Created> = serde_json::from_slice(&answer.body).ok();
    let Some(created) = created else { return Err(by_status(answer)) };
    if matches!(created.status.as_deref(), Some("failed" | "undelivered" | "canceled")) {
        return Err(stillborn(created.error_code));
    }
    let id = created.sid.as_deref().and_then(TransactionId::parse);
    id.map(|transaction_id| Accepted { transaction_id }).ok_or_else(|| by_status(answer))
}

fn failure(answer: &Answer) -> SendError {
    let code = serde_json::from_slice::<Failure>(&answer.body).ok().and_then(|f| f.code);
    let Some(code) = code else { return by_status(answer) };
    // Twilio never processes what it answers with 429, whatever the code says.
    let known = if answer.status == 429 { Some(FailureKind::Throttled) } else { codes::find(code) };
    let kind = known.unwrap_or_else(|| by_status(answer).kind);
    SendError { retry_after: answer.retry_after, ..SendError::new(kind, code.to_string()) }
}

/// A 201 whose body already reports a final failure: nothing will arrive, so the next provider may try.
fn stillborn(code: Option<i64>) -> SendError {
    match code {
        Some(code) => SendError::new(codes::find(code).unwrap_or(FailureKind::Unavailable), code.to_string()),
        None => SendError::new(FailureKind::Unavailable, "created_failed"),
    }
}

/// No sender for this message: a reason of configuration, and nothing was sent.
pub(super) fn not_configured() -> SendError {
    SendError::new(FailureKind::Rejected, "no_sender")
}
