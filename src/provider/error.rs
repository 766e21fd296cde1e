//! What an answer means when its body does not say: by HTTP status alone.
//!
//! Must not know any vendor's codes; a vendor's table comes first, this is what is left.

use crate::otp::{FailureKind, SendError};
use crate::outbound::Answer;

/// Classifies an answer that carries no code we know. A 2xx that gets here had no id.
///
/// Only statuses by which HTTP itself promises that nothing was done count as certain; a 5xx promises nothing.
pub(super) fn by_status(answer: &Answer) -> SendError {
    let kind = match answer.status {
        401..=404 => FailureKind::Account,
        429 => FailureKind::Throttled,
        400..=499 => FailureKind::Rejected,
        _ => FailureKind::Unconfirmed,
    };
    SendError { retry_after: answer.retry_after, ..SendError::new(kind, format!("http_{}", answer.status)) }
}
