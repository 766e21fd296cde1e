//! What an answer means when its body does not say: by HTTP status alone.
//!
//! Must not know any vendor's codes; a vendor's table comes first, this is what is left.

use crate::otp::{FailureKind, SendError, Suspicion};
use crate::outbound::Answer;

/// Whether an answer is a success by its HTTP status.
pub(super) fn is_success(answer: &Answer) -> bool {
    (200..300).contains(&answer.status)
}

/// Whether an answer sends us elsewhere. We never follow: whoever gave it may have passed the message on or not, and a
/// vendor's code in its body was not written for this exchange.
pub(super) fn is_redirect(answer: &Answer) -> bool {
    (300..400).contains(&answer.status)
}

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
    let suspicion = is_redirect(answer).then_some(Suspicion::Redirect);
    SendError { retry_after: answer.retry_after, suspicion, ..SendError::new(kind, format!("http_{}", answer.status)) }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn an_answer_from_elsewhere_is_suspicious_and_a_failure_is_not() {
        for (status, expected) in [(302, true), (307, true), (200, false), (401, false), (429, false), (503, false)] {
            let answer = Answer { status, body: Bytes::new(), retry_after: None, max_age: None, date: None };
            let suspicion = expected.then_some(Suspicion::Redirect);
            assert_eq!(by_status(&answer).suspicion, suspicion, "{status}");
        }
    }
}
