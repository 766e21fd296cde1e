//! Feeds: a provider's answer to a send. The first byte picks the operation, the second the status, the rest is the body.
//!
//! Must hold: what is accepted has a 2xx and an id that stands in the body. A refusal has a short word or a number of
//! the body for its cause. Redirects and limits are what they are, whatever the body says of them.

#![cfg_attr(fuzzing, no_main)]

use std::time::Duration;

use bytes::Bytes;
use okta_telephony_hook::otp::{Accepted, FailureKind, SendError, Suspicion, TransactionId};
use okta_telephony_hook::outbound::Answer;
use okta_telephony_hook::provider::telesign::Product;
use okta_telephony_hook::provider::{eight_by_eight, telesign, twilio};

type Classify = fn(&Answer) -> Result<Accepted, SendError>;

/// Every reading of an answer to a send, under the word that recorded cases have for it.
pub const OPERATIONS: [(&str, Classify); 6] = [
    ("messages calls verify", twilio::classify),
    ("omnichannel", |answer| telesign::classify(Product::Omnichannel, answer)),
    ("messaging", |answer| telesign::classify(Product::Messaging, answer)),
    ("voice-telesign", |answer| telesign::classify(Product::Voice, answer)),
    ("sms", eight_by_eight::classify_text),
    ("voice", eight_by_eight::classify_call),
];

/// Each that a vendor documents, and those that mean something of themselves.
pub const STATUSES: [u16; 20] =
    [200, 201, 202, 204, 299, 301, 302, 307, 308, 400, 401, 403, 404, 409, 422, 429, 500, 502, 503, 504];

const RETRY_AFTER: Duration = Duration::from_secs(7);

/// Whether it was read as an acceptance.
pub fn holds(data: &[u8]) -> bool {
    let [operation, status, body @ ..] = data else { return false };
    let (_, classify) = OPERATIONS[usize::from(*operation) % OPERATIONS.len()];
    let status = STATUSES[usize::from(*status) % STATUSES.len()];
    let body = Bytes::copy_from_slice(body);
    let plain = String::from_utf8_lossy(&body).into_owned();
    let answer = Answer { status, body, retry_after: Some(RETRY_AFTER), max_age: None, date: None };
    match classify(&answer) {
        Ok(accepted) => {
            assert!((200..300).contains(&status), "accepted with {status}");
            is_named(&accepted.transaction_id, &plain);
            accepted.attempt_id.iter().for_each(|id| is_named(id, &plain));
            true
        }
        Err(error) => {
            is_sound(&error, status, &plain);
            false
        }
    }
}

fn is_named(id: &TransactionId, body: &str) {
    assert!((1..=128).contains(&id.as_str().len()) && id.as_str().bytes().all(|b| b.is_ascii_graphic()));
    assert!(stands_in(body, id.as_str()), "an id from nowhere");
}

fn is_sound(error: &SendError, status: u16, body: &str) {
    let SendError { kind, code, retry_after, opted_out, unasked, unsent, suspicion, .. } = error;
    let is_word =
        |code: &str| code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') || *code == format!("http_{status}");
    assert!(is_word(code) || stands_in(body, code), "{code} is not of this answer");
    assert!(*retry_after == Some(RETRY_AFTER) || matches!(retry_after, None | Some(Duration::ZERO)));
    assert!(!opted_out || *kind == FailureKind::Recipient, "{code}");
    assert!(!unasked && !unsent, "it was asked: there is an answer");
    let is_redirect = (300..400).contains(&status);
    assert_eq!(*suspicion, is_redirect.then_some(Suspicion::Redirect));
    match status {
        429 => assert_eq!(*kind, FailureKind::Throttled),
        300..400 => assert_eq!(*kind, FailureKind::Unconfirmed, "who sends us elsewhere proves nothing"),
        // Certain that nothing was accepted: a 2xx and a page say no such thing.
        200..300 if !body.contains('{') => assert_eq!(*kind, FailureKind::Unconfirmed),
        _ => {}
    }
}

/// Whether it stands there as it is; in a text every character has another spelling.
fn stands_in(body: &str, value: &str) -> bool {
    body.contains(value) || body.contains('\\')
}

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    holds(data);
});
