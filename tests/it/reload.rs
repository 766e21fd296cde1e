//! SIGHUP: another configuration takes effect, and nobody notices but by what it says.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use okta_telephony_hook::config::{self, Sources};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::callbacks;
use crate::support::eventually;
use crate::support::issuer::{Issuer, Mode};
use crate::support::jwt::{AUDIENCE, FIRST, SCOPE};
use crate::support::okta::{self, SECRET, Understood, understand};
use crate::support::process::{Place, Running};
use crate::support::server::{Answer, exchange, read_answer};
use crate::support::vendor::{self, VendorServer};

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
    eventually("it is read again", async || reloads(server, result).await != before).await;
}

async fn reloads(server: &Running, result: &str) -> f64 {
    server.metric(&format!("okta_hook_config_reloads_total{{result=\"{result}\"}}")).await
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
    eventually("it is in flight", async || server.metric("okta_hook_in_flight").await == 1.0).await;

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
    assert_eq!(reloads(&server, "ok").await, 0.0);
    let ended = server.stop().await;
    for key in ["orgs.main.budget", "orgs.main.paht"] {
        let told = |l: &&str| l.contains("\"ERROR\"") && l.contains(key);
        assert_eq!(ended.stderr.lines().filter(told).count(), 1, "{key}: {}", ended.stderr);
    }
    assert!(!ended.stderr.contains("canary"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_provider_that_changes_starts_well_and_one_that_stays_keeps_its_breaker() {
    let refused = vendor::Answer::json(401, json!({ "code": 20003, "status": 401 }));
    let broken = vendor::Answer::json(500, json!({ "code": 20500, "status": 500 }));
    let (good, poor) = (VendorServer::always(refused).await, VendorServer::always(broken).await);
    let twilio = |name: &str, url: &str, token: &str| {
        let sid = "AC00000000000000000000000000000001";
        let keys = format!("account_sid = '{sid}'\nauth_token = '{token}'\nbase_url = '{url}'");
        format!("[providers.{name}]\nkind = 'twilio'\n{keys}\nsms = {{ from = '+15005550006' }}\n")
    };
    let auth = format!("secret = '{SECRET}'");
    let both = |token: &str| settings(&auth, &(twilio("one", &good.url, token) + &twilio("two", &poor.url, "token")));
    let server = start(&both("wrong")).await;
    let page = async || {
        let page =
            exchange(server.admin, b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
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
    for _ in 0..5 {
        ask(&mut stream, "/okta/telephony", SECRET).await;
    }
    assert_eq!(page().await, states([2, 2]), "one refuses our account, the other is broken");
    reload(&server, &both("right"), "ok").await;
    assert_eq!(page().await, states([0, 2]));
    let ended = server.stop().await;
    assert!(ended.stderr.contains("providers.one.auth_token"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_report_is_believed_after_a_reload_also_without_a_hash_key_or_with_another() {
    for keys in [["", ""], ["[privacy]\nhash_key = 'one'\n", "[privacy]\nhash_key = 'another'\n"]] {
        let queued = |id: &str| vendor::Answer::json(200, json!({ "umid": id, "status": { "code": "QUEUED" } }));
        let vendor = VendorServer::start([queued("u-0"), queued("u-1")]).await;
        let eight = callbacks::eight(&vendor.url, &format!("callback_secret = '{}'", callbacks::WEBHOOK));
        let auth = format!("secret = '{SECRET}'");
        let reporting = format!("{eight}[server]\npublic_url = '{}'\n", callbacks::PUBLIC);
        let [before, after] = keys.map(|key| settings(&auth, &format!("{reporting}{key}")));
        let server = start(&before).await;
        let mut stream = TcpStream::connect(server.public).await.expect("connects");
        for call in 0..2 {
            assert_eq!(provider(&ask(&mut stream, "/okta/telephony", SECRET).await), "eight");
            let sent: Value = serde_json::from_str(&vendor.calls()[call].body).expect("JSON");
            let address = sent["dlrCallbackUrl"].as_str().expect("an address");
            let path = address.strip_prefix(callbacks::PUBLIC).expect("ours");
            let payload = json!({ "umid": format!("u-{call}"), "status": { "state": "delivered" } });
            let body = json!({ "namespace": "SMS", "payload": payload }).to_string();
            let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\n", callbacks::WEBHOOK);
            let report = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
            stream.write_all(report.as_bytes()).await.expect("written");
            assert_eq!(read_answer(&mut stream).await.status, 200, "message {call}, {keys:?}");
            reload(&server, &after, "ok").await;
        }
        assert_eq!(server.stop().await.code, Some(0));
        vendor.finish();
    }
}

async fn admin(server: &Running, request: &str, body: &str) -> Answer {
    let head = format!("{request} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
    exchange(server.admin, format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes()).await
}

#[tokio::test]
async fn the_switch_of_a_provider_that_is_gone_can_be_cleared_and_not_set_again() {
    let auth = format!("secret = '{SECRET}'");
    let server = start(&settings(&auth, SANDBOX)).await;
    let (switch, disabled) = ("/switches/provider/sandbox", r#"{"state":"disabled"}"#);
    assert_eq!(admin(&server, &format!("PUT {switch}"), disabled).await.status, 200);
    reload(&server, &settings(&auth, &SANDBOX.replace("providers.sandbox", "providers.other")), "ok").await;
    let cleared = admin(&server, &format!("DELETE {switch}"), "").await;
    assert_eq!((cleared.status, cleared.body.as_slice()), (200, br#"{"switches":[]}"#.as_slice()));
    assert_eq!(admin(&server, &format!("PUT {switch}"), disabled).await.status, 400);
    assert_eq!(admin(&server, &format!("DELETE {switch}"), "").await.status, 400);
    reload(&server, &settings(&auth, SANDBOX), "ok").await;
    let mut stream = TcpStream::connect(server.public).await.expect("connects");
    assert_eq!(provider(&ask(&mut stream, "/okta/telephony", SECRET).await), "sandbox");
}

#[tokio::test]
async fn the_ages_of_keys_that_nobody_needs_any_more_and_the_clocks_of_orgs_that_are_gone_are_not_shown() {
    let issuer = Issuer::start(Mode::Up, &[&FIRST]).await;
    let oauth = format!("issuer = '{}'\naudience = '{AUDIENCE}'\nscope = '{SCOPE}'\n", issuer.name);
    let header = format!("auth.header.secret = '{SECRET}'\n");
    let org = |name: &str, oauth: &str| {
        let oauth = if oauth.is_empty() { String::new() } else { format!("[orgs.{name}.auth.oauth]\n{oauth}") };
        format!("[orgs.{name}]\npath = '/{name}'\n{header}{oauth}")
    };
    let toml = |orgs: &str| format!("allow_sandbox = true\n{orgs}{SANDBOX}");
    let server = start(&toml(&(org("stays", &oauth) + &org("changes", &oauth) + &org("goes", &oauth)))).await;
    let shown = async |metric: &str| {
        let page = String::from_utf8(admin(&server, "GET /metrics", "").await.body).expect("text");
        let of = |line: &str| Some(line.strip_prefix(metric)?.split('"').nth(1)?.to_owned());
        page.lines().filter_map(of).collect::<BTreeSet<_>>()
    };
    eventually("all have keys", async || shown("okta_hook_jwks_age_seconds").await.len() == 3).await;
    let mut stream = TcpStream::connect(server.public).await.expect("connects");
    for path in ["/stays", "/changes", "/goes"] {
        assert_eq!(provider(&ask(&mut stream, path, SECRET).await), "sandbox");
    }
    let all = ["changes", "goes", "stays"].map(str::to_owned).into();
    assert_eq!(shown("okta_hook_clock_skew_seconds").await, all);
    reload(&server, &toml(&(org("stays", &oauth) + &org("changes", ""))), "ok").await;
    assert_eq!(shown("okta_hook_jwks_age_seconds").await, ["stays".to_owned()].into());
    assert_eq!(shown("okta_hook_clock_skew_seconds").await, ["changes", "stays"].map(str::to_owned).into());
}

#[tokio::test]
async fn a_breaker_that_a_refused_account_has_opened_is_closed_and_one_of_an_outage_is_not() {
    let refused = vendor::Answer::json(401, json!({ "code": 20003, "status": 401 }));
    let taken = vendor::Answer::json(201, json!({ "sid": format!("SM{:032x}", 5), "status": "queued" }));
    let vendor = VendorServer::start([refused, taken]).await;
    let account = |name: &str, url: &str| {
        format!(
            "[providers.{name}]\nkind = 'twilio'\naccount_sid = 'AC00000000000000000000000000000001'\nauth_token = 'x'\n\
             base_url = '{url}'\nsms = {{ from = '+15005550006' }}\n"
        )
    };
    let providers = [&account("account", &vendor.url), &account("outage", "http://127.0.0.1:9"), SANDBOX].concat();
    let toml = settings(&format!("secret = '{SECRET}'"), &providers);
    let server = start(&toml).await;
    let mut stream = TcpStream::connect(server.public).await.expect("connects");
    for _ in 0..6 {
        assert_eq!(provider(&ask(&mut stream, "/okta/telephony", SECRET).await), "sandbox");
    }
    let breakers = async || {
        let breaker = |name| format!("okta_hook_breaker_state{{provider=\"{name}\",channel=\"sms\"}}");
        (server.metric(&breaker("account")).await, server.metric(&breaker("outage")).await)
    };
    assert_eq!(breakers().await, (2.0, 2.0));
    reload(&server, &toml, "ok").await;
    assert_eq!(breakers().await, (0.0, 2.0));
    assert_eq!(provider(&ask(&mut stream, "/okta/telephony", SECRET).await), "account");
    reload(&server, &toml, "ok").await;
    let logged = server.stop().await.stderr;
    let closed = logged.lines().filter(|line| line.contains("breakers closed")).collect::<Vec<_>>();
    assert!(matches!(closed[..], [line] if line.contains(r#""closed":"account sms""#)), "{logged}");
    assert_eq!(vendor.finish().len(), 2);
}

/// An address where connections are counted and come to nothing.
async fn counted() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
    let address = format!("https://{}", listener.local_addr().expect("address"));
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    });
    (address, count)
}

#[tokio::test]
async fn no_connection_is_kept_open_to_a_provider_that_is_gone() {
    let ((stays, kept), (goes, left)) = (counted().await, counted().await);
    let telesign = |name: &str, url: &str| {
        callbacks::telesign(url, callbacks::KEY).replace("providers.telesign", &format!("providers.{name}"))
    };
    let (stays, goes) = (telesign("stays", &stays), telesign("goes", &goes));
    let auth = format!("secret = '{SECRET}'");
    let toml = |providers: &str| settings(&auth, &format!("{providers}[outbound]\nkeep_warm = '5s'\n"));
    let server = start(&toml(&format!("{stays}{goes}"))).await;
    let count = |of: &AtomicUsize| of.load(Ordering::Relaxed);
    eventually("both are connected to", async || count(&kept) > 0 && count(&left) > 0).await;
    reload(&server, &toml(&stays), "ok").await;
    let before = (count(&kept), count(&left));
    eventually("connections are kept open", async || count(&kept) >= before.0 + 2).await;
    assert_eq!(count(&left), before.1);
    assert_eq!(server.stop().await.code, Some(0));
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
