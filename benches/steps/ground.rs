//! What the benches stand on: a runtime, a configuration, and messages that repeat none before them.
//!
//! Must not measure anything.

use std::future::Future;
use std::io::Write as _;
use std::pin::pin;
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use okta_telephony_hook::app::Hooks;
use okta_telephony_hook::config::{self, Config, Sources};
use okta_telephony_hook::deadline::Deadline;
use okta_telephony_hook::dispatch::{Afterwards, Job};
use okta_telephony_hook::hook::Hook;
use okta_telephony_hook::okta;
use okta_telephony_hook::otp::{Attempt, Message};
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

/// The credential of the org.
pub const SECRET: &str = "d41d8cd98f00b204e9800998ecf8427ed41d8cd98f00b204e9800998ecf8427e";

/// One org with everything that costs time in memory: a guard none of whose limits is reached, and a spend cap.
/// The text is Okta's own, as most orgs have it.
pub const ORG: &str = r#"
allow_sandbox = true
privacy.hash_key = "a bench key"
[orgs.main]
okta_concurrency = 100000
[orgs.main.auth.header]
secret = "d41d8cd98f00b204e9800998ecf8427ed41d8cd98f00b204e9800998ecf8427e"
[orgs.main.guard]
per_ip = { mode = "enforce", per_10_minutes = 1000000, phones_per_hour = 1000000 }
per_prefix = { mode = "enforce", numbers = 1000000, run = 1000000 }
per_country = { mode = "enforce", floor = 1000000000 }
spend = { per_hour_micros = 1000000000000, per_day_micros = 1000000000000 }
[providers.first]
kind = "sandbox"
[providers.second]
kind = "sandbox"
"#;

/// Okta's documented example.
pub const EXAMPLE: &str = include_str!("../../tests/data/okta/sms-mfa.json");

/// The documented example of a call.
pub const EXAMPLE_CALL: &str = include_str!("../../tests/data/okta/voice-enrolment.json");

/// One thread: what a hook does is then done, and counted, on the thread of the bench.
pub static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_all().build().expect("a runtime"));

/// The parts of a server with the org above.
pub static HOOKS: LazyLock<Hooks> = LazyLock::new(|| hooks(ORG));

/// Reads a configuration.
pub fn load(toml: &str) -> Config {
    let mut file = tempfile::Builder::new().suffix(".toml").tempfile().expect("a file");
    file.write_all(toml.as_bytes()).expect("written");
    let loaded = config::load(&Sources { files: vec![file.path().to_owned()], ..Sources::default() });
    loaded.unwrap_or_else(|invalid| panic!("{:#?}", invalid.0.faults)).config
}

/// The parts of a server.
pub fn hooks(toml: &str) -> Hooks {
    let _inside = RUNTIME.enter();
    Hooks::build(&load(toml)).expect("builds")
}

/// The org's hook.
pub fn hook() -> Arc<Hook> {
    Arc::clone(HOOKS.hooks.first().expect("one org"))
}

/// Okta's example with an event, a user, a number and an address of its own, and a code that is still good.
pub fn body() -> Bytes {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    // Each number in a prefix of its own, as people's are.
    let number = count * 7919 % 100_000_000;
    let address = format!("198.{}.{}.{}", 18 + (count >> 16 & 1), count >> 8 & 255, count & 255);
    let body = EXAMPLE
        .replace("uS5871kJThSsU8qlA1LTcg", &format!("uS5871kJThS{count:011}"))
        .replace("00uyxxSknGtK8022w0g3", &format!("00uyxxSknG{count:010}"))
        .replace("+15005550006", &format!("+436{number:08}5555"))
        .replace("203.0.113.7", &address)
        .replace("2026-01-05T10:05:00.000Z", "2099-01-05T10:05:00.000Z");
    Bytes::from(body)
}

/// The same, decoded.
pub fn message() -> Message {
    okta::decode(&body(), None).expect("readable").message
}

/// A message with what it says, as `dispatch` takes it.
pub fn job() -> Arc<Job> {
    let message = message();
    let phone_ref = HOOKS.shared.pseudonyms.of(&message.recipient);
    let (content, begun) = (hook().content(&message), Arc::new(AtomicBool::new(false)));
    Arc::new(Job { message, content, phone_ref, begun, afterwards: Arc::new(Nobody) })
}

/// Hears of no late outcome.
#[derive(Debug)]
struct Nobody;

#[async_trait]
impl Afterwards for Nobody {
    async fn ended(&self, _: &Message, _: &Attempt) {}
}

/// A deadline that nothing here reaches.
pub fn deadline() -> Deadline {
    Deadline::new(Instant::now(), Duration::from_millis(2600))
}

/// The headers of a call with this credential.
pub fn headers(authorization: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("authorization", HeaderValue::from_str(authorization).expect("a value"));
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    headers.insert("user-agent", HeaderValue::from_static("Okta/1.0"));
    headers
}

/// The result of work that has nothing to wait for: with the store in memory, a step is ready when it is first asked.
/// Must be called inside the runtime.
pub fn at_once<T>(work: impl Future<Output = T>) -> T {
    match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a step waited for something"),
    }
}
