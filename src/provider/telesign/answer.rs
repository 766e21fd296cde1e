//! What Telesign's answer to a send means.
//!
//! Must not know how the request was written. Telesign tells integrators to go by `status.code`, not by the HTTP
//! status: a 2xx may carry a refusal.

use serde::Deserialize;
use serde_json::Value;

use super::Product;
use super::codes::{self, Meaning};
use crate::otp::{Accepted, FailureKind, SendError, TransactionId};
use crate::outbound::Answer;
use crate::provider::code::number;
use crate::provider::error::{by_status, is_redirect, is_success};

/// The members that matter, of any shape: one that is odd must not hide the others.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    reference_id: Value,
    status: Value,
    errors: Value,
}

impl Body {
    fn status_code(&self) -> Option<i64> {
        number(&self.status["code"])
    }

    fn error_codes(&self) -> impl Iterator<Item = i64> {
        self.errors.as_array().into_iter().flatten().filter_map(|error| number(&error["code"]))
    }
}

/// The code of an answer, of whatever call; that of its first error where there is none.
pub(super) fn status_code(answer: &Answer) -> Option<i64> {
    let body: Body = serde_json::from_slice(&answer.body).unwrap_or_default();
    // These two say nothing where an error does.
    body.status_code().filter(|code| !matches!(code, 500 | 501)).or_else(|| body.error_codes().next())
}

/// Classifies an answer: accepted only with a success code of this product, an id and a 2xx.
pub fn classify(product: Product, answer: &Answer) -> Result<Accepted, SendError> {
    if is_redirect(answer) {
        return Err(by_status(answer));
    }
    let body: Body = serde_json::from_slice(&answer.body).unwrap_or_default();
    let code = body.status_code();
    match code.and_then(|code| codes::find(product, code)) {
        Some(Meaning::Accepted) => accepted(&body, answer),
        // The older family says so of every failure, and which one among its errors.
        Some(Meaning::Failed(kind)) if code == Some(codes::NOT_ATTEMPTED) => {
            Err(first_error(&body, product, answer).unwrap_or_else(|| failed(kind, code, answer)))
        }
        Some(Meaning::Failed(kind)) => Err(failed(kind, code, answer)),
        None => Err(refused(&body, product, answer)),
    }
}

fn accepted(body: &Body, answer: &Answer) -> Result<Accepted, SendError> {
    let id = body.reference_id.as_str().and_then(TransactionId::parse);
    match id {
        Some(transaction_id) if is_success(answer) => Ok(Accepted::new(transaction_id)),
        // The code says that it is under way: no HTTP status makes it certain that it is not.
        Some(_) | None => Err(failed(FailureKind::Unconfirmed, None, answer)),
    }
}

/// No status code we know: the first error we know decides, else the HTTP status, of which Telesign documents that 503
/// means that nothing was sent.
fn refused(body: &Body, product: Product, answer: &Answer) -> SendError {
    if let Some(error) = first_error(body, product, answer) {
        return error;
    }
    let code = body.status_code().or_else(|| body.error_codes().next());
    let kind = if answer.status == 503 { FailureKind::Unavailable } else { by_status(answer).kind };
    failed(kind, code, answer)
}

/// What the first error we know makes of it. A success among the errors proves nothing.
fn first_error(body: &Body, product: Product, answer: &Answer) -> Option<SendError> {
    body.error_codes().find_map(|code| match codes::find(product, code)? {
        Meaning::Failed(kind) => Some(failed(kind, Some(code), answer)),
        Meaning::Accepted => None,
    })
}

fn failed(kind: FailureKind, code: Option<i64>, answer: &Answer) -> SendError {
    // A 429 is counted before the request is looked at, whatever the code says.
    let kind = if answer.status == 429 { FailureKind::Throttled } else { kind };
    let opted_out = code == Some(codes::OPTED_OUT) && kind == FailureKind::Recipient;
    let number_alone = code.is_some_and(|code| codes::NUMBER_ALONE.contains(&code));
    let code = code.map_or_else(|| format!("http_{}", answer.status), |code| code.to_string());
    SendError { retry_after: answer.retry_after, opted_out, number_alone, ..SendError::new(kind, code) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::Product::{Messaging, Omnichannel, Voice};
    use super::*;
    use crate::otp::FailureKind::{Account, Blocked, Recipient, Rejected, Throttled, Unavailable, Unconfirmed};

    const ID: &str = "0123456789ABCDEF0123456789ABCDEF";
    const PRODUCTS: [Product; 3] = [Omnichannel, Messaging, Voice];

    /// Every failure code of the tables, under a status it is documented with, and what must come of it.
    const CASES: [(&[Product], u16, FailureKind, &[i64]); 27] = [
        (&[Omnichannel], 200, Unavailable, &[3003]),
        (&[Omnichannel], 200, Unconfirmed, &[3056]),
        (&[Omnichannel], 400, Recipient, &[3101]),
        (&[Omnichannel], 400, Account, &[3006, 3109]),
        (&[Omnichannel], 400, Rejected, &[3102, 3103, 3104, 3105, 3106, 3110, 3113, 3116]),
        (&[Omnichannel], 400, Rejected, &[3300, 3301, 3302, 3303, 3304]),
        (&[Omnichannel], 401, Account, &[3200, 3206, 3210, 3400]),
        (&[Omnichannel], 429, Throttled, &[3204]),
        (&[Omnichannel], 503, Unavailable, &[3041, 3500]),
        (&[Messaging], 201, Blocked, &[229, 230, 233, 237, 238, 515]),
        (&[Messaging], 201, Recipient, &[211, 222, 286, 507, 510, 511, 512, 514]),
        (&[Messaging], 201, Rejected, &[231, 502, 509]),
        (&[Messaging], 201, Account, &[508]),
        (&[Messaging], 201, Unavailable, &[207, 210, 220, 221, 500, 503, 504, 505, 506, 513, 599]),
        (&[Voice], 200, Recipient, &[104]),
        (&[Voice], 200, Blocked, &[129, 130]),
        (&[Voice], 200, Unconfirmed, &[101, 106, 107, 108]),
        (&[Voice], 500, Unavailable, &[500]),
        (&PRODUCTS, 400, Account, &[10031, 10035, 11005, 11013]),
        (&PRODUCTS, 400, Blocked, &[10032]),
        (&PRODUCTS, 400, Recipient, &[11000, 11001]),
        (
            &PRODUCTS,
            400,
            Rejected,
            &[
                10033, 10034, 11003, 11004, 11009, 11010, 11011, 11016, 11017, 11018, 11027, 11034, 11035, 12000,
                12009, 12017,
            ],
        ),
        (&PRODUCTS, 401, Account, &[10002, 10003, 10004, 10005, 10007, 10008, 10012, 10013, 10014, 10015]),
        (&PRODUCTS, 402, Account, &[10030]),
        (&PRODUCTS, 404, Account, &[10017]),
        (&PRODUCTS, 404, Rejected, &[10036]),
        (&PRODUCTS, 429, Throttled, &[10019, 10020]),
    ];

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status,
            body: body.to_owned().into(),
            retry_after: Some(Duration::from_secs(7)),
            max_age: None,
            date: None,
        }
    }

    fn with_code(status: u16, code: i64) -> Answer {
        answer(status, &format!(r#"{{"reference_id":"{ID}","status":{{"code":{code}}}}}"#))
    }

    #[test]
    fn success_needs_its_own_code_an_id_and_a_2xx() {
        for (product, codes) in [
            (Omnichannel, [3000, 3001, 3002, 3005].as_slice()),
            (Messaging, &[200, 203, 250, 251, 290, 291, 292, 295]),
            (Voice, &[100, 103, 105]),
        ] {
            for &code in codes {
                let kind = |answer: &Answer| classify(product, answer).map_err(|e| e.kind);
                let accepted = kind(&with_code(201, code)).expect("accepted");
                assert_eq!(accepted.transaction_id.as_str(), ID, "{product:?} {code}");
                for status in [302, 400, 500, 503] {
                    assert_eq!(kind(&with_code(status, code)), Err(Unconfirmed), "{product:?} {code} in a {status}");
                }
                for id in ["null", r#""""#, r#""a b""#, "17"] {
                    let body = format!(r#"{{"reference_id":{id},"status":{{"code":{code}}}}}"#);
                    assert_eq!(kind(&answer(200, &body)), Err(Unconfirmed), "{product:?} {code} with id {id}");
                }
                for other in PRODUCTS.into_iter().filter(|other| *other != product) {
                    assert!(classify(other, &with_code(200, code)).is_err(), "{product:?} {code} from {other:?}");
                }
            }
        }
    }

    #[test]
    fn every_failure_code_leads_where_the_contract_says() {
        let mut seen = BTreeSet::new();
        for (products, status, kind, codes) in CASES {
            for (product, code) in products.iter().flat_map(|p| codes.iter().map(move |c| (*p, *c))) {
                let error = classify(product, &with_code(status, code)).expect_err("a failure");
                assert_eq!((error.kind, error.code), (kind, code.to_string()), "{product:?}");
                assert_eq!(error.retry_after, Some(Duration::from_secs(7)), "{product:?} {code}");
                seen.insert(code);
            }
        }
        let tables = [codes::OMNICHANNEL.as_slice(), &codes::MESSAGING, &codes::VOICE, &codes::REFUSALS];
        let failures = tables.into_iter().flatten().filter(|row| row.1 != Meaning::Accepted).map(|row| row.0);
        assert_eq!(seen, failures.collect(), "codes without a case, or cases without a code");
    }

    #[test]
    fn the_body_may_be_odd() {
        for (status, body, kind, code) in [
            (200, "", Unconfirmed, "http_200"),
            (201, r#"{"reference_id":"A1"}"#, Unconfirmed, "http_201"),
            (200, r#"{"reference_id":"A1","status":{"code":3999}}"#, Unconfirmed, "3999"),
            (200, r#"{"reference_id":"A1","status":{"code":3001.5}}"#, Unconfirmed, "http_200"),
            (200, r#"{"reference_id":"A1","status":{"code":1e300}}"#, Unconfirmed, "http_200"),
            (400, r#"{"status":{"code":3110.0}}"#, Rejected, "3110"),
            (200, r#"{"reference_id":"A1","status":3001}"#, Unconfirmed, "http_200"),
            (200, r#"["A1",3001]"#, Unconfirmed, "http_200"),
            (302, "<html>", Unconfirmed, "http_302"),
            (302, r#"{"status":{"code":3400}}"#, Unconfirmed, "http_302"),
            (307, r#"{"errors":[{"code":3101}]}"#, Unconfirmed, "http_307"),
            (400, r#"{"reference_id":17,"status":{"code":" 3110 "},"errors":"?"}"#, Rejected, "3110"),
            (400, r#"{"status":{"code":3998}}"#, Rejected, "3998"),
            (401, "<html>", Account, "http_401"),
            (403, r#"{"status":{"code":3998}}"#, Account, "3998"),
            (429, "", Throttled, "http_429"),
            (429, r#"{"status":{"code":3110}}"#, Throttled, "3110"),
            (429, r#"{"reference_id":"A1","status":{"code":3001}}"#, Throttled, "http_429"),
            (500, r#"{"status":{"code":3998}}"#, Unconfirmed, "3998"),
            (500, "{}", Unconfirmed, "http_500"),
            (502, "<html>", Unconfirmed, "http_502"),
            (503, r#"{"status":{"code":"3500"}}"#, Unavailable, "3500"),
        ] {
            let error = classify(Omnichannel, &answer(status, body)).expect_err("a failure");
            assert_eq!((error.kind, error.code.as_str()), (kind, code), "{status} {body}");
        }
    }

    #[test]
    fn a_503_sent_nothing_unless_its_code_says_otherwise() {
        for product in PRODUCTS {
            for (body, kind, code) in [
                ("{}", Unavailable, "http_503"),
                ("", Unavailable, "http_503"),
                ("<html>", Unavailable, "http_503"),
                (r#"{"status":{"code":39998}}"#, Unavailable, "39998"),
                (r#"{"status":{"code":10008}}"#, Account, "10008"),
            ] {
                let error = classify(product, &answer(503, body)).expect_err("a failure");
                assert_eq!((error.kind, error.code.as_str()), (kind, code), "{product:?} {body}");
            }
        }
    }

    #[test]
    fn only_the_subscribers_own_block_is_an_opt_out() {
        for (status, code, opted_out) in [(201, 510, true), (400, 510, true), (201, 511, false), (429, 510, false)] {
            let error = classify(Messaging, &with_code(status, code)).expect_err("a failure");
            assert_eq!(error.opted_out, opted_out, "{status} {code}");
        }
    }

    #[test]
    fn errors_speak_where_the_status_code_does_not() {
        for (status, body, kind, code) in [
            (200, r#"{"errors":[{"code":-10001}]}"#, Rejected, "-10001"),
            (200, r#"{"status":{"code":501},"errors":[{"code":"-20002"}]}"#, Account, "-20002"),
            (401, r#"{"errors":[{"code":-30000}]}"#, Account, "-30000"),
            (401, r#"{"errors":[{"code":-30006}]}"#, Account, "-30006"),
            (401, r#"{"errors":[{"code":-40002}]}"#, Account, "-40002"),
            (400, r#"{"errors":[{"code":-1},{"code":-40006}]}"#, Rejected, "-40006"),
            (200, r#"{"errors":[{"code":-40007}]}"#, Throttled, "-40007"),
            (200, r#"{"errors":[{"code":-40008}]}"#, Throttled, "-40008"),
            (503, r#"{"errors":[{"code":-90001}]}"#, Unavailable, "-90001"),
            (200, r#"{"reference_id":"A1","errors":[{"code":3001}]}"#, Unconfirmed, "3001"),
            (500, r#"{"errors":[{"code":-5}]}"#, Unconfirmed, "-5"),
            (400, r#"{"errors":[{"code":3101}]}"#, Recipient, "3101"),
        ] {
            let error = classify(Omnichannel, &answer(status, body)).expect_err("a failure");
            assert_eq!((error.kind, error.code.as_str()), (kind, code), "{status} {body}");
        }
        for (product, status, body, kind, code) in [
            (Messaging, 401, r#"{"status":{"code":500},"errors":[{"code":-30000}]}"#, Account, "-30000"),
            (Messaging, 200, r#"{"status":{"code":500},"errors":[{"code":-1},{"code":-40007}]}"#, Throttled, "-40007"),
            (Messaging, 401, r#"{"status":{"code":500},"errors":[]}"#, Unavailable, "500"),
            (Messaging, 400, r#"{"status":{"code":11000},"errors":[{"code":-30000}]}"#, Recipient, "11000"),
            (Voice, 401, r#"{"status":{"code":500},"errors":[{"code":-30000}]}"#, Account, "-30000"),
        ] {
            let error = classify(product, &answer(status, body)).expect_err("a failure");
            assert_eq!((error.kind, error.code.as_str()), (kind, code), "{product:?} {status} {body}");
        }
        let taken = r#"{"reference_id":"A1","status":{"code":3001},"errors":[{"code":-10001}]}"#;
        assert!(classify(Omnichannel, &answer(200, taken)).is_ok(), "what is under way must not be sent again");
    }

    #[test]
    fn an_error_shows_nothing_of_the_body() {
        let echo = r#"{"status":{"code":3110,"description":"bad text 482913 for 15005550006"},"x":"482913"}"#;
        let error = classify(Omnichannel, &answer(400, echo)).expect_err("a failure");
        let shown = format!("{error:?} {:?}", answer(400, echo));
        assert!(!shown.contains("482913") && !shown.contains("5550006"), "{shown}");
    }
}
