//! What 8x8's answers mean: the SMS API and the Voice API answer in two different shapes.
//!
//! Must not know how a request is written. Descriptions and messages are never read: they are free text and may quote
//! the number. Source: 8x8's API descriptions.

use serde::Deserialize;

use super::codes::{self, CALLS, Row, TEXTS};
use crate::otp::{Accepted, FailureKind, SendError, TransactionId};
use crate::outbound::Answer;
use crate::provider::code;
use crate::provider::error::{by_status, is_redirect, is_success};

/// The members of a text's answer that matter.
#[derive(Deserialize)]
struct Text {
    umid: Option<String>,
    status: Option<TextStatus>,
}

#[derive(Deserialize)]
struct TextStatus {
    code: Option<String>,
}

#[derive(Deserialize)]
struct TextFailure {
    #[serde(default, deserialize_with = "code::read")]
    code: Option<i64>,
}

/// The members of a call's answer that matter, in success and failure alike.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Call {
    session_id: Option<String>,
    session_status: Option<String>,
    #[serde(default, deserialize_with = "code::read")]
    status_code: Option<i64>,
}

/// Classifies the answer to a text: accepted only with a 2xx, `QUEUED` and an id.
pub fn text(answer: &Answer) -> Result<Accepted, SendError> {
    if !is_success(answer) {
        return Err(text_failure(answer));
    }
    let Ok(text) = serde_json::from_slice::<Text>(&answer.body) else { return Err(by_status(answer)) };
    match text.status.and_then(|s| s.code).map(|word| word.to_ascii_uppercase()).as_deref() {
        Some("QUEUED") => accepted(text.umid.as_deref(), answer),
        // Nothing will be sent, and no code says why. A reason of configuration as likely as any, so the next provider
        // may try: `Blocked` is kept for refusals known to be fraud or law.
        Some("REJECTED") => Err(SendError::new(FailureKind::Rejected, "rejected")),
        Some(_) | None => Err(by_status(answer)),
    }
}

/// Classifies the answer to feedback. 404: the text is no longer kept there, so nobody misses what was told.
pub(super) fn feedback(answer: &Answer) -> Result<(), SendError> {
    if is_success(answer) || answer.status == 404 { Ok(()) } else { Err(text_failure(answer)) }
}

/// Classifies the answer to a call: accepted only with a 2xx, `CREATED` and an id.
pub fn call(answer: &Answer) -> Result<Accepted, SendError> {
    let Ok(call) = serde_json::from_slice::<Call>(&answer.body) else { return Err(by_status(answer)) };
    let session = call.session_status.map(|word| word.to_ascii_uppercase());
    if is_success(answer) && session.as_deref() == Some("CREATED") {
        return accepted(call.session_id.as_deref(), answer);
    }
    let error = failure(answer, call.status_code, &CALLS);
    // What an inner error alone leaves open, this word settles, and without a word a status that says the request was
    // refused: there is no session that could still ring.
    let is_refused = session.as_deref().map_or((400..500).contains(&answer.status), |word| word == "NOT_CREATED");
    let is_settled = is_refused
        && call.status_code.is_some_and(|code| codes::find(&CALLS, code) == Some(FailureKind::Unconfirmed))
        && error.kind == FailureKind::Unconfirmed
        && !is_redirect(answer);
    Err(if is_settled { SendError { kind: FailureKind::Unavailable, ..error } } else { error })
}

fn accepted(id: Option<&str>, answer: &Answer) -> Result<Accepted, SendError> {
    let id = id.and_then(TransactionId::parse);
    id.map(Accepted::new).ok_or_else(|| by_status(answer))
}

fn text_failure(answer: &Answer) -> SendError {
    failure(answer, text_code(answer), &TEXTS)
}

/// The code of an error of the SMS API.
pub(super) fn text_code(answer: &Answer) -> Option<i64> {
    serde_json::from_slice::<TextFailure>(&answer.body).ok().and_then(|f| f.code)
}

fn failure(answer: &Answer, code: Option<i64>, table: &[Row]) -> SendError {
    let Some(code) = code.filter(|_| !is_redirect(answer)) else { return by_status(answer) };
    // A request over the rate limit was not processed, whatever the code says; the limit may be the number's own.
    let is_throttled = answer.status == 429 && code != codes::TOO_SOON;
    let known = if is_throttled { Some(FailureKind::Throttled) } else { codes::find(table, code) };
    let kind = known.unwrap_or_else(|| by_status(answer).kind);
    SendError { retry_after: answer.retry_after, remedy: codes::remedy(code), ..SendError::new(kind, code.to_string()) }
}

/// The channel is off, or has no sender for this message: a reason of configuration, and nothing was sent.
pub(super) fn not_configured() -> SendError {
    SendError::unasked("no_sender")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use serde_json::json;

    use super::super::fixtures;
    use super::*;
    use crate::otp::FailureKind::{Account, Blocked, Recipient, Rejected, Throttled, Unavailable, Unconfirmed};
    use crate::otp::Next;
    use crate::otp::Suspicion;

    /// The kinds that the contract's class allows; the next step then narrows them.
    fn kinds(class: &str) -> &'static [FailureKind] {
        match class {
            "bad-credentials" => &[Account],
            "bad-number" => &[Recipient, Rejected],
            "blocked/opt-out" => &[Blocked, Recipient, Rejected],
            "rate-limited" => &[Throttled, Recipient],
            "config-error" => &[Account, Rejected, Recipient],
            "provider-outage" => &[Unavailable, Unconfirmed],
            _ => panic!("{class} is no class of the contract"),
        }
    }

    #[test]
    fn the_fixtures_mean_what_the_contract_says() {
        for fixture in fixtures::all() {
            let (name, expect, answer) = (&fixture.name, &fixture.expect, fixture.answer());
            let result = if fixture.is_call() { call(&answer) } else { text(&answer) };
            match (expect["outcome"].as_str(), result) {
                (Some("accepted"), Ok(accepted)) => {
                    assert_eq!(accepted.transaction_id.as_str(), expect["transaction_id"], "{name}");
                }
                (Some("rejected"), Err(error)) => {
                    assert!(kinds(expect["class"].as_str().expect("a class")).contains(&error.kind), "{name}: {error}");
                    assert_eq!(error.kind.next() != Next::Stop, expect["next_provider"], "{name}: {error}");
                    if fixture.is_call() && expect["class"] == "provider-outage" {
                        assert_eq!(error.kind, Unavailable, "{name}: a readable body says that no session was made");
                    }
                    assert_eq!(error.retry_after, answer.retry_after, "{name}");
                    if let Some(seconds) = expect["retry_after_s"].as_u64() {
                        assert_eq!(error.retry_after, Some(Duration::from_secs(seconds)), "{name}");
                    }
                }
                (outcome, result) => panic!("{name}: {outcome:?} became {result:?}"),
            }
        }
    }

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, body: Bytes::from(body.to_owned()), retry_after: None, max_age: None, date: None }
    }

    #[track_caller]
    fn check(result: &Result<Accepted, SendError>, kind: FailureKind, code: &str) {
        let suspicion = code.starts_with("http_3").then_some(Suspicion::Redirect);
        let remedy = codes::remedy(code.parse().unwrap_or(0));
        assert_eq!(result, &Err(SendError { suspicion, remedy, ..SendError::new(kind, code) }));
    }

    #[test]
    fn a_code_that_is_written_as_a_text_is_read_too() {
        let created = r#"{"sessionId":"a1","sessionStatus":"CREATED","statusCode":"1"}"#;
        assert!(call(&answer(200, created)).is_ok());
        check(&call(&answer(400, r#"{"statusCode":"-1017"}"#)), Recipient, "-1017");
        check(&text(&answer(400, r#"{"code":"1002"}"#)), Recipient, "1002");
    }

    #[test]
    fn words_count_in_whatever_case() {
        let queued = r#"{"umid":"u-1","status":{"code":"queued"}}"#;
        assert!(text(&answer(200, queued)).is_ok());
        check(&text(&answer(200, r#"{"status":{"code":"Rejected"}}"#)), Rejected, "rejected");
        assert!(call(&answer(200, r#"{"sessionId":"s-1","sessionStatus":"Created"}"#)).is_ok());
    }

    #[test]
    fn every_code_of_a_text_has_its_kind_whatever_the_status() {
        let mut seen = 0;
        for (codes, kind) in [
            (&[1001, 1005, 1200, 1201, 1300, 2003, 3011][..], Account),
            (&[1002, 1009, 1400, 3002, 3003, 3018], Recipient),
            (&[1000, 1003, 1004, 1006, 1007, 1008, 1010, 1011, 1012, 1014, 1100], Rejected),
            (&[2001, 2002, 3001, 3004, 3005, 3006, 3009, 3020], Rejected),
            (&[429], Throttled),
            (&[2000], Unconfirmed),
        ] {
            seen += codes.len();
            for code in codes {
                for status in [400, 401, 403, 404, 410, 422, 426, 500] {
                    let body = json!({ "code": code, "message": "to +15005550006" }).to_string();
                    check(&text(&answer(status, &body)), kind, &code.to_string());
                    let over_the_limit = if *code == 1400 { Recipient } else { Throttled };
                    check(&text(&answer(429, &body)), over_the_limit, &code.to_string());
                }
            }
        }
        assert_eq!(seen, TEXTS.len());
    }

    #[test]
    fn every_code_of_a_call_has_its_kind_whatever_the_status() {
        let mut seen = 0;
        let rejected: Vec<i64> = (-1013..=-1001).chain([-1016]).chain(-1020..=-1018).collect();
        for (codes, kind) in [
            (&[401, 404, -1014][..], Account),
            (&[-1015, -1017], Recipient),
            (&rejected, Rejected),
            (&[500, -9999], Unavailable),
        ] {
            seen += codes.len();
            for code in codes {
                let body = json!({ "sessionStatus": "NOT_CREATED", "statusCode": code }).to_string();
                for status in [200, 400, 401, 404, 422, 500] {
                    check(&call(&answer(status, &body)), kind, &code.to_string());
                }
                check(&call(&answer(429, &body)), Throttled, &code.to_string());
            }
        }
        assert_eq!(seen, CALLS.len());
    }

    #[test]
    fn an_inner_error_is_certain_only_where_no_session_was_made() {
        for code in [500, -9999] {
            for status in ["null", r#""CREATED""#, r#""FAILED""#] {
                let body = format!(r#"{{"sessionStatus":{status},"statusCode":{code}}}"#);
                check(&call(&answer(500, &body)), Unconfirmed, &code.to_string());
            }
        }
        for (status, body, kind) in [
            (400, r#"{"statusCode":-9999}"#, Unavailable),
            (422, r#"{"sessionStatus":null,"statusCode":500}"#, Unavailable),
            (400, r#"{"sessionStatus":"not_created","statusCode":-9999}"#, Unavailable),
            (400, r#"{"sessionStatus":"CREATED","statusCode":-9999}"#, Unconfirmed),
            (200, r#"{"statusCode":-9999}"#, Unconfirmed),
            (429, r#"{"statusCode":-9999}"#, Throttled),
        ] {
            let code = if body.contains("9999") { "-9999" } else { "500" };
            check(&call(&answer(status, body)), kind, code);
        }
        check(&call(&answer(500, r#"{"sessionStatus":"NOT_CREATED"}"#)), Unconfirmed, "http_500");
        check(&call(&answer(500, r#"{"sessionStatus":"NOT_CREATED","statusCode":31337}"#)), Unconfirmed, "31337");
    }

    #[test]
    fn without_a_known_code_the_status_decides() {
        for (status, kind) in [
            (400, Rejected),
            (401, Account),
            (403, Account),
            (404, Account),
            (422, Rejected),
            (429, Throttled),
            (500, Unconfirmed),
            (503, Unconfirmed),
        ] {
            for body in ["", "upstream connect error", "{}", "[]", r#"{"code":"none","statusCode":{}}"#] {
                check(&text(&answer(status, body)), kind, &format!("http_{status}"));
                check(&call(&answer(status, body)), kind, &format!("http_{status}"));
            }
            let unknown = r#"{"code":31337,"statusCode":31337}"#;
            check(&text(&answer(status, unknown)), kind, "31337");
            check(&call(&answer(status, unknown)), kind, "31337");
        }
    }

    #[test]
    fn no_code_speaks_in_a_redirect() {
        for status in [301, 302, 307, 399] {
            let codes = [1002, 1200, 401, -1017, 31337];
            let coded = codes.map(|c| format!(r#"{{"code":{c},"statusCode":{c},"sessionStatus":"NOT_CREATED"}}"#));
            for body in coded.into_iter().chain([String::new(), "<html>".to_owned()]) {
                check(&text(&answer(status, &body)), Unconfirmed, &format!("http_{status}"));
                check(&call(&answer(status, &body)), Unconfirmed, &format!("http_{status}"));
            }
        }
    }

    #[test]
    fn success_needs_the_word_and_an_id() {
        check(&text(&answer(200, r#"{"status":{"code":"REJECTED"}}"#)), Rejected, "rejected");
        for body in [
            "",
            "{}",
            r#"{"umid":"u-1"}"#,
            r#"{"umid":"u-1","status":{}}"#,
            r#"{"umid":"u-1","status":{"code":"SENT"}}"#,
            r#"{"umid":"","status":{"code":"QUEUED"}}"#,
            r#"{"umid":7,"status":{"code":"QUEUED"}}"#,
            r#"{"status":{"code":"QUEUED"}}"#,
        ] {
            check(&text(&answer(200, body)), Unconfirmed, "http_200");
        }
        for body in ["", "{}", r#"{"sessionStatus":"CREATED"}"#, r#"{"sessionId":"s-1"}"#] {
            check(&call(&answer(200, body)), Unconfirmed, "http_200");
        }
        check(&call(&answer(200, r#"{"sessionStatus":"CREATED","statusCode":1}"#)), Unconfirmed, "http_200");
        check(&call(&answer(500, r#"{"sessionId":"s-1","sessionStatus":"CREATED"}"#)), Unconfirmed, "http_500");
    }
}
