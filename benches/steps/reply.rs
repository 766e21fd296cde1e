//! The outcome in Okta's words.

use std::time::Duration;

use divan::Bencher;
use okta_telephony_hook::otp::{
    Accepted, Attempt, Channel, FailureKind, Outcome, ProviderName, SendError, TransactionId,
};

use crate::ground::{hook, message};

#[divan::bench(args = ["accepted", "exhausted"])]
fn reply(bencher: Bencher, verdict: &str) {
    let outcome = if verdict == "accepted" { accepted("SM0123456789") } else { exhausted() };
    let (hook, message) = (hook(), message());
    let replies = &hook.config().replies;
    bencher
        .bench_local(|| replies.reply(divan::black_box(&outcome), message.locale.as_ref(), Duration::from_millis(90)));
}

/// What becomes of a message that the first provider takes under this id.
pub fn accepted(id: &str) -> Outcome {
    outcome(Ok(Accepted::new(TransactionId::parse(id).expect("an id"))))
}

fn exhausted() -> Outcome {
    outcome(Err(SendError::new(FailureKind::Unavailable, "connect")))
}

fn outcome(result: Result<Accepted, SendError>) -> Outcome {
    let attempt = Attempt { provider: ProviderName::new("first"), result, elapsed: Duration::from_millis(80) };
    Outcome::of(Channel::Sms, "everything-else".into(), vec![attempt])
}
