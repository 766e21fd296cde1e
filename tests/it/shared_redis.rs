//! Two servers and one real Redis, in real time.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::support::eventually;
use crate::support::okta::{self, Understood, understand};
use crate::support::process::Place;
use crate::support::redis::RedisServer;
use crate::support::server::TestServer;

/// A server beside others. The sandbox answers at once, and after 1.5 s when the number ends in 0011.
async fn replica(redis: &RedisServer, timeout: &str) -> TestServer {
    replica_with("privacy.hash_key = 'a key that replicas share'", redis, timeout).await
}

async fn replica_with(key: &str, redis: &RedisServer, timeout: &str) -> TestServer {
    TestServer::start(&format!(
        "allow_sandbox = true\n{key}\n\
         [state]\nurl = '{}'\ntimeout = '{timeout}'\n\
         [orgs.main]\n[providers.sandbox]\nkind = 'sandbox'\ndelay = '5ms'\n",
        redis.url()
    ))
    .await
}

/// Patient enough for a busy machine where the time-out is not what is tested.
const PATIENT: &str = "1s";

fn renamed(request: &Value, event: &str) -> Value {
    let mut request = request.clone();
    request["eventId"] = event.into();
    request
}

async fn sends(server: &TestServer) -> f64 {
    server.metric(r#"okta_hook_attempts_total{provider="sandbox",channel="sms",kind="accepted"}"#).await
}

async fn faults(server: &TestServer) -> f64 {
    server.metric(r#"okta_hook_store_faults_total{operation="claim"}"#).await
}

#[tokio::test]
async fn replicas_without_a_key_of_their_own_make_one_of_what_okta_is_known_by() {
    let redis = RedisServer::start();
    let (here, there) = (replica_with("", &redis, PATIENT).await, replica_with("", &redis, PATIENT).await);
    let request = okta::sms("+15005550010", "482913");
    let first = here.hook(&request).await;
    assert_eq!(there.hook(&request).await.body, first.body);
    assert_eq!((sends(&here).await, sends(&there).await), (1.0, 0.0));
}

#[tokio::test]
async fn a_repeat_at_another_replica_is_answered_and_not_sent() {
    let redis = RedisServer::start();
    let (here, there) = (replica(&redis, PATIENT).await, replica(&redis, PATIENT).await);
    let request = okta::sms("+15005550010", "482913");
    let first = here.hook(&request).await;
    let again = [
        there.hook(&request).await,
        there.hook(&renamed(&request, "another")).await,
        here.hook(&renamed(&request, "a third")).await,
        there.hook(&renamed(&request, "a third")).await,
    ];
    for answer in &again {
        assert_eq!((answer.status, &answer.body), (200, &first.body));
    }
    assert_eq!((sends(&here).await, sends(&there).await), (1.0, 0.0));
    there.hook(&okta::sms("+15005550010", "999999")).await;
    assert_eq!(sends(&there).await, 1.0);
    assert_eq!((faults(&here).await, faults(&there).await), (0.0, 0.0));
}

#[tokio::test]
async fn a_repeat_at_another_replica_waits_for_the_send_in_flight() {
    let redis = RedisServer::start();
    let (here, there) = (replica(&redis, PATIENT).await, replica(&redis, PATIENT).await);
    let slow = okta::sms("+15005550011", "482913");
    let (first, second, third) = tokio::join!(
        here.hook(&slow),
        async {
            sleep(Duration::from_millis(300)).await;
            there.hook(&slow).await
        },
        async {
            sleep(Duration::from_millis(400)).await;
            there.hook(&renamed(&slow, "another")).await
        }
    );
    assert!(matches!(understand(&first.body), Understood::Command(status, ..) if status == "SUCCESSFUL"));
    assert_eq!((&second.body, &third.body), (&first.body, &first.body));
    assert_eq!((sends(&here).await, sends(&there).await), (1.0, 0.0));
    assert_eq!(there.metric(r#"okta_hook_repeats_total{reason="in_flight"}"#).await, 2.0);
}

#[tokio::test]
async fn a_redis_that_is_frozen_or_gone_stops_no_code() {
    let mut redis = RedisServer::start();
    let (here, there) = (replica(&redis, "50ms").await, replica(&redis, "50ms").await);
    let mut sent = 0.0;
    for (trouble, codes) in [("frozen", ["111111", "222222", "333333"]), ("gone", ["444444", "555555", "666666"])] {
        match trouble {
            "frozen" => redis.freeze(),
            _ => redis.kill(),
        }
        for code in codes {
            let request = okta::sms("+15005550010", code);
            for server in [&here, &there] {
                let before = (sends(server).await, faults(server).await);
                let started = Instant::now();
                let answer = server.hook(&request).await;
                assert!(started.elapsed() < Duration::from_millis(2600), "{trouble}: {:?}", started.elapsed());
                assert!(matches!(understand(&answer.body), Understood::Command(status, ..) if status == "SUCCESSFUL"));
                let after = (sends(server).await, faults(server).await);
                assert!(after.0 > before.0 && after.1 > before.1, "{trouble}: {before:?} {after:?}");
                // The replica itself still knows.
                assert_eq!(server.hook(&request).await.body, answer.body);
                assert_eq!(sends(server).await, after.0, "{trouble}");
                sent += 1.0;
            }
        }
    }
    assert_eq!(sends(&here).await + sends(&there).await, sent);
    assert!(redis.restart());
    eventually("the replicas find Redis again", async || {
        let request = okta::another_sms();
        let before = sends(&there).await;
        here.hook(&request).await;
        sleep(Duration::from_millis(100)).await;
        there.hook(&request).await;
        sends(&there).await == before
    })
    .await;
}

#[tokio::test]
async fn a_server_starts_without_its_redis_and_finds_it_later() {
    let mut redis = RedisServer::start();
    redis.kill();
    let server = replica(&redis, "300ms").await;
    assert_eq!(server.hook(&okta::sms("+15005550010", "111111")).await.status, 200);
    assert!(redis.restart());
    eventually("Redis is found", async || {
        server.hook(&okta::another_sms()).await;
        !redis.keys().is_empty()
    })
    .await;
}

#[tokio::test]
async fn every_key_has_its_time_and_a_shutdown_leaves_nothing_untold() {
    let redis = RedisServer::start();
    let server = replica(&redis, PATIENT).await;
    let mut request = okta::sms("+15005550010", "482913");
    request["data"]["messageProfile"]["otpExpires"] = Value::Null;
    server.hook(&request).await;
    server.stop().await;
    let mut found = BTreeMap::new();
    for key in redis.keys() {
        let ttl: i64 = redis.ask(&format!("PTTL {key}")).trim_start_matches(':').trim().parse().expect("a number");
        let kind = key.strip_prefix("okta-hook:").and_then(|key| key.split(':').next()).expect("a kind").to_owned();
        found.insert(kind, ttl);
    }
    let day = 24 * 60 * 60_000;
    for (kind, most, least) in [
        ("event", 600_000, 500_000),
        ("fingerprint", 20_000, 1),
        ("journal-number", day + 60_000, day),
        ("journal-to", day, day - 100_000),
        ("journal-transaction", day, day - 100_000),
        ("journal-user", day, day - 100_000),
    ] {
        let ttl = found.remove(kind).unwrap_or_else(|| panic!("no {kind}: {found:?}"));
        assert!((least..=most).contains(&ttl), "{kind}: {ttl}");
    }
    assert!(found.is_empty(), "{found:?}");
}

#[tokio::test]
async fn forget_removes_what_is_remembered_of_a_number() {
    let redis = RedisServer::start();
    let server = TestServer::start(&format!(
        "allow_sandbox = true\nprivacy.hash_key = 'a key that replicas share'\n\
         [state]\nurl = '{}'\ntimeout = '{PATIENT}'\n[providers.sandbox]\nkind = 'sandbox'\n\
         [orgs.main.guard]\n[orgs.gamma]\npath = '/gamma'\nauth.header.secret = '{}'\n",
        redis.url(),
        okta::SECRET
    ))
    .await;
    server.hook(&okta::sms("+15005550010", "482913")).await;
    server.hook(&okta::sms("+447400123456", "482913")).await;
    let body = okta::sms("+15005550010", "482913").to_string();
    assert_eq!(server.post("/gamma", &[("authorization", okta::SECRET)], body.as_bytes()).await.status, 200);
    server.stop().await;
    let journal = || redis.keys().iter().filter(|key| key.contains(":journal-")).count();
    // Each number: index, and by org recipient and transaction; and the user of each org.
    assert_eq!(journal(), 2 + 3 * 2 + 2);
    let known = || redis.keys().iter().filter(|key| key.contains(":guard-known:")).count();
    assert_eq!(known(), 3);
    let place = || {
        Place::new()
            .set("OKTA_HOOK__ORGS__MAIN__AUTH__HEADER__SECRET", okta::SECRET)
            .set("OKTA_HOOK__PROVIDERS__SANDBOX__KIND", "sandbox")
            .set("OKTA_HOOK__ALLOW_SANDBOX", "true")
            .set("OKTA_HOOK__ORGS__GAMMA__PATH", "/gamma")
            .set("OKTA_HOOK__ORGS__GAMMA__AUTH__HEADER__SECRET", okta::SECRET)
    };
    let shared = || {
        place()
            .set("OKTA_HOOK__STATE__URL", &redis.url())
            .set("OKTA_HOOK__PRIVACY__HASH_KEY", "a key that replicas share")
    };
    let printed = shared().run(&["forget", "--to", "+1 500 555 0010"]).await;
    // In each org a recipient and a transaction, and the user where the last message went to no other number; that the
    // number is known, and three windows.
    let expected = (Some(0), "Forgotten: journal 5, guard 8.\n");
    assert_eq!((printed.code, printed.stdout.as_str()), expected, "{}", printed.stderr);
    assert_eq!((journal(), known()), (4, 1));
    let again = shared().run(&["forget", "--to", "+15005550010", "--user", "00uyxxSknGtK8022w0g3"]).await;
    // In each org the user's two windows and numbers.
    assert_eq!((again.code, again.stdout.as_str()), (Some(0), "Forgotten: journal 1, guard 6.\n"));
    assert_eq!((journal(), known()), (3, 1), "nobody else is forgotten");

    let other_key =
        shared().set("OKTA_HOOK__PRIVACY__HASH_KEY", "another").run(&["forget", "--to", "+447400123456"]).await;
    assert_eq!((other_key.code, journal()), (Some(0), 3), "without the key nothing can be found");
    let wrong = shared().run(&["forget", "--to", "07400123456"]).await;
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.stderr.contains("--to: must start with +") && !wrong.stderr.contains("07400"), "{}", wrong.stderr);
    let memory = place().run(&["forget", "--to", "+447400123456"]).await;
    assert_eq!(memory.code, Some(1));
    assert!(memory.stderr.contains("state.url is memory"), "{}", memory.stderr);
    drop(redis);
    let down = place()
        .set("OKTA_HOOK__STATE__URL", "redis://127.0.0.1:1")
        .set("OKTA_HOOK__PRIVACY__HASH_KEY", "a key that replicas share")
        .run(&["forget", "--to", "+447400123456"])
        .await;
    assert_eq!(down.code, Some(1));
    assert!(down.stderr.contains("the state store failed"), "{}", down.stderr);
}
