//! What is learnt from what arrived: who hears of it, what it changes, and what silence means.

use std::cell::Cell;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use jiff::{SignedDuration, Timestamp};
use okta_telephony_hook::deadline::Clock;
use okta_telephony_hook::dispatch::switches::{Setting, Target};
use okta_telephony_hook::feedback::Taken;
use okta_telephony_hook::otp::{FailureKind, ProviderName};
use serde_json::{Value, json};
use tokio::time::{Instant, advance};
use tokio_util::sync::CancellationToken;

use crate::callbacks::{PUBLIC, TOKEN, report_of};
use crate::config::{GOOD, SECRETS, findings};
use crate::reload::{reload, start};
use crate::support::okta::{self, SECRET, Understood, understand};
use crate::support::server::{TestServer, exchange};
use crate::support::stub::{Act, Stage};
use crate::support::vendor::{Answer, VendorServer};

const SID: &str = "SMaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const EVENTS: &str = "[orgs.main.event_hook.auth.header]\nname = 'x-events'\nsecret = 'an-event-hook-secret-0123'";

/// A wall clock that goes with the paused one.
fn wall() -> Timestamp {
    let (start, zero) = START.get().expect("a test has begun");
    start + SignedDuration::try_from(zero.elapsed()).expect("short")
}

// Set anew for each test: tests may share a thread, and each has a paused clock of its own.
thread_local! { static START: Cell<Option<(Timestamp, Instant)>> = const { Cell::new(None) }; }

/// An org with an event hook, on a paused clock, and everybody who signs in there.
struct Org {
    stage: Stage,
    people: u32,
}

impl Org {
    fn new(settings: &str, a: usize, b: usize) -> Self {
        START.set(Some((Timestamp::now(), Instant::now())));
        let (a, b) = (vec![Act::Accept(5); a], vec![Act::Accept(5); b]);
        let settings = format!("{settings}\n{EVENTS}");
        Self { stage: Stage::with_clock(&settings, &[("a", &a), ("b", &b)], Clock::new(wall)), people: 0 }
    }

    /// Somebody new asks for a code: who sent it, and to whom.
    async fn code(&mut self) -> (String, String) {
        self.people += 1;
        let mut request = okta::sms(&format!("+1500555{:04}", self.people), "482913");
        let user = format!("00user{}", self.people);
        request["eventId"] = format!("event-{user}").into();
        request["data"]["userProfile"]["userId"] = user.clone().into();
        // Its date is the real clock's.
        request["data"]["messageProfile"].as_object_mut().expect("object").remove("otpExpires");
        let reply = self.stage.call(&request).await;
        let Understood::Command(_, Some(provider), _) = understand(&reply.body) else { panic!("{reply:?}") };
        (provider, user)
    }

    /// So many people are sent a code, and use it or do not.
    async fn codes(&mut self, count: u32, used: bool) {
        for _ in 0..count {
            let (_, user) = self.code().await;
            if used {
                self.used(&user).await;
            }
        }
    }

    /// Okta tells that somebody has signed in with a code.
    async fn used(&self, user: &str) {
        let event = json!({
            "uuid": format!("used-{user}-{}", wall()), "eventType": "user.authentication.auth_via_mfa",
            "actor": { "id": user, "type": "User" }, "outcome": { "result": "SUCCESS" },
            "debugContext": { "debugData": { "factor": "SMS_FACTOR" } },
        });
        let mut headers = HeaderMap::new();
        headers.insert("x-events", HeaderValue::from_static("an-event-hook-secret-0123"));
        let body = json!({ "data": { "events": [event] } }).to_string();
        let taken = self.stage.events().take(&headers, async { Ok::<_, ()>(Bytes::from(body)) }).await;
        assert_eq!(taken, Taken::Noted);
    }

    fn switch(&self, provider: &str, disabled: bool) {
        let target = Target::Provider(ProviderName::new(provider));
        if disabled {
            self.stage.shared.switches.set(target, Setting::Disabled);
        } else {
            self.stage.shared.switches.clear(&target);
        }
    }

    /// The codes of one provider are used, those of the other are not, and that was long enough ago to be judged.
    async fn learn(&mut self) {
        self.used("somebody").await;
        self.switch("a", true);
        self.codes(25, true).await;
        self.switch("a", false);
        self.codes(25, false).await;
        advance(Duration::from_secs(7 * 60)).await;
        self.used("somebody").await;
    }

    /// Looks for silence as the server does, until the token is dropped.
    fn watch(&self) -> tokio_util::sync::DropGuard {
        let stop = CancellationToken::new();
        tokio::spawn(self.stage.shared.learn.clone().watch(stop.clone()));
        stop.drop_guard()
    }

    fn moves(&self, mode: &str) -> f64 {
        self.stage.metric(&format!("okta_hook_learned_moves_total{{org=\"main\",provider=\"a\",mode=\"{mode}\"}}"))
    }
}

#[tokio::test(start_paused = true)]
async fn enforced_whoever_sends_codes_that_nobody_uses_is_asked_last_and_comes_back() {
    let mut org = Org::new("learn = 'enforce'", 26, 26);
    org.learn().await;
    assert_eq!(org.code().await.0, "b");
    assert_eq!(org.moves("enforce"), 1.0);
    advance(Duration::from_secs(30 * 60)).await;
    org.used("somebody").await;
    assert_eq!(org.code().await.0, "a", "it is tried again");
    assert!(org.stage.unused().is_empty());
}

#[tokio::test(start_paused = true)]
async fn observed_it_is_told_and_changes_nothing() {
    let mut org = Org::new("", 28, 25);
    org.learn().await;
    for _ in 0..3 {
        assert_eq!(org.code().await.0, "a");
    }
    assert_eq!((org.moves("observe"), org.moves("enforce")), (3.0, 0.0));
    assert!(org.stage.unused().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_preview_goes_as_the_route_says() {
    let mut org = Org::new("learn = 'enforce'", 26, 26);
    org.learn().await;
    let mut preview = okta::sms("+15005559999", "482913");
    preview["data"]["context"]["request"]["url"]["value"] = "/api/internal/v1/x/generatePreview".into();
    preview["data"]["messageProfile"].as_object_mut().expect("object").remove("otpExpires");
    let reply = org.stage.call(&preview).await;
    assert!(matches!(understand(&reply.body), Understood::Command(_, Some(by), _) if by == "a"));
    assert_eq!(org.code().await.0, "b", "everybody else goes by what was learnt");
}

#[tokio::test(start_paused = true)]
async fn weighted_routes_go_as_their_weights_say() {
    let route =
        "learn = 'enforce'\n[[orgs.main.routes]]\nsend = ['a', 'b']\nstrategy = 'weighted'\nweights = { b = 0 }";
    let mut org = Org::new(route, 26, 25);
    org.learn().await;
    assert_eq!(org.code().await.0, "a");
    assert_eq!(org.moves("enforce"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_resend_comes_after_what_was_learnt() {
    let mut org = Org::new("learn = 'enforce'", 26, 26);
    org.learn().await;
    let mut request = okta::sms("+15005559999", "482913");
    request["data"]["messageProfile"].as_object_mut().expect("object").remove("otpExpires");
    for (event, code, expected) in [("one", "111111", "b"), ("two", "222222", "a")] {
        request["eventId"] = event.into();
        request["data"]["messageProfile"]["otpCode"] = code.into();
        request["data"]["messageProfile"]["msgTemplate"] = format!("Your code is {code}").into();
        let reply = org.stage.call(&request).await;
        assert!(matches!(understand(&reply.body), Understood::Command(_, Some(p), _) if p == expected), "{event}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_counts_once_when_it_ends_and_a_preview_never() {
    let stage = Stage::new("budget = '1000ms'", &[("a", &[Act::Accept(3000), Act::Accept(5)])]);
    let counts = || stage.shared.learn.table().iter().map(|row| (row.accepted, row.failed)).collect::<Vec<_>>();
    stage.call(&okta::sms("+15005550010", "482913")).await;
    assert_eq!(counts(), [], "nobody knows yet");
    tokio::time::sleep(Duration::from_millis(2100)).await;
    assert_eq!(counts(), [(1, 0)]);
    let file = std::fs::read(crate::support::data("okta/preview-numbers-unquoted.json")).expect("readable");
    let mut preview: Value = serde_json::from_slice(&file).expect("JSON");
    preview["data"]["messageProfile"]["phoneNumber"] = "+15005550010".into();
    stage.call(&preview).await;
    assert!(stage.unused().is_empty(), "it was sent");
    assert_eq!(counts(), [(1, 0)]);

    let stage = Stage::new("", &[("a", &[Act::Fail(5, FailureKind::Unavailable)])]);
    stage.call(&okta::sms("+882161234567", "482913")).await;
    let rows = stage.shared.learn.table();
    let seen: Vec<_> = rows.iter().map(|row| (row.way.country_word(), row.accepted, row.failed)).collect();
    assert_eq!(seen, [("unknown".to_owned(), 0, 1)]);

    // Dropped when its time is over, as it has written nothing: that is an end, too.
    let stage = Stage::new("", &[("a", &[Act::Prepare])]);
    stage.call(&okta::another_sms()).await;
    let failed: Vec<_> = stage.shared.learn.table().iter().map(|row| (row.accepted, row.failed)).collect();
    assert_eq!(failed, [(0, 1)]);
}

#[tokio::test(start_paused = true)]
async fn row_49_an_event_feed_that_stops_is_told_and_not_believed() {
    let mut org = Org::new("learn = 'enforce'", 200, 200);
    let _watch = org.watch();
    let silent = |org: &Org| org.stage.metric("okta_hook_event_feed_silent{org=\"main\"}");
    org.learn().await;
    // No event comes from here on: what nobody hears of is not held against whoever sends it.
    for _ in 0..11 {
        assert_eq!(org.code().await.0, "b");
        org.codes(2, false).await;
        tokio::time::sleep(Duration::from_secs(10 * 60)).await;
    }
    assert_eq!(silent(&org), 0.0);
    tokio::time::sleep(Duration::from_secs(10 * 60 + 20)).await;
    assert_eq!(silent(&org), 1.0);
    assert_eq!(org.code().await.0, "a", "no longer judged");
    org.used("somebody").await;
    assert_eq!(silent(&org), 0.0);
}

#[tokio::test(start_paused = true)]
async fn row_53_hooks_that_stop_are_told_and_the_next_one_ends_it() {
    let mut org = Org::new("", 211, 0);
    let _watch = org.watch();
    let silent = |org: &Org| org.stage.metric("okta_hook_silent{org=\"main\"}");
    for _ in 0..25 * 4 {
        let _ = org.code().await;
        tokio::time::sleep(Duration::from_secs(15 * 60)).await;
    }
    assert_eq!(silent(&org), 0.0, "four an hour are too few to be missed");
    org.codes(21, false).await;
    let last = org.stage.metric("okta_hook_last_hook_timestamp_seconds{org=\"main\"}");
    assert_eq!(last, wall().as_second() as f64);
    tokio::time::sleep(Duration::from_secs(60 * 60)).await;
    assert_eq!(silent(&org), 0.0, "yesterday four came in this hour");
    for _ in 0..22 * 4 + 2 {
        let _ = org.code().await;
        tokio::time::sleep(Duration::from_secs(15 * 60)).await;
    }
    assert_eq!(silent(&org), 0.0);
    tokio::time::sleep(Duration::from_secs(45 * 60)).await;
    assert_eq!(silent(&org), 1.0);
    // Somebody who may not: nothing is heard of Okta by that.
    org.stage.call_with(&[("authorization", "x")], b"{}".to_vec()).await;
    assert_eq!(silent(&org), 1.0);
    let _ = org.stage.call_with(&[("authorization", SECRET)], b"unreadable".to_vec()).await;
    assert_eq!(silent(&org), 0.0, "Okta has called, whatever it said");
}

fn twilio(url: &str) -> String {
    format!(
        "[providers.twilio]\nkind = 'twilio'\naccount_sid = 'AC00000000000000000000000000000001'\n\
         auth_token = '{TOKEN}'\nbase_url = '{url}'\nsms = {{ from = '+15005550006' }}\n"
    )
}

#[tokio::test]
async fn row_23_what_a_report_says_is_shown_without_anybodys_number() {
    let vendor = VendorServer::start([Answer::json(201, json!({ "sid": SID, "status": "queued" }))]).await;
    let head = format!("admin.token = 'a-token-for-operators'\n[server]\npublic_url = '{PUBLIC}'\n[orgs.main]\n");
    let server = TestServer::start(&format!("{head}{}", twilio(&vendor.url))).await;
    let get = async |path: &str, token: &str| {
        let head =
            format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\r\n");
        exchange(server.admin, head.as_bytes()).await
    };
    let page = async || get("/learned", "a-token-for-operators").await.body;
    assert_eq!(serde_json::from_slice::<Value>(&page().await).expect("JSON"), json!({ "learned": [] }));
    let request = okta::another_sms();
    assert_eq!(server.hook(&request).await.status, 200);
    assert_eq!(report_of(&server, "twilio", SID, "undelivered").await.status, 204);
    let expected = json!({ "learned": [{
        "provider": "twilio", "country": "US", "channel": "sms", "accepted": 1, "failed": 0, "delivered": 0,
        "undelivered": 1, "awaited": 0, "converted": 0, "delivery_ratio": null, "conversion_ratio": null,
        "verdict": "fine", "behind_in": [],
    }] });
    assert_eq!(serde_json::from_slice::<Value>(&page().await).expect("JSON"), expected);
    for token in ["", "another-token-for-nobody"] {
        let refused = get("/learned", token).await;
        assert_eq!(refused.status, 401);
        assert!(!String::from_utf8_lossy(&refused.body).contains("twilio"));
    }
    let metrics = String::from_utf8(get("/metrics", "a-token-for-operators").await.body).expect("text");
    let line = "okta_hook_learned_samples{provider=\"twilio\",country=\"US\",channel=\"sms\",of=\"undelivered\"} 1";
    assert!(metrics.lines().any(|l| l == line), "{metrics}");
    let number = request["data"]["messageProfile"]["phoneNumber"].as_str().expect("a number");
    let user = request["data"]["userProfile"]["userId"].as_str().expect("an id");
    for secret in [number, &number[1..], user, SID, "482913"] {
        assert!(!metrics.contains(secret) && !expected.to_string().contains(secret), "{secret}");
    }
    server.stop().await;
    vendor.finish();
}

#[tokio::test]
async fn what_was_learnt_outlives_a_reload_unless_its_provider_was_changed() {
    let toml = |budget: &str, delay: &str| {
        let provider = |name: &str, delay: &str| format!("[providers.{name}]\nkind = 'sandbox'\ndelay = '{delay}'\n");
        format!(
            "allow_sandbox = true\n[orgs.main]\nbudget = '{budget}'\n[orgs.main.auth.header]\nsecret = '{SECRET}'\n\
             [orgs.main.guard]\nmode = 'off'\n{}{}",
            provider("a", delay),
            provider("b", "1ms")
        )
    };
    let server = start(&toml("2600ms", "1ms")).await;
    let learned = async || {
        let page =
            exchange(server.admin, b"GET /learned HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.body;
        let page: Value = serde_json::from_slice(&page).expect("JSON");
        let rows = page["learned"].as_array().expect("rows").clone();
        rows.iter().map(|row| row["provider"].as_str().expect("a name").to_owned()).collect::<Vec<_>>()
    };
    let body = okta::another_sms().to_string();
    let head = format!("POST /okta/telephony HTTP/1.1\r\nhost: x\r\nauthorization: {SECRET}\r\nconnection: close\r\n");
    let request = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    assert_eq!(exchange(server.public, request.as_bytes()).await.status, 200);
    assert_eq!(learned().await, ["a"]);
    reload(&server, &toml("2500ms", "1ms"), "ok").await;
    assert_eq!(learned().await, ["a"]);
    reload(&server, &toml("2500ms", "2ms"), "ok").await;
    assert_eq!(learned().await, [""; 0], "what it comes from may be what was changed");
    server.stop().await;
}

#[test]
fn learn_is_one_of_two_words() {
    let org = |word: &str| findings(&format!("{GOOD}\n[orgs.main]\nlearn = '{word}'\n"), &SECRETS).0;
    assert_eq!(org("sometimes"), "orgs.main.learn: must be one of observe or enforce\n");
    assert_eq!([org("observe"), org("enforce")], [String::new(), String::new()]);
}
