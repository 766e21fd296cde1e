//! SIGHUP: another configuration takes effect, and nobody notices but by what it says.

use std::collections::BTreeSet;
use std::time::Duration;

use okta_telephony_hook::config::{self, Sources};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::support::okta::{self, SECRET, Understood, understand};
use crate::support::process::{Place, Running};
use crate::support::server::{Answer, exchange, read_answer};
use crate::support::vendor::{self, VendorServer};

const PATIENCE: Duration = Duration::from_secs(20);
const OLD: &str = "the-old-credential-of-32-letters-and-more";
const NEW: &str = "the-new-credential-of-32-letters-and-more";

fn settings(auth: &str, providers: &str) -> String {
    format!("allow_sandbox = true\n[orgs.main]\n[orgs.main.auth]\nheader = {{ {auth} }}\n{providers}")
}

const SANDBOX: &str = "[providers.sandbox]\nkind = 'sandbox'\ndelay = '5ms'\n";

pub async fn start(toml: &str) -> Running {
    Place::new().file("hook.toml", toml).serve(&["serve", "--config", "hook.toml"]).await
}

/// Writes the configuration anew, sends the signal and waits until the counter of this result has moved.
pub async fn reload(server: &Running, toml: &str, result: &str) {
    let before = reloads(server, result).await;
    std::fs::write(server.place.directory.path().join("hook.toml"), toml).expect("written");
    server.signal("HUP");
    let started = Instant::now();
    while reloads(server, result).await == before {
        assert!(started.elapsed() < PATIENCE, "not reloaded");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn reloads(server: &Running, result: &str) -> u64 {
    let page = exchange(server.admin, b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    let line = format!("okta_hook_config_reloads_total{{result=\"{result}\"}}");
    let page = String::from_utf8(page.body).expect("text");
    page.lines().find_map(|l| l.strip_prefix(&line)?.trim().parse().ok()).unwrap_or_default()
}

fn request(path: &str, secret: &str) -> Vec<u8> {
    let body = okta::for_a_stranger(okta::another_sms()).to_string();
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: {secret}\r\ncontent-length: {length}\r\n\r\n{body}")
        .into()
}

async fn ask(stream: &mut TcpStream, path: &str, secret: &str) -> Answer {
    stream.write_all(&request(path, secret)).await.expect("written");
    read_answer(stream).await
}

fn provider(answer: &Answer) -> String {
    match understand(&answer.body) {
        Understood::Command(status, Some(provider), _) if status == "SUCCESSFUL" => provider,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_secret_is_rotated_under_load_without_one_hook_that_fails() {
    let old = settings(&format!("secret = '{OLD}'"), SANDBOX);
    let overlap = settings(&format!("secret = '{NEW}', previous_secret = '{OLD}'"), SANDBOX);
    let new = settings(&format!("secret = '{NEW}'"), SANDBOX);
    let server = start(&old).await;
    let (public, (secret, current)) = (server.public, tokio::sync::watch::channel(Some(OLD)));
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let current = current.clone();
            tokio::spawn(async move {
                let (mut stream, mut hooks) = (TcpStream::connect(public).await.expect("connects"), 0_u32);
                loop {
                    let Some(secret) = *current.borrow() else { return hooks };
                    assert_eq!(provider(&ask(&mut stream, "/okta/telephony", secret).await), "sandbox");
                    hooks += 1;
                }
            })
        })
        .collect();
    let pause = || tokio::time::sleep(Duration::from_millis(150));
    pause().await;
    reload(&server, &overlap, "ok").await;
    pause().await;
    secret.send(Some(NEW)).expect("callers");
    pause().await;
    reload(&server, &new, "ok").await;
    pause().await;
    secret.send(None).expect("callers");
    let mut hooks = 0;
    for caller in callers {
        hooks += caller.await.expect("every hook was answered on one connection");
    }
    assert!(hooks > 20, "{hooks}");
    assert_eq!(exchange(public, &request("/okta/telephony", OLD)).await.status, 401);
    let ended = server.stop().await;
    assert_eq!(ended.code, Some(0));
    assert!(ended.stderr.contains("orgs.main.auth.header.previous_secret"), "{}", ended.stderr);
    assert!(!ended.stderr.contains(OLD) && !ended.stderr.contains(NEW), "{}", ended.stderr);
}

#[tokio::test]
async fn what_is_new_serves_connections_that_are_open_and_what_is_fixed_is_named() {
    let auth = format!("secret = '{SECRET}'");
    let server = start(&settings(&auth, SANDBOX)).await;
    let mut kept = TcpStream::connect(server.public).await.expect("connects");
    assert_eq!(provider(&ask(&mut kept, "/okta/telephony", SECRET).await), "sandbox");
    let mut in_flight = TcpStream::connect(server.public).await.expect("connects");
    let late = okta::sms("+15005560011", "482913").to_string();
    let head = format!(
        "POST /okta/telephony HTTP/1.1\r\nhost: x\r\nauthorization: {SECRET}\r\ncontent-length: {}\r\n\r\n",
        late.len()
    );
    in_flight.write_all(format!("{head}{late}").as_bytes()).await.expect("written");
    tokio::time::sleep(Duration::from_millis(200)).await;

    let other = SANDBOX.replace("providers.sandbox", "providers.other");
    let changed = settings(&auth, &format!("{other}[server]\nmax_connections = 50\n"));
    let changed = changed.replace("[orgs.main]\n", "[orgs.main]\npath = '/new/path'\n");
    reload(&server, &changed, "ok").await;
    assert_eq!(provider(&ask(&mut kept, "/new/path", SECRET).await), "other");
    assert_eq!(ask(&mut kept, "/okta/telephony", SECRET).await.status, 404);
    assert_eq!(provider(&read_answer(&mut in_flight).await), "sandbox", "ends as it began");
    let ended = server.stop().await;
    for told in ["orgs.main.path", "providers.other.kind", "server.max_connections", "needs a restart"] {
        assert!(ended.stderr.contains(told), "{told}: {}", ended.stderr);
    }
}

#[tokio::test]
async fn a_bad_configuration_changes_nothing_and_every_fault_is_told() {
    let auth = format!("secret = '{SECRET}'");
    let server = start(&settings(&auth, SANDBOX)).await;
    let bad =
        settings("secret = ''", SANDBOX).replace("[orgs.main]\n", "[orgs.main]\nbudget = 'canary'\npaht = '/x'\n");
    for text in [bad.as_str(), "no [ TOML canary"] {
        reload(&server, text, "refused").await;
        let mut stream = TcpStream::connect(server.public).await.expect("connects");
        assert_eq!(provider(&ask(&mut stream, "/okta/telephony", SECRET).await), "sandbox");
    }
    assert_eq!(reloads(&server, "ok").await, 0);
    let ended = server.stop().await;
    for key in ["orgs.main.budget", "orgs.main.paht"] {
        let told = |l: &&str| l.contains("\"ERROR\"") && l.contains(key);
        assert_eq!(ended.stderr.lines().filter(told).count(), 1, "{key}: {}", ended.stderr);
    }
    assert!(!ended.stderr.contains("canary"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_provider_that_changes_starts_well_and_one_that_stays_keeps_its_breaker() {
    let refused = || vendor::Answer::json(401, json!({ "code": 20003, "status": 401 }));
    let (good, poor) = (VendorServer::always(refused()).await, VendorServer::always(refused()).await);
    let twilio = |name: &str, url: &str, token: &str| {
        let sid = "AC00000000000000000000000000000001";
        let keys = format!("account_sid = '{sid}'\nauth_token = '{token}'\nbase_url = '{url}'");
        format!("[providers.{name}]\nkind = 'twilio'\n{keys}\nsms = {{ from = '+15005550006' }}\n")
    };
    let auth = format!("secret = '{SECRET}'");
    let both = |token: &str| settings(&auth, &(twilio("one", &good.url, token) + &twilio("two", &poor.url, "token")));
    let server = start(&both("wrong")).await;
    let page = async || {
        let page = exchange(server.admin, b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        let page = String::from_utf8(page.body).expect("text");
        page.lines()
            .filter_map(|l| l.strip_prefix("okta_hook_breaker_state"))
            .map(str::to_owned)
            .collect::<BTreeSet<_>>()
    };
    let states = |states: [u8; 2]| {
        let line = |(name, state)| format!("{{provider=\"{name}\",channel=\"sms\"}} {state}");
        ["one", "two"].into_iter().zip(states).map(line).collect::<BTreeSet<_>>()
    };
    assert_eq!(page().await, states([0, 0]));
    let mut stream = TcpStream::connect(server.public).await.expect("connects");
    ask(&mut stream, "/okta/telephony", SECRET).await;
    assert_eq!(page().await, states([2, 2]), "both refuse our account");
    reload(&server, &both("right"), "ok").await;
    assert_eq!(page().await, states([0, 2]));
    let ended = server.stop().await;
    assert!(ended.stderr.contains("providers.one.auth_token"), "{}", ended.stderr);
}

#[test]
fn each_load_tells_what_it_was_made_of() {
    let place = tempfile::tempdir().expect("directory");
    let path = place.path().join("hook.toml");
    let load = |toml: String| {
        std::fs::write(&path, toml).expect("written");
        config::load(&Sources { files: vec![path.clone()], ..Sources::default() }).expect("valid").config.keys
    };
    let one = load(settings(&format!("secret = '{OLD}'"), SANDBOX));
    let two = load(settings(&format!("secret = '{NEW}'"), SANDBOX));
    assert!(one.changed(&one).is_empty());
    assert_eq!(one.changed(&two).into_iter().collect::<Vec<_>>(), ["orgs.main.auth.header.secret"]);
}
