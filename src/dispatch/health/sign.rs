//! What the end of an attempt says of its provider, and how long it wants to be left alone.
//!
//! Must not know breakers or lanes.

use std::time::Duration;

use crate::otp::{FailureKind, SendError};

/// A provider that says 429 without saying for how long.
const DEFAULT_PACE: Duration = Duration::from_secs(1);

/// A provider that asks for longer is asked again after this all the same.
const LONGEST_PACE: Duration = Duration::from_secs(60);

/// What the end of an attempt says of its provider.
pub(super) enum Sign {
    /// Nothing: it was not asked.
    Nothing,
    /// It answered as a provider that is well does.
    Well,
    /// It failed.
    Ill,
    /// Our credentials, our balance: a person must act.
    RefusesUs,
}

/// Reads the sign.
pub(super) fn sign(result: Result<(), &SendError>) -> Sign {
    let Err(error) = result else { return Sign::Well };
    match error.kind {
        _ if error.unasked => Sign::Nothing,
        FailureKind::Account => Sign::RefusesUs,
        // It was the message, or our pace, that it minded; or it is overloaded, and says for how long.
        FailureKind::Recipient | FailureKind::Blocked | FailureKind::Rejected | FailureKind::Throttled => Sign::Well,
        FailureKind::Unavailable if error.retry_after.is_some() => Sign::Well,
        FailureKind::Unavailable | FailureKind::Unconfirmed => Sign::Ill,
    }
}

/// For how long a provider that failed so is not asked.
pub(super) fn pause(error: &SendError) -> Option<Duration> {
    match error.kind {
        FailureKind::Throttled => Some(error.retry_after.unwrap_or(DEFAULT_PACE).min(LONGEST_PACE)),
        FailureKind::Unavailable => error.retry_after.map(|asked| asked.min(LONGEST_PACE)),
        FailureKind::Account
        | FailureKind::Blocked
        | FailureKind::Recipient
        | FailureKind::Rejected
        | FailureKind::Unconfirmed => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_as_long_as_was_asked_for_and_a_minute_at_most() {
        let seconds = Duration::from_secs;
        for (kind, asked, expected) in [
            (FailureKind::Throttled, None, Some(1)),
            (FailureKind::Throttled, Some(7), Some(7)),
            (FailureKind::Throttled, Some(3600), Some(60)),
            (FailureKind::Unavailable, None, None),
            (FailureKind::Unavailable, Some(7), Some(7)),
            (FailureKind::Unavailable, Some(3600), Some(60)),
            // It was the message that it minded, or nobody knows what became of it.
            (FailureKind::Rejected, Some(7), None),
            (FailureKind::Unconfirmed, Some(7), None),
        ] {
            let error = SendError { retry_after: asked.map(seconds), ..SendError::new(kind, "x") };
            assert_eq!(pause(&error), expected.map(seconds), "{kind} {asked:?}");
        }
    }
}
