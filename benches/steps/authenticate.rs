//! Who calls? Headers alone.

use std::sync::Arc;

use divan::Bencher;
use http::HeaderMap;
use jiff::Timestamp;
use okta_telephony_hook::okta::authenticate::{Authenticate, Settings};
use okta_telephony_hook::okta::jwks::Keeper;
use okta_telephony_hook::outbound::{self, Outbound};
use okta_telephony_hook::secret::Environment;
use okta_telephony_hook::settings::Findings;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::ground::{HOOKS, RUNTIME, SECRET, headers};
use crate::issuer::{Issuer, Mode};
use crate::jwt::{FIRST, SCOPE, good};

#[divan::bench]
fn header(bencher: Bencher) {
    let settings = json!({ "header": { "secret": SECRET } });
    check(bencher, &authenticate(settings), &headers(SECRET));
}

#[divan::bench]
fn basic(bencher: Bencher) {
    let settings = json!({ "basic": { "username": "okta", "password": "a-long-password" } });
    check(bencher, &authenticate(settings), &headers("Basic b2t0YTphLWxvbmctcGFzc3dvcmQ="));
}

/// An access token under an RSA key of 2048 bits. The key is held, as it is whenever a hook comes.
#[divan::bench]
fn oauth(bencher: Bencher) {
    let (issuer, authenticate) = RUNTIME.block_on(async {
        let issuer = Issuer::start(Mode::Up, &[&FIRST]).await;
        let authenticate = authenticate(json!({ "oauth": { "issuer": issuer.name, "scope": SCOPE } }));
        fetch_keys(&authenticate).await;
        (issuer, authenticate)
    });
    check(bencher, &authenticate, &headers(&format!("Bearer {}", good(&FIRST, &issuer.name))));
}

fn authenticate(settings: serde_json::Value) -> Authenticate {
    let settings: Settings = serde_json::from_value(settings).expect("settings");
    let mut findings = Findings::default();
    let authenticate = settings.check("auth", &Environment::default(), &mut findings);
    assert!(findings.faults.is_empty(), "{:?}", findings.faults);
    authenticate
}

async fn fetch_keys(authenticate: &Authenticate) {
    let issuer = Arc::clone(authenticate.issuer().expect("an issuer"));
    let stop = CancellationToken::new();
    let outbound = Outbound::new(&outbound::Settings::default()).expect("a client");
    let keeper = Keeper::new(&issuer, &"main".into(), &HOOKS.shared.metrics);
    let keeps = tokio::spawn(keeper.run(outbound, stop.clone()));
    while !issuer.has_keys() {
        tokio::task::yield_now().await;
    }
    stop.cancel();
    keeps.await.expect("ends");
}

fn check(bencher: Bencher, authenticate: &Authenticate, headers: &HeaderMap) {
    let now = Timestamp::now();
    assert!(authenticate.check(headers, now).is_ok());
    bencher.bench_local(|| authenticate.check(divan::black_box(headers), now).is_ok());
}
