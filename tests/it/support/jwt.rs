//! Keys made for the tests, and tokens signed with them: right ones, and every kind of wrong one.

use std::sync::LazyLock;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaEncoding, RsaKeyPair,
    RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde_json::{Value, json};

/// The keys of the issuer that is trusted, and one of somebody else under the id of the first.
pub static FIRST: LazyLock<Signer> = LazyLock::new(|| Signer::new("first"));
pub static SECOND: LazyLock<Signer> = LazyLock::new(|| Signer::new("second"));
pub static STRANGER: LazyLock<Signer> = LazyLock::new(|| Signer::new("first"));

pub const AUDIENCE: &str = "api://default";
pub const SCOPE: &str = "telephony.send";
pub const CLIENT: &str = "0oa1hookclient";

/// An RSA key with its id.
pub struct Signer {
    pub kid: String,
    pair: RsaKeyPair,
}

impl Signer {
    fn new(kid: &str) -> Self {
        Self { kid: kid.to_owned(), pair: RsaKeyPair::generate(KeySize::Rsa2048).expect("a key") }
    }

    /// The public half, as Okta publishes it.
    pub fn jwk(&self) -> Value {
        let RsaPublicKeyComponents { n, e } = RsaPublicKeyComponents::<Vec<u8>>::from(self.pair.public_key());
        json!({ "kty": "RSA", "alg": "RS256", "use": "sig", "kid": self.kid, "n": encode(n), "e": encode(e) })
    }

    /// The header of its tokens.
    pub fn header(&self) -> Value {
        json!({ "kid": self.kid, "alg": "RS256" })
    }

    /// A token that says what it is told to, rightly signed.
    pub fn token(&self, header: &Value, claims: &Value) -> String {
        self.seal(&encode(header.to_string()), &encode(claims.to_string()))
    }

    /// Signs two parts, whatever they are.
    pub fn seal(&self, header: &str, claims: &str) -> String {
        let body = format!("{header}.{claims}");
        format!("{body}.{}", self.sign(&RSA_PKCS1_SHA256, &body))
    }

    /// A signature of any RSA kind.
    pub fn sign(&self, kind: &'static dyn RsaEncoding, body: &str) -> String {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(kind, &SystemRandom::new(), body.as_bytes(), &mut signature).expect("signs");
        encode(signature)
    }

    /// What the public half looks like in its various spellings: all of it is known to everybody.
    pub fn public_spellings(&self) -> Vec<(&'static str, Vec<u8>)> {
        let public = self.pair.public_key();
        let RsaPublicKeyComponents { n, .. } = RsaPublicKeyComponents::<Vec<u8>>::from(public);
        let spki = public.as_der().expect("DER").as_ref().to_vec();
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(&spki));
        vec![
            ("modulus", n.clone()),
            ("modulus as the set spells it", encode(n).into_bytes()),
            ("PKCS #1 DER", public.as_ref().to_vec()),
            ("SPKI DER", spki),
            ("PEM", pem.into_bytes()),
        ]
    }
}

/// An HMAC signature.
pub fn hs256(secret: &[u8], body: &str) -> String {
    encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), body.as_bytes()))
}

/// An elliptic signature, by a key made for it.
pub fn es256(body: &str) -> String {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
    encode(pair.sign(&SystemRandom::new(), body.as_bytes()).expect("signs"))
}

pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The claims of a good token, as Okta's custom authorization server makes them, with some changed; null leaves one out.
pub fn claims(issuer: &str, changes: &Value) -> Value {
    let now = Timestamp::now().as_second();
    let mut claims = json!({
        "ver": 1, "jti": "AT.Zm9vYmFy", "iss": issuer, "aud": AUDIENCE, "sub": CLIENT, "iat": now, "exp": now + 300,
        "cid": CLIENT, "scp": [SCOPE],
    });
    for (claim, value) in changes.as_object().expect("an object") {
        claims[claim] = value.clone();
    }
    claims.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
    claims
}

/// A good token of an issuer.
pub fn good(signer: &Signer, issuer: &str) -> String {
    signer.token(&signer.header(), &claims(issuer, &json!({})))
}
