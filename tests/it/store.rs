//! What every store must do, asked of memory and of a real Redis alike.

use std::slice;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use okta_telephony_hook::metrics::Metrics;
use okta_telephony_hook::secret::{KeyedHash, Pseudonyms, Secret};
use okta_telephony_hook::store::{Add, Backend, Claim, Config, Key, Memory, Queue, State, Store, StoreFault, Tally};
use tokio::io::{copy, copy_bidirectional, sink};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::support::eventually;
use crate::support::redis::RedisServer;

const LONG: Duration = Duration::from_secs(60);

/// Short enough to be waited out in real time.
const SHORT: Duration = Duration::from_millis(150);

fn key(name: &str) -> Key {
    let pseudonyms = Pseudonyms::new(Secret::new("a test key").as_ref()).expect("random");
    Key::new("test", pseudonyms.hash(&[name.as_bytes()]))
}

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

async fn count(store: &dyn Store, key: &Key, by: u64, ttl: Duration) -> Result<u64, StoreFault> {
    let counts = store.tally(&[Tally { key: key.clone(), add: Add::Count(by), ttl }]).await?;
    Ok(counts.into_iter().sum())
}

async fn join(store: &dyn Store, key: &Key, members: &[&str], ttl: Duration) -> Result<u64, StoreFault> {
    let members: Vec<KeyedHash> = members.iter().map(|name| self::key(name).of()).collect();
    let counts = store.tally(&[Tally { key: key.clone(), add: Add::Members(&members), ttl }]).await?;
    Ok(counts.into_iter().sum())
}

async fn a_key_is_claimed_once(store: &dyn Store) {
    let key = key("claim");
    assert_eq!(store.claim(&key, bytes("one"), LONG).await, Ok(Claim::Claimed));
    assert_eq!(store.claim(&key, bytes("two"), LONG).await, Ok(Claim::Existing(bytes("one"))));
    assert_eq!(store.claim(&key, bytes("one"), LONG).await, Ok(Claim::Claimed), "a repeated operation knows itself");
    store.write(slice::from_ref(&key), bytes("answer"), LONG).await.expect("written");
    assert_eq!(store.claim(&key, bytes("two"), LONG).await, Ok(Claim::Existing(bytes("answer"))));
    assert_eq!((store.remove(&key).await, store.remove(&key).await), (Ok(true), Ok(false)));
    assert_eq!(store.claim(&key, bytes("two"), LONG).await, Ok(Claim::Claimed));
}

async fn of_many_who_claim_one_gets_it(store: &Arc<dyn Store>) {
    let claims = (0..50).map(|number| {
        let store = Arc::clone(store);
        tokio::spawn(async move { store.claim(&key("race"), Bytes::from(format!("{number}")), LONG).await })
    });
    let mut claimed = 0;
    for claim in claims.collect::<Vec<_>>() {
        claimed += usize::from(claim.await.expect("no panic") == Ok(Claim::Claimed));
    }
    assert_eq!(claimed, 1);
}

async fn values_are_written_read_and_leave(store: &dyn Store) {
    let (lasting, passing) = (key("lasting"), key("passing"));
    assert_eq!(store.read(&lasting).await, Ok(None));
    // Any bytes, and none.
    store.write(slice::from_ref(&lasting), bytes("\0\r\n\u{ff}"), LONG).await.expect("written");
    store.write(slice::from_ref(&passing), Bytes::new(), SHORT).await.expect("written");
    assert_eq!(store.read(&lasting).await, Ok(Some(bytes("\0\r\n\u{ff}"))));
    sleep(4 * SHORT).await;
    assert_eq!(store.read(&passing).await, Ok(None));
    assert_eq!(store.claim(&passing, bytes("new"), SHORT).await, Ok(Claim::Claimed));
    store.write(slice::from_ref(&lasting), bytes("again"), LONG).await.expect("written");
    assert_eq!(store.read(&lasting).await, Ok(Some(bytes("again"))));
    sleep(4 * SHORT).await;
    assert_eq!(store.claim(&passing, bytes("newer"), LONG).await, Ok(Claim::Claimed), "a claim leaves too");
}

async fn a_counter_is_a_window_from_its_first_use(store: &dyn Store) {
    let (lasting, passing) = (key("count"), key("window"));
    assert_eq!(count(store, &lasting, 1, LONG).await, Ok(1));
    assert_eq!(count(store, &lasting, 4, LONG).await, Ok(5));
    assert_eq!(count(store, &passing, 2, SHORT).await, Ok(2));
    // Used on and on, it still ends: later uses do not renew it.
    let started = Instant::now();
    while count(store, &passing, 1, LONG).await.expect("counted") != 1 {
        assert!(started.elapsed() < LONG, "the window never ended");
        sleep(SHORT / 5).await;
    }
    assert!(started.elapsed() >= SHORT / 2, "{:?}", started.elapsed());
    assert_eq!(count(store, &lasting, 1, LONG).await, Ok(6));
}

async fn a_set_knows_its_members_until_each_leaves(store: &dyn Store) {
    let set = key("set");
    assert_eq!(store.members(&set).await, Ok(Vec::new()));
    assert_eq!(join(store, &set, &["a"], SHORT).await, Ok(1));
    assert_eq!(join(store, &set, &["b"], LONG).await, Ok(2));
    assert_eq!(join(store, &set, &["b", "b"], LONG).await, Ok(2));
    sleep(4 * SHORT).await;
    assert_eq!(store.members(&set).await, Ok(vec![key("b").of()]));
    assert_eq!(join(store, &set, &["c", "d"], LONG).await, Ok(3));
    assert_eq!((store.remove(&set).await, store.members(&set).await), (Ok(true), Ok(Vec::new())));
}

async fn what_is_written_or_counted_at_once_is_as_one_by_one(store: &dyn Store) {
    let [first, second, counter, set] = ["first", "second", "tally count", "tally set"].map(key);
    store.write(&[first.clone(), second.clone()], bytes("same"), LONG).await.expect("written");
    store.write(&[], bytes("nowhere"), LONG).await.expect("nothing to write");
    assert_eq!(store.read(&first).await, Ok(Some(bytes("same"))));
    assert_eq!(store.read(&second).await, Ok(Some(bytes("same"))));
    let add = |add| Tally { key: if matches!(add, Add::Count(_)) { &counter } else { &set }.clone(), add, ttl: LONG };
    let (a, b) = ([key("a").of()], [key("a").of(), key("b").of()]);
    let tallies = [Add::Count(3), Add::Members(&a), Add::Count(4), Add::Members(&b)].map(add);
    assert_eq!(store.tally(&tallies).await, Ok(vec![3, 1, 7, 2]));
    assert_eq!(store.tally(&[]).await, Ok(Vec::new()));
    let wrong = Tally { key: first.clone(), add: Add::Count(1), ttl: LONG };
    assert!(matches!(store.tally(&[wrong]).await, Err(StoreFault::Broken(_))));
    assert_eq!(store.read(&first).await, Ok(Some(bytes("same"))));
}

async fn work_is_handed_out_when_due_until_it_is_finished(store: &dyn Queue) {
    let queue = key("queue");
    let pieces = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let lease = |most, lease| async move { store.lease(&key("queue"), most, lease).await.expect("leased") };
    assert_eq!(lease(9, LONG).await, pieces(&[]));
    store.enqueue(&queue, &pieces(&["late"]), LONG, LONG).await.expect("put");
    store.enqueue(&queue, &pieces(&["a"]), Duration::ZERO, LONG).await.expect("put");
    sleep(SHORT).await;
    store.enqueue(&queue, &pieces(&["a", "b", "late"]), Duration::ZERO, LONG).await.expect("put");
    sleep(SHORT).await;
    assert_eq!(lease(1, SHORT).await, pieces(&["a"]), "the oldest first");
    assert_eq!(lease(9, LONG).await, pieces(&["b"]), "nothing twice, and what is there stays as late as it was");
    sleep(2 * SHORT).await;
    assert_eq!(lease(9, LONG).await, pieces(&["a"]), "what was not finished comes again");
    store.postpone(&queue, "b", Duration::ZERO).await.expect("postponed");
    store.postpone(&queue, "nobody's", Duration::ZERO).await.expect("nothing to postpone");
    sleep(SHORT).await;
    assert_eq!(lease(9, Duration::ZERO).await, pieces(&["b"]));
    store.postpone(&queue, "b", LONG).await.expect("postponed");
    sleep(SHORT).await;
    assert_eq!(lease(9, LONG).await, pieces(&[]), "not before its time");
    store.finish(&queue, &pieces(&["b", "nobody's"])).await.expect("finished");
    store.finish(&queue, &[]).await.expect("nothing to finish");
    store.postpone(&queue, "b", Duration::ZERO).await.expect("nothing to postpone");
    store.postpone(&queue, "late", Duration::ZERO).await.expect("hurried");
    sleep(SHORT).await;
    assert_eq!(lease(9, LONG).await, pieces(&["late"]));
}

async fn a_key_of_another_kind_is_a_fault_and_nothing_is_lost(store: &dyn Store) {
    let (set, text) = (key("a set"), key("a text"));
    join(store, &set, &["a"], LONG).await.expect("added");
    store.write(slice::from_ref(&text), bytes("text"), LONG).await.expect("written");
    for fault in [
        store.read(&set).await.err(),
        join(store, &text, &["a"], LONG).await.err(),
        store.members(&text).await.err(),
        store.claim(&set, bytes("x"), LONG).await.err(),
    ] {
        assert!(matches!(fault, Some(StoreFault::Broken(_))), "{fault:?}");
    }
    assert_eq!(store.members(&set).await, Ok(vec![key("a").of()]));
    assert_eq!(store.read(&text).await, Ok(Some(bytes("text"))));
}

async fn contract(store: Arc<dyn Store>) {
    a_key_is_claimed_once(&*store).await;
    of_many_who_claim_one_gets_it(&store).await;
    values_are_written_read_and_leave(&*store).await;
    a_counter_is_a_window_from_its_first_use(&*store).await;
    a_set_knows_its_members_until_each_leaves(&*store).await;
    what_is_written_or_counted_at_once_is_as_one_by_one(&*store).await;
    a_key_of_another_kind_is_a_fault_and_nothing_is_lost(&*store).await;
}

#[tokio::test(start_paused = true)]
async fn memory_keeps_the_contract() {
    contract(Arc::new(Memory::new(1000))).await;
    work_is_handed_out_when_due_until_it_is_finished(&Memory::new(1000)).await;
}

/// A shared store at this address, patient enough for a busy machine.
fn shared(url: &str, ca_file: Option<std::path::PathBuf>, metrics: &Arc<Metrics>) -> State {
    let backend = Backend::Redis { url: Secret::new(url).expect("not empty"), ca_file };
    let config =
        Config { backend, timeout: Duration::from_secs(10), prefix: "okta-hook:".to_owned(), max_entries: 1000 };
    State::open(&config, Arc::clone(metrics)).expect("opens")
}

/// A proxy before a Redis.
struct Middle {
    url: String,
    loses: watch::Sender<()>,
}

impl Middle {
    async fn before(redis: &RedisServer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("redis://{}", listener.local_addr().expect("an address"));
        let (loses, lost) = watch::channel(());
        let port = redis.port();
        tokio::spawn(async move {
            while let Ok((mut here, _)) = listener.accept().await {
                let mut lost = lost.clone();
                lost.mark_unchanged();
                tokio::spawn(async move {
                    let mut there = TcpStream::connect(("127.0.0.1", port)).await?;
                    tokio::select! {
                        done = copy_bidirectional(&mut here, &mut there) => done.map(drop),
                        _ = lost.changed() => copy(&mut here, &mut sink()).await.map(drop),
                    }
                });
            }
        });
        Self { url, loses }
    }

    /// The servers behind the connections that are open die: what comes is acknowledged and never answered.
    fn lose_the_servers(&self) {
        self.loses.send_replace(());
    }
}

#[tokio::test]
async fn a_connection_that_was_slow_once_is_kept() {
    let redis = RedisServer::start();
    let backend = Backend::Redis { url: Secret::new(&redis.url()).expect("not empty"), ca_file: None };
    let timeout = Duration::from_millis(250);
    let config = Config { backend, timeout, prefix: "p:".to_owned(), max_entries: 1 };
    let store = State::open(&config, Arc::new(Metrics::new())).expect("opens").store();
    store.write(&[key("x")], bytes("before"), LONG).await.expect("written");
    let opened = || {
        let stats = redis.ask("INFO stats");
        let total = stats.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
        total.expect("among them").parse::<u32>().expect("a number")
    };
    let before = opened();
    redis.freeze();
    let (one, other) = (key("x"), key("y"));
    let waited = tokio::join!(store.read(&one), store.read(&other));
    assert_eq!(waited, (Err(StoreFault::Timeout), Err(StoreFault::Timeout)));
    redis.thaw();
    // For longer than a connection may be silent, nobody asks anything.
    sleep(Duration::from_millis(3300)).await;
    for _ in 0..2 {
        assert_eq!(store.read(&one).await, Ok(Some(bytes("before"))));
    }
    assert_eq!(opened(), before + 1, "by whoever asked for the number");
}

#[tokio::test]
async fn a_connection_that_acknowledges_everything_and_answers_nothing_is_given_up() {
    let redis = RedisServer::start();
    let middle = Middle::before(&redis).await;
    let backend = Backend::Redis { url: Secret::new(&middle.url).expect("not empty"), ca_file: None };
    let timeout = Duration::from_millis(250);
    let config = Config { backend, timeout, prefix: "p:".to_owned(), max_entries: 1 };
    let store = State::open(&config, Arc::new(Metrics::new())).expect("opens").store();
    store.write(&[key("x")], bytes("before"), LONG).await.expect("written");
    middle.lose_the_servers();
    let started = Instant::now();
    let mut read = store.read(&key("x")).await;
    assert_eq!(read, Err(StoreFault::Timeout));
    while read.is_err() && started.elapsed() < LONG {
        read = store.read(&key("x")).await;
    }
    assert_eq!(read, Ok(Some(bytes("before"))));
    assert!((3..10).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());
}

#[tokio::test]
async fn redis_keeps_the_contract_and_every_key_leaves_by_itself() {
    let redis = RedisServer::start();
    let metrics = Arc::new(Metrics::new());
    let state = shared(&redis.url(), None, &metrics);
    contract(state.store()).await;
    let [queue, memory] = &state.queues()[..] else { panic!("the shared one and memory") };
    assert!(format!("{queue:?} {memory:?}").starts_with("Watched { store: Redis("), "{queue:?}");
    work_is_handed_out_when_due_until_it_is_finished(&**queue).await;
    let keys = redis.keys();
    assert!(keys.len() >= 5 && keys.iter().all(|key| key.starts_with("okta-hook:test:")), "{keys:?}");
    for key in keys {
        let ttl: i64 = redis.ask(&format!("PTTL {key}")).trim_start_matches(':').trim().parse().expect("a number");
        assert!((1..=60_000).contains(&ttl), "{key} has {ttl}");
    }
}

#[tokio::test]
async fn redis_is_reached_over_tls_as_a_user_with_few_rights() {
    let directory = tempfile::tempdir().expect("directory");
    let path = |name: &str| directory.path().join(name).display().to_string();
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("certificate");
    std::fs::write(path("cert.pem"), certified.cert.pem()).expect("written");
    std::fs::write(path("key.pem"), certified.signing_key.serialize_pem()).expect("written");
    let rights = "hook on >p@ss:word ~okta-hook:* -@all +get +set +del +incrby +pexpire +pttl +time +zadd +zcard \
                  +zrem +zremrangebyscore +zrangebyscore +evalsha +eval +script|load +ping +select";
    std::fs::write(path("users.acl"), format!("user default off\nuser {rights}\n")).expect("written");
    let (cert, key, users) = (path("cert.pem"), path("key.pem"), path("users.acl"));
    let redis = RedisServer::with(&[
        "--port",
        "0",
        "--tls-port",
        "PORT",
        "--tls-cert-file",
        &cert,
        "--tls-key-file",
        &key,
        "--tls-auth-clients",
        "no",
        "--aclfile",
        &users,
    ]);
    let metrics = Arc::new(Metrics::new());
    let address = |password: &str| format!("rediss://hook:{password}@localhost:{}/0", redis.port());
    let state = shared(&address("p%40ss%3Aword"), Some(cert.into()), &metrics);
    contract(state.store()).await;
    work_is_handed_out_when_due_until_it_is_finished(&*state.queues()[0]).await;
    assert!(!metrics.render().contains("store_faults_total{operation=\"write\"}"), "{}", metrics.render());

    let read = |state: State| async move { state.store().read(&key_of_nobody()).await };
    let unknown = read(shared(&address("p%40ss%3Aword"), None, &metrics)).await;
    assert!(unknown.is_err(), "a certificate nobody vouches for: {unknown:?}");
    let wrong = read(shared(&address("wrong"), Some(path("cert.pem").into()), &metrics)).await;
    assert!(matches!(&wrong, Err(StoreFault::Broken(code)) if !code.contains("wrong")), "{wrong:?}");
}

fn key_of_nobody() -> Key {
    key("nobody")
}

#[tokio::test]
async fn a_store_that_is_down_or_frozen_fails_in_time_and_comes_back_by_itself() {
    let mut redis = RedisServer::start();
    let metrics = Arc::new(Metrics::new());
    let backend = Backend::Redis { url: Secret::new(&redis.url()).expect("not empty"), ca_file: None };
    let timeout = Duration::from_millis(300);
    let config = Config { backend, timeout, prefix: "p:".to_owned(), max_entries: 1 };
    let store = State::open(&config, Arc::clone(&metrics)).expect("opens").store();
    store.write(&[key("x")], bytes("before"), LONG).await.expect("written");

    redis.freeze();
    let started = Instant::now();
    assert_eq!(store.read(&key("x")).await, Err(StoreFault::Timeout));
    assert!((300..3000).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());
    redis.thaw();
    let mut read = store.read(&key("x")).await;
    while read == Err(StoreFault::Timeout) && started.elapsed() < LONG {
        read = store.read(&key("x")).await;
    }
    assert_eq!(read, Ok(Some(bytes("before"))), "thawed, on the same connection");

    redis.kill();
    for _ in 0..5 {
        let started = Instant::now();
        assert!(store.read(&key("x")).await.is_err());
        assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    }
    assert!(redis.restart());
    eventually("it comes back", async || store.read(&key("x")).await == Ok(None)).await;
    assert!(metrics.render().contains("okta_hook_store_faults_total{operation=\"read\"}"));
}

#[tokio::test]
async fn a_password_set_right_later_is_found_right_without_a_restart_of_ours() {
    let redis = RedisServer::start();
    let metrics = Arc::new(Metrics::new());
    let url = redis.url().replace("redis://", "redis://hook:later@");
    let store = shared(&url, None, &metrics).store();
    assert!(store.read(&key("x")).await.is_err(), "there is no such user yet");
    assert!(redis.ask("ACL SETUSER hook on >later ~* +@all").starts_with("+OK"));
    eventually("it is tried again", async || store.read(&key("x")).await.is_ok()).await;
}

#[test]
fn neither_settings_nor_stores_show_a_password() {
    let url = "redis://hook:canary-password@127.0.0.1:6379";
    let settings = okta_telephony_hook::store::Settings {
        url: okta_telephony_hook::secret::SecretRef::plain(url),
        ..Default::default()
    };
    let mut findings = okta_telephony_hook::settings::Findings::default();
    let config = settings.check("state", &okta_telephony_hook::secret::Environment::default(), &mut findings);
    assert!(findings.faults.is_empty(), "{findings:?}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    let state = runtime.block_on(async { State::open(&config, Arc::new(Metrics::new())).expect("opens") });
    let shown = format!("{settings:?} {config:?} {state:?} {:?}", state.store());
    assert!(shown.contains("Redis(okta-hook:…)") && !shown.contains("canary"), "{shown}");
}
