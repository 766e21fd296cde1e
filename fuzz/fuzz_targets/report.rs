//! Feeds: a delivery report. The first byte picks the vendor and whether we sign it as that vendor would; then lines with
//! the query, `Content-Type`, `Authorization` and the vendor's own signature; the rest is the body.
//!
//! Must hold: what is signed is believed, and what is read from it stands in it. Nothing else is believed: not what
//! comes unsigned, and not what was changed after it was signed.

#![cfg_attr(fuzzing, no_main)]

use std::io::Write as _;
use std::sync::LazyLock;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use okta_telephony_hook::config::{self, Sources};
use okta_telephony_hook::provider::callback::{self, Callback, CallbackRequest, Report};
use url::Url;

/// The keys of the recorded reports.
const TWILIO_TOKEN: &str = "0123456789abcdef0123456789abcdef";
const TELESIGN_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==";
const TELESIGN_ID: &str = "11111111-2222-3333-4444-555555555555";
const EIGHT_SECRET: &str = "Bearer 3f9c1d7a-webhook-secret";

const PUBLIC: &str = "https://hook.example.com";

static VENDORS: LazyLock<[Box<dyn Callback>; 3]> = LazyLock::new(|| {
    let toml = format!(
        "allow_sandbox = true\nprivacy.hash_key = 'a key for fuzzing, of 32 letters or more'\n\
         [orgs.main.auth.header]\nsecret = 'a secret for fuzzing, of 32 letters or more'\n\
         [providers.twilio]\nkind = 'twilio'\naccount_sid = 'AC00000000000000000000000000000001'\n\
         auth_token = '{TWILIO_TOKEN}'\nsms = {{ from = '+15005550006' }}\n\
         [providers.telesign]\nkind = 'telesign'\ncustomer_id = '{TELESIGN_ID}'\napi_key = '{TELESIGN_KEY}'\n\
         [providers.eight]\nkind = '8x8'\napi_key = 'fake'\nsubaccount_id = 'acme_otp'\nsms = {{}}\n\
         callback_secret = '{EIGHT_SECRET}'\n"
    );
    let mut file = tempfile::Builder::new().suffix(".toml").tempfile().expect("a file");
    file.write_all(toml.as_bytes()).expect("written");
    let loaded = config::load(&Sources { files: vec![file.path().to_owned()], ..Sources::default() });
    let config = loaded.unwrap_or_else(|invalid| panic!("{:?}", invalid.0.faults)).config;
    let url: Url = PUBLIC.parse().expect("an address");
    ["twilio", "telesign", "eight"].map(|name| {
        let provider = config.providers[name].clone().reporting_to(Some(&url), name, &config.pseudonyms);
        callback::build(&provider).expect("reports").expect("can prove itself")
    })
});

/// A report as it comes in.
struct Presented {
    path_and_query: String,
    headers: HeaderMap,
    body: Bytes,
}

/// Whether it was believed.
pub fn holds(data: &[u8]) -> bool {
    let Some((first, Some(report))) = data.split_first().map(|(first, rest)| (*first, presented(rest))) else {
        return false;
    };
    let vendor = usize::from(first % 3);
    if first & 0x80 == 0 {
        let is_believed = report.is_believed(vendor);
        assert!(!is_believed || (vendor == 2 && report.headers["authorization"] == EIGHT_SECRET), "unsigned");
        return is_believed;
    }
    let Some(report) = report.signed(vendor) else { return false };
    assert!(report.is_believed(vendor), "signed by the book");
    for changed in report.changed(vendor) {
        assert!(!changed.is_believed(vendor), "changed after it was signed");
    }
    true
}

fn presented(data: &[u8]) -> Option<Presented> {
    let mut parts = data.splitn(5, |byte| *byte == b'\n');
    let query = str::from_utf8(parts.next()?).ok().filter(|query| query.bytes().all(|b| b.is_ascii_graphic()))?;
    let mut headers = HeaderMap::new();
    for name in ["content-type", "authorization", "signature"] {
        let value = HeaderValue::from_bytes(parts.next()?).ok()?;
        match name {
            "signature" => ["x-twilio-signature", "x-ts-authorization"].map(|name| headers.insert(name, value.clone())),
            _ => [headers.insert(name, value), None],
        };
    }
    let path_and_query = if query.is_empty() { "/callbacks/x".to_owned() } else { format!("/callbacks/x?{query}") };
    Some(Presented { path_and_query, headers, body: Bytes::copy_from_slice(parts.next()?) })
}

impl Presented {
    fn is_believed(&self, vendor: usize) -> bool {
        let Self { path_and_query, headers, body } = self;
        let Ok(verified) = VENDORS[vendor].verify(&CallbackRequest { path_and_query, headers, body }) else {
            return false;
        };
        if let Report::Delivery(id, _) = VENDORS[vendor].parse(verified) {
            self.names(id.as_str());
        }
        true
    }

    /// In a form or in JSON some characters have other spellings.
    fn names(&self, id: &str) {
        let is_spelled = self.body.iter().any(|b| matches!(b, b'\\' | b'%' | b'+'));
        let stands = self.body.windows(id.len()).any(|window| window == id.as_bytes());
        assert!(stands || is_spelled, "an id from nowhere");
    }

    /// As the vendor would sign it; `None` for what it would sign in another way.
    fn signed(mut self, vendor: usize) -> Option<Self> {
        let (name, value) = match vendor {
            0 if self.path_and_query.to_ascii_lowercase().contains("sha256") => return None,
            0 => {
                let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, TWILIO_TOKEN.as_bytes());
                let text = format!("{PUBLIC}{}{}", self.path_and_query, joined(&self.body));
                ("x-twilio-signature", STANDARD.encode(hmac::sign(&key, text.as_bytes())))
            }
            1 => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(TELESIGN_KEY).expect("base64"));
                let signature = STANDARD.encode(hmac::sign(&key, &self.body));
                ("authorization", format!("TSA {TELESIGN_ID}:{signature}"))
            }
            // The token of its address is made with a key of ours.
            _ if self.path_and_query.contains('?') => return None,
            _ => ("authorization", EIGHT_SECRET.to_owned()),
        };
        self.headers.insert(name, value.parse().expect("a value"));
        Some(self)
    }

    /// The same with one thing changed that the vendor's proof covers.
    fn changed(&self, vendor: usize) -> Vec<Self> {
        let with = |body: Vec<u8>| Self {
            body: body.into(),
            headers: self.headers.clone(),
            path_and_query: self.path_and_query.clone(),
        };
        let longer = with([&self.body[..], b"&Z=1"].concat());
        let shorter = with(self.body[..self.body.len() / 2].to_vec());
        let covers = |other: &Self| match vendor {
            0 => joined(&other.body) != joined(&self.body),
            1 => other.body != self.body,
            _ => false,
        };
        let mut all: Vec<Self> = [longer, shorter].into_iter().filter(covers).collect();
        let elsewhere =
            format!("{}{}", self.path_and_query, if self.path_and_query.contains('?') { "&a" } else { "?a" });
        if vendor == 0 {
            all.push(Self { path_and_query: elsewhere, ..with(self.body.to_vec()) });
        }
        let (headers, other) = (self.headers.clone(), HeaderValue::from_static("Bearer 3f9c1d7a-webhook-secreu"));
        let headers = headers.into_iter().filter_map(|(name, _)| Some((name?, other.clone()))).collect();
        all.push(Self { headers, ..with(self.body.to_vec()) });
        all
    }
}

/// What Twilio's page says is signed after the address: names and values, sorted by name.
fn joined(body: &[u8]) -> String {
    let mut pairs: Vec<(String, String)> = form_urlencoded::parse(body).into_owned().collect();
    pairs.sort();
    pairs.dedup();
    pairs.into_iter().flat_map(|(name, value)| [name, value]).collect()
}

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    holds(data);
});
