//! Access tokens and the keys behind them: an issuer that is down, slow, wrong, or changing its keys.

use std::time::Duration;

use okta_telephony_hook::app::Stop;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::console::page;
use crate::support::eventually;
use crate::support::issuer::{Issuer, Mode};
use crate::support::jwt::{AUDIENCE, CLIENT, FIRST, SCOPE, SECOND, claims, good};
use crate::support::okta::{self, SECRET};
use crate::support::process::Place;
use crate::support::server::{Answer, TestServer, exchange};
use crate::support::vendor::{self, VendorServer};

/// Two orgs: `main` takes a header or a token, `bare` a token alone.
pub fn configuration(issuer: &str) -> String {
    let oauth = format!("issuer = '{issuer}'\naudience = '{AUDIENCE}'\nscope = '{SCOPE}'\nclient_id = '{CLIENT}'\n");
    format!(
        "allow_sandbox = true\n[orgs.main]\nguard.mode = 'off'\n[orgs.main.auth.oauth]\n{oauth}[orgs.bare]\npath = '/bare'\nguard.mode = 'off'\n[orgs.bare.auth.oauth]\n\
         {oauth}[providers.sandbox]\nkind = 'sandbox'\ndelay = '1ms'\n"
    )
}

/// Waits until the server has its keys; tells how long that took.
pub async fn ready(server: &TestServer) -> Duration {
    let started = Instant::now();
    eventually("it is ready", async || server.admin_page("/readyz").await.status == 200).await;
    started.elapsed()
}

async fn call(server: &TestServer, token: &str) -> Answer {
    let body = okta::another_sms().to_string();
    server.post("/bare", &[("authorization", &format!("Bearer {token}"))], body.as_bytes()).await
}

async fn rejected(server: &TestServer, reason: &str) -> f64 {
    server.metric(&format!(r#"okta_hook_tokens_rejected_total{{org="bare",reason="{reason}"}}"#)).await
}

#[tokio::test]
async fn any_configured_method_suffices() {
    let issuer = Issuer::start(Mode::Up, &[&FIRST]).await;
    let server = TestServer::start(&configuration(&issuer.name)).await;
    ready(&server).await;
    let body = okta::another_sms().to_string();
    let bearer = format!("Bearer {}", good(&FIRST, &issuer.name));
    for (path, credential, status) in [
        ("/okta/telephony", SECRET, 200),
        ("/okta/telephony", &bearer, 200),
        ("/bare", &bearer, 200),
        ("/bare", SECRET, 401),
        ("/okta/telephony", "Bearer x", 401),
    ] {
        let answer = server.post(path, &[("authorization", credential)], body.as_bytes()).await;
        assert_eq!(answer.status, status, "{path} {credential}");
    }
    assert_eq!(issuer.key_fetches(), 1, "two orgs with one issuer share its keys");
    let metadata = "/oauth2/default/.well-known/oauth-authorization-server";
    assert_eq!(issuer.asked(), [metadata, "/oauth2/default/v1/keys"]);
}

/// The port is open at once, and Okta may call as soon as it is.
#[tokio::test]
async fn the_first_hooks_of_all_wait_for_the_first_keys() {
    let issuer = Issuer::start(Mode::Late, &[&FIRST]).await;
    let server = TestServer::start(&configuration(&issuer.name)).await;
    assert_eq!(call(&server, &good(&FIRST, &issuer.name)).await.status, 200);
    assert_eq!((rejected(&server, "unknown_key").await, issuer.key_fetches()), (0.0, 1));
}

/// Row 34 of the fault matrix.
#[tokio::test]
async fn keys_that_are_held_outlive_their_issuer() {
    let issuer = Issuer::start(Mode::Up, &[&FIRST]).await;
    let server = TestServer::start(&configuration(&issuer.name)).await;
    ready(&server).await;
    let unknown = FIRST.token(&json!({ "alg": "RS256", "kid": "new" }), &claims(&issuer.name, &json!({})));
    for mode in [Mode::Garbage(200, "<html>".into()), Mode::Garbage(503, String::new()), Mode::Down, Mode::Slow] {
        issuer.set(mode.clone());
        let asked = issuer.asked().len();
        assert_eq!(call(&server, &unknown).await.status, 401);
        if matches!(mode, Mode::Garbage(200, _)) {
            eventually("the issuer is asked", async || issuer.asked().len() > asked).await;
        }
        let started = Instant::now();
        assert_eq!(call(&server, &good(&FIRST, &issuer.name)).await.status, 200, "{mode:?}");
        assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
        assert_eq!(server.admin_page("/readyz").await.status, 200, "{mode:?}");
    }
    for org in ["bare", "main"] {
        let age = format!("okta_hook_jwks_age_seconds{{org=\"{org}\"}}");
        eventually("the keys grow old", async || server.metric(&age).await >= 1.0).await;
    }
}

/// Row 35 of the fault matrix.
#[tokio::test]
async fn without_keys_nobody_waits_and_nobody_is_sent_here() {
    for mode in [Mode::Down, Mode::Slow, Mode::Garbage(200, "{\"keys\":[]}".into())] {
        let issuer = Issuer::start(mode.clone(), &[&FIRST]).await;
        let mut server = TestServer::start(&configuration(&issuer.name)).await;
        let token = good(&FIRST, &issuer.name);
        let started = Instant::now();
        for _ in 0..5 {
            assert_eq!(call(&server, &token).await.status, 401);
        }
        assert!(started.elapsed() < Duration::from_secs(1), "{mode:?}: {:?}", started.elapsed());
        assert_eq!(rejected(&server, "unknown_key").await, 5.0);
        assert_eq!(server.admin_page("/readyz").await.status, 503, "{mode:?}");
        assert!(page(&server).await.contains(&format!("not ready: no keys yet of {}", issuer.name)), "{mode:?}");
        assert_eq!(server.hook(&okta::another_sms()).await.status, 200, "the other org has a header");
        if !matches!(mode, Mode::Slow) {
            issuer.set(Mode::Up);
            let took = ready(&server).await;
            assert!(took < Duration::from_secs(5), "{mode:?}: {took:?}");
            assert_eq!(call(&server, &token).await.status, 200);
        }
        // A fetch under way does not hold up the end.
        let started = Instant::now();
        server.begin_stop(Stop::Immediate);
        server.ended().await;
        assert!(started.elapsed() < Duration::from_secs(2), "{mode:?}: {:?}", started.elapsed());
    }
}

#[tokio::test]
async fn a_change_of_keys_with_overlap_goes_unnoticed() {
    let issuer = Issuer::start(Mode::Up, &[&FIRST, &SECOND]).await;
    let server = TestServer::start(&configuration(&issuer.name)).await;
    ready(&server).await;
    let worker = async |worker: usize| {
        for n in 0..30 {
            let token = match n {
                // Both keys are published, the first one signs.
                0..10 => good(&FIRST, &issuer.name),
                // In between the one or the other does, as servers of the issuer change over.
                10..20 if (n ^ worker) & 1 == 0 => good(&FIRST, &issuer.name),
                _ => good(&SECOND, &issuer.name),
            };
            if n == 20 {
                issuer.publish(&[&SECOND]);
            }
            let answer = call(&server, &token).await;
            assert_eq!(answer.status, 200, "worker {worker}, call {n}");
        }
    };
    tokio::join!(
        worker(0),
        worker(1),
        worker(2),
        worker(3),
        worker(4),
        worker(5),
        worker(6),
        worker(7),
        worker(8),
        worker(9)
    );
    let accepted = r#"okta_hook_requests_total{org="bare",channel="sms",verdict="accepted"}"#;
    assert_eq!(server.metric(accepted).await, 300.0);
}

#[tokio::test]
async fn a_change_of_keys_without_overlap_is_caught_up_with_at_once() {
    let issuer = Issuer::start(Mode::Up, &[&FIRST]).await;
    let server = TestServer::start(&configuration(&issuer.name)).await;
    ready(&server).await;
    issuer.publish(&[&SECOND]);
    let (old, new) = (good(&FIRST, &issuer.name), good(&SECOND, &issuer.name));
    assert_eq!(call(&server, &new).await.status, 401, "not known, and not waited for");
    eventually("the new key is known", async || call(&server, &new).await.status == 200).await;
    assert_eq!(call(&server, &old).await.status, 401, "withdrawn");
    assert_eq!(issuer.key_fetches(), 2);
}

#[tokio::test]
async fn made_up_key_ids_do_not_storm_the_issuer() {
    let issuer = Issuer::start(Mode::Up, &[&FIRST]).await;
    let server = TestServer::start(&configuration(&issuer.name)).await;
    ready(&server).await;
    let body = claims(&issuer.name, &json!({}));
    for n in 0..200 {
        let token = FIRST.token(&json!({ "alg": "RS256", "kid": format!("made-up-{n}") }), &body);
        assert_eq!(call(&server, &token).await.status, 401);
    }
    assert_eq!(rejected(&server, "unknown_key").await, 200.0);
    assert!(issuer.key_fetches() <= 2, "{:?}", issuer.asked());
    assert_eq!(call(&server, &good(&FIRST, &issuer.name)).await.status, 200);
}

#[tokio::test]
async fn metadata_cannot_make_us_call_somebody_else() {
    let victim = VendorServer::start([]).await;
    let issuer = Issuer::start(Mode::Up, &[&FIRST]).await;
    issuer.point_at(&format!("{}/keys", victim.url.replace("127.0.0.1", "localhost")));
    let server = TestServer::start(&configuration(&issuer.name)).await;
    eventually("the issuer is asked", async || issuer.asked().len() >= 2).await;
    assert_eq!(server.admin_page("/readyz").await.status, 503);
    assert!(victim.finish().is_empty());
    assert_eq!(issuer.key_fetches(), 0, "and its usual place is not trusted instead");
}

#[tokio::test]
async fn keys_may_come_late_and_from_an_address_of_their_own() {
    let keys = json!({ "keys": [FIRST.jwk()] }).to_string();
    let elsewhere = VendorServer::start([vendor::Answer::Late(Duration::from_millis(300), 200, keys)]).await;
    let issuer = "https://issuer.example/oauth2/default";
    let jwks_url = format!("{}/some/keys?of=us", elsewhere.url);
    let toml = configuration(issuer).replace("audience =", &format!("jwks_url = '{jwks_url}'\naudience ="));
    let server = TestServer::start(&toml).await;
    assert_eq!(server.admin_page("/readyz").await.status, 503);
    ready(&server).await;
    assert_eq!(call(&server, &good(&FIRST, issuer)).await.status, 200);
    let asked = &elsewhere.finish()[0];
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("GET", "/some/keys?of=us"));
    assert_eq!(asked.header("authorization"), None);
}

fn place(issuer: &Issuer) -> Place {
    let set = |place: Place, key: &str, value: &str| place.set(&format!("OKTA_HOOK__{key}"), value);
    let oauth = [("ISSUER", issuer.name.as_str()), ("SCOPE", SCOPE), ("CLIENT_ID", CLIENT)];
    let place = set(set(Place::new(), "ALLOW_SANDBOX", "true"), "PROVIDERS__BOX__KIND", "sandbox");
    let place = oauth.iter().fold(place, |p, (key, value)| set(p, &format!("ORGS__MAIN__AUTH__OAUTH__{key}"), value));
    set(place, "LOG__LEVEL", "trace").set("RUST_LOG", "trace")
}

#[tokio::test]
async fn tokens_are_told_of_by_reason_and_never_printed() {
    let issuer = Issuer::start(Mode::Up, &[&FIRST]).await;
    let server = place(&issuer).serve(&["serve"]).await;
    let page = async |path: &str| {
        exchange(
            server.admin,
            format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").as_bytes(),
        )
        .await
    };
    eventually("it is ready", async || page("/readyz").await.status == 200).await;
    let expired =
        FIRST.token(&FIRST.header(), &claims(&issuer.name, &json!({ "exp": 1_700_000_000, "sub": "canary" })));
    let fresh = good(&FIRST, &issuer.name);
    let body = okta::another_sms().to_string();
    for (token, status) in [(&expired, 401), (&fresh, 200)] {
        let head = format!("authorization: Bearer {token}\r\nconnection: close\r\ncontent-length: {}", body.len());
        let request = format!("POST /okta/telephony HTTP/1.1\r\nhost: x\r\n{head}\r\n\r\n{body}");
        assert_eq!(exchange(server.public, request.as_bytes()).await.status, status);
    }
    let metrics = String::from_utf8(page("/metrics").await.body).expect("text");
    assert!(metrics.contains(r#"okta_hook_tokens_rejected_total{org="main",reason="expired"} 1"#), "{metrics}");
    let printed = server.stop().await;
    let line: Value =
        printed.stderr.lines().find(|l| l.contains("unauthorized")).map(|l| l.parse()).expect("a line").expect("JSON");
    assert_eq!(line["fault"], "access token: expired");
    let everything = format!("{}{}{metrics}", printed.stdout, printed.stderr);
    for part in expired.split('.').chain(fresh.split('.')).chain(["canary", CLIENT]) {
        assert!(!everything.contains(part), "{part}");
    }
}

#[tokio::test]
async fn preview_says_that_it_cannot_make_a_token() {
    let issuer = Issuer::start(Mode::Up, &[&FIRST]).await;
    let dry = place(&issuer).run(&["preview"]).await;
    assert_eq!(dry.code, Some(0), "{dry:?}");
    let needed = format!("needs an access token of {}", issuer.name);
    assert!(dry.stdout.contains(&needed) && dry.stdout.contains("SUCCESSFUL"), "{}", dry.stdout);
    let json: Value = place(&issuer).run(&["preview", "--json"]).await.stdout.parse().expect("JSON");
    assert_eq!((&json["steps"][0]["step"], &json["steps"][0]["ok"]), (&json!("auth"), &Value::Null));
    for arguments in [&["preview", "--send"][..], &["preview", "--url", "http://127.0.0.1:9"]] {
        let refused = place(&issuer).run(arguments).await;
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""));
        assert!(refused.stderr.contains("admits only access tokens"), "{}", refused.stderr);
    }
    let curl = place(&issuer).run(&["preview", "--curl"]).await;
    assert!(curl.stdout.contains("authorization: $OKTA_HOOK_SECRET"), "{}", curl.stdout);
    assert!(curl.stderr.contains("OKTA_HOOK_SECRET is Bearer and an access token"), "{}", curl.stderr);
    assert_eq!(issuer.asked(), [""; 0], "a preview asks nobody");
}
