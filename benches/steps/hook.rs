//! The whole story, from headers and body to the reply and its log line, with a provider that accepts at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use divan::Bencher;
use okta_telephony_hook::deadline::Clock;
use okta_telephony_hook::dispatch::health::Health;
use okta_telephony_hook::dispatch::{Dispatch, Team};
use okta_telephony_hook::hook::Hook;
use okta_telephony_hook::otp::{Accepted, Channel, Message, ProviderName, SendError, TransactionId};
use okta_telephony_hook::outbound::{Handover, Request};
use okta_telephony_hook::provider::{Check, FeedbackClient, Provider, SendOptions};
use okta_telephony_hook::telemetry;
use tokio::time::Instant;

use crate::ground::{HOOKS, RUNTIME, SECRET, body, headers, hook};

/// How often a provider was asked.
static ASKED: AtomicU64 = AtomicU64::new(0);

/// A hook that is carried out.
#[divan::bench]
fn call(bencher: Bencher) {
    let hook = staged();
    bencher.with_inputs(|| (headers(SECRET), body())).bench_local_values(|(headers, body)| {
        let before = ASKED.load(Ordering::Relaxed);
        let reply = RUNTIME.block_on(hook.call(Instant::now(), headers, async move { Ok(body) }));
        assert_eq!((reply.status, ASKED.load(Ordering::Relaxed)), (200, before + 1));
    });
}

/// A hook that is a repeat.
#[divan::bench]
fn repeat(bencher: Bencher) {
    let hook = staged();
    let answered = || {
        let body = body();
        let first = body.clone();
        RUNTIME.block_on(hook.call(Instant::now(), headers(SECRET), async move { Ok(first) }));
        (headers(SECRET), body)
    };
    bencher.with_inputs(answered).bench_local_values(|(headers, body)| {
        let before = ASKED.load(Ordering::Relaxed);
        let reply = RUNTIME.block_on(hook.call(Instant::now(), headers, async move { Ok(body) }));
        assert_eq!((reply.status, ASKED.load(Ordering::Relaxed)), (200, before));
    });
}

/// A hook with a wrong credential, which is refused before its body is read.
#[divan::bench]
fn denied(bencher: Bencher) {
    let hook = staged();
    bencher.with_inputs(|| (headers("wrong"), body())).bench_local_values(|(headers, body)| {
        let reply = RUNTIME.block_on(hook.call(Instant::now(), headers, async move { Ok(body) }));
        assert_eq!(reply.status, 401);
    });
}

/// The org's hook over providers that accept at once, with its log on.
fn staged() -> Arc<Hook> {
    // Its writer ends with the process; what it has not written then is not missed.
    std::mem::forget(telemetry::start(&telemetry::Settings::default(), false).expect("a thread"));
    Arc::new(Hook::new(hook().config().clone(), dispatch(), HOOKS.shared.clone()))
}

/// Dispatches to providers that accept at once.
pub fn dispatch() -> Dispatch {
    let _inside = RUNTIME.enter();
    let shared = &HOOKS.shared;
    let stub = |name: &ProviderName| Arc::new(Stub(name.clone())) as Arc<dyn Provider>;
    let providers: BTreeMap<_, _> = HOOKS.providers.keys().map(|name| (name.clone(), stub(name))).collect();
    let limits = providers.keys().map(|name| (name.clone(), Default::default()));
    let health = Arc::new(Health::new(limits, shared.switches.clone(), Arc::clone(&shared.metrics)));
    let (learn, metrics, tasks) = (shared.learn.clone(), Arc::clone(&shared.metrics), shared.tasks.clone());
    let team = Team { providers, health, learn, metrics, clock: Clock::SYSTEM, tasks };
    Dispatch::new(team, hook().config().policy.clone())
}

/// A provider that accepts at once.
#[derive(Debug)]
struct Stub(ProviderName);

#[async_trait]
impl Provider for Stub {
    fn name(&self) -> &ProviderName {
        &self.0
    }

    fn kind(&self) -> &'static str {
        "stub"
    }

    fn supports(&self, _: Channel) -> bool {
        true
    }

    fn requests(&self, _: &Message, _: SendOptions<'_>) -> Result<Vec<Request>, SendError> {
        Ok(Vec::new())
    }

    fn addresses(&self) -> Vec<url::Url> {
        Vec::new()
    }

    async fn check(&self) -> Vec<Check> {
        Vec::new()
    }

    fn feedback_client(&self) -> Option<FeedbackClient> {
        None
    }

    async fn send(&self, _: &Message, _: SendOptions<'_>, handover: &Handover) -> Result<Accepted, SendError> {
        handover.claim()?;
        let count = ASKED.fetch_add(1, Ordering::Relaxed);
        let id = TransactionId::parse(&format!("SM{count:032x}")).expect("printable ASCII");
        Ok(Accepted::new(id))
    }
}
