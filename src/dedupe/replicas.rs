//! What replicas tell each other of repeats, in a store they share.
//!
//! Must not stop a message on a guess: a store that fails is as one that knows nothing. But whoever finds a claim of
//! somebody else never sends, whatever becomes of that claim.

use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_util::task::TaskTracker;

use super::{Identity, Reason};
use crate::okta::Reply;
use crate::secret::random_below;
use crate::store::{Claim, Faults, Key, State, Store, StoreFault, insist};

/// A claim whose process died is free again after this: longer than the longest budget and the 10 s a detached attempt
/// may take.
const IN_FLIGHT: Duration = Duration::from_secs(15);

/// How often the answer of another replica is looked for.
const POLL: Duration = Duration::from_millis(50);

/// The other replicas, as far as the store between us tells of them.
#[derive(Debug)]
pub(super) struct Replicas {
    store: Arc<dyn Store>,
    timeout: Duration,
    faults: Faults,
    tasks: TaskTracker,
    /// Tells this process's claims from those of others.
    process: String,
    claims: AtomicU64,
}

/// The keys that one message holds, or may hold: a claim that ended in a fault may stand in the store all the same, or
/// somebody else's may. A key is noted here, unsure, before its claim is waited for, as the time-out drops whoever waits;
/// it becomes sure, or leaves, when the store has said so.
#[derive(Debug)]
pub(super) struct Hold {
    owner: String,
    fingerprint: String,
    since: Instant,
    keys: Vec<Held>,
}

#[derive(Debug, Clone)]
struct Held {
    key: Key,
    window: Duration,
    /// Whether the store has said that it is ours. Otherwise the answer must find out, and it must not be given back.
    sure: bool,
}

/// What was found in the store.
#[derive(Debug)]
pub(super) enum Found {
    /// Nothing, or a fault. Whether the event was there with another fingerprint, if that is known.
    First { conflict: Option<bool> },
    /// Somebody else's claim, under this key, with its answer if it has been answered.
    Repeat { key: Key, reason: Reason, answer: Option<Reply> },
}

impl Replicas {
    pub(super) fn new(store: Arc<dyn Store>, state: &State, tasks: TaskTracker) -> Self {
        let process = format!("{:08x}{:08x}", random_below(u32::MAX), random_below(u32::MAX));
        let (timeout, faults) = (state.timeout(), state.faults().clone());
        Self { store, timeout, faults, tasks, process, claims: AtomicU64::new(0) }
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Claims event and fingerprint, both within one time-out.
    pub(super) async fn claim(&self, id: &Identity) -> (Found, Hold) {
        let mut hold = self.hold(id);
        let found = timeout(self.timeout, self.ask(id, &mut hold)).await.unwrap_or_else(|_| {
            self.faults.note("claim", &StoreFault::Timeout);
            Err(StoreFault::Timeout)
        });
        (found.unwrap_or(Found::First { conflict: None }), hold)
    }

    /// Tells the replicas, in the background, what was answered to an event that this process knew by its fingerprint.
    pub(super) fn tell_alias(self: &Arc<Self>, id: &Identity, reply: &Reply) {
        let Some(event) = id.event else { return };
        let mut keys = vec![Held::unsure(&Key::new("event", event), id.event_window)];
        // The first of them may be another message's.
        keys.extend(id.event_and_content().map(|both| Held::unsure(&Key::new("event", both), id.event_window)));
        self.finish(Hold { keys, ..self.hold(id) }, reply);
    }

    /// Holds nothing yet.
    fn hold(&self, id: &Identity) -> Hold {
        let number = self.claims.fetch_add(1, Ordering::Relaxed);
        let owner = format!("{}-{number:x}", self.process);
        Hold { owner, fingerprint: id.fingerprint.to_string(), since: Instant::now(), keys: Vec::with_capacity(2) }
    }

    /// May be dropped at any `await`: `hold` says at each of them what may be held by then.
    async fn ask(&self, id: &Identity, hold: &mut Hold) -> Result<Found, StoreFault> {
        let fingerprint = Key::new("fingerprint", id.fingerprint);
        let mut conflict = false;
        for event in [id.event, id.event_and_content()].into_iter().flatten() {
            let key = Key::new("event", event);
            // On a fault here the fingerprint is in doubt as well: it was never asked for.
            hold.keys = vec![Held::unsure(&key, id.event_window), Held::unsure(&fingerprint, id.fingerprint_window)];
            match self.store.claim(&key, hold.in_flight(), IN_FLIGHT.min(id.event_window)).await? {
                Claim::Claimed => {
                    hold.keys = vec![Held { key, window: id.event_window, sure: true }];
                    break;
                }
                Claim::Existing(bytes) => {
                    hold.keys.clear();
                    let record = Record::parse(&bytes).ok_or_else(|| self.garbled())?;
                    if record.fingerprint == hold.fingerprint {
                        return Ok(Found::Repeat { key, reason: Reason::Event, answer: record.answer });
                    }
                    // An event that is another message's stays that one's; this one is known by both.
                    conflict = true;
                }
            }
        }
        hold.keys.push(Held::unsure(&fingerprint, id.fingerprint_window));
        match self.store.claim(&fingerprint, hold.in_flight(), IN_FLIGHT.min(id.fingerprint_window)).await? {
            Claim::Claimed => {
                if let Some(held) = hold.keys.last_mut() {
                    held.sure = true;
                }
                Ok(Found::First { conflict: Some(conflict) })
            }
            Claim::Existing(bytes) => {
                hold.keys.pop();
                let answer = Record::parse(&bytes).ok_or_else(|| self.garbled())?.answer;
                Ok(Found::Repeat { key: fingerprint, reason: Reason::Fingerprint, answer })
            }
        }
    }

    /// What stands under a message's event or fingerprint, with its answer if it has been answered; claims nothing.
    pub(super) async fn find(&self, id: &Identity) -> Option<(Key, Reason, Option<Reply>)> {
        timeout(self.timeout, self.look(id)).await.ok()?
    }

    async fn look(&self, id: &Identity) -> Option<(Key, Reason, Option<Reply>)> {
        let events = [id.event, id.event_and_content()].into_iter().flatten();
        let events = events.map(|event| (Key::new("event", event), Reason::Event));
        let content = (Key::new("fingerprint", id.fingerprint), Reason::Fingerprint);
        for (key, reason) in events.chain([content]) {
            if let Some(bytes) = self.store.read(&key).await.ok()?
                && let Some(record) = Record::parse(&bytes)
                && record.fingerprint == id.fingerprint.to_string()
            {
                return Some((key, reason, record.answer));
            }
        }
        None
    }

    /// Looks for the answer to somebody else's claim until it is there or `until` has come. A fault is waited out.
    pub(super) async fn follow(&self, key: &Key, until: Instant) -> Option<Reply> {
        while Instant::now() < until {
            sleep_until(until.min(Instant::now() + POLL)).await;
            let read = timeout_at(until, self.store.read(key)).await.ok()?;
            if let Ok(Some(bytes)) = read
                && let Some(Record { answer: Some(reply), .. }) = Record::parse(&bytes)
            {
                return Some(reply);
            }
        }
        None
    }

    /// Puts the answer where the claims are, in the background.
    pub(super) fn finish(self: &Arc<Self>, hold: Hold, reply: &Reply) {
        if hold.keys.is_empty() {
            return;
        }
        let answer = hold.answered(reply);
        let replicas = Arc::clone(self);
        self.tasks.spawn(async move {
            for held in &hold.keys {
                drop(insist(|| replicas.tell(&hold, held, &answer)).await);
            }
        });
    }

    /// Puts the answer under one key, for what is left of its time. Under one that is not surely ours it is put by a claim:
    /// that takes a key which nobody holds, finds a claim of ours by its owner, and leaves everybody else's alone.
    async fn tell(&self, hold: &Hold, held: &Held, answer: &Bytes) -> Result<(), StoreFault> {
        let left = held.window.saturating_sub(hold.since.elapsed());
        if left.is_zero() {
            return Ok(());
        }
        if !held.sure {
            match self.store.claim(&held.key, answer.clone(), left).await? {
                Claim::Existing(bytes) if Record::parse(&bytes).is_some_and(|r| r.owner == hold.owner) => {}
                Claim::Claimed | Claim::Existing(_) => return Ok(()),
            }
        }
        self.store.write(slice::from_ref(&held.key), answer.clone(), left).await
    }

    /// Gives the claims back that are surely ours, in the background: nothing was sent.
    pub(super) fn release(self: &Arc<Self>, hold: Hold) {
        let replicas = Arc::clone(self);
        self.tasks.spawn(async move {
            for held in hold.keys.iter().filter(|held| held.sure) {
                // Failing, it is free again after its time.
                let _ = replicas.store.remove(&held.key).await;
            }
        });
    }

    fn garbled(&self) -> StoreFault {
        let fault = StoreFault::Broken("a record of another version".to_owned());
        self.faults.note("claim", &fault);
        fault
    }
}

impl Held {
    fn unsure(key: &Key, window: Duration) -> Self {
        Self { key: key.clone(), window, sure: false }
    }
}

impl Hold {
    fn in_flight(&self) -> Bytes {
        format!("1 {} {} -", self.fingerprint, self.owner).into()
    }

    fn answered(&self, reply: &Reply) -> Bytes {
        let mut record = format!("1 {} {} {} ", self.fingerprint, self.owner, reply.status).into_bytes();
        record.extend_from_slice(&reply.body);
        record.into()
    }
}

/// What stands under a key: a version, the fingerprint, who claimed it, then `-` or the answer's status and body.
#[derive(Debug, PartialEq, Eq)]
struct Record<'a> {
    fingerprint: &'a str,
    owner: &'a str,
    answer: Option<Reply>,
}

impl<'a> Record<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut parts = bytes.splitn(5, |b| *b == b' ');
        let mut word = || parts.next().and_then(|part| std::str::from_utf8(part).ok());
        if word()? != "1" {
            return None;
        }
        let (fingerprint, owner, status) = (word()?, word()?, word()?);
        let answer = match status {
            "-" => None,
            status => {
                let body = parts.next()?.to_vec();
                Some(Reply { status: status.parse().ok()?, body, retry_after: None })
            }
        };
        Some(Self { fingerprint, owner, answer })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_keep_an_answer_byte_for_byte_and_what_is_none_is_refused() {
        let hold =
            Hold { owner: "p-1".to_owned(), fingerprint: "ab".to_owned(), since: Instant::now(), keys: Vec::new() };
        let in_flight = hold.in_flight();
        let expected = Record { fingerprint: "ab", owner: "p-1", answer: None };
        assert_eq!(Record::parse(&in_flight), Some(expected));
        for body in [&b"{\"commands\": [1,  2]}"[..], b"", b"- \xff\0 \r\n "] {
            let reply = Reply { status: 503, body: body.to_vec(), retry_after: None };
            let record = hold.answered(&reply);
            assert_eq!(Record::parse(&record).and_then(|r| r.answer), Some(reply));
        }
        for garbled in ["", "1", "2 ab p-1 -", "1 ab p-1", "1 ab p-1 x {}", "1 ab p-1 200", "{}"] {
            assert_eq!(Record::parse(garbled.as_bytes()), None, "{garbled:?}");
        }
    }
}
