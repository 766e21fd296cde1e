//! What Twilio's answer to a create call means.
//!
//! Must not know which resource was created: messages, calls and verifications answer in one shape, and the words that
//! one of them alone uses mean nothing else in the others.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::codes;
use crate::otp::{Accepted, FailureKind, SendError, TransactionId};
use crate::outbound::Answer;
use crate::provider::code;
use crate::provider::error::{by_status, is_redirect, is_success};

/// Verify's code for a parameter it refuses.
const INVALID_PARAMETER: i64 = 60200;

/// The members of a resource that matter; everything else, the echoed code above all, is not read.
#[derive(Deserialize)]
struct Created {
    sid: Option<String>,
    status: Option<String>,
    #[serde(default, deserialize_with = "code::read")]
    error_code: Option<i64>,
    /// Verify's sends under this id, the last of which is this one. Of any shape: a strange list must not hide the id.
    #[serde(default)]
    send_code_attempts: Value,
}

/// A refusal: Twilio's code, and a message that names a parameter. The message may quote the number, so it stays here.
#[derive(Deserialize)]
pub(super) struct Failure {
    #[serde(default, deserialize_with = "code::read")]
    pub(super) code: Option<i64>,
    /// Of any type: a strange message must not hide the code.
    #[serde(default)]
    message: Value,
}

impl Failure {
    /// Reads a refusal; `None` when the body is none, such as a proxy's page.
    pub(super) fn read(answer: &Answer) -> Option<Self> {
        serde_json::from_slice(&answer.body).ok()
    }

    /// Whether this is 60200 and blames this parameter: ``Invalid parameter `To`: …`` or `Invalid parameter: To`.
    ///
    /// The one message that is read at all, as its code alone does not tell whose fault it is.
    pub(super) fn names_parameter(&self, parameter: &str) -> bool {
        let message = self.message.as_str().filter(|_| self.code == Some(INVALID_PARAMETER));
        let after = message.and_then(|m| m.split_once("parameter")).map(|(_, after)| after);
        let mut words = after.unwrap_or_default().split(|c: char| !c.is_ascii_alphanumeric());
        words.find(|word| !word.is_empty()) == Some(parameter)
    }
}

/// Classifies an answer: accepted only with a 2xx, an id, and a status that is no final failure.
pub fn classify(answer: &Answer) -> Result<Accepted, SendError> {
    if !is_success(answer) {
        return Err(failure(answer));
    }
    let created: Option<Created> = serde_json::from_slice(&answer.body).ok();
    let Some(created) = created else { return Err(by_status(answer)) };
    let over = ["canceled", "deleted", "expired", "failed", "max_attempts_reached", "undelivered"];
    if created.status.is_some_and(|status| over.contains(&status.as_str())) {
        return Err(stillborn(created.error_code));
    }
    let id = created.sid.as_deref().and_then(TransactionId::parse);
    let last = created.send_code_attempts.as_array().and_then(|attempts| attempts.last());
    let attempt_id = last.and_then(|attempt| attempt["attempt_sid"].as_str()).and_then(TransactionId::parse);
    id.map(|transaction_id| Accepted { transaction_id, attempt_id }).ok_or_else(|| by_status(answer))
}

fn failure(answer: &Answer) -> SendError {
    let Some(failure) = Failure::read(answer).filter(|_| !is_redirect(answer)) else { return by_status(answer) };
    let Some(code) = failure.code else { return by_status(answer) };
    let kind = if answer.status == 429 {
        // Twilio never processes what it answers with 429, whatever the code says.
        FailureKind::Throttled
    } else if failure.names_parameter("To") {
        FailureKind::Recipient
    } else {
        codes::find(code).unwrap_or_else(|| by_status(answer).kind)
    };
    // Limits of one number say nothing about the next one: no pause for the whole account.
    let retry_after = if codes::PER_NUMBER.contains(&code) { Some(Duration::ZERO) } else { answer.retry_after };
    let opted_out = code == codes::OPTED_OUT && kind == FailureKind::Recipient;
    let number_alone = codes::NUMBER_ALONE.contains(&code);
    SendError { retry_after, opted_out, number_alone, ..SendError::new(kind, code.to_string()) }
}

/// A 201 whose body already reports a final failure: nothing will arrive, so the next provider may try.
fn stillborn(code: Option<i64>) -> SendError {
    match code {
        Some(code) => SendError {
            opted_out: code == codes::OPTED_OUT,
            ..SendError::new(codes::find(code).unwrap_or(FailureKind::Unavailable), code.to_string())
        },
        None => SendError::new(FailureKind::Unavailable, "created_failed"),
    }
}

/// No sender for this message: a reason of configuration, and nothing was sent.
pub(super) fn not_configured() -> SendError {
    SendError::unasked("no_sender")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::provider::twilio::testing::{answer, fixtures, kinds};

    #[test]
    fn every_published_answer_is_classified_as_documented() {
        for (name, fixture) in fixtures("verify-") {
            // Answers to feedback are no answers to a send.
            if name.starts_with("verify-feedback-") {
                continue;
            }
            let (expect, found) = (&fixture["expect"], classify(&answer(&fixture["response"])));
            if expect["outcome"] == "accepted" {
                let accepted = found.expect(&name);
                assert_eq!(expect["transaction_id"], accepted.transaction_id.as_str(), "{name}");
                let attempt_id = accepted.attempt_id.as_ref().map(TransactionId::as_str);
                assert_eq!(expect["metadata"].as_str(), attempt_id, "{name}");
            } else {
                let kind = found.expect_err(&name).kind;
                assert!(kinds(expect).contains(&kind), "{name}: {kind}");
            }
        }
    }

    #[test]
    fn an_invalid_parameter_is_the_recipients_only_if_it_is_to() {
        for (message, expected) in [
            ("Invalid parameter `To`: +15005550010", FailureKind::Recipient),
            ("Invalid parameter 'To': +15005550010", FailureKind::Recipient),
            ("Invalid parameter: To", FailureKind::Recipient),
            ("Invalid parameter: CustomCode", FailureKind::Rejected),
            ("Invalid parameter `Token`: To", FailureKind::Rejected),
            ("Invalid parameter (null)", FailureKind::Rejected),
            ("To whom it may concern", FailureKind::Rejected),
            ("", FailureKind::Rejected),
        ] {
            let body = json!({ "code": 60200, "message": message, "status": 400 });
            let error = classify(&answer(&json!({ "status": 400, "body": body }))).expect_err("a refusal");
            assert_eq!((error.kind, error.code.as_str()), (expected, "60200"), "{message:?}");
        }
        let strange = json!({ "code": 60205, "message": ["a", "list"] });
        let error = classify(&answer(&json!({ "status": 403, "body": strange }))).expect_err("a refusal");
        assert_eq!(error.kind, FailureKind::Recipient, "a strange message does not hide the code");
        let other = json!({ "code": 20001, "message": "Invalid parameter: To" });
        let error = classify(&answer(&json!({ "status": 400, "body": other }))).expect_err("a refusal");
        assert_eq!(error.kind, FailureKind::Rejected, "only the code 60200 makes the message count");
    }

    #[test]
    fn a_code_that_is_written_as_a_text_is_read_too() {
        let refusal = json!({ "code": "21211", "message": "paraphrased", "status": 400 });
        let error = classify(&answer(&json!({ "status": 400, "body": refusal }))).expect_err("a refusal");
        assert_eq!((error.kind, error.code.as_str()), (FailureKind::Recipient, "21211"));
        let stillborn = json!({ "sid": "SM1", "status": "failed", "error_code": "21610" });
        let error = classify(&answer(&json!({ "status": 201, "body": stillborn }))).expect_err("over");
        assert_eq!((error.code.as_str(), error.opted_out), ("21610", true));
        let odd = json!({ "sid": "SM1", "status": "queued", "error_code": { "of": "any shape" } });
        assert!(classify(&answer(&json!({ "status": 201, "body": odd }))).is_ok(), "an odd one hides no id");
    }

    #[test]
    fn no_code_speaks_in_a_redirect() {
        for (status, code) in [(302, 20003), (307, 21211), (303, 60203), (308, 60410)] {
            let body = json!({ "code": code, "message": "Invalid parameter: To" });
            let error = classify(&answer(&json!({ "status": status, "body": body }))).expect_err("a redirect");
            assert_eq!((error.kind, error.code), (FailureKind::Unconfirmed, format!("http_{status}")), "{code}");
        }
    }

    #[test]
    fn a_resource_that_is_over_at_birth_sends_nothing() {
        for status in ["canceled", "deleted", "expired", "failed", "max_attempts_reached"] {
            let body = json!({ "sid": "VE1", "status": status });
            let error = classify(&answer(&json!({ "status": 201, "body": body }))).expect_err(status);
            assert_eq!(error.kind, FailureKind::Unavailable, "{status}");
        }
        let lost = classify(&answer(&json!({ "status": 201, "body": { "status": "pending" } })));
        assert_eq!(lost.expect_err("no id").kind, FailureKind::Unconfirmed);
    }
}
