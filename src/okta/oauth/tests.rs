//! Tokens against a clock that stands still. `tests/it/tokens.rs` has the long table, through the whole server.

use std::sync::LazyLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents};
use serde_json::json;

use super::super::jwks::KeySet;
use super::*;
use crate::secret::Environment;
use crate::settings::Findings;

static KEY: LazyLock<RsaKeyPair> = LazyLock::new(|| RsaKeyPair::generate(KeySize::Rsa2048).expect("a key"));

const ISSUER: &str = "https://example.okta.com/oauth2/default";
const NOW: i64 = 1_800_000_000;

fn tokens(scope: Option<&str>, client_id: Option<&str>) -> Tokens {
    let settings = Settings {
        issuer: Some(ISSUER.to_owned()),
        scope: scope.map(str::to_owned),
        client_id: serde_json::from_value(json!(client_id)).expect("a text or none"),
        ..Settings::default()
    };
    let mut findings = Findings::default();
    let tokens = settings.check("oauth", &Environment::default(), &mut findings).expect("valid");
    assert_eq!(findings.faults, []);
    let RsaPublicKeyComponents { n, e } = RsaPublicKeyComponents::<Vec<u8>>::from(KEY.public_key());
    // Some issuers put a zero in front of the modulus, as ASN.1 does.
    let n = [vec![0], n].concat();
    let encode = |bytes: Vec<u8>| URL_SAFE_NO_PAD.encode(bytes);
    let set = json!({ "keys": [{ "kty": "RSA", "kid": "one", "n": encode(n), "e": encode(e) }] });
    tokens.issuer.replace(KeySet::parse(set.to_string().as_bytes()).expect("a set"));
    tokens
}

/// The claims of a good token with some of them changed; null leaves one out.
fn token(changes: &Value) -> String {
    let mut claims =
        json!({ "iss": ISSUER, "aud": "api://default", "exp": NOW + 300, "scp": ["hook"], "cid": "client" });
    for (claim, value) in changes.as_object().expect("an object") {
        claims[claim] = value.clone();
    }
    claims.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
    let header = json!({ "alg": "RS256", "kid": "one" });
    let body = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    let mut signature = vec![0; KEY.public_modulus_len()];
    KEY.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), body.as_bytes(), &mut signature).expect("signs");
    format!("{body}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[track_caller]
fn check(tokens: &Tokens, cases: &[(Value, Result<(), Reason>, &str)]) {
    let now = Timestamp::from_second(NOW).expect("a moment");
    for (changes, expected, why) in cases {
        assert_eq!(tokens.admit(token(changes).as_bytes(), now), *expected, "{why}: {changes}");
    }
}

#[test]
fn clocks_may_be_a_minute_apart_and_no_more() {
    check(
        &tokens(None, None),
        &[
            (json!({ "exp": NOW - 59 }), Ok(()), "expired inside the leeway"),
            (json!({ "exp": NOW - 60 }), Err(Reason::Expired), "expired at its end"),
            (json!({ "exp": NOW as f64 - 59.5 }), Err(Reason::Expired), "a fraction counts as the second before"),
            (json!({ "exp": NOW as f64 + 0.5 }), Ok(()), "a fraction of a second"),
            (json!({ "nbf": NOW + 60 }), Ok(()), "not valid yet, inside the leeway"),
            (json!({ "nbf": NOW + 61 }), Err(Reason::NotYetValid), "beyond it"),
            (json!({ "nbf": NOW - 86_400 }), Ok(()), "valid for a day"),
            (json!({ "nbf": "soon" }), Err(Reason::Malformed), "no number"),
            (json!({ "nbf": 1e300 }), Err(Reason::Malformed), "no moment"),
            (json!({ "exp": 253_402_207_200_i64 }), Ok(()), "the year 9999"),
            (json!({ "exp": u64::MAX }), Err(Reason::Malformed), "no moment"),
            (json!({ "exp": 0 }), Err(Reason::Expired), "1970"),
        ],
    );
}

#[test]
fn expired_is_said_only_of_tokens_that_are_right_in_all_else() {
    check(
        &tokens(Some("hook"), Some("client")),
        &[
            (json!({ "exp": NOW - 600 }), Err(Reason::Expired), "nothing else"),
            (json!({ "exp": NOW - 600, "iss": "https://evil.example" }), Err(Reason::Issuer), "issuer"),
            (json!({ "exp": NOW - 600, "aud": "api://other" }), Err(Reason::Audience), "audience"),
            (json!({ "exp": NOW - 600, "cid": "other" }), Err(Reason::Client), "client"),
            (json!({ "exp": NOW - 600, "scp": ["other"] }), Err(Reason::Scope), "scope"),
            (json!({ "nbf": NOW + 600, "scp": ["other"] }), Err(Reason::Scope), "scope before not_yet_valid"),
        ],
    );
}

#[test]
fn scope_and_client_matter_only_when_they_are_set() {
    let other = json!({ "scp": ["other"], "cid": "other" });
    check(&tokens(None, None), &[(other.clone(), Ok(()), "neither")]);
    check(&tokens(Some("hook"), None), &[(other.clone(), Err(Reason::Scope), "scope")]);
    check(&tokens(None, Some("client")), &[(other, Err(Reason::Client), "client")]);
}

#[test]
fn a_token_that_names_two_clients_is_nobodys() {
    check(
        &tokens(None, Some("client")),
        &[
            (json!({ "client_id": "client" }), Ok(()), "twice the same"),
            (json!({ "cid": null, "client_id": "client" }), Ok(()), "RFC 9068's name for it"),
            (json!({ "client_id": "other" }), Err(Reason::Client), "two of them"),
            (json!({ "cid": "other", "client_id": "client" }), Err(Reason::Client), "two of them"),
        ],
    );
}

#[test]
fn without_keys_nothing_is_admitted() {
    let tokens = tokens(None, None);
    let cold = Tokens::new(tokens.rules.clone(), Arc::new(Issuer::new(tokens.issuer.source().clone())));
    let now = Timestamp::from_second(NOW).expect("a moment");
    assert_eq!(cold.admit(token(&json!({})).as_bytes(), now), Err(Reason::UnknownKey));
}
