//! Providers without a socket, on a paused clock: a script goes in, a transcript comes out.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use okta_telephony_hook::agenda::Agenda;
use okta_telephony_hook::config::Config;
use okta_telephony_hook::deadline::Clock;
use okta_telephony_hook::dedupe::Dedupe;
use okta_telephony_hook::dispatch::health::Health;
use okta_telephony_hook::dispatch::switches::Switches;
use okta_telephony_hook::dispatch::{Dispatch, Team};
use okta_telephony_hook::feedback::{self, Events};
use okta_telephony_hook::guard;
use okta_telephony_hook::hook::{Hook, Shared};
use okta_telephony_hook::journal::Journal;
use okta_telephony_hook::learn::Learn;
use okta_telephony_hook::metrics::Metrics;
use okta_telephony_hook::okta::Reply;
use okta_telephony_hook::otp::{Accepted, Channel, FailureKind, Message, ProviderName, SendError, TransactionId};
use okta_telephony_hook::outbound::{Handover, Request};
use okta_telephony_hook::provider::{Check, FeedbackClient, Provider, SendOptions};
use okta_telephony_hook::recent::Recent;
use okta_telephony_hook::store::{State, Store};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::okta::SECRET;
use super::server;

/// What a stub does with one send.
#[derive(Debug, Clone, Copy)]
pub enum Act {
    /// Accepts after so many milliseconds.
    Accept(u64),
    /// Fails so after so many milliseconds.
    Fail(u64, FailureKind),
    /// Finds after so many milliseconds that its vendor cannot be reached.
    Unreached(u64),
    /// Finds that it cannot put the message to its vendor.
    Unfit,
    /// Never answers.
    Hang,
    /// Prepares its message for as long as one lets it, and hands nothing over.
    Prepare,
    /// Prepares its message for so many milliseconds, hands it over, and accepts at once.
    PrepareAndAccept(u64),
    /// Panics.
    Panic,
}

type Transcript = Arc<Mutex<Vec<String>>>;

#[derive(Debug)]
struct Stub {
    name: ProviderName,
    script: Mutex<VecDeque<Act>>,
    accepted: AtomicUsize,
    unscripted: AtomicUsize,
    transcript: Transcript,
    zero: Instant,
}

impl Stub {
    /// `id-` and the name; a number behind it from the second one on.
    fn next_id(&self) -> TransactionId {
        let id = match self.accepted.fetch_add(1, Ordering::Relaxed) {
            0 => format!("id-{}", self.name),
            before => format!("id-{}-{}", self.name, before + 1),
        };
        TransactionId::parse(&id).expect("id")
    }

    fn note(&self, what: &str) {
        let ms = self.zero.elapsed().as_millis();
        self.transcript.lock().expect("transcript").push(format!("{ms} {} {what}", self.name));
    }
}

#[async_trait]
impl Provider for Stub {
    fn name(&self) -> &ProviderName {
        &self.name
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
        let act = self.script.lock().expect("script").pop_front();
        self.note("asked");
        let Some(act) = act else {
            // A panic would be caught as one of a provider's: the stage's end tells of it.
            self.unscripted.fetch_add(1, Ordering::Relaxed);
            return Err(SendError::new(FailureKind::Unconfirmed, "unscripted"));
        };
        if !matches!(act, Act::Prepare | Act::PrepareAndAccept(_) | Act::Unreached(_)) {
            handover.claim()?;
        }
        match act {
            Act::Accept(ms) => {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                self.note("accepts");
                Ok(Accepted::new(self.next_id()))
            }
            Act::Fail(ms, kind) => {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                self.note(kind.as_str());
                Err(SendError::new(kind, "scripted"))
            }
            Act::Unreached(ms) => {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                self.note("is not reached");
                Err(SendError::unsent("connect"))
            }
            Act::Unfit => {
                self.note("is unfit");
                Err(SendError::unasked("no_sender"))
            }
            Act::Hang => std::future::pending().await,
            Act::Prepare => std::future::pending().await,
            Act::PrepareAndAccept(ms) => {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                handover.claim()?;
                self.note("accepts");
                Ok(Accepted::new(self.next_id()))
            }
            Act::Panic => {
                self.note("panics");
                panic!("scripted panic")
            }
        }
    }
}

/// One hook over scripted providers. Its end fails when one of them was asked more often than its script says.
pub struct Stage {
    pub hook: Arc<Hook>,
    pub metrics: Arc<Metrics>,
    pub tasks: TaskTracker,
    pub shared: Shared,
    transcript: Transcript,
    stubs: Vec<Arc<Stub>>,
    zero: Instant,
}

impl Stage {
    /// Sets the stage: settings of `[orgs.main]`, and a script for each provider, named in order of preference. One that
    /// is named `listener` wants to hear what becomes of its codes.
    pub fn new(org: &str, scripts: &[(&str, &[Act])]) -> Self {
        Self::with_clock(org, scripts, Clock::SYSTEM)
    }

    /// The same by another wall clock.
    pub fn with_clock(org: &str, scripts: &[(&str, &[Act])], clock: Clock) -> Self {
        Self::with(org, scripts, clock, |config, metrics| State::open(&config.state, metrics).expect("memory"))
    }

    /// Sets a stage that shares a store with others, as replicas do.
    pub fn sharing(store: &Arc<dyn Store>, org: &str, scripts: &[(&str, &[Act])]) -> Self {
        Self::with(org, scripts, Clock::SYSTEM, |config, metrics| {
            State::over(Arc::clone(store), config.state.timeout, metrics)
        })
    }

    fn with(
        org: &str,
        scripts: &[(&str, &[Act])],
        clock: Clock,
        open: impl FnOnce(&Config, Arc<Metrics>) -> State,
    ) -> Self {
        let providers: String =
            scripts.iter().map(|(name, _)| format!("[providers.{name}]\nkind = \"sandbox\"\n")).collect();
        let toml = format!("allow_sandbox = true\nprivacy.hash_key = 'a test key'\n[orgs.main]\n{org}\n{providers}");
        let config = server::load(&toml).config;
        let (transcript, zero) = (Transcript::default(), Instant::now());
        let stubs: Vec<Arc<Stub>> = scripts
            .iter()
            .map(|(name, script)| {
                Arc::new(Stub {
                    name: ProviderName::new(name),
                    script: Mutex::new(script.iter().copied().collect()),
                    accepted: AtomicUsize::new(0),
                    unscripted: AtomicUsize::new(0),
                    transcript: Arc::clone(&transcript),
                    zero,
                })
            })
            .collect();
        let providers: BTreeMap<ProviderName, Arc<dyn Provider>> =
            stubs.iter().map(|stub| (stub.name.clone(), Arc::clone(stub) as Arc<dyn Provider>)).collect();
        let metrics = Arc::new(Metrics::new());
        let limits = providers.keys().map(|name| (name.clone(), config.limits_of(name)));
        let health = Arc::new(Health::new(limits, Switches::default(), Arc::clone(&metrics)));
        let tasks = TaskTracker::new();
        let (state, pseudonyms) = (open(&config, Arc::clone(&metrics)), &config.pseudonyms);
        let shared = Shared {
            metrics: Arc::clone(&metrics),
            recent: Recent::default(),
            pseudonyms: pseudonyms.clone(),
            clock,
            tasks: tasks.clone(),
            places: Arc::new(Semaphore::new(config.server.max_in_flight)),
            switches: health.switches().clone(),
            dedupe: Dedupe::new(&state, pseudonyms.clone(), clock, Arc::clone(&metrics), &tasks),
            journal: Journal::new(&state, &config.journal, pseudonyms.clone(), clock, tasks.clone()),
            agenda: Agenda::new(&state, pseudonyms),
            wants_feedback: Arc::new([ProviderName::new("listener")].into()),
            learn: Learn::new(clock, Arc::clone(&metrics)),
            guard: guard::Tools {
                store: state.store(),
                numbers: state.store(),
                pseudonyms: pseudonyms.clone(),
                metrics: Arc::clone(&metrics),
                clock,
            },
            state: state.clone(),
        };
        let org = config.orgs.into_iter().next().expect("one org");
        let learn = shared.learn.clone();
        learn.serve(&[(Arc::clone(&org.name), org.event_hook.is_some())]);
        let dispatch = Dispatch::new(Team { providers, health, learn, metrics, clock, tasks }, org.policy.clone());
        Self {
            metrics: Arc::clone(&shared.metrics),
            tasks: shared.tasks.clone(),
            shared: shared.clone(),
            hook: Arc::new(Hook::new(org, dispatch, shared)),
            transcript,
            stubs,
            zero,
        }
    }

    /// Calls the hook with the right credential.
    pub async fn call(&self, body: &Value) -> Reply {
        self.call_with(&[("authorization", SECRET)], body.to_string().into_bytes()).await
    }

    /// Calls the hook with these headers and bytes.
    pub async fn call_with(&self, headers: &[(&'static str, &str)], body: Vec<u8>) -> Reply {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_str(value).expect("value"));
        }
        let reply = self.hook.call(Instant::now(), map, async move { Ok(Bytes::from(body)) }).await;
        let ms = self.zero.elapsed().as_millis();
        self.transcript.lock().expect("transcript").push(format!("{ms} Okta hears {}", reply.status));
        reply
    }

    /// Calls the hook with a body that takes its time.
    pub async fn call_slowly(&self, delay: Duration, body: Vec<u8>) -> Reply {
        let headers = [(AUTHORIZATION, HeaderValue::from_static(SECRET))].into_iter().collect();
        let body = async move {
            tokio::time::sleep(delay).await;
            Ok(Bytes::from(body))
        };
        self.hook.call(Instant::now(), headers, body).await
    }

    /// The org's event hook, with nobody who wants to hear of used codes.
    pub fn events(&self) -> Arc<Events> {
        let Shared { agenda, journal, learn, metrics, clock, tasks, .. } = self.shared.clone();
        let clients = Arc::new(self.stubs.iter().map(|stub| (stub.name.clone(), None)).collect());
        let unknown_users = Arc::default();
        let tools = feedback::Tools { agenda, journal, clients, unknown_users, learn, metrics, clock };
        let config = self.hook.config();
        let event_hook = config.event_hook.clone().expect("an event hook");
        let worker = Arc::new(feedback::Worker::new(tools));
        Arc::new(Events::new(Arc::clone(&config.name), event_hook, config.budget, worker, tasks))
    }

    /// What happened so far, each line with its time in milliseconds.
    pub fn transcript(&self) -> Vec<String> {
        self.transcript.lock().expect("transcript").clone()
    }

    /// How many acts are left in each script that was not used up.
    pub fn unused(&self) -> BTreeMap<String, usize> {
        let left = |stub: &Arc<Stub>| stub.script.lock().expect("script").len();
        self.stubs.iter().filter(|s| left(s) > 0).map(|s| (s.name.to_string(), left(s))).collect()
    }

    /// One line of the metrics page, or zero.
    pub fn metric(&self, line: &str) -> f64 {
        let page = self.metrics.render();
        page.lines().find_map(|l| l.strip_prefix(line)?.trim().parse().ok()).unwrap_or_default()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let beyond = |stub: &Arc<Stub>| stub.unscripted.load(Ordering::Relaxed);
        let asked: Vec<_> = self.stubs.iter().filter(|s| beyond(s) > 0).map(|s| (s.name.as_str(), beyond(s))).collect();
        // A second panic would hide the first.
        assert!(
            asked.is_empty() || thread::panicking(),
            "asked beyond the script: {asked:?} in {:?}",
            self.transcript()
        );
    }
}
