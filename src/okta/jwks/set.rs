//! A JWK set (RFC 7517) → the keys in it that may verify our tokens.
//!
//! Must not be lenient: a key of another kind, use or strength is as good as absent.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use serde_json::Value;

use super::{Fault, MAX_KID_BYTES};

/// Okta publishes two or three. A set beyond this is not that of an authorization server.
const MAX_KEYS: usize = 32;

/// NIST SP 800-131A: shorter moduli have been out of use since 2014.
const MIN_MODULUS_BITS: usize = 2048;

/// What the verifier takes at most (`RSA_PKCS1_2048_8192_SHA256`).
const MAX_MODULUS_BITS: usize = 8192;

/// Keys by id. Each is made ready once, when its set comes in.
#[derive(Debug, Default)]
pub struct KeySet(BTreeMap<String, Arc<DecodingKey>>);

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

/// The members that decide whether a key is fit. All others are left alone.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: String,
    #[serde(rename = "use")]
    usage: Option<String>,
    alg: Option<String>,
    n: String,
    e: String,
}

impl KeySet {
    /// Reads a set.
    ///
    /// # Errors
    /// When it is no set, holds more than 32 keys, or none that is fit.
    pub fn parse(json: &[u8]) -> Result<Self, Fault> {
        let document: Document = serde_json::from_slice(json).map_err(|_| Fault::NoKeySet)?;
        if document.keys.len() > MAX_KEYS {
            return Err(Fault::TooManyKeys);
        }
        let mut keys = BTreeMap::new();
        for key in document.keys {
            if let Some((kid, key)) = serde_json::from_value(key).ok().and_then(fit) {
                keys.entry(kid).or_insert_with(|| Arc::new(key));
            }
        }
        if keys.is_empty() { Err(Fault::NoFitKey) } else { Ok(Self(keys)) }
    }

    /// The key with this id.
    pub fn key(&self, kid: &str) -> Option<Arc<DecodingKey>> {
        self.0.get(kid).cloned()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The key with its id, if it is one that RS256 signatures can be verified with.
fn fit(jwk: Jwk) -> Option<(String, DecodingKey)> {
    let known = (1..=MAX_KID_BYTES).contains(&jwk.kid.len());
    let for_signatures = jwk.usage.is_none_or(|usage| usage == "sig") && jwk.alg.is_none_or(|alg| alg == "RS256");
    let modulus = number(&jwk.n)?;
    let exponent = number(&jwk.e)?;
    let strong = (MIN_MODULUS_BITS..=MAX_MODULUS_BITS).contains(&bits(&modulus));
    // An even exponent is none, and 1 would make every number its own signature.
    let sound = bits(&exponent) > 1 && exponent.last().is_some_and(|byte| byte & 1 == 1);
    (jwk.kty == "RSA" && known && for_signatures && strong && sound)
        .then(|| (jwk.kid, DecodingKey::from_rsa_raw_components(&modulus, &exponent)))
}

/// A big-endian number without the zeros that some issuers put in front of it: aws-lc takes none.
fn number(text: &str) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    Some(bytes.into_iter().skip_while(|byte| *byte == 0).collect())
}

fn bits(number: &[u8]) -> usize {
    number.first().map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn modulus(bytes: usize) -> String {
        URL_SAFE_NO_PAD.encode(vec![0xc5; bytes])
    }

    fn jwk(changes: &Value) -> Value {
        let mut jwk =
            json!({ "kty": "RSA", "kid": "one", "use": "sig", "alg": "RS256", "n": modulus(256), "e": "AQAB" });
        for (member, value) in changes.as_object().expect("an object") {
            match value {
                Value::Null => drop(jwk.as_object_mut().expect("an object").remove(member)),
                value => jwk[member] = value.clone(),
            }
        }
        jwk
    }

    fn parse(keys: &Value) -> Result<KeySet, Fault> {
        KeySet::parse(json!({ "keys": keys }).to_string().as_bytes())
    }

    #[test]
    fn only_keys_that_can_verify_our_tokens_are_held() {
        let mut long = vec![0_u8; 2];
        long.extend([0xc5; 256]);
        for (changes, held, why) in [
            (json!({}), true, "as Okta publishes them"),
            (json!({ "use": null, "alg": null }), true, "both may be absent"),
            (json!({ "x5c": ["MIIC"], "status": "ACTIVE", "created": 1 }), true, "other members do not matter"),
            (json!({ "n": modulus(512) }), true, "4096 bits"),
            (json!({ "n": URL_SAFE_NO_PAD.encode(long) }), true, "2048 bits behind zeros"),
            (json!({ "n": modulus(128) }), false, "1024 bits"),
            (json!({ "n": modulus(255) }), false, "2040 bits"),
            (json!({ "n": modulus(1025) }), false, "8200 bits"),
            (json!({ "n": URL_SAFE_NO_PAD.encode([0_u8; 256]) }), false, "zero"),
            (json!({ "n": "" }), false, "no modulus"),
            (json!({ "n": null }), false, "modulus missing"),
            (json!({ "n": "!!!" }), false, "no base64"),
            (json!({ "e": "AQ" }), false, "exponent 1"),
            (json!({ "e": "AQAA" }), false, "even exponent"),
            (json!({ "e": "" }), false, "no exponent"),
            (json!({ "kty": "EC", "crv": "P-256" }), false, "another kind"),
            (json!({ "kty": "oct", "k": "c2VjcmV0" }), false, "a shared secret"),
            (json!({ "use": "enc" }), false, "for encryption"),
            (json!({ "alg": "RS512" }), false, "for another algorithm"),
            (json!({ "alg": "HS256" }), false, "for a shared secret"),
            (json!({ "alg": 256 }), false, "algorithm of a wrong type"),
            (json!({ "kid": null }), false, "no id"),
            (json!({ "kid": "" }), false, "empty id"),
            (json!({ "kid": "k".repeat(MAX_KID_BYTES + 1) }), false, "id too long"),
        ] {
            let found = parse(&json!([jwk(&changes)]));
            assert_eq!(found.is_ok(), held, "{why}");
        }
    }

    #[test]
    fn keys_that_are_not_fit_do_not_spoil_those_that_are() {
        let unfit = jwk(&json!({ "kid": "two", "kty": "EC" }));
        let set =
            parse(&json!([7, null, unfit, jwk(&json!({})), jwk(&json!({ "n": modulus(300) }))])).expect("one fit");
        assert_eq!(set.len(), 1);
        assert!(set.key("one").is_some() && set.key("two").is_none() && set.key("One").is_none());
    }

    #[test]
    fn what_is_no_set_is_a_fault() {
        for (json, fault) in [
            ("", Fault::NoKeySet),
            ("<html>", Fault::NoKeySet),
            ("[]", Fault::NoKeySet),
            ("{}", Fault::NoKeySet),
            (r#"{"keys":{}}"#, Fault::NoKeySet),
            (r#"{"keys":[]}"#, Fault::NoFitKey),
        ] {
            assert_eq!(KeySet::parse(json.as_bytes()).err(), Some(fault), "{json}");
        }
        let many: Vec<Value> = (0..=MAX_KEYS).map(|i| jwk(&json!({ "kid": format!("k{i}") }))).collect();
        assert_eq!(parse(&many.clone().into()).err(), Some(Fault::TooManyKeys));
        assert_eq!(parse(&many[1..].into()).map(|set| set.len()).ok(), Some(MAX_KEYS));
    }
}
