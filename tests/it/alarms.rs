//! What a monitor sees: counters that are there before their first event, and lines that want a person.

use std::collections::BTreeSet;

use okta_telephony_hook::app::Hooks;
use serde_json::{Value, json};

use crate::support::okta::{self, SECRET};
use crate::support::process::Place;
use crate::support::server::{exchange, load};

const EVENT_SECRET: &str = "an-event-hook-secret-of-32-letters";

fn read(path: &str) -> String {
    std::fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).expect("readable")
}

/// The metrics' names in a text, without what a histogram puts behind its own.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_lowercase() || c == '_'));
    let names = words.filter(|word| word.starts_with("okta_hook_"));
    names.map(|name| name.trim_end_matches("_bucket").to_owned()).collect()
}

/// Every metric that the page tells of.
fn metrics_page() -> BTreeSet<String> {
    let page = read("docs/metrics.md");
    let first_cells = page.lines().filter_map(|line| line.strip_prefix("| `okta_hook_")?.split(" |").next());
    first_cells.flat_map(|cell| metrics_in(&format!("okta_hook_{cell}"))).collect()
}

/// An org and a provider of each kind that is counted in a way of its own.
fn everything(more: &str) -> String {
    format!(
        "[server]\npublic_url = 'https://otp.example.com'\n\
         [orgs.main]\nguard.spend.per_hour_micros = 1000000\n\
         auth.oauth = {{ issuer = 'https://example.okta.com/oauth2/default', scope = 'telephony.send' }}\n\
         event_hook.auth.header.secret = '{EVENT_SECRET}'\n\
         [providers.twilio]\nkind = 'twilio'\naccount_sid = 'AC00000000000000000000000000000001'\n\
         auth_token = '0123456789abcdef0123456789abcdef'\nsms = {{ from = '+15005550006' }}\nlookup.fields = []\n\
         [providers.verify]\nkind = 'twilio-verify'\naccount_sid = 'AC00000000000000000000000000000001'\n\
         auth_token = '0123456789abcdef0123456789abcdef'\nservice_sid = 'VA00000000000000000000000000000004'\n{more}"
    )
}

#[tokio::test]
async fn every_counter_of_the_metrics_page_is_there_before_its_first_event() {
    let documented = metrics_page();
    let hooks = Hooks::build(&load(&everything("")).config).expect("built");
    let page = hooks.shared.metrics.render();
    let counters: BTreeSet<_> = documented.iter().filter(|name| name.ends_with("_total")).collect();
    assert!(counters.len() > 25, "{counters:?}");
    // Of those there are none without TLS of our own.
    let of_tls = ["okta_hook_tls_handshakes_total", "okta_hook_certificate_reloads_total"];
    for name in counters.into_iter().filter(|name| !of_tls.contains(&name.as_str())) {
        assert!(page.lines().any(|l| l.starts_with(name) && l.ends_with(" 0")), "{name}: {page}");
    }
    for line in [
        r#"requests_total{org="main",channel="sms",verdict="exhausted"} 0"#,
        r#"requests_total{org="main",channel="none",verdict="bad_request"} 0"#,
        r#"attempts_total{provider="twilio",channel="sms",kind="account"} 0"#,
        r#"breaker_state{provider="verify",channel="voice"} 0"#,
        r#"guard_total{org="main",rule="per_phone",decision="refused"} 0"#,
        r#"guard_total{org="main",rule="prefix",decision="observed"} 0"#,
        r#"guard_total{org="main",rule="spend",decision="warned"} 0"#,
        r#"resends_total{org="main",channel="voice",previous="verify"} 0"#,
        r#"fates_told_total{provider="verify",fate="used",result="told"} 0"#,
    ] {
        assert!(page.contains(&format!("okta_hook_{line}\n")), "{line}: {page}");
    }
    for line in
        [r#"provider="twilio",channel="voice""#, r#"decision="enforced""#, r#"fates_told_total{provider="twilio""#]
    {
        assert!(!page.contains(line), "{line}");
    }
}

#[test]
fn the_rules_for_prometheus_ask_for_metrics_that_there_are() {
    let rules = read("deploy/prometheus-rules.yaml");
    let (asked, known) = (metrics_in(&rules), metrics_page());
    assert!(asked.len() > 25, "{asked:?}");
    assert_eq!(asked.difference(&known).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[tokio::test]
async fn another_org_adds_some_kilobytes_to_the_page_and_no_more() {
    let bytes = |more: &str| {
        let hooks = Hooks::build(&load(&everything(more)).config).expect("built");
        hooks.shared.metrics.render().len()
    };
    let other = format!(
        "[orgs.other]\npath = '/other'\nauth.header.secret = '{SECRET}'\n\
         event_hook = {{ path = '/other/events', auth.header.secret = '{EVENT_SECRET}' }}\n"
    );
    let added = bytes(&other) - bytes("");
    assert!((1000..8000).contains(&added), "{added}");
}

#[tokio::test]
async fn what_okta_sends_and_we_cannot_read_is_a_warning_and_strangers_are_not() {
    let server = Place::new()
        .set("OKTA_HOOK__ORGS__MAIN__AUTH__HEADER__SECRET", SECRET)
        .set("OKTA_HOOK__ORGS__MAIN__EVENT_HOOK__AUTH__HEADER__SECRET", EVENT_SECRET)
        .set("OKTA_HOOK__ALLOW_SANDBOX", "true")
        .set("OKTA_HOOK__PROVIDERS__A__KIND", "sandbox")
        .serve(&["serve"])
        .await;
    for (path, secret, status) in [
        ("/okta/telephony", SECRET, 400),
        ("/okta/telephony", "a stranger", 401),
        ("/okta/events", "a stranger", 401),
        ("/okta/events", "a stranger", 401),
        ("/okta/events", EVENT_SECRET, 400),
    ] {
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: {secret}\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{{}}"
        );
        assert_eq!(exchange(server.public, request.as_bytes()).await.status, status, "{path} {secret}");
    }
    let logged = server.stop().await.stderr;
    let lines: Vec<Value> = logged.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let told = |message: &str, key: &str| -> Vec<Value> {
        lines.iter().filter(|l| l["message"] == message).map(|l| json!([l["level"], l["org"], l[key]])).collect()
    };
    let (bad, stranger) = (json!(["WARN", "main", "bad_request"]), json!(["INFO", "main", "unauthorized"]));
    assert_eq!(told("hook", "verdict"), [bad, stranger]);
    // A second one within the minute is counted alone.
    let (unauthorized, unreadable) = (json!(["WARN", "main", "unauthorized"]), json!(["WARN", "main", "unreadable"]));
    assert_eq!(told("event hook not taken", "result"), [unauthorized, unreadable]);
}

/// A hook as it goes over the wire.
fn hook_to(number: &str) -> String {
    let hook = okta::sms(number, "482913").to_string();
    let length = hook.len();
    format!(
        "POST /okta/telephony HTTP/1.1\r\nhost: x\r\nauthorization: {SECRET}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{hook}"
    )
}

#[tokio::test]
async fn going_past_a_provider_that_cannot_take_a_message_is_no_warning() {
    let server = Place::new()
        .set("OKTA_HOOK__ORGS__MAIN__AUTH__HEADER__SECRET", SECRET)
        .set("OKTA_HOOK__ALLOW_SANDBOX", "true")
        .set("OKTA_HOOK__PROVIDERS__A__KIND", "twilio")
        .set("OKTA_HOOK__PROVIDERS__A__ACCOUNT_SID", "AC00000000000000000000000000000001")
        .set("OKTA_HOOK__PROVIDERS__A__AUTH_TOKEN", "0123456789abcdef0123456789abcdef")
        .set("OKTA_HOOK__PROVIDERS__A__SMS__BY_COUNTRY__GB", "+447400000000")
        .set("OKTA_HOOK__PROVIDERS__B__KIND", "sandbox")
        .serve(&["serve"])
        .await;
    assert_eq!(exchange(server.public, hook_to("+15005550010").as_bytes()).await.status, 200);
    let logged = server.stop().await.stderr;
    let lines: Vec<Value> = logged.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let told = lines.iter().find(|line| line["message"] == "hook").expect("a hook");
    assert_eq!((&told["verdict"], &told["provider"]), (&json!("accepted"), &json!("b")), "{logged}");
    assert!(told["tried"].as_str().is_some_and(|tried| tried.starts_with("a rejected: no_sender")), "{logged}");
    assert!(lines.iter().all(|line| line["message"] != "failover"), "{logged}");
}

#[tokio::test]
async fn a_message_that_every_provider_failed_is_an_error_line_and_one_in_doubt_is_none() {
    let server = Place::new()
        .set("OKTA_HOOK__ORGS__MAIN__AUTH__HEADER__SECRET", SECRET)
        .set("OKTA_HOOK__ORGS__MAIN__BUDGET", "500ms")
        .set("OKTA_HOOK__ORGS__MAIN__GUARD__MODE", "off")
        .set("OKTA_HOOK__ALLOW_SANDBOX", "true")
        .set("OKTA_HOOK__PROVIDERS__A__KIND", "sandbox")
        .serve(&["serve"])
        .await;
    for number in ["+15005550010", "+15005550002", "+15005550001", "+15005550009"] {
        assert_eq!(exchange(server.public, hook_to(number).as_bytes()).await.status, 200);
    }
    let logged = server.stop().await.stderr;
    let lines: Vec<Value> = logged.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let hooks: Vec<&Value> = lines.iter().filter(|line| line["message"] == "hook").collect();
    let levels: Vec<Value> = hooks.iter().map(|line| json!([line["level"], line["verdict"]])).collect();
    let expected = [["INFO", "accepted"], ["ERROR", "exhausted"], ["INFO", "refused"], ["INFO", "unconfirmed"]];
    assert_eq!(levels, expected.map(|pair| json!(pair)), "{logged}");
    let keys = |line: &Value| line.as_object().expect("object").keys().cloned().collect::<BTreeSet<_>>();
    let only_of_the_accepted = BTreeSet::from(["transaction_id".to_owned()]);
    assert_eq!(&keys(hooks[0]) - &keys(hooks[1]), only_of_the_accepted, "the same line but for its level");
    assert!(keys(hooks[1]).is_subset(&keys(hooks[0])), "{logged}");
}
