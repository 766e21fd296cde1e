//! Twilio's status callbacks: their signature and their words.
//!
//! Must not know who asks. The signature is made with the account's auth token, whatever else authenticates requests,
//! over the address that Twilio was given: the `Host` of a request counts for nothing.
//! Source: Twilio docs, "Webhooks security"; twilio-python, `request_validator`.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONTENT_TYPE, HeaderName};
use serde_json::Value;
use url::Url;

use super::Config;
use crate::otp::{Content, Delivery};
use crate::provider::callback::{Address, Callback, CallbackRequest, Forged, Report, Verified};
use crate::secret::{hex, only};

const SIGNATURE: HeaderName = HeaderName::from_static("x-twilio-signature");

/// The query parameter by which Twilio signs for a JSON body.
const BODY_HASH: &str = "bodySHA256";

/// Reads the callbacks of one account.
#[derive(Debug)]
pub(in crate::provider) struct Reports {
    /// Of the auth token, then of the one before it.
    keys: Vec<hmac::Key>,
    address: Address,
}

impl Reports {
    /// `None` when the account has no auth token here, or no public address.
    pub(in crate::provider) fn new(config: &Config) -> Option<Self> {
        let (token, address) = (config.auth_token.as_ref()?, config.reports_to.clone()?);
        let tokens = [Some(token), config.previous_auth_token.as_ref()];
        Some(Self { keys: tokens.into_iter().flatten().map(|token| key(token.expose())).collect(), address })
    }
}

impl Callback for Reports {
    fn verify(&self, request: &CallbackRequest<'_>) -> Result<Verified, Forged> {
        let signature =
            only(request.headers, &SIGNATURE).and_then(|text| STANDARD.decode(text).ok()).ok_or(Forged::Signature)?;
        let signed = match body_hash(request.path_and_query) {
            Some(expected) if !is_form(request) => {
                if !is_hash_of(&expected, request.body) {
                    return Err(Forged::Signature);
                }
                String::new()
            }
            Some(_) | None => sorted(request.body),
        };
        // Twilio itself is of two minds about the port: either form will do.
        let matches = |text: &str| self.keys.iter().any(|key| hmac::verify(key, text.as_bytes(), &signature).is_ok());
        let mut spellings = self.address.spellings(request.path_and_query).into_iter();
        spellings.any(|url| matches(&format!("{url}{signed}"))).then(|| Verified::new(request)).ok_or(Forged::Signature)
    }

    fn parse(&self, verified: Verified) -> Report {
        let fields = fields(verified.body());
        let field = |names: &[&str]| names.iter().find_map(|name| fields.get(*name)).map(String::as_str);
        let delivery = field(&["MessageStatus", "SmsStatus", "CallStatus"]).and_then(delivery);
        Report::of(field(&["MessageSid", "SmsSid", "CallSid"]), delivery)
    }

    fn taken(&self) -> u16 {
        204
    }
}

/// Twilio defines HMAC-SHA-1; nothing newer is on offer. Collisions of SHA-1 do not touch it.
fn key(token: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.as_bytes())
}

/// A form that also asks for callbacks: of calls, at these moments, else only at the end.
pub(super) fn asked(form: String, content: &Content, address: &Url) -> String {
    let mut form = form_urlencoded::Serializer::new(form);
    form.append_pair("StatusCallback", address.as_str());
    if let Content::Speech(_) = content {
        form.extend_pairs(["initiated", "answered", "completed"].map(|event| ("StatusCallbackEvent", event)));
    }
    form.finish()
}

/// Names and values one after the other, by name; each name's values once, in their order.
fn sorted(body: &[u8]) -> String {
    let mut fields: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(body) {
        fields.entry(name.into_owned()).or_default().insert(value.into_owned());
    }
    let pairs = fields.iter().flat_map(|(name, values)| values.iter().map(move |value| [name.as_str(), value]));
    pairs.flatten().collect()
}

fn body_hash(path_and_query: &str) -> Option<String> {
    let (_, query) = path_and_query.split_once('?')?;
    form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == BODY_HASH).map(|(_, hash)| hash.into_owned())
}

/// The hash is signed as part of the address, and is no secret: it need not be compared in constant time.
fn is_hash_of(hash: &str, body: &[u8]) -> bool {
    hex(digest::digest(&digest::SHA256, body).as_ref()).eq_ignore_ascii_case(hash)
}

fn is_form(request: &CallbackRequest<'_>) -> bool {
    only(request.headers, &CONTENT_TYPE)
        .is_some_and(|kind| kind.to_ascii_lowercase().starts_with(super::FORM.as_bytes()))
}

/// The fields of a form, or of one JSON object.
fn fields(body: &[u8]) -> BTreeMap<String, String> {
    if let Ok(Value::Object(object)) = serde_json::from_slice(body) {
        let texts = object.into_iter().filter_map(|(name, value)| Some((name, value.as_str()?.to_owned())));
        return texts.collect();
    }
    form_urlencoded::parse(body).into_owned().collect()
}

/// `None` for what is said of messages to us, and for words yet unknown. Of a call only the words that Twilio calls final
/// count: `completed` is the end of one that was answered.
fn delivery(word: &str) -> Option<Delivery> {
    match word {
        "accepted" | "scheduled" | "queued" | "sending" | "sent" | "initiated" | "ringing" | "in-progress"
        | "answered" => Some(Delivery::Underway),
        // Of a message with several recipients or parts; not among Twilio's final words, so another one follows.
        "partially_delivered" => Some(Delivery::Underway),
        "delivered" | "read" | "completed" => Some(Delivery::Delivered),
        "undelivered" | "failed" | "canceled" | "busy" | "no-answer" => Some(Delivery::Undelivered),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::LookupMetrics;
    use crate::otp::Channel;
    use crate::provider::Provider as _;
    use crate::provider::twilio::testing::*;
    use crate::provider::twilio::{Settings, Twilio};
    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue};

    fn reports(public_url: &str) -> Reports {
        let url: Url = public_url.parse().expect("an address");
        let address = Address::new(&url, "twilio", &pseudonyms());
        Reports { keys: vec![key(TOKEN)], address }
    }

    fn verify(reports: &Reports, path: &str, headers: &[(&str, &str)], body: &str) -> Result<Verified, Forged> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name: HeaderName = name.parse().expect("a name");
            map.append(name, HeaderValue::from_str(value).expect("a value"));
        }
        let body = Bytes::from(body.to_owned());
        reports.verify(&CallbackRequest { path_and_query: path, headers: &map, body: &body })
    }

    #[test]
    fn every_recorded_callback_is_recognised_and_read() {
        for (name, case) in fixtures("callback-") {
            let (request, expect) = (&case["inbound_request"], &case["expect"]);
            let text = |value: &Value| value.as_str().expect("a text").to_owned();
            let url = text(&request["url"]);
            let path = url.strip_prefix("https://hook.example.com").expect("our host");
            let signature = text(&request["headers"]["X-Twilio-Signature"]);
            let headers = [("content-type", super::super::FORM), ("x-twilio-signature", signature.as_str())];
            let reports = reports("https://hook.example.com");
            let verified = verify(&reports, path, &headers, &text(&request["raw_body"]));
            assert_eq!(verified.is_ok(), expect["signature_valid"].as_bool().expect("a bool"), "{name}");
            let Ok(verified) = verified else { continue };
            assert_eq!(Some(reports.taken().into()), expect["http_reply"].as_u64(), "{name}");
            let id = expect["message_sid"].as_str().or(expect["call_sid"].as_str());
            let delivery = match (expect["final"].as_bool(), expect["delivered"].as_bool()) {
                (Some(false), _) => Delivery::Underway,
                (_, Some(true)) => Delivery::Delivered,
                (_, _) => Delivery::Undelivered,
            };
            assert_eq!(reports.parse(verified), Report::of(id, Some(delivery)), "{name}");
        }
    }

    /// An account whose server has this public address.
    fn twilio_at(public_url: &str) -> Twilio {
        let settings = serde_json::json!({
            "account_sid": ACCOUNT, "auth_token": TOKEN,
            "sms": { "from": "+15005550006" }, "voice": { "from": "+15005550006" },
        });
        let settings: Settings = serde_json::from_value(settings).expect("readable");
        let environment = crate::secret::Environment::default();
        let config = settings.check("twilio", &environment, &mut crate::settings::Findings::default());
        let mut config = config.expect("complete");
        let url: Url = public_url.parse().expect("an address");
        config.report_to(Some(Address::new(&url, "twilio", &pseudonyms())));
        Twilio::new(
            crate::otp::ProviderName::new("twilio"),
            config,
            outbound(),
            &pseudonyms(),
            LookupMetrics::default(),
        )
    }

    fn form_of(twilio: &Twilio, message: &crate::otp::Message) -> String {
        let requests = twilio.requests(message, options(&content(message.channel))).expect("fine");
        String::from_utf8(requests[0].body.to_vec()).expect("ASCII")
    }

    #[test]
    fn no_callback_is_asked_for_at_a_host_that_twilio_refuses() {
        let twilio = twilio_at("https://otp_hook.example.com");
        for channel in Channel::ALL {
            let form = form_of(&twilio, &message(channel, CODE, None));
            assert!(!form.contains("StatusCallback"), "{form}");
        }
        let told = |url: &str| twilio.config.unreported(&url.parse().expect("an address")).is_some();
        assert!(told("https://otp_hook.example.com") && !told("https://otp.example.com/a_path"));
    }

    #[test]
    fn a_form_that_asks_for_callbacks_has_no_empty_pair() {
        let twilio = twilio_at("https://hook.example.com");
        let address = "https%3A%2F%2Fhook.example.com%2Fcallbacks%2Ftwilio";
        let events = ["initiated", "answered", "completed"].map(|event| ("StatusCallbackEvent", event));
        for (channel, last_of_all, events) in
            [(Channel::Sms, "ValidityPeriod", &events[..0]), (Channel::Voice, "TimeLimit", &events)]
        {
            let mut message = message(channel, CODE, None);
            message.expires = "1970-01-01T00:05:00Z".parse().ok();
            let form = form_of(&twilio, &message);
            let pairs = form.split('&').map(|pair| pair.split_once('=').expect(&form));
            let pairs: Vec<_> = pairs.inspect(|(name, value)| assert!(!name.is_empty() && !value.is_empty())).collect();
            let asked = pairs.iter().position(|pair| *pair == ("StatusCallback", address)).expect(&form);
            assert_eq!(pairs[asked - 1].0, last_of_all, "{form}");
            assert_eq!(&pairs[asked + 1..], events, "{form}");
        }
    }

    #[test]
    fn a_call_under_way_is_not_delivered_yet() {
        for (word, expected) in [
            ("in-progress", Some(Delivery::Underway)),
            ("completed", Some(Delivery::Delivered)),
            ("busy", Some(Delivery::Undelivered)),
            ("ended", None),
        ] {
            assert_eq!(delivery(word), expected, "{word}");
        }
    }

    const UNDELIVERED: &str = "ErrorCode=30003&SmsSid=SMaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa&SmsStatus=undelivered&MessageStatus=undelivered&To=%2B15005550010&MessageSid=SMaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa&AccountSid=AC00000000000000000000000000000001&From=%2B15005550006&ApiVersion=2010-04-01";

    #[test]
    fn a_signature_holds_with_and_without_the_port_for_this_address_and_body_only() {
        let (plain, with_port) = ("rCTC8KGm3K9ms2A0mJZnRulh9jk=", "QKe6TUYxYY6wabt0q4vtOSHE7/g=");
        let path = "/callbacks/twilio/message?tx=7f3a";
        let cases: [(&str, &str, &[&str], &str, bool); 10] = [
            ("https://hook.example.com", path, &[plain], UNDELIVERED, true),
            ("https://hook.example.com/", path, &[with_port], UNDELIVERED, true),
            ("https://hook.example.com:443", path, &[plain], UNDELIVERED, true),
            ("https://hook.example.com", path, &[plain, plain], UNDELIVERED, false),
            ("https://hook.example.com", path, &[], UNDELIVERED, false),
            ("https://hook.example.com", path, &["rCTC8KGm3K9ms2A0mJZnRulh9jl="], UNDELIVERED, false),
            ("https://hook.example.com", path, &["rCTC8KGm"], UNDELIVERED, false),
            ("https://hook.example.com", "/callbacks/twilio/message?tx=7f3b", &[plain], UNDELIVERED, false),
            ("https://other.example.com", path, &[plain], UNDELIVERED, false),
            ("https://hook.example.com", path, &[plain], "MessageStatus=delivered", false),
        ];
        for (at, path, signatures, body, fine) in cases {
            let mut headers = vec![("content-type", super::super::FORM)];
            headers.extend(signatures.iter().map(|signature| ("x-twilio-signature", *signature)));
            let verified = verify(&reports(at), path, &headers, body);
            assert_eq!(verified.is_ok(), fine, "{at} {path} {signatures:?}");
        }
    }

    #[test]
    fn repeated_values_are_signed_once_and_in_order() {
        let headers = [("x-twilio-signature", "o6WEkklntn4JRqsGmNQ0C5/rgqg=")];
        assert!(verify(&reports("https://hook.example.com"), "/x", &headers, "B=2&A=0&B=1&B=2").is_ok());
        assert!(verify(&reports("https://hook.example.com"), "/x", &headers, "B=2&A=0&B=1&B=3").is_err());
    }

    #[test]
    fn every_word_of_an_outbound_message_or_call_says_how_far_it_has_come() {
        for (words, expected) in [
            ("accepted scheduled queued sending sent partially_delivered", Some(Delivery::Underway)),
            ("initiated ringing in-progress answered", Some(Delivery::Underway)),
            ("delivered read completed", Some(Delivery::Delivered)),
            ("undelivered failed canceled busy no-answer", Some(Delivery::Undelivered)),
            ("receiving received whatever", None),
        ] {
            for word in words.split(' ') {
                assert_eq!(delivery(word), expected, "{word}");
            }
        }
    }

    #[test]
    fn a_json_body_is_signed_for_by_its_hash() {
        let path = "/callbacks/twilio/json?bodySHA256=4062edaf750fb8074e7e83e0c9028c94e32468a8b6f1614774328ef045150f93";
        let headers = [("content-type", "application/json"), ("x-twilio-signature", "LAG7XZmzvfECA8Voe2KqufMWYsU=")];
        let reports = reports("https://hook.example.com");
        let verified = verify(&reports, path, &headers, r#"{"ok":true}"#).expect("signed");
        assert_eq!(reports.parse(verified), Report::Unreadable);
        assert!(verify(&reports, path, &headers, r#"{"ok":false}"#).is_err());
        // A form whose address carries the hash of nothing it says.
        assert!(verify(&reports, path, &[("content-type", super::super::FORM), headers[1]], "ok=true").is_err());
    }
}
