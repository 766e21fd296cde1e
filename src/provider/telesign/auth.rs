//! How a request shows who sends it: HTTP Basic, or Telesign's digest (`TSA`).
//!
//! Must not know what a request says. Source: Telesign docs, "Authentication".

use aws_lc_rs::{hmac, rand};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use http::header::DATE;
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use serde::Deserialize;
use url::Url;
use zeroize::Zeroizing;

use super::Product;
use crate::otp::SendError;
use crate::outbound::Request;
use crate::provider::account::{basic, sensitive};
use crate::secret::Secret;

/// How requests are authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuthMethod {
    /// HTTP Basic.
    #[default]
    Basic,
    /// A signature over every request: needs a right clock.
    Digest,
}

/// What a request is authenticated with.
#[derive(Debug, Clone)]
pub(super) enum Authorization {
    /// The same header for every request.
    Basic(HeaderValue),
    /// A signature for each one.
    Digest(Box<Signer>),
}

impl Authorization {
    /// HTTP Basic: the key counts as the text it is.
    pub(super) fn basic(customer_id: &str, api_key: &Secret) -> Self {
        Self::Basic(basic(customer_id, api_key))
    }

    /// Digest: the key counts as the bytes its base64 stands for. `None` when it stands for none.
    pub(super) fn digest(customer_id: &str, api_key: &Secret) -> Option<Self> {
        let key = signing_key(api_key)?;
        Some(Self::Digest(Box::new(Signer { customer_id: customer_id.to_owned(), key })))
    }

    /// An authenticated `POST`.
    ///
    /// # Errors
    /// When a nonce is needed and the operating system gives no random bytes.
    pub(super) fn request(
        &self,
        url: Url,
        product: Product,
        body: String,
        now: Timestamp,
    ) -> Result<Request, SendError> {
        let content_type = product.content_type();
        let call = Call { method: "POST", content_type, body: body.as_bytes(), resource: product.resource() };
        let (authorization, signed) = self.sign(&call, now)?;
        let mut request = Request::post(url, &authorization, content_type, body);
        request.headers.extend(signed);
        Ok(request)
    }

    /// An authenticated `GET` of this resource.
    ///
    /// # Errors
    /// As `request`.
    pub(super) fn look(&self, url: Url, resource: &str, now: Timestamp) -> Result<Request, SendError> {
        let (authorization, signed) = self.sign(&Call { method: "GET", content_type: "", body: b"", resource }, now)?;
        let mut request = Request::get(url, &authorization);
        request.headers.extend(signed);
        Ok(request)
    }

    /// The `Authorization` of a call, and the headers beside it that were signed.
    fn sign(&self, call: &Call<'_>, now: Timestamp) -> Result<(HeaderValue, HeaderMap), SendError> {
        match self {
            Self::Basic(authorization) => Ok((authorization.clone(), HeaderMap::new())),
            Self::Digest(signer) => signer.sign(call, now),
        }
    }
}

/// As lenient as the decoders of Telesign's SDKs are.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// The key of signatures, those of Telesign's reports too: the bytes that its base64 stands for. `None` when it stands
/// for none.
///
/// What is no base64 is skipped, as in the key of the SDKs' own tests, which holds hyphens: the SDKs decode with Python's
/// `base64.b64decode` and its like, and a signature has to be the one that they would make.
pub(super) fn signing_key(api_key: &Secret) -> Option<hmac::Key> {
    let is_base64 = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
    // Of its full size at once: what grows leaves copies behind.
    let mut text = Zeroizing::new(Vec::with_capacity(api_key.expose().len()));
    text.extend(api_key.expose().bytes().filter(is_base64));
    // A character alone is not even one byte.
    let whole = if text.len() % 4 == 1 { text.len() - 1 } else { text.len() };
    let key = Zeroizing::new(LENIENT.decode(&text[..whole]).ok()?);
    (!key.is_empty()).then(|| hmac::Key::new(hmac::HMAC_SHA256, &key))
}

/// Whether a key is base64 throughout, as Telesign hands keys out.
pub(super) fn is_base64(api_key: &Secret) -> bool {
    STANDARD.decode(api_key.expose()).map(Zeroizing::new).is_ok()
}

/// Signs with the account's key.
#[derive(Debug, Clone)]
pub(super) struct Signer {
    customer_id: String,
    key: hmac::Key,
}

/// What a signature covers, beside its date and nonce.
struct Call<'a> {
    method: &'a str,
    /// Empty when there is no body.
    content_type: &'a str,
    /// Its line is left out when there is none.
    body: &'a [u8],
    /// Not the path of the URL: a gateway in front of Telesign may add a prefix it never sees.
    resource: &'a str,
}

impl Signer {
    fn sign(&self, call: &Call<'_>, now: Timestamp) -> Result<(HeaderValue, HeaderMap), SendError> {
        let nonce = nonce().ok_or_else(|| SendError::unsent("no_random_bytes"))?;
        let date = now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let authorization = self.authorization(call, &date, &nonce);
        let mut headers = HeaderMap::with_capacity(3);
        headers.insert(DATE, HeaderValue::try_from(date).expect("a date is visible ASCII"));
        headers.insert("x-ts-auth-method", HeaderValue::from_static("HMAC-SHA256"));
        headers.insert("x-ts-nonce", HeaderValue::try_from(nonce).expect("a UUID is visible ASCII"));
        Ok((authorization, headers))
    }

    fn authorization(&self, call: &Call<'_>, date: &str, nonce: &str) -> HeaderValue {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [call.method, "\n", call.content_type, "\n", date] {
            context.update(part.as_bytes());
        }
        context.update(b"\nx-ts-auth-method:HMAC-SHA256\nx-ts-nonce:");
        context.update(nonce.as_bytes());
        if !call.body.is_empty() {
            context.update(b"\n");
            context.update(call.body);
        }
        context.update(b"\n");
        context.update(call.resource.as_bytes());
        sensitive(format!("TSA {}:{}", self.customer_id, STANDARD.encode(context.sign())))
    }
}

/// A random UUID (version 4): Telesign refuses a nonce it has seen. `None` when there are no random bytes.
fn nonce() -> Option<String> {
    let mut bytes = [0_u8; 16];
    rand::fill(&mut bytes).ok()?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = format!("{:032x}", u128::from_be_bytes(bytes));
    Some([&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CUSTOMER: &str = "11111111-2222-3333-4444-555555555555";
    /// Telesign's SDKs are tested with it.
    const DUMMY_KEY: &str = "EXAMPLE----TE8sTgg45yusumoN6BYsBVkh+yRJ5czgsnCehZaOYldPJdmFh6NeX8kunZ2zU1YWaUw/0wV6xfw==";
    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==";

    #[test]
    fn basic_takes_the_key_as_text() {
        let Authorization::Basic(value) = Authorization::basic(CUSTOMER, &Secret::new(KEY).expect("not empty")) else {
            panic!("not Basic");
        };
        assert_eq!(
            value.as_bytes(),
            b"Basic MTExMTExMTEtMjIyMi0zMzMzLTQ0NDQtNTU1NTU1NTU1NTU1OkFBRUNBd1FGQmdjSUNRb0xEQTBPRHhBUkVoTVVGUllYR0JrYU\
              d4d2RIaDhnSVNJakpDVW1KeWdwS2lzc0xTNHZNREV5TXpRMU5qYzRPVG83UEQwK1B3PT0="
        );
        assert!(value.is_sensitive());
    }

    #[test]
    fn digest_signs_the_vectors_of_the_contract() {
        let sms = r#"{"channels":[{"channel":"sms"}],"message":{"sms":{"parameters":{"text":"Your code is 482913"},"template":"text"}},"message_type":"OTP","recipient":{"phone_number":"15005550006"}}"#;
        let form = "phone_number=15005550006&message=Your+code+is+482913&message_type=OTP";
        let status = "/v1/omnichannel/0123456789ABCDEF0123456789ABCDEF";
        let (json, urlencoded) = (Product::Omnichannel.content_type(), Product::Messaging.content_type());
        let Some(Authorization::Digest(signer)) =
            Authorization::digest(CUSTOMER, &Secret::new(KEY).expect("not empty"))
        else {
            panic!("not a digest");
        };
        for (n, method, content_type, body, resource, signature) in [
            (1, "POST", json, sms, "/v1/omnichannel", "q2x/rZqin0XUf77mqiA7RUzU0kiYmgJIsKRB/NdbUYE="),
            (2, "POST", urlencoded, form, "/v1/messaging", "bpWnqbFxd1C3Aczc4wXGo7sHa92ji3T2DvBYDsH+Aus="),
            (3, "GET", "", "", status, "a7FRZd6ZQHI/KlHrk0WlJw9Eyl1CfkIKJ7j2+0ya1ds="),
        ] {
            let nonce = format!("6f1d2c3b-0000-4000-8000-00000000000{n}");
            let date = "Mon, 05 Jan 2026 10:00:00 GMT";
            let body = body.as_bytes();
            let value = signer.authorization(&Call { method, content_type, body, resource }, date, &nonce);
            assert_eq!(value.to_str().expect("ASCII"), format!("TSA {CUSTOMER}:{signature}"), "vector {n}");
            assert!(value.is_sensitive());
        }
    }

    #[test]
    fn a_digest_covers_the_headers_and_the_bytes_that_are_sent() {
        let digest = Authorization::digest(CUSTOMER, &Secret::new(KEY).expect("not empty")).expect("base64");
        let url: Url = "https://gateway.example.com/telesign/v1/voice".parse().expect("a URL");
        let now: Timestamp = "2026-02-28T23:59:59.987654321Z".parse().expect("a time");
        let request = digest.request(url, Product::Voice, "message=é".to_owned(), now).expect("a request");
        let header = |name: &str| request.headers[name].to_str().expect("ASCII");
        let signed = format!(
            "POST\napplication/x-www-form-urlencoded\nSat, 28 Feb 2026 23:59:59 GMT\nx-ts-auth-method:HMAC-SHA256\n\
             x-ts-nonce:{}\nmessage=é\n/v1/voice",
            header("x-ts-nonce")
        );
        let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(KEY).expect("base64"));
        let signature = STANDARD.encode(hmac::sign(&key, signed.as_bytes()));
        assert_eq!(header("authorization"), format!("TSA {CUSTOMER}:{signature}"));
        assert_eq!(header("date"), "Sat, 28 Feb 2026 23:59:59 GMT");
        assert_eq!(header("x-ts-auth-method"), "HMAC-SHA256");
        assert_eq!(request.body, "message=é");
    }

    #[test]
    fn what_is_no_base64_in_a_key_is_skipped() {
        let sign = |key: &str| {
            let key = signing_key(&Secret::new(key).expect("not empty"))?;
            Some(STANDARD.encode(hmac::sign(&key, b"x")))
        };
        // Made with Python's base64.b64decode(key) and hmac, of the message "x".
        for (key, expected) in [
            ("AAECAwQ=", "YwXKZttNxyc6mLGtQ3W9FosHYCwf56FVbKUT7VsPpoU="),
            ("AA EC", "xxhtnsBLspD4mVwaF1p4mmH2xyPR3Hej5Sf11dGvZi8="),
            ("AAEC=AwQ=", "YwXKZttNxyc6mLGtQ3W9FosHYCwf56FVbKUT7VsPpoU="),
            ("AA=EC", "xxhtnsBLspD4mVwaF1p4mmH2xyPR3Hej5Sf11dGvZi8="),
        ] {
            assert_eq!(sign(key).as_deref(), Some(expected), "{key:?}");
        }
        // Python insists on the padding, other decoders do not.
        for (key, same) in [("AAECAwQ", "AAECAwQ="), ("AA-ECA", "AAECAA=="), ("AAECA", "AAEC")] {
            assert_eq!(sign(key), sign(same), "{key:?}");
        }
        for nothing in ["----", "=", "A", "-A=", "é"] {
            assert_eq!(sign(nothing), None, "{nothing:?}");
            let key = Secret::new(nothing).expect("not empty");
            assert!(Authorization::digest(CUSTOMER, &key).is_none(), "{nothing:?}");
        }
    }

    #[test]
    fn a_digest_with_the_key_of_the_vendors_sdks_is_the_one_they_make() {
        let key = Secret::new(DUMMY_KEY).expect("not empty");
        let Some(Authorization::Digest(signer)) = Authorization::digest(CUSTOMER, &key) else {
            panic!("not a digest");
        };
        let (method, content_type) = ("POST", Product::Messaging.content_type());
        let body = b"phone_number=15005550006&message=Your+code+is+482913&message_type=OTP";
        let call = Call { method, content_type, body, resource: "/v1/messaging" };
        let (date, nonce) = ("Mon, 05 Jan 2026 10:00:00 GMT", "6f1d2c3b-0000-4000-8000-000000000002");
        // Made with Python's base64.b64decode(key) and hmac.
        let expected = format!("TSA {CUSTOMER}:xLviVG08HqSU53Tdaiqx6bMqBdvRDP1nMLvWFPGqs4Q=");
        assert_eq!(signer.authorization(&call, date, nonce).to_str().expect("ASCII"), expected);
    }

    #[test]
    fn a_nonce_is_a_random_uuid() {
        let (one, two) = (nonce().expect("random"), nonce().expect("random"));
        assert_ne!(one, two);
        for nonce in [one, two] {
            let dashes: Vec<_> = nonce.match_indices('-').map(|(at, _)| at).collect();
            assert_eq!((nonce.len(), dashes.as_slice()), (36, [8, 13, 18, 23].as_slice()), "{nonce}");
            assert_eq!((&nonce[14..15], "89ab".contains(&nonce[19..20])), ("4", true), "{nonce}");
            assert!(nonce.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit()), "{nonce}");
        }
    }
}
