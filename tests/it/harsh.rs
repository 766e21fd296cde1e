//! Ten thousand hooks with many repeats over two replicas, while the Redis they share is killed and comes back empty.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::support::okta;
use crate::support::redis::RedisServer;
use crate::support::server::TestServer;
use crate::support::vendor::{Answer, VendorServer};

const HOOKS: usize = 10_000;
const REPEATS: usize = 3000;
const CALLERS: usize = 32;

/// Redis goes when so many hooks have been called, and comes back.
const DOWN: usize = 3500;
const UP: usize = 5500;

/// Okta waits for three seconds. The rest is for a machine that has other work: what misses its deadline hangs for longer.
const IN_TIME: Duration = Duration::from_secs(9);

/// One call: which event, at which replica.
#[derive(Debug, Clone, Copy)]
struct Call {
    event: usize,
    replica: usize,
}

/// What was seen of one event.
#[derive(Debug, Default)]
struct Seen {
    calls: Vec<(Instant, Instant)>,
    answers: BTreeSet<Vec<u8>>,
}

/// The same calls in every run: events in order, each repeat up to 60 calls after its first.
fn calls() -> Vec<Call> {
    let mut seed = 20_261_122_u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).expect("31 bits") % below
    };
    let events = HOOKS - REPEATS;
    let mut calls: Vec<Call> = (0..events).map(|event| Call { event, replica: random(2) }).collect();
    for number in 0..REPEATS {
        let event = number * events / REPEATS;
        let first = calls.iter().position(|call| call.event == event).expect("called");
        let place = (first + 1 + random(60)).min(calls.len());
        calls.insert(place, Call { event, replica: random(2) });
    }
    calls
}

fn number(event: usize) -> String {
    format!("+1212{:07}", 2_000_000 + event)
}

async fn replica(redis: &RedisServer, vendor: &VendorServer) -> TestServer {
    TestServer::start(&format!(
        "privacy.hash_key = 'a key that replicas share'\n\
         [log]\nlevel = 'error'\n\
         [state]\nurl = '{}'\ntimeout = '800ms'\n[orgs.main]\n\
         [providers.twilio]\nkind = 'twilio'\naccount_sid = 'AC00000000000000000000000000000001'\n\
         auth_token = 'x'\nbase_url = '{}'\nsms = {{ from = '+15005550006' }}\n",
        redis.url(),
        vendor.url
    ))
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_event_is_sent_twice_while_the_replicas_can_talk_and_every_hook_is_answered_in_time() {
    let accepted = json!({ "sid": "SMaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "status": "queued" });
    let vendor = VendorServer::always(Answer::Late(Duration::from_millis(15), 201, accepted.to_string())).await;
    let mut redis = RedisServer::start();
    let replicas = Arc::new([replica(&redis, &vendor).await, replica(&redis, &vendor).await]);
    let calls: Arc<Vec<Call>> = Arc::new(calls());
    assert_eq!(calls.len(), HOOKS);
    let requests: Arc<Vec<Value>> =
        Arc::new((0..HOOKS - REPEATS).map(|event| okta::sms(&number(event), "482913")).collect());
    let (next, seen) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(BTreeMap::<usize, Seen>::new())));

    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (calls, requests) = (Arc::clone(&calls), Arc::clone(&requests));
            let (replicas, next, seen) = (Arc::clone(&replicas), Arc::clone(&next), Arc::clone(&seen));
            tokio::spawn(async move {
                while let Some(call) = calls.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let begun = Instant::now();
                    let answer = replicas[call.replica].hook(&requests[call.event]).await;
                    let ended = Instant::now();
                    assert_eq!(answer.status, 200);
                    assert!(ended - begun < IN_TIME, "{:?}", ended - begun);
                    let mut seen = seen.lock().expect("seen");
                    let event = seen.entry(call.event).or_default();
                    event.calls.push((begun, ended));
                    event.answers.insert(answer.body);
                }
            })
        })
        .collect();

    let reached = |count: usize| {
        let (next, callers) = (&next, &callers);
        async move {
            while next.load(Ordering::Relaxed) < count {
                assert!(callers.iter().any(|caller| !caller.is_finished()), "every caller has given up");
                sleep(Duration::from_millis(1)).await;
            }
        }
    };
    reached(DOWN).await;
    let down = Instant::now();
    redis.kill();
    reached(UP).await;
    let redis = tokio::task::spawn_blocking(move || {
        assert!(redis.restart());
        redis
    })
    .await
    .expect("redis");
    let up = Instant::now();
    for caller in callers {
        caller.await.expect("every hook is answered well and in time");
    }

    let mut sends = BTreeMap::<String, usize>::new();
    for call in vendor.finish() {
        *sends.entry(call.field("To").expect("a number")).or_default() += 1;
    }
    let (mut judged, mut repeated) = (0, 0);
    for (event, seen) in seen.lock().expect("seen").iter() {
        let count = sends.get(&number(*event)).copied().unwrap_or_default();
        // Down for any of its calls, or lost between them with what was known.
        let cut = seen.calls.iter().any(|(begun, ended)| *ended >= down && *begun <= up)
            || (seen.calls.iter().any(|(_, ended)| *ended < down) && seen.calls.iter().any(|(begun, _)| *begun > up));
        if cut {
            assert!((1..=2).contains(&count), "event {event}: {count} sends, one a replica at most");
            continue;
        }
        judged += 1;
        repeated += usize::from(seen.calls.len() > 1);
        assert_eq!(count, 1, "event {event}: {seen:?}");
        assert_eq!(seen.answers.len(), 1, "event {event} heard different answers");
    }
    // Those before the outage alone are some two thousand, however long it lasts.
    assert!(judged > 600 && repeated > 250, "{judged} events judged, {repeated} of them repeated");
    for (place, replica) in replicas.iter().enumerate() {
        let averted = ["event", "in_flight", "fingerprint"].map(|reason| {
            let line = format!("okta_hook_repeats_total{{reason=\"{reason}\"}}");
            async move { replica.metric(&line).await }
        });
        let [event, in_flight, fingerprint] = averted;
        assert!(event.await > 0.0 && in_flight.await > 0.0, "replica {place}");
        assert_eq!(fingerprint.await, 0.0, "replica {place}: no two events are alike");
        assert!(replica.metric(r#"okta_hook_store_faults_total{operation="claim"}"#).await > 0.0, "replica {place}");
    }
    drop(redis);
}
