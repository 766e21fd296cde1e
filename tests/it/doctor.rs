//! `doctor`: what is wrong is found by looking, and nothing is ever sent.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::support::okta::{self, SECRET};
use crate::support::process::{Place, Printed};
use crate::support::server::TestServer;
use crate::support::vendor::{Answer, VendorServer};

const TOKEN: &str = "twilio-token-canary";
const SID: &str = "AC00000000000000000000000000000001";

fn place(more: &str) -> Place {
    let head = "[orgs.main.auth.header]\nsecret = { env = 'HOOK_SECRET' }\n";
    Place::new().file("hook.toml", &format!("{head}{more}")).set("HOOK_SECRET", SECRET).set("TOKEN", TOKEN)
}

fn account(kind: &str, url: &str, more: &str) -> String {
    let keys = format!("account_sid = '{SID}'\nauth_token = {{ env = 'TOKEN' }}\nbase_url = '{url}'\n");
    format!("[providers.it]\nkind = '{kind}'\n{keys}{more}\n")
}

fn twilio(url: &str) -> String {
    account("twilio", url, "sms = { from = '+15005550006' }")
}

fn verify(url: &str) -> String {
    account("twilio-verify", url, "service_sid = 'VA00000000000000000000000000000001'")
}

/// An answer from a clock that is this far off.
fn dated(seconds: i64, status: u16, body: &Value) -> Answer {
    let date = (Timestamp::now() + SignedDuration::from_secs(seconds)).strftime("%a, %d %b %Y %H:%M:%S GMT");
    Answer::Http(status, vec![("date".into(), date.to_string())], body.to_string())
}

/// Runs `doctor` over a script; only GETs with credentials may have come, and no secret may be shown.
async fn examine(script: impl IntoIterator<Item = Answer>, settings: fn(&str) -> String) -> Printed {
    let vendor = VendorServer::start(script).await;
    let printed = place(&settings(&vendor.url)).run(&["doctor", "--config", "hook.toml"]).await;
    let calls = vendor.finish();
    assert!(calls.iter().all(|call| call.method == "GET" && call.body.is_empty()), "{calls:?}");
    assert!(calls.iter().all(|call| call.header("authorization").is_some() && call.path != "/"), "{calls:?}");
    for secret in [TOKEN, SECRET, SID] {
        assert!(!printed.stdout.contains(secret) && !printed.stderr.contains(secret), "{printed:?}");
    }
    printed
}

#[track_caller]
fn row(printed: &Printed, words: &[&str]) {
    let found = printed.stdout.lines().any(|line| words.iter().all(|word| line.contains(word)));
    assert!(found, "{words:?}: {}{}", printed.stdout, printed.stderr);
}

#[tokio::test]
async fn an_account_that_is_well_is_told_so() {
    for (body, told) in [
        (json!({ "sid": SID, "status": "active" }), "active; the sender is not checked"),
        (json!({ "sid": SID }), "found; its status is not told; the sender is not checked"),
    ] {
        let printed = examine([dated(0, 200, &body)], twilio).await;
        assert_eq!(printed.code, Some(0), "{printed:?}");
        row(&printed, &["ok", "provider it", "127.0.0.1", "reachable"]);
        row(&printed, &["ok", "provider it", "clock", "agrees with theirs"]);
        row(&printed, &["ok", "provider it", "account", told]);
        row(&printed, &["ok", "state", "in memory"]);
        let words = printed.stdout.lines().map(|line| line.split_once("  ").expect("columns").0.trim_end());
        assert!(words.clone().all(|word| ["ok", "warn", "fail"].contains(&word)), "{printed:?}");
        assert!(!printed.stdout.contains('\u{1b}'), "no colours in a pipe");
    }
}

#[tokio::test]
async fn a_host_without_an_account_is_looked_at_alone_and_each_host_once() {
    let lookup = VendorServer::start([dated(-20, 404, &json!({}))]).await;
    let vendor = VendorServer::start([Answer::json(200, json!({ "status": "active" }))]).await;
    let more = format!("sms = {{ from = '+15005550006' }}\nlookup = {{ base_url = '{}/v2' }}", lookup.url);
    let place = place(&account("twilio", &vendor.url, &more));
    let printed = place.run(&["doctor", "--config", "hook.toml"]).await;
    assert_eq!(printed.code, Some(0), "{printed:?}");
    row(&printed, &["ok", "127.0.0.1", "reachable; the clock is not checked: the answer has no date"]);
    row(&printed, &["warn", "clock", "ahead of theirs"]);
    assert_eq!(printed.stdout.matches("reachable").count(), 2, "{printed:?}");
    let calls = (vendor.finish(), lookup.finish());
    assert_eq!((calls.0.len(), calls.1.len()), (1, 1));
    assert_eq!((calls.1[0].path.as_str(), calls.1[0].header("authorization")), ("/", None));
}

#[tokio::test]
async fn what_is_wrong_with_an_account_is_told_and_fails() {
    let refused = Answer::json(401, json!({ "code": 20003, "message": "Authenticate", "status": 401 }));
    let suspended = Answer::json(200, json!({ "status": "suspended" }));
    for (answer, told) in [
        (refused, "credentials are refused (HTTP 401)"),
        (suspended, "suspended"),
        (Answer::json(200, json!({ "status": TOKEN })), "neither active"),
        (Answer::json(200, json!("garbage")), "cannot be read"),
        (Answer::json(500, json!({})), "HTTP 500"),
        (Answer::Close, "no answer"),
    ] {
        let printed = examine([answer], twilio).await;
        assert_eq!(printed.code, Some(1), "{told}");
        row(&printed, &["fail", "provider it", "account", told]);
        let host = if told == "no answer" { ["fail", "not reachable"] } else { ["ok", "reachable"] };
        row(&printed, &[host[0], "provider it", "127.0.0.1", host[1]]);
    }
}

#[tokio::test]
async fn a_verify_service_must_take_our_codes() {
    for (body, verdict, told) in [
        (json!({ "custom_code_enabled": true }), "ok", "custom codes enabled"),
        (
            json!({ "custom_code_enabled": false }),
            "fail",
            "custom codes are not enabled: switch them on in the service's settings, under General",
        ),
        (json!({ "friendly_name": "x" }), "ok", "does not tell"),
    ] {
        let printed = examine([Answer::json(200, body)], verify).await;
        row(&printed, &[verdict, "service", told]);
        assert_eq!(printed.code, Some(i32::from(verdict == "fail")));
    }
    let printed = examine([Answer::json(404, json!({ "code": 20404 }))], verify).await;
    row(&printed, &["fail", "service", "HTTP 404"]);
}

#[tokio::test]
async fn a_clock_that_is_off_is_told() {
    let active = json!({ "status": "active" });
    let printed = examine([dated(-20, 200, &active)], twilio).await;
    row(&printed, &["warn", "clock", "ahead of theirs"]);
    assert_eq!(printed.code, Some(0));
    let printed = examine([dated(3600, 200, &active)], twilio).await;
    row(&printed, &["fail", "clock", "behind theirs"]);
    assert_eq!(printed.code, Some(1));
}

#[tokio::test]
async fn who_cannot_be_reached_is_told() {
    let settings = twilio("http://127.0.0.1:9");
    let printed = place(&settings).run(&["doctor", "--config", "hook.toml"]).await;
    assert_eq!(printed.code, Some(1));
    row(&printed, &["fail", "127.0.0.1", "not reachable (connect)"]);
    row(&printed, &["fail", "account", "no answer (connect)"]);
}

#[tokio::test]
async fn an_8x8_account_is_asked_for_no_text_and_must_have_the_voices_it_is_to_speak_with() {
    fn eight(url: &str) -> String {
        let eight = format!("kind = '8x8'\nbase_url = '{url}'\nvoice_base_url = '{url}'\nsubaccount_id = 'team_hq'");
        let voice = "voice = { source = '+15005550006', profile = { en = 'en-US-Jenny', fr = 'fr-FR-Nobody' } }";
        format!("[providers.it]\n{eight}\napi_key = {{ env = 'TOKEN' }}\nsms = {{}}\n{voice}\n")
    }
    let profiles = |names: &[&str]| {
        let profiles: Vec<Value> = names.iter().map(|n| json!({ "speechProfileCode": n, "gender": "F" })).collect();
        Answer::json(200, json!({ "speechProfiles": profiles }))
    };
    let there = || profiles(&["en-US-Jenny", "fr-FR-Nobody", "de-DE-X"]);
    for (texts, verdict, told) in [
        (Answer::json(404, json!({ "code": 1300 })), "ok", "credentials are taken"),
        (Answer::json(401, json!({ "code": 1200 })), "fail", "credentials are refused (HTTP 401, 1200)"),
        (Answer::json(400, json!({ "code": 1001 })), "fail", "credentials are refused (HTTP 400, 1001)"),
        (Answer::json(404, json!({})), "warn", "HTTP 404 with no code that is known"),
        (Answer::json(429, json!({ "code": 429 })), "warn", "HTTP 429"),
        (Answer::Close, "fail", "no answer"),
    ] {
        let printed = examine([texts, there()], eight).await;
        row(&printed, &[verdict, "provider it", "sms account", told]);
        row(&printed, &["ok", "provider it", "127.0.0.1", "reachable"]);
        row(&printed, &["ok", "voice account", "voice profiles are there; the sender is not checked"]);
        assert_eq!(printed.code, Some(i32::from(verdict == "fail")), "{printed:?}");
    }
    let gone = || Answer::json(404, json!({ "code": 1300 }));
    for (voice, told) in [
        (profiles(&["en-US-Jenny"]), "no such voice profile: fr-FR-Nobody"),
        (Answer::json(200, json!({})), "cannot be read"),
        (Answer::json(401, json!({ "statusCode": 401 })), "credentials are refused (HTTP 401)"),
    ] {
        let printed = examine([gone(), voice], eight).await;
        row(&printed, &["fail", "voice account", told]);
        assert_eq!(printed.code, Some(1));
    }
}

#[tokio::test]
async fn each_telesign_product_is_asked_for_a_message_that_nobody_sent() {
    fn telesign(url: &str, more: &str) -> String {
        let id = "customer_id = 'FFFFFFFF-EEEE-DDDD-1234-AB1234567890'";
        format!("[providers.it]\nkind = 'telesign'\n{id}\napi_key = {{ env = 'KEY' }}\nbase_url = '{url}'\n{more}\n")
    }
    let answer = |status, code: i64| Answer::json(status, json!({ "reference_id": null, "status": { "code": code } }));
    for (more, script, calls, rows) in [
        (
            "",
            vec![answer(404, 10017)],
            vec!["omnichannel"],
            vec![["ok", "omnichannel", "credentials are taken; the sender is not checked"]],
        ),
        ("auth = 'digest'", vec![answer(200, 3000)], vec!["omnichannel"], vec![["ok", "omnichannel", "are taken"]]),
        ("", vec![answer(401, 3400)], vec!["omnichannel"], vec![["fail", "omnichannel", "refused (HTTP 401, 3400)"]]),
        ("", vec![answer(401, 3206)], vec!["omnichannel"], vec![["warn", "omnichannel", "may not ask this"]]),
        (
            "api = 'sms-voice'",
            vec![answer(404, 10036), answer(401, 10013)],
            vec!["messaging", "voice"],
            vec![["ok", "messaging", "are taken"], ["fail", "voice", "refused (HTTP 401, 10013)"]],
        ),
        (
            "api = 'sms-voice'",
            vec![
                Answer::json(401, json!({ "status": { "code": 500 }, "errors": [{ "code": -30000 }] })),
                Answer::json(401, json!({ "status": { "code": 501 } })),
            ],
            vec!["messaging", "voice"],
            vec![["fail", "messaging", "refused (HTTP 401, -30000)"], ["fail", "voice", "refused (HTTP 401)"]],
        ),
    ] {
        let vendor = VendorServer::start(script).await;
        let place = place(&telesign(&vendor.url, more)).set("KEY", "MDEyMzQ1Njc4OWFiY2RlZg==");
        let printed = place.run(&["doctor", "--config", "hook.toml"]).await;
        rows.iter().for_each(|words| row(&printed, words));
        row(&printed, &["ok", "127.0.0.1", "reachable"]);
        assert!(!printed.stdout.contains("MDEy"), "{printed:?}");
        let seen = vendor.finish();
        let paths: Vec<&str> = seen.iter().map(|call| call.path.as_str()).collect();
        let expected: Vec<String> = calls.iter().map(|c| format!("/v1/{c}/00000000000000000000000000000000")).collect();
        assert_eq!(paths, expected);
        let scheme = if more.contains("digest") { "TSA FFFF" } else { "Basic " };
        for call in &seen {
            assert_eq!((call.method.as_str(), call.body.as_str()), ("GET", ""));
            assert!(call.header("authorization").is_some_and(|value| value.starts_with(scheme)));
            assert_eq!(call.header("x-ts-nonce").is_some(), scheme == "TSA FFFF");
        }
    }
}

#[tokio::test]
async fn faults_and_weak_secrets_are_rows_and_json_is_for_scripts() {
    let printed = Place::new().run(&["doctor", "--json"]).await;
    assert_eq!(printed.code, Some(1));
    let page: Value = serde_json::from_str(&printed.stdout).expect("JSON");
    assert_eq!(page["ok"], false);
    assert!(page["checks"].as_array().is_some_and(|c| c.iter().any(|c| c["what"] == "providers")), "{page}");

    let vendor = VendorServer::start([Answer::json(200, json!({ "status": "active" }))]).await;
    let weak = place(&twilio(&vendor.url)).set("HOOK_SECRET", "weak");
    let public = format!("{}[server]\npublic_url = 'https://127.0.0.1:9'\n", twilio(&vendor.url));
    let weak =
        weak.file("hook.toml", &format!("[orgs.main.auth.header]\nsecret = {{ env = 'HOOK_SECRET' }}\n{public}"));
    let printed = weak.run(&["doctor", "--config", "hook.toml"]).await;
    assert_eq!(printed.code, Some(0), "{printed:?}");
    row(&printed, &["warn", "orgs.main.auth.header.secret", "shorter than 32"]);
    row(&printed, &["warn", "public_url", "not reachable from here"]);
    vendor.finish();
}

/// Runs `doctor` beside a server, with this much of the configuration of its admin listener.
async fn beside(server: &TestServer, token: &str) -> Printed {
    let admin = format!("allow_sandbox = true\nadmin = {{ listen = '{}', token = '{token}' }}\n", server.admin);
    let org = format!("[orgs.main.auth.header]\nsecret = '{SECRET}'\n[providers.it]\nkind = 'sandbox'\n");
    let place = Place::new().file("hook.toml", &format!("{admin}{org}"));
    let printed = place.run(&["doctor", "--config", "hook.toml"]).await;
    assert_eq!(printed.code, Some(0), "nothing that was learnt, or not told, is a failure: {printed:?}");
    assert!(!printed.stdout.contains(token));
    printed
}

#[tokio::test]
async fn what_the_running_server_has_learnt_is_shown_and_that_none_runs_is_no_failure() {
    let token = "a-token-for-operators";
    let toml = format!(
        "allow_sandbox = true\nadmin.token = '{token}'\n[orgs.main]\n[providers.a]\nkind = 'sandbox'\ndelay = '1ms'\n"
    );
    let server = TestServer::start(&toml).await;
    row(&beside(&server, token).await, &["ok", "learnt", "nothing was sent"]);
    assert_eq!(server.hook(&okta::another_sms()).await.status, 200);
    let told = "accepted 1 of 1, delivered 0 of 0, converted 0 of 0: fine";
    row(&beside(&server, token).await, &["ok", "learnt", "a US sms", told]);
    row(&beside(&server, "another-token-for-nobody").await, &["warn", "learnt", "answers HTTP 401"]);

    let admin = format!("admin = {{ listen = '{}' }}\nallow_sandbox = true\n", server.admin);
    server.stop().await;
    let org = format!("[orgs.main.auth.header]\nsecret = '{SECRET}'\n[providers.it]\nkind = 'sandbox'\n");
    let printed =
        Place::new().file("hook.toml", &format!("{admin}{org}")).run(&["doctor", "--config", "hook.toml"]).await;
    assert_eq!(printed.code, Some(0), "{printed:?}");
    row(&printed, &["warn", "learnt", "no server answers at 127.0.0.1"]);
}

#[tokio::test]
async fn whoever_falls_behind_is_a_warning_and_a_long_table_is_cut() {
    let way = |n: usize| {
        json!({
            "provider": format!("p{n}"), "country": "GB", "channel": "sms", "accepted": 30, "failed": 2,
            "delivered": 5, "undelivered": 20, "awaited": 10, "converted": 4,
            "behind_in": if n == 0 { vec!["delivery", "conversion"] } else { vec![] },
        })
    };
    let learned = json!({ "learned": (0..23).map(way).collect::<Vec<_>>() });
    // Closed afterwards, as the server does when it is asked to.
    let answer =
        |status: u16, body: Value| Answer::Bytes(format!("HTTP/1.1 {status} Scripted\r\n\r\n{body}").into_bytes());
    for (answer, told) in [
        (answer(200, learned.clone()), vec!["warn", "p0 GB sms", "falls behind in delivery and conversion"]),
        (answer(200, learned.clone()), vec!["ok", "p19 GB sms", "accepted 30 of 32, delivered 5 of 25"]),
        (answer(200, learned.clone()), vec!["ok", "server", "and 3 more at GET /learned"]),
        (answer(404, json!({})), vec!["warn", "answers HTTP 404"]),
        (answer(200, json!("garbage")), vec!["warn", "cannot be read"]),
    ] {
        // What answers in the place of the server; the provider needs nobody.
        let admin = VendorServer::start([answer]).await;
        let listen = admin.url.trim_start_matches("http://");
        let toml = format!(
            "allow_sandbox = true\nadmin = {{ listen = '{listen}' }}\n[orgs.main.auth.header]\nsecret = '{SECRET}'\n\
             [providers.it]\nkind = 'sandbox'\n"
        );
        let printed = Place::new().file("hook.toml", &toml).run(&["doctor", "--config", "hook.toml"]).await;
        assert_eq!(printed.code, Some(0), "{printed:?}");
        row(&printed, &told);
        admin.finish();
    }
}

#[tokio::test]
async fn an_orgs_api_token_is_tried_on_nobody() {
    fn org(url: &str) -> String {
        let event_hook = "[orgs.main.event_hook.auth.header]\nsecret = { env = 'HOOK_SECRET' }\n";
        let okta = format!("[orgs.main.okta]\nurl = '{url}'\napi_token = {{ env = 'TOKEN' }}\n");
        format!("{event_hook}{okta}[providers.it]\nkind = 'sandbox'\n")
    }
    let gone = Answer::json(404, json!({ "errorCode": "E0000007" }));
    for (answer, verdict, told, code) in [
        (gone, "ok", "factors can be read", 0),
        (Answer::json(200, json!([])), "ok", "factors can be read", 0),
        (Answer::json(401, json!({ "errorCode": "E0000011" })), "fail", "refused (HTTP 401)", 1),
        (Answer::json(403, json!({ "errorCode": "E0000006" })), "fail", "refused (HTTP 403)", 1),
        (Answer::json(429, json!({ "errorCode": "E0000047" })), "warn", "rate limit", 0),
        (Answer::json(500, json!({})), "fail", "HTTP 500", 1),
        (Answer::Close, "fail", "no answer", 1),
    ] {
        let vendor = VendorServer::start([answer]).await;
        let place = place(&org(&vendor.url)).set("OKTA_HOOK__ALLOW_SANDBOX", "true");
        let printed = place.run(&["doctor", "--config", "hook.toml"]).await;
        assert_eq!(printed.code, Some(code), "{printed:?}");
        row(&printed, &[verdict, "org main", "API token", told]);
        assert!(!printed.stdout.contains(TOKEN) && !printed.stderr.contains(TOKEN), "{printed:?}");
        let calls = vendor.finish();
        assert_eq!((&*calls[0].method, &*calls[0].path), ("GET", "/api/v1/users/00u00000000000000000/factors"));
    }
}
