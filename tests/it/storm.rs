//! Many events, a provider that fails every tenth time, and a process that is killed in the middle. `make storm` has a
//! hundred thousand of them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use okta_telephony_hook::deadline::Clock;
use okta_telephony_hook::journal::{self, Journal};
use okta_telephony_hook::metrics::Metrics;
use okta_telephony_hook::okta::decode;
use okta_telephony_hook::otp::{Accepted, Attempt, Message, Outcome, Phone, ProviderName, TransactionId, UserId};
use okta_telephony_hook::secret::{Pseudonyms, Secret};
use okta_telephony_hook::store::{Backend, Config, State};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::support::okta;
use crate::support::process::{Place, Running};
use crate::support::redis::RedisServer;
use crate::support::vendor::{Answer, VendorServer};
use crate::support::within;

const BATCH: usize = 500;
const KEY: &str = "a key that outlives the process";
const SECRET: &str = "an-event-hook-secret-0123";
/// How many events; a multiple of twice a batch.
fn events() -> usize {
    std::env::var("STORM_EVENTS").map_or(4_000, |n| n.parse().expect("a number"))
}

const LONG: Duration = Duration::from_secs(300);

fn user(n: usize) -> String {
    format!("00u{n:017}")
}

fn sid(n: usize) -> String {
    format!("VE{n:032}")
}

/// The server, over a store that outlives it.
async fn serve(redis: &RedisServer, vendor: &VendorServer) -> Running {
    let toml = format!(
        "privacy.hash_key = '{KEY}'\n[state]\nurl = '{}'\ntimeout = '1s'\n\
         [orgs.main.auth.header]\nsecret = 'a-hook-secret-0123456789'\n\
         [orgs.main.event_hook.auth.header]\nname = 'x-okta-events'\nsecret = '{SECRET}'\n\
         [providers.verify]\nkind = 'twilio-verify'\naccount_sid = 'AC00000000000000000000000000000001'\n\
         auth_token = '0123456789abcdef0123456789abcdef'\nservice_sid = 'VA00000000000000000000000000000004'\n\
         base_url = '{}'\n",
        redis.url(),
        vendor.url
    );
    Place::new().file("config/local.toml", &toml).serve(&[]).await
}

/// As if so many users had been sent a code: their hooks are not what is tested.
async fn send_codes(redis: &RedisServer) {
    let backend = Backend::Redis { url: Secret::new(&redis.url()).expect("not empty"), ca_file: None };
    let config = Config { backend, timeout: LONG, prefix: "okta-hook:".to_owned(), max_entries: 1 };
    let state = State::open(&config, Arc::new(Metrics::new())).expect("opens");
    let pseudonyms = Pseudonyms::new(Secret::new(KEY).as_ref()).expect("a key");
    let tasks = TaskTracker::new();
    let journal = Journal::new(&state, &journal::Settings::default(), pseudonyms, Clock::SYSTEM, tasks.clone());
    let message = decode(okta::sms("+15005550010", "482913").to_string().as_bytes(), None).expect("readable").message;
    for n in 0..events() {
        let number = format!("+1{:010}", 5_005_000_000 + n);
        let recipient = Phone::parse(&number, None).expect("a number");
        let message = Message { user: UserId::parse(&user(n)), recipient, ..message.clone() };
        let accepted = Accepted::new(TransactionId::parse(&sid(n)).expect("an id"));
        let attempt =
            Attempt { provider: ProviderName::new("verify"), result: Ok(accepted), elapsed: Duration::from_millis(5) };
        journal
            .note(
                "main",
                &message,
                &Outcome::of(message.channel, "default".into(), vec![attempt]),
                None,
                CancellationToken::new().drop_guard(),
            )
            .await;
        while tasks.len() > 500 {
            tokio::task::yield_now().await;
        }
    }
    tasks.close();
    tasks.wait().await;
}

fn batch(first: usize) -> Vec<u8> {
    let event = |n: usize| {
        json!({
            "uuid": format!("event-{n}"), "eventType": "user.authentication.auth_via_mfa",
            "actor": { "id": user(n) }, "outcome": { "result": "SUCCESS" },
            "debugContext": { "debugData": { "factor": "SMS_FACTOR" } },
        })
    };
    let events: Vec<Value> = (first..first + BATCH).map(event).collect();
    let body = json!({ "eventId": format!("delivery-{first}"), "data": { "events": events } }).to_string();
    let head = format!(
        "POST /okta/events HTTP/1.1\r\nhost: x\r\nx-okta-events: {SECRET}\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body.into_bytes()].concat()
}

/// Delivers every batch until it is answered; four are under way at any time. Okta would try only twice.
async fn deliver(address: &Arc<Mutex<SocketAddr>>, answered: &Arc<AtomicUsize>) {
    let next = Arc::new(AtomicUsize::new(0));
    let mut posts = JoinSet::new();
    for _ in 0..4 {
        let (next, answered, address) = (Arc::clone(&next), Arc::clone(answered), Arc::clone(address));
        posts.spawn(async move {
            loop {
                let first = next.fetch_add(BATCH, Ordering::Relaxed);
                if first >= events() {
                    return;
                }
                let body = batch(first);
                loop {
                    let to = *address.lock().expect("address");
                    if post(to, &body).await.is_some_and(|answer| answer.starts_with(b"HTTP/1.1 200")) {
                        break;
                    }
                    sleep(Duration::from_millis(50)).await;
                }
                answered.fetch_add(BATCH, Ordering::Relaxed);
            }
        });
    }
    posts.join_all().await;
}

/// The answer, whole or cut off; nothing when nobody listens.
async fn post(to: SocketAddr, bytes: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(to).await.ok()?;
    stream.write_all(bytes).await.ok()?;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    Some(answer)
}

/// How often each verification was approved.
fn approvals(vendor: &VendorServer) -> BTreeMap<String, usize> {
    let mut approved = BTreeMap::new();
    for (place, call) in vendor.calls().into_iter().enumerate() {
        assert_eq!(call.body, "Status=approved");
        if !fails(place) {
            *approved.entry(call.path.rsplit('/').next().expect("a path").to_owned()).or_default() += 1;
        }
    }
    approved
}

fn fails(place: usize) -> bool {
    place % 10 == 3
}

#[tokio::test(flavor = "multi_thread")]
async fn events_survive_a_bad_provider_and_a_kill() {
    let redis = RedisServer::start();
    let vendor = VendorServer::judging(|_, place| match fails(place) {
        true => Answer::json(503, json!({ "code": 20503, "status": 503 })),
        false => Answer::json(200, json!({ "status": "approved" })),
    })
    .await;
    send_codes(&redis).await;
    let server = serve(&redis, &vendor).await;
    let address = Arc::new(Mutex::new(server.public));
    let answered = Arc::new(AtomicUsize::new(0));
    let delivery = {
        let (address, answered) = (Arc::clone(&address), Arc::clone(&answered));
        tokio::spawn(async move { deliver(&address, &answered).await })
    };
    within(LONG, "half of them are taken", async || answered.load(Ordering::Relaxed) >= events() / 2).await;
    server.signal("KILL");
    let before = vendor.calls().len();
    server.ended().await;
    let server = serve(&redis, &vendor).await;
    *address.lock().expect("address") = server.public;
    delivery.await.expect("delivered");
    // Looked at seldom: it goes through all that was asked.
    let told = format!("all are told, {before} of them before the kill");
    within(LONG, &told, async || {
        sleep(Duration::from_millis(500)).await;
        approvals(&vendor).len() == events()
    })
    .await;
    let approved = approvals(&vendor);
    let twice = approved.values().filter(|times| **times > 1).count();
    assert!(twice <= 100, "{twice} were told twice: more than can have been under way at the kill");
    server.stop().await;
}
