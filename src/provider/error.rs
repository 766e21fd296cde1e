//! What an answer means when its body does not say: by HTTP status alone.
//!
//! Must not know any vendor's codes; a vendor's table comes first, this is what is left.

use crate::otp::{FailureKind, SendError};
use crate::outbound::Answer;

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
    SendError { retry_after: answer.retry_after, ..SendError::new(kind, format!("http_{}", answer.status)) }
}

/// Whether a failure may be the work of somebody between us and the provider, in one word: `tls` for a certificate that
/// is not to be trusted, `redirect` for an answer from elsewhere.
pub fn security_reason(error: &SendError) -> Option<&'static str> {
    match error.code.as_str() {
        "tls" => Some("tls"),
        code if code.len() == "http_302".len() && code.starts_with("http_3") => Some("redirect"),
        _ => None,
    }
}
