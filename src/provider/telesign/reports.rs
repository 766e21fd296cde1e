//! Telesign's delivery reports: their signature and their codes.
//!
//! Must not know who asks. There is no date in what is signed: a report can be played again, and must then change
//! nothing. Source: Telesign docs, "Authenticate callbacks", "Messaging – Callback service".

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderName};
use serde::Deserialize;
use serde_json::Value;

use super::Config;
use super::codes::{self, Meaning};
use crate::otp::Delivery;
use crate::provider::callback::{Callback, CallbackRequest, Forged, Report, Verified};
use crate::provider::code::number;
use crate::secret::only;

const TSA: &str = "TSA ";

const SECOND_HEADER: HeaderName = HeaderName::from_static("x-ts-authorization");

/// Reads the reports of one account.
#[derive(Debug)]
pub(in crate::provider) struct Reports {
    /// The account's key, then the one before it.
    keys: Vec<hmac::Key>,
    customer_id: String,
}

impl Reports {
    /// `None` when the key holds no base64. Without an address of ours reports still come: an account can name one at Telesign.
    pub(in crate::provider) fn new(config: &Config) -> Option<Self> {
        let key = config.signing_key.clone()?;
        let keys = [Some(key), config.previous_signing_key.clone()].into_iter().flatten().collect();
        Some(Self { keys, customer_id: config.customer_id.clone() })
    }
}

impl Callback for Reports {
    fn verify(&self, request: &CallbackRequest<'_>) -> Result<Verified, Forged> {
        // Telesign's pages and samples differ on which header holds the signature, and in which form.
        let matches = |name: &HeaderName| {
            let signature = only(request.headers, name).and_then(|value| self.signature(str::from_utf8(value).ok()?));
            signature.is_some_and(|text| self.keys.iter().any(|key| hmac::verify(key, request.body, &text).is_ok()))
        };
        let is_theirs = matches(&AUTHORIZATION) || matches(&SECOND_HEADER);
        is_theirs.then(|| Verified::new(request)).ok_or(Forged::Signature)
    }

    fn parse(&self, verified: Verified) -> Report {
        let Ok(body) = serde_json::from_slice::<Body>(verified.body()) else { return Report::Unreadable };
        Report::of(body.reference_id.as_deref(), body.status.and_then(|s| delivery(number(&s.code)?)))
    }

    fn taken(&self) -> u16 {
        200
    }
}

/// The outer members: those inside `channel_status` carry another id.
#[derive(Deserialize)]
struct Body {
    reference_id: Option<String>,
    status: Option<Status>,
}

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    code: Value,
}

impl Reports {
    /// The signature in `TSA id:signature`, where the id has to be this account's, or the whole value.
    fn signature(&self, value: &str) -> Option<Vec<u8>> {
        let value = value.trim();
        let bare = match value.split_at_checked(TSA.len()) {
            Some((scheme, pair)) if scheme.eq_ignore_ascii_case(TSA) => {
                let (id, signature) = pair.split_once(':')?;
                id.trim().eq_ignore_ascii_case(&self.customer_id).then_some(signature)?
            }
            _ => value,
        };
        STANDARD.decode(bare.trim()).ok()
    }
}

/// Codes of all products: none means two things.
fn delivery(code: i64) -> Option<Delivery> {
    match code {
        // Delivered or read; delivered to the handset; the call was answered.
        3000 | 3005 | 200 | 100 => Some(Delivery::Delivered),
        // Not inside the fallback time; the call was not answered.
        3056 | 101 => Some(Delivery::Undelivered),
        // "Final state unknown" too is under way for good: neither word of the other two would be true. Temporary
        // failures (3041, 210, 503, 505) are failures: Telesign has stopped trying, and the person waits.
        _ => match codes::any(code)? {
            Meaning::Accepted => Some(Delivery::Underway),
            Meaning::Failed(_) => Some(Delivery::Undelivered),
        },
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue};

    use super::*;

    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==";
    const CUSTOMER: &str = "11111111-2222-3333-4444-555555555555";
    const SIGNATURE: &str = "xu2icDrGa5lvPxYxpM3fGWVYAQX9AFJw/myi7p6DEg0=";

    fn reports() -> Reports {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(KEY).expect("base64"));
        Reports { keys: vec![key], customer_id: CUSTOMER.to_owned() }
    }

    fn verify(headers: &[(&str, String)], body: &str) -> Result<Verified, Forged> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name: HeaderName = name.parse().expect("a name");
            map.append(name, HeaderValue::from_str(value).expect("a value"));
        }
        let body = Bytes::from(body.to_owned());
        reports().verify(&CallbackRequest { path_and_query: "/callbacks/telesign", headers: &map, body: &body })
    }

    fn case(name: &str) -> Value {
        let path = format!("{}/tests/data/telesign/callback-{name}.json", env!("CARGO_MANIFEST_DIR"));
        serde_json::from_slice(&std::fs::read(path).expect("readable")).expect("JSON")
    }

    #[test]
    fn every_recorded_callback_is_recognised_and_read() {
        for name in ["bad-signature", "delivered", "delivery-error", "no-signature", "sms-api-delivered"] {
            let case = case(name);
            let (request, expect) = (&case["inbound_request"], &case["expect"]);
            let headers = request["headers"].as_object().expect("headers");
            let headers: Vec<_> =
                headers.iter().map(|(n, v)| (n.as_str(), v.as_str().expect("a text").to_owned())).collect();
            let verified = verify(&headers, request["raw_body"].as_str().expect("a body"));
            assert_eq!(verified.is_ok(), expect["signature_valid"].as_bool().expect("a bool"), "{name}");
            let Ok(verified) = verified else { continue };
            assert_eq!(Some(reports().taken().into()), expect["http_reply"].as_u64(), "{name}");
            let delivered = expect["delivered"].as_bool().expect("a bool");
            let delivery = if delivered { Delivery::Delivered } else { Delivery::Undelivered };
            assert_eq!(
                reports().parse(verified),
                Report::of(expect["reference_id"].as_str(), Some(delivery)),
                "{name}"
            );
        }
    }

    #[test]
    fn either_header_in_either_form_suffices_and_one_must_match() {
        let case = case("delivered");
        let body = case["inbound_request"]["raw_body"].as_str().expect("a body");
        let tsa = format!("TSA {CUSTOMER}:{SIGNATURE}");
        let wrong = tsa.replace("xu2", "xu3");
        let (first, second) = ("authorization", "x-ts-authorization");
        for (headers, fine) in [
            (vec![(first, tsa.clone())], true),
            (vec![(second, tsa.clone())], true),
            (vec![(second, SIGNATURE.to_owned())], true),
            (vec![(first, wrong.clone()), (second, SIGNATURE.to_owned())], true),
            (vec![(first, wrong.clone()), (second, wrong.clone())], false),
            (vec![(first, tsa.clone()), (first, tsa.clone())], false),
            (vec![(first, tsa.replace("TSA ", "tsa "))], true),
            (vec![(first, tsa.replace("5555:", "5556:"))], false),
            (vec![(second, tsa.replace("5555:", "5556:"))], false),
            (vec![(first, tsa.replace(CUSTOMER, ""))], false),
            (vec![(first, "TSA ".to_owned())], false),
            (vec![], false),
        ] {
            assert_eq!(verify(&headers, body).is_ok(), fine, "{headers:?}");
        }
        assert!(verify(&[(first, tsa)], &body.replace("3000", "3003")).is_err());
    }

    #[test]
    fn the_customer_may_be_spelt_in_either_case() {
        let reports = Reports { customer_id: "ABCDEF01-2222-3333-4444-555555555555".to_owned(), ..reports() };
        for (value, read) in [
            (format!("TSA abcdef01-2222-3333-4444-555555555555:{SIGNATURE}"), true),
            (format!("TSA ABCDEF01-2222-3333-4444-555555555555:{SIGNATURE}"), true),
            (format!("TSA abcdef02-2222-3333-4444-555555555555:{SIGNATURE}"), false),
            (SIGNATURE.to_owned(), true),
        ] {
            assert_eq!(reports.signature(&value).is_some(), read, "{value}");
        }
    }

    #[test]
    fn a_code_may_be_a_number_or_a_text() {
        let parse = |status: &str| {
            let body = format!(r#"{{"reference_id":"0123456789ABCDEF0123456789ABCDEF","status":{status}}}"#);
            let headers = HeaderMap::new();
            let request = CallbackRequest { path_and_query: "/", headers: &headers, body: &Bytes::from(body) };
            match reports().parse(Verified::new(&request)) {
                Report::Delivery(_, delivery) => Some(delivery),
                Report::Unreadable => None,
            }
        };
        for (status, expected) in [
            (r#"{"code":3000}"#, Some(Delivery::Delivered)),
            (r#"{"code":"3000"}"#, Some(Delivery::Delivered)),
            (r#"{"code":"200"}"#, Some(Delivery::Delivered)),
            (r#"{"code":" 221 "}"#, Some(Delivery::Undelivered)),
            (r#"{"code":"delivered"}"#, None),
            (r#"{"code":null}"#, None),
            ("{}", None),
            ("null", None),
        ] {
            assert_eq!(parse(status), expected, "{status}");
        }
    }

    #[test]
    fn codes_of_every_product_have_one_status() {
        for (code, status) in [
            (3001, Some(Delivery::Underway)),
            (3005, Some(Delivery::Delivered)),
            (3056, Some(Delivery::Undelivered)),
            (290, Some(Delivery::Underway)),
            (221, Some(Delivery::Undelivered)),
            (3041, Some(Delivery::Undelivered)),
            (210, Some(Delivery::Undelivered)),
            (250, Some(Delivery::Underway)),
            (100, Some(Delivery::Delivered)),
            (101, Some(Delivery::Undelivered)),
            (103, Some(Delivery::Underway)),
            (424_242, None),
        ] {
            assert_eq!(delivery(code), status, "{code}");
        }
    }
}
