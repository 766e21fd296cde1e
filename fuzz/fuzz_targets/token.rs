//! Feeds: what a caller presents as proof. The first byte picks: an `Authorization` as it stands; or a header and, after a
//! line feed, claims of an access token, signed by the key that is trusted or by a stranger's of the same id; or a set of
//! keys. `@issuer` stands for the issuer's name, which is another one in each run.
//!
//! Must hold: who is admitted has the right password, or a token of the trusted key that says, plainly read, what it must.

#![cfg_attr(fuzzing, no_main)]

#[allow(dead_code, unreachable_pub, reason = "the tests' own, which use the rest of it")]
#[path = "../../tests/it/support/issuer.rs"]
mod issuer;
#[allow(dead_code, unreachable_pub, reason = "the tests' own, which use the rest of it")]
#[path = "../../tests/it/support/jwt.rs"]
mod jwt;

use std::sync::{Arc, LazyLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use jiff::{SignedDuration, Timestamp};
use okta_telephony_hook::metrics::Metrics;
use okta_telephony_hook::okta::authenticate::{Authenticate, Settings};
use okta_telephony_hook::okta::jwks::{Keeper, KeySet};
use okta_telephony_hook::outbound::{self, Outbound};
use okta_telephony_hook::secret::Environment;
use okta_telephony_hook::settings::Findings;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use issuer::{Issuer, Mode};
use jwt::{AUDIENCE, CLIENT, FIRST, SCOPE, STRANGER, Signer, encode};

/// What the seeds date their claims by: in 2100.
const NOW: i64 = 4_102_444_800;

const LEEWAY: SignedDuration = SignedDuration::from_secs(60);

const PAIR: &str = "okta:a-long-password-0123456789";

/// The doors, and the name of the issuer whose keys they hold.
static DOORS: LazyLock<(Authenticate, String)> = LazyLock::new(|| {
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let issuer = Issuer::start(Mode::Up, &[&FIRST]).await;
        let oauth = json!({ "issuer": issuer.name, "scope": SCOPE, "client_id": CLIENT });
        let (username, password) = PAIR.split_once(':').expect("two parts");
        let settings = json!({ "oauth": oauth, "basic": { "username": username, "password": password } });
        let settings: Settings = serde_json::from_value(settings).expect("settings");
        let doors = settings.check("auth", &Environment::default(), &mut Findings::default());
        fetch_keys(&doors).await;
        (doors, issuer.name)
    })
});

async fn fetch_keys(doors: &Authenticate) {
    let issuer = Arc::clone(doors.issuer().expect("an issuer"));
    let outbound = Outbound::new(&outbound::Settings::default()).expect("a client");
    let stop = CancellationToken::new();
    let keeper = Keeper::new(&issuer, &"main".into(), &Arc::new(Metrics::new()));
    let keeps = tokio::spawn(keeper.run(outbound, stop.clone()));
    while !issuer.has_keys() {
        tokio::task::yield_now().await;
    }
    stop.cancel();
    keeps.await.expect("ends");
}

/// Whether it was admitted, or taken for a set of keys.
pub fn holds(data: &[u8]) -> bool {
    let [mode, rest @ ..] = data else { return false };
    match mode % 4 {
        0 => presents(rest),
        1 => brings(rest, &FIRST).is_some_and(|(is_admitted, says_what_it_must)| {
            assert!(!is_admitted || says_what_it_must, "admitted, and should not have been");
            is_admitted
        }),
        2 => {
            assert!(brings(rest, &STRANGER).is_none_or(|(is_admitted, _)| !is_admitted), "a stranger's");
            false
        }
        _ => KeySet::parse(rest).is_ok_and(|keys| {
            assert!((1..=32).contains(&keys.len()));
            true
        }),
    }
}

fn is_admitted(authorization: &[u8]) -> bool {
    let Ok(value) = HeaderValue::from_bytes(authorization) else { return false };
    let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
    DOORS.0.check(&headers, Timestamp::from_second(NOW).expect("a moment")).is_ok()
}

/// Nobody signs here, so the pair alone can admit.
fn presents(authorization: &[u8]) -> bool {
    let is_admitted = is_admitted(authorization);
    if is_admitted {
        let text = std::str::from_utf8(authorization).expect("ASCII");
        let (scheme, pair) = text.trim().split_once(' ').expect("a scheme");
        assert!(scheme.eq_ignore_ascii_case("basic"));
        assert_eq!(STANDARD.decode(pair.trim()).as_deref(), Ok(PAIR.as_bytes()));
    }
    is_admitted
}

/// Whether a token is admitted, and whether it says what it must; `None` when it is no JSON, and not worth a signature.
fn brings(parts: &[u8], signer: &Signer) -> Option<(bool, bool)> {
    let parts = std::str::from_utf8(parts).ok()?.replace("@issuer", &DOORS.1);
    let (header, claims) = parts.split_once('\n')?;
    let (its_header, its_claims): (Value, Value) =
        (serde_json::from_str(header).ok()?, serde_json::from_str(claims).ok()?);
    let token = signer.seal(&encode(header), &encode(claims));
    let is_right = is_header(&its_header) && are_claims(&its_claims);
    Some((is_admitted(format!("Bearer {token}").as_bytes()), is_right))
}

fn is_header(header: &Value) -> bool {
    let brings_its_own = ["jku", "jwk", "x5u", "x5c", "crit"].iter().any(|member| header.get(member).is_some());
    // A list in the header's place is taken by the order of its entries, and is signed all the same.
    header.is_array() || (header["alg"] == "RS256" && header["kid"] == "first" && !brings_its_own)
}

fn are_claims(claims: &Value) -> bool {
    let now = Timestamp::from_second(NOW).expect("a moment");
    let at = |claim: &Value| Timestamp::from_second(claim.as_i64().or_else(|| Some(claim.as_f64()? as i64))?).ok();
    let is_scope = |list: &Value| list.as_array().is_some_and(|list| list.contains(&SCOPE.into()));
    let spells = |text: &Value| text.as_str().is_some_and(|text| text.split(' ').any(|word| word == SCOPE));
    let is_client = |claim: &Value| claim.is_null() || claim == CLIENT;
    claims["iss"] == *DOORS.1
        && (claims["aud"] == AUDIENCE || claims["aud"] == json!([AUDIENCE]))
        && (is_scope(&claims["scp"]) || spells(&claims["scope"]))
        && (claims["cid"] == CLIENT || claims["client_id"] == CLIENT)
        && is_client(&claims["cid"])
        && is_client(&claims["client_id"])
        && at(&claims["exp"]).is_some_and(|end| end > now - LEEWAY)
        && (claims["nbf"].is_null() || at(&claims["nbf"]).is_some_and(|begin| begin <= now + LEEWAY))
}

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    holds(data);
});
