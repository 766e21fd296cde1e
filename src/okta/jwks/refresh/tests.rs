//! When keys are fetched, on a paused clock and without a socket.

use std::cell::RefCell;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use tokio::time::{sleep, timeout};

use super::super::{KeySet, Source};
use super::*;

/// A set with these key ids. What the keys are worth does not matter here.
fn set(kids: &[&str]) -> KeySet {
    let n = URL_SAFE_NO_PAD.encode([0xc5; 256]);
    let keys: Vec<_> = kids.iter().map(|kid| json!({ "kty": "RSA", "kid": kid, "n": n, "e": "AQAB" })).collect();
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).expect("fit keys")
}

fn fetched(kids: &[&str], life_secs: u64) -> Result<Fetched, Fault> {
    Ok(Fetched { keys: set(kids), life: Duration::from_secs(life_secs) })
}

fn keeper() -> Keeper {
    let address = "https://example.okta.com/oauth2/default";
    let source = Source { issuer: address.to_owned(), address: address.parse().expect("URL"), jwks_url: None };
    Keeper::new(&Arc::new(Issuer::new(source)), &"main".into(), &Arc::new(Metrics::new()))
}

/// Keeps for a while with fetches that answer by their number; gives the seconds at which they were made.
async fn keep(
    keeper: &Keeper,
    seconds: u64,
    answer: impl Fn(usize) -> Result<Fetched, Fault>,
    meanwhile: impl Future<Output = ()>,
) -> Vec<u64> {
    let started = Instant::now();
    let made = RefCell::new(Vec::new());
    let fetch = || {
        made.borrow_mut().push(started.elapsed().as_secs());
        let answer = answer(made.borrow().len());
        async { answer }
    };
    let (end, ()) = tokio::join!(timeout(Duration::from_secs(seconds), keeper.keep(fetch)), meanwhile);
    assert!(end.is_err(), "keeping never ends by itself");
    made.into_inner()
}

async fn nothing() {}

#[tokio::test(start_paused = true)]
async fn keys_are_fetched_at_once_and_again_when_they_run_out() {
    let keeper = keeper();
    assert!(!keeper.issuer.has_keys());
    let made = keep(&keeper, 8000, |n| fetched(&["a"], if n == 1 { 300 } else { 3600 }), nothing()).await;
    assert_eq!(made, [0, 300, 3900, 7500]);
    assert!(keeper.issuer.has_keys());
}

#[tokio::test(start_paused = true)]
async fn without_keys_the_pauses_grow_to_fifteen_seconds() {
    let keeper = keeper();
    let made = keep(&keeper, 62, |_| Err(Fault::Status(503)), nothing()).await;
    assert_eq!(made, [0, 1, 3, 7, 15, 30, 45, 60]);
    assert!(!keeper.issuer.has_keys());
}

#[tokio::test(start_paused = true)]
async fn a_failure_keeps_the_keys_and_is_made_up_for_a_minute_later() {
    let keeper = keeper();
    let answer = |n| match n {
        1 | 5 => fetched(&["a"], 600),
        2 => Err(Fault::NoKeySet),
        3 => Err(Fault::NoFitKey),
        _ => Err(Fault::NoAnswer("timeout".to_owned())),
    };
    let made = keep(&keeper, 800, answer, async {
        sleep(Duration::from_secs(790)).await;
        assert!(keeper.issuer.key("a").is_some(), "stale, and still good");
    })
    .await;
    assert_eq!(made, [0, 600, 660, 720, 780]);
}

#[tokio::test(start_paused = true)]
async fn a_new_set_replaces_the_old_one_as_a_whole() {
    let keeper = keeper();
    let answer = |n| fetched(if n == 1 { &["a", "b"] } else { &["b", "c"] }, 300);
    keep(&keeper, 400, answer, async {
        sleep(Duration::from_secs(200)).await;
        let held = |kid| keeper.issuer.held().key(kid).is_some();
        assert!(held("a") && held("b") && !held("c"));
        sleep(Duration::from_secs(150)).await;
        assert!(!held("a") && held("b") && held("c"));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_missing_key_is_fetched_at_once_but_not_twice_in_a_minute() {
    let keeper = keeper();
    let answer = |n: usize| fetched(&["a", "b", "c"][..n.min(3)], 3600);
    let made = keep(&keeper, 300, answer, async {
        sleep(Duration::from_secs(100)).await;
        assert!(keeper.issuer.key("b").is_none());
        sleep(Duration::from_secs(1)).await;
        assert!(keeper.issuer.key("b").is_some(), "fetched in the background");
        assert!(keeper.issuer.key("c").is_none());
        sleep(Duration::from_secs(58)).await;
        assert!(keeper.issuer.held().key("c").is_none(), "not yet");
        sleep(Duration::from_secs(2)).await;
        assert!(keeper.issuer.held().key("c").is_some(), "without being asked for again");
    })
    .await;
    assert_eq!(made, [0, 100, 160]);
}

#[tokio::test(start_paused = true)]
async fn made_up_key_ids_bring_about_one_fetch_a_minute() {
    let keeper = keeper();
    let made = keep(&keeper, 310, |_| fetched(&["a"], 3600), async {
        for n in 0..3000 {
            assert!(keeper.issuer.key(&format!("random-{n}")).is_none());
            sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    assert_eq!(made, [0, 0, 60, 120, 180, 240, 300]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_issuer_is_asked_once_however_many_wait() {
    let keeper = keeper();
    let (running, most) = (RefCell::new(0), RefCell::new(0));
    let fetch = || async {
        *running.borrow_mut() += 1;
        most.replace_with(|most| (*most).max(*running.borrow()));
        sleep(Duration::from_secs(9)).await;
        *running.borrow_mut() -= 1;
        fetched(&["a"], 300)
    };
    let storm = async {
        for n in 0..900 {
            keeper.issuer.key(&format!("random-{n}"));
            sleep(Duration::from_secs(1)).await;
        }
    };
    let (end, ()) = tokio::join!(timeout(Duration::from_secs(900), keeper.keep(fetch)), storm);
    assert!(end.is_err());
    assert_eq!(most.into_inner(), 1);
}
