//! Reports that come before the journal knows their message, on memory and a paused clock.

use tokio::time::{Instant, advance, sleep};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::agenda::Agenda;
use crate::deadline::Clock;
use crate::feedback::Worker;
use crate::journal::{Journal, Settings};
use crate::learn::Learn;
use crate::metrics::Metrics;
use crate::otp::{Accepted, Attempt, Channel, EventId, Message, Outcome, UserId};
use crate::secret::Pseudonyms;
use crate::store::{Memory, State};

/// A wall clock that goes with the paused one.
fn now() -> Timestamp {
    thread_local! { static START: Instant = Instant::now(); }
    let start: Timestamp = "2026-01-05T10:00:00Z".parse().expect("a date");
    start + jiff::SignedDuration::try_from(START.with(Instant::elapsed)).expect("short")
}

fn inner() -> Inner {
    let (metrics, tasks, clock) = (Arc::new(Metrics::new()), TaskTracker::new(), Clock::new(now));
    let state = State::over(Arc::new(Memory::new(100)), Duration::from_millis(50), Arc::clone(&metrics));
    let pseudonyms = Pseudonyms::new(None).expect("random");
    let tools = Tools {
        agenda: Agenda::new(&state, &pseudonyms),
        journal: Journal::new(&state, &Settings::default(), pseudonyms, clock, tasks.clone()),
        clients: Arc::default(),
        unknown_users: Arc::default(),
        learn: Learn::new(clock, Arc::clone(&metrics)),
        metrics,
        clock,
    };
    Inner { callbacks: BTreeMap::new(), tools, tasks }
}

fn message() -> Message {
    Message {
        event_id: EventId::parse("an event"),
        user: UserId::parse("00uyxxSknGtK8022w0g3"),
        ..Message::bare("+15005550006", "482913")
    }
}

/// Counted as `delivered` and as `unknown`.
fn counted(inner: &Inner) -> [bool; 2] {
    let page = inner.tools.metrics.render();
    let delivered = r#"okta_hook_delivery_reports_total{provider="one",channel="sms",status="delivered"} 1"#;
    [delivered, r#"okta_hook_callbacks_refused_total{provider="one",reason="unknown"} 1"#].map(|l| page.contains(l))
}

#[tokio::test(start_paused = true)]
async fn a_report_waits_for_its_message_to_become_known_and_counts_as_unknown_only_then() {
    // When the journal hears of the message, and by when the report counts, in seconds.
    for (known, counts) in [(Some(1), 4), (Some(11), 17), (None, 17)] {
        let inner = inner();
        let (one, id) = (ProviderName::new("one"), TransactionId::parse("SM1").expect("an id"));
        let stop = CancellationToken::new();
        let working = tokio::spawn(Arc::new(Worker::new(inner.tools.clone())).run(stop.clone()));
        inner.take(&one, &id, Delivery::Delivered).await;
        if let Some(known) = known {
            sleep(Duration::from_secs(known)).await;
            let result = Ok(Accepted::new(id.clone()));
            let attempt = Attempt { provider: one.clone(), result, elapsed: Duration::ZERO };
            let outcome = Outcome::of(Channel::Sms, "default".into(), vec![attempt]);
            let nobody = CancellationToken::new().drop_guard();
            inner.tools.journal.note("main", &message(), &outcome, None, nobody).await;
        }
        let before = Duration::from_secs(if known.is_some() { 0 } else { 14 });
        sleep(before).await;
        assert_eq!(counted(&inner), [false, false], "{known:?}");
        sleep(Duration::from_secs(counts - known.unwrap_or_default()) - before).await;
        assert_eq!(counted(&inner), [known.is_some(), known.is_none()], "{known:?}");
        stop.cancel();
        working.await.expect("no panic");
        advance(2 * Agenda::LEASE).await;
        assert_eq!(inner.tools.agenda.due(9).await.len(), 0, "{known:?}: nothing is left to be done");
    }
}
