//! The guard in the whole hook: what it stops is not sent, and Okta hears why not.

use std::time::Duration;

use futures_util::future::join_all;
use okta_telephony_hook::otp::FailureKind;
use serde_json::{Value, json};
use tokio::time::advance;

use crate::support::okta::{self, Understood, understand};
use crate::support::redis::RedisServer;
use crate::support::server::TestServer;
use crate::support::stub::{Act, Stage};

/// A stage with one provider that accepts so many messages; asked for one more, it fails the test.
fn stage(guard: &str, accepts: usize) -> Stage {
    Stage::new(&format!("[orgs.main.guard]\n{guard}"), &[("a", &vec![Act::Accept(1); accepts])])
}

/// A text for a user of its own from an address of its own.
fn text(to: &str, user: &str, address: &str) -> Value {
    let mut request = okta::sms(to, "482913");
    request["data"]["userProfile"]["userId"] = user.into();
    request["data"]["context"]["request"]["ipAddress"] = address.into();
    request
}

/// `a` when it was sent, `refused` or `blocked` when not, with the rule Okta's administrators see.
async fn fate(stage: &Stage, request: &Value) -> String {
    let reply = stage.call(request).await;
    assert_eq!(reply.status, 200);
    let body: Value = serde_json::from_slice(&reply.body).expect("JSON");
    match understand(&reply.body) {
        Understood::Command(status, Some(provider), Some(_)) if status == "SUCCESSFUL" => provider,
        Understood::Command(status, Some(by), None) if status == "SUCCESSFUL" && by == "policy" => {
            let metadata = body["commands"][0]["value"][0]["transactionMetadata"].as_str().expect("metadata");
            format!("blocked: {metadata}")
        }
        Understood::Error(summary) => {
            assert!(!summary.contains("limit") && !summary.contains("guard"), "{summary}");
            let is_at_fault = body["debugContext"]["route"] == "country" || body["debugContext"]["route"] == "range";
            assert_eq!(summary.contains("use another number"), is_at_fault, "{summary}");
            format!("refused: {}", body["debugContext"])
        }
        other @ Understood::Command(..) => panic!("{other:?}"),
    }
}

fn asked(stage: &Stage) -> usize {
    stage.transcript().iter().filter(|line| line.ends_with("a asked")).count()
}

fn counted(stage: &Stage, rule: &str, decision: &str) -> f64 {
    stage.metric(&format!(r#"okta_hook_guard_total{{org="main",rule="{rule}",decision="{decision}"}}"#))
}

/// Requests of which the last one breaks a rule, and the settings that make it the only one.
fn scenes() -> Vec<(&'static str, &'static str, &'static str, Vec<Value>)> {
    let number = |n: usize| format!("+4474{:08}", n * 1_234_567);
    let user = |n: usize| format!("00u{n}");
    let address = |n: usize| format!("198.51.100.{n}");
    vec![
        ("country", "countries", "deny = ['GB']", vec![text("+447400123456", "00u1", "198.51.100.1")]),
        ("range", "countries", "", vec![text("+97912345678", "00u1", "198.51.100.1")]),
        ("per_phone", "per_phone", "", (1..=6).map(|n| text("+447400123456", &user(n), &address(n))).collect()),
        ("per_user", "per_user", "", (1..=4).map(|n| text(&number(n), "00u1", &address(n))).collect()),
        ("per_ip", "per_ip", "", (1..=6).map(|n| text(&number(n), &user(n), "198.51.100.1")).collect()),
        (
            "prefix",
            "per_prefix",
            "",
            (1..=5).map(|n| text(&format!("+44740012{:04}", n * 1237), &user(n), &address(n))).collect(),
        ),
        (
            "sequence",
            "per_prefix",
            "",
            (1..=4).map(|n| text(&format!("+44740012000{n}"), &user(n), &address(n))).collect(),
        ),
        (
            "spend",
            "spend",
            "sms_micros = 100000\nper_hour_micros = 200000",
            (1..=3).map(|n| text(&number(n), &user(n), &address(n))).collect(),
        ),
    ]
}

#[tokio::test(start_paused = true)]
async fn each_rule_stops_tells_or_sleeps() {
    for (rule, table, settings, requests) in scenes() {
        let before = requests.len() - 1;
        for mode in ["enforce", "observe", "off"] {
            let sent = if mode == "enforce" { before } else { before + 1 };
            let stage = stage(&format!("[orgs.main.guard.{table}]\nmode = '{mode}'\n{settings}"), sent);
            for request in &requests[..before] {
                assert_eq!(fate(&stage, request).await, "a", "{rule} {mode}");
            }
            let last = fate(&stage, &requests[before]).await;
            let decision = match mode {
                "enforce" if ["prefix", "sequence"].contains(&rule) => "blocked",
                "enforce" => "refused",
                "observe" => "observed",
                _ => "nothing",
            };
            if mode == "enforce" {
                assert!(last.starts_with(decision) && last.contains(rule), "{rule}: {last}");
            } else {
                assert_eq!(last, "a", "{rule} {mode}");
            }
            assert_eq!(asked(&stage), sent, "{rule} {mode}");
            assert!(stage.unused().is_empty(), "{rule} {mode}");
            let expected = f64::from(u8::from(decision != "nothing"));
            assert_eq!(counted(&stage, rule, decision), expected, "{rule} {mode}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_overall_mode_is_the_most_a_rule_may_do() {
    for (mode, observed) in [("observe", 1.0), ("off", 0.0)] {
        let stage = stage(&format!("mode = '{mode}'"), 6);
        for n in 0..6 {
            assert_eq!(fate(&stage, &text("+447400123456", &format!("00u{n}"), "127.0.0.1")).await, "a");
        }
        assert_eq!(counted(&stage, "per_phone", "observed"), observed, "{mode}");
    }
}

/// Row 51 of the fault matrix.
#[tokio::test(start_paused = true)]
async fn a_pumped_prefix_gets_a_handful_and_then_silence() {
    let stage = stage("per_prefix = { mode = 'enforce' }", 4);
    let mut blocked = 0;
    for n in 0..2000 {
        // Ten thousand numbers in no order, each user and address once: only the prefix tells.
        let to = format!("+44740012{:04}", n * 1237 % 10_000);
        let address = format!("198.51.{}.{}", n / 200, n % 200);
        blocked += usize::from(fate(&stage, &text(&to, &format!("00u{n}"), &address)).await.starts_with("blocked"));
        advance(Duration::from_millis(300)).await;
    }
    assert_eq!((asked(&stage), blocked), (4, 1996));
    assert_eq!(counted(&stage, "prefix", "blocked"), 1996.0, "silent to Okta, loud to us");
    let line = r#"okta_hook_requests_total{org="main",channel="sms",verdict="blocked"}"#;
    assert_eq!(stage.metric(line), 1996.0);
}

/// Row 52.
#[tokio::test(start_paused = true)]
async fn at_the_spend_cap_only_some_countries_go_on() {
    let spend = "sms_micros = 100000\nper_hour_micros = 1000000\nnever_stop = ['US']";
    let stage = stage(&format!("[orgs.main.guard.spend]\n{spend}"), 12);
    let mut fates = Vec::new();
    for n in 1..=12 {
        fates.push(fate(&stage, &text(&format!("+4474{:08}", n * 1_234_567), &format!("00u{n}"), "127.0.0.1")).await);
    }
    assert!(fates[..10].iter().all(|fate| fate == "a"), "{fates:?}");
    assert!(fates[10..].iter().all(|fate| fate.starts_with("refused") && fate.contains("spend")), "{fates:?}");
    assert_eq!(fate(&stage, &text("+15005550010", "00u20", "127.0.0.1")).await, "a");
    assert_eq!(counted(&stage, "spend", "warned"), 2.0, "at 80 % and at 100 %");
    advance(Duration::from_secs(3600)).await;
    assert_eq!(fate(&stage, &text("+447400123456", "00u21", "127.0.0.1")).await, "a");
    assert_eq!(asked(&stage), 12);
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_calls_it_fraud_is_not_got_round() {
    let stage = Stage::new(
        "[orgs.main.guard]\nmode = 'enforce'",
        &[("a", &[Act::Fail(40, FailureKind::Blocked), Act::Accept(1)]), ("b", &[])],
    );
    let first = fate_of_blocked(&stage, "+447400123456").await;
    assert_eq!(first, "SUCCESSFUL by a");
    assert_eq!(fate_of_blocked(&stage, "+447400129999").await, "SUCCESSFUL by policy", "its neighbour is not tried");
    assert_eq!(fate_of_blocked(&stage, "+447400133456").await, "SUCCESSFUL by a");
    assert_eq!(asked(&stage), 2);
    assert_eq!(counted(&stage, "provider_fraud", "blocked"), 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_silent_block_takes_as_long_as_what_was_sent_and_an_honest_no_does_not_wait() {
    for (reply, waits) in [("successful", true), ("error", false)] {
        // What was not sent sets no pace.
        let acts = [Act::Accept(300), Act::Fail(700, FailureKind::Unavailable), Act::Accept(500)];
        let settings =
            format!("reply.blocked = '{reply}'\n[orgs.main.guard.per_prefix]\nmode = 'enforce'\nnumbers = 4");
        let stage = Stage::new(&settings, &[("a", &acts)]);
        let mut took = Vec::new();
        for n in 0..5 {
            let begun = tokio::time::Instant::now();
            stage.call(&text(&format!("+44740012{}456", n * 2), &format!("00u{n}"), "127.0.0.1")).await;
            took.push(begun.elapsed().as_millis());
        }
        assert_eq!(took, [300, 700, 500, if waits { 300 } else { 0 }, if waits { 500 } else { 0 }], "{reply}");
        assert_eq!(asked(&stage), 3);
    }
    // An org without transactions to spare at Okta does not wait either.
    let settings = "okta_concurrency = 1\n[orgs.main.guard.per_prefix]\nmode = 'enforce'\nnumbers = 4";
    let stage = Stage::new(settings, &[("a", &[Act::Accept(100); 3])]);
    let mut ends = Vec::new();
    for n in 0..4 {
        stage.call(&text(&format!("+44740012{}456", n * 2), &format!("00u{n}"), "127.0.0.1")).await;
        ends.push(stage.transcript().pop().expect("a line"));
    }
    assert_eq!(ends, ["100", "200", "300", "300"].map(|ms| format!("{ms} Okta hears 200")));
}

async fn fate_of_blocked(stage: &Stage, to: &str) -> String {
    match understand(&stage.call(&text(to, to, "127.0.0.1")).await.body) {
        Understood::Command(status, provider, _) => format!("{status} by {}", provider.expect("somebody")),
        Understood::Error(summary) => summary,
    }
}

#[tokio::test(start_paused = true)]
async fn a_mode_for_the_whole_guard_is_every_rules_that_has_none_of_its_own() {
    let scan: Vec<Value> = (1..=60)
        .map(|n| text(&format!("+44740012{:04}", n * 137), &format!("00u{n}"), &format!("198.51.100.{n}")))
        .collect();
    for (guard, sent, decision) in [
        ("mode = 'enforce'", 4, "blocked"),
        ("", 60, "observed"),
        ("mode = 'enforce'\nper_prefix = { mode = 'observe' }\nper_country = { mode = 'observe' }", 60, "observed"),
        ("mode = 'observe'\nper_prefix = { mode = 'enforce' }", 60, "observed"),
    ] {
        let stage = stage(guard, sent);
        let mut fates = Vec::new();
        for request in &scan {
            fates.push(fate(&stage, request).await);
        }
        assert!(fates[..sent].iter().all(|fate| fate == "a"), "{guard}: {fates:?}");
        assert!(fates[sent..].iter().all(|fate| fate.starts_with("blocked: ")), "{guard}: {fates:?}");
        assert_eq!((asked(&stage), counted(&stage, "prefix", decision) > 0.0), (sent, true), "{guard}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_preview_button_is_never_limited() {
    let stage = stage("mode = 'enforce'", 20);
    let mut request = okta::sms("+447400123456", "482913");
    request["data"]["context"]["request"]["url"] = json!({ "value": "/hooks/generatePreview" });
    for n in 0..20 {
        request["eventId"] = format!("event-{n}").into();
        assert_eq!(fate(&stage, &request).await, "a");
    }
}

/// Replicas behind one load balancer, with one Redis.
#[tokio::test]
async fn a_limit_holds_across_servers_that_share_a_store() {
    let redis = RedisServer::start();
    let config = format!(
        "allow_sandbox = true\n[state]\nurl = '{}'\ntimeout = '1s'\n[privacy]\nhash_key = 'a key for all replicas'\n\
         [orgs.main.guard]\nper_prefix = {{ mode = 'enforce' }}\n[providers.a]\nkind = 'sandbox'\ndelay = '1ms'\n",
        redis.url()
    );
    let servers = [TestServer::start(&config).await, TestServer::start(&config).await];
    let mut fates = Vec::new();
    for n in 0..8 {
        let request = text("+447400123456", &format!("00u{n}"), "198.51.100.1");
        let sent = matches!(understand(&servers[n % 2].hook(&request).await.body), Understood::Command(..));
        fates.push(sent);
    }
    assert_eq!(fates, [true, true, true, true, true, false, false, false]);
    let keys = redis.ask("KEYS *");
    assert!(keys.contains("guard-10m-sms:") && !keys.contains("7400123"), "{keys}");
}

#[tokio::test]
async fn many_at_once_do_not_go_beyond_a_cap_that_is_counted_in_a_store_far_away() {
    let redis = RedisServer::start();
    let config = format!(
        "allow_sandbox = true\n[state]\nurl = '{}'\ntimeout = '1s'\n[privacy]\nhash_key = 'a key for all replicas'\n\
         [orgs.main.guard.spend]\nmode = 'enforce'\nsms_micros = 100\nper_hour_micros = 500\n\
         [providers.a]\nkind = 'sandbox'\ndelay = '1ms'\n",
        redis.url()
    );
    let server = TestServer::start(&config).await;
    let numbers = (0..60).map(|n| text(&format!("+4474{:08}", n * 1_234_567), &format!("00u{n}"), "127.0.0.1"));
    let answers = join_all(numbers.map(async |request| understand(&server.hook(&request).await.body))).await;
    let sent = answers.iter().filter(|answer| matches!(answer, Understood::Command(..))).count();
    assert!((1..=5).contains(&sent), "{sent}");
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_answered_as_the_org_wants() {
    let policy = Some("policy".to_owned());
    for (reply, expected, by) in
        [("error", "error", None), ("failed", "FAILED", None), ("successful", "SUCCESSFUL", policy)]
    {
        let org = format!("reply = {{ refused = '{reply}' }}\nguard = {{ countries = {{ allow = ['US'] }} }}");
        let stage = Stage::new(&org, &[("a", &[])]);
        let heard = match understand(&stage.call(&okta::sms("+447400123456", "482913")).await.body) {
            Understood::Command(status, by, None) => (status, by),
            Understood::Error(_) => ("error".to_owned(), None),
            other @ Understood::Command(..) => panic!("{other:?}"),
        };
        assert_eq!(heard, (expected.to_owned(), by));
    }
}
