//! Learning on a paused clock.

mod silence;

use std::cell::Cell;
use std::io::{Read as _, Seek as _};

use tokio::time::advance;

use super::*;
use crate::secret::random_below;

const A: &str = "a";
const B: &str = "b";

/// A wall clock that goes with the paused one.
fn wall() -> Timestamp {
    let start: Timestamp = "2026-01-05T10:00:00Z".parse().expect("a date");
    let elapsed = START.get().map(|start| start.elapsed()).unwrap_or_default();
    start + jiff::SignedDuration::try_from(elapsed).expect("short")
}

// Set anew for each test: tests may share a thread, and each has a paused clock of its own.
thread_local! { static START: Cell<Option<Instant>> = const { Cell::new(None) }; }

/// Somebody who learns, and the org that is learnt of.
struct Desk {
    learn: Learn,
    metrics: Arc<Metrics>,
    org: Arc<str>,
    route: Arc<str>,
}

fn way(provider: &str) -> Way {
    Way { provider: ProviderName::new(provider), country: Country::parse("GB"), channel: Channel::Sms }
}

impl Desk {
    fn new() -> Self {
        START.set(Some(Instant::now()));
        let metrics = Arc::new(Metrics::new());
        let learn = Learn::new(Clock::new(wall), Arc::clone(&metrics));
        let org: Arc<str> = "main".into();
        learn.serve(&[(Arc::clone(&org), true), ("deaf".into(), false)]);
        Self { learn, metrics, org, route: "default".into() }
    }

    /// So many messages of a way, and how many of them arrived.
    fn reports(&self, way: &Way, delivered: u32, undelivered: u32) {
        for count in 0..delivered + undelivered {
            self.learn.ended(way, true);
            let sent = Sent { way: way.clone(), at: wall(), awaited: true };
            let delivery = if count < delivered { Delivery::Delivered } else { Delivery::Undelivered };
            self.learn.reported(&sent, Delivery::Underway);
            self.learn.reported(&sent, delivery);
        }
    }

    /// So many codes of a way, of which so many are used at once.
    fn codes(&self, way: &Way, sent: u32, used: u32) {
        for count in 0..sent {
            self.learn.ended(way, true);
            self.learn.awaits(&self.org, way);
            if count < used {
                self.learn.used(&self.org, &Sent { way: way.clone(), at: wall(), awaited: true });
            }
        }
    }

    fn ask(&self, mode: Mode, country: &str, providers: &[&str]) -> Vec<String> {
        let providers: Vec<ProviderName> = providers.iter().map(|name| ProviderName::new(name)).collect();
        let (country, channel) = (Country::parse(country), Channel::Sms);
        let question = Question { org: &self.org, mode, route: &self.route, country, channel, providers: &providers };
        self.learn.last(&question).iter().map(ToString::to_string).collect()
    }

    /// Who is put last of a and b, in Britain.
    fn last(&self) -> Vec<String> {
        self.ask(Mode::Enforce, "GB", &[A, B])
    }

    fn moves(&self, mode: &str) -> f64 {
        self.metric(&format!("okta_hook_learned_moves_total{{org=\"main\",provider=\"a\",mode=\"{mode}\"}}"))
    }

    fn metric(&self, line: &str) -> f64 {
        self.metrics.render().lines().find_map(|l| l.strip_prefix(line)?.trim().parse().ok()).unwrap_or(-1.0)
    }
}

async fn minutes(count: u64) {
    advance(Duration::from_secs(60 * count)).await;
}

#[tokio::test(start_paused = true)]
async fn who_delivers_clearly_less_is_put_last_until_that_is_half_an_hour_ago() {
    let desk = Desk::new();
    desk.reports(&way(A), 5, 20);
    desk.reports(&way(B), 24, 1);
    assert_eq!(desk.last(), [""; 0], "the bad news may not all be in");
    minutes(3).await;
    assert_eq!(desk.last(), [A]);
    assert_eq!(desk.ask(Mode::Enforce, "GB", &[B, A]), [""; 0], "it is the last already");
    assert_eq!(desk.ask(Mode::Enforce, "GB", &[A]), [""; 0], "there is nobody else");
    for elsewhere in ["FR", ""] {
        assert_eq!(desk.ask(Mode::Enforce, elsewhere, &[A, B]), [""; 0], "{elsewhere}");
    }
    assert_eq!(desk.moves("enforce"), 1.0);
    minutes(26).await;
    assert_eq!(desk.last(), [A]);
    minutes(1).await;
    assert_eq!(desk.last(), [""; 0], "it is tried again");
    minutes(1).await;
    desk.learn.look();
    assert_eq!(desk.learn.table(), []);
}

#[tokio::test(start_paused = true)]
async fn too_few_samples_of_either_side_move_nobody() {
    for (a, b) in [((0, 19), (30, 0)), ((0, 30), (19, 0)), ((0, 30), (0, 30)), ((25, 5), (29, 1))] {
        let desk = Desk::new();
        desk.reports(&way(A), a.0, a.1);
        desk.reports(&way(B), b.0, b.1);
        minutes(3).await;
        assert_eq!(desk.last(), [""; 0], "{a:?} {b:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_report_counts_for_when_its_message_was_sent() {
    let desk = Desk::new();
    let sent = Sent { way: way(A), at: wall(), awaited: true };
    minutes(10).await;
    desk.learn.reported(&sent, Delivery::Undelivered);
    // Another replica's clock is ahead of ours.
    let ahead = Sent { at: wall() + jiff::SignedDuration::from_secs(30), ..sent.clone() };
    desk.learn.reported(&ahead, Delivery::Delivered);
    let [row] = &desk.learn.table()[..] else { panic!("one way") };
    assert_eq!((row.delivered, row.undelivered, row.delivery), (1, 1, Some(0.0)), "the younger is not judged yet");
    minutes(20).await;
    let [row] = &desk.learn.table()[..] else { panic!("one way") };
    assert_eq!((row.delivered, row.undelivered, row.delivery), (1, 0, Some(1.0)), "the older has left");
    desk.learn.reported(&sent, Delivery::Undelivered);
    assert_eq!(desk.learn.table()[0].undelivered, 0, "too late to be counted");
}

#[tokio::test(start_paused = true)]
async fn one_message_in_fifty_still_goes_first_to_whoever_is_put_last() {
    let desk = Desk::new();
    desk.reports(&way(A), 0, 30);
    desk.reports(&way(B), 30, 0);
    minutes(3).await;
    let asked: Vec<bool> = (0..100).map(|_| desk.last().is_empty()).collect();
    let first: Vec<usize> = (0..100).filter(|n| asked[*n]).collect();
    assert_eq!(first, [49, 99]);
    assert_eq!(desk.moves("enforce"), 98.0);
}

#[tokio::test(start_paused = true)]
async fn observing_counts_and_moves_nobody() {
    let desk = Desk::new();
    desk.reports(&way(A), 0, 30);
    desk.reports(&way(B), 30, 0);
    minutes(3).await;
    for _ in 0..3 {
        assert_eq!(desk.ask(Mode::Observe, "GB", &[A, B]), [""; 0]);
    }
    assert_eq!((desk.moves("observe"), desk.moves("enforce")), (3.0, -1.0));
}

#[tokio::test(start_paused = true)]
async fn never_are_all_put_last() {
    let desk = Desk::new();
    desk.learn.heard("main");
    // One delivers nothing; what the other delivers, nobody can use.
    desk.reports(&way(A), 0, 30);
    desk.reports(&way(B), 30, 0);
    desk.codes(&way(A), 30, 30);
    desk.codes(&way(B), 30, 0);
    minutes(8).await;
    desk.learn.heard("main");
    assert_eq!(desk.last(), [""; 0]);
    let behind: Vec<_> = desk.learn.table().into_iter().map(|row| (row.way.provider, row.behind)).collect();
    let expected = [(ProviderName::new(A), vec!["delivery"]), (ProviderName::new(B), vec!["conversion"])];
    assert_eq!(behind, expected);
    assert_eq!(desk.ask(Mode::Enforce, "GB", &[A, B, "c"]), [A, B], "a third may be better");
}

#[tokio::test(start_paused = true)]
async fn codes_are_judged_once_they_could_have_been_used() {
    let desk = Desk::new();
    desk.learn.heard("main");
    desk.codes(&way(A), 30, 3);
    desk.codes(&way(B), 30, 27);
    for _ in 0..5 {
        assert_eq!(desk.last(), [""; 0], "the code may yet be used");
        minutes(1).await;
        desk.learn.heard("main");
    }
    minutes(1).await;
    assert_eq!(desk.last(), [""; 0], "nothing was heard since");
    desk.learn.heard("main");
    assert_eq!(desk.last(), [A]);
    let row = &desk.learn.table()[0];
    assert_eq!((row.awaited, row.converted, row.conversion), (30, 3, Some(0.1)));
    assert_eq!(desk.metric("okta_hook_learned_conversion_ratio{provider=\"a\",country=\"GB\",channel=\"sms\"}"), 0.1);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_awaits_and_orgs_that_hear_nothing_count_for_no_share() {
    let desk = Desk::new();
    desk.codes(&way(A), 30, 0);
    assert!(desk.learn.table()[0].conversion.is_none(), "no event has ever come");
    desk.learn.heard("main");
    for org in ["deaf", "nobody"] {
        desk.learn.heard(org);
        desk.learn.awaits(org, &way(A));
    }
    desk.learn.awaits("main", &way(A));
    // A resend, and what no provider took.
    desk.learn.used("main", &Sent { way: way(A), at: wall(), awaited: false });
    minutes(8).await;
    desk.learn.heard("main");
    let row = &desk.learn.table()[0];
    assert_eq!((row.awaited, row.converted, row.accepted), (1, 0, 30));
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_was_changed_and_an_org_that_is_gone_are_forgotten() {
    let desk = Desk::new();
    desk.learn.heard("main");
    desk.reports(&way(A), 0, 30);
    desk.reports(&way(B), 30, 0);
    desk.codes(&way(A), 30, 0);
    desk.learn.hook("main");
    minutes(8).await;
    desk.learn.heard("main");
    assert_eq!(desk.last(), [A]);
    desk.learn.serve(&[(Arc::clone(&desk.org), true)]);
    assert_eq!(desk.last(), [A], "another configuration changes nothing of that");
    desk.learn.forget(|name| name.as_str() == A);
    assert_eq!(desk.last(), [""; 0]);
    assert_eq!(desk.learn.table().len(), 1);
    desk.learn.serve(&[("other".into(), false)]);
    assert!(!desk.metrics.render().contains("org=\"main\"} 0"));
}

#[tokio::test(start_paused = true)]
async fn memory_is_bounded_however_many_ways_there_are() {
    let desk = Desk::new();
    desk.learn.heard("main");
    for number in 0..MAX_CELLS + 500 {
        let way = Way { provider: ProviderName::new(&number.to_string()), country: None, channel: Channel::Voice };
        desk.learn.ended(&way, random_below(2) == 0);
        desk.learn.awaits("main", &way);
    }
    assert_eq!(desk.learn.table().len(), MAX_CELLS);
}

#[tokio::test(start_paused = true)]
async fn the_page_shows_names_countries_and_counts() {
    let desk = Desk::new();
    assert!(!desk.metrics.render().contains("learned_samples"), "nothing to show");
    desk.learn.ended(&way(A), true);
    desk.learn.ended(&Way { country: None, ..way(A) }, false);
    let page = desk.metrics.render();
    for line in [
        "# TYPE okta_hook_learned_samples gauge",
        "okta_hook_learned_samples{provider=\"a\",country=\"GB\",channel=\"sms\",of=\"accepted\"} 1",
        "okta_hook_learned_samples{provider=\"a\",country=\"unknown\",channel=\"sms\",of=\"failed\"} 1",
    ] {
        assert!(page.lines().any(|l| l == line), "{line}: {page}");
    }
    assert!(!page.contains("learned_delivery_ratio"), "no report has come");
}

#[tokio::test(start_paused = true)]
async fn the_log_hears_of_each_change_once() {
    let written = Arc::new(tempfile::tempfile().expect("file"));
    let log = tracing_subscriber::fmt().with_ansi(false).with_writer(Arc::clone(&written)).finish();
    let _default = tracing::subscriber::set_default(log);
    let desk = Desk::new();
    desk.learn.heard("main");
    desk.reports(&way(A), 0, 30);
    desk.reports(&way(B), 30, 0);
    desk.codes(&way(A), 20, 0);
    minutes(3).await;
    for _ in 0..5 {
        desk.last();
    }
    minutes(40).await;
    for _ in 0..5 {
        desk.last();
    }
    minutes(80).await;
    for _ in 0..3 {
        desk.learn.look();
    }
    desk.learn.heard("main");
    let (mut written, mut text) = (&*written, String::new());
    written.rewind().expect("seekable");
    written.read_to_string(&mut text).expect("text");
    let lines: Vec<&str> =
        text.lines().filter_map(|line| line.split_once(" okta_telephony_hook::")).map(|l| l.1).collect();
    let route = "country=GB channel=\"sms\" route=default";
    assert_eq!(
        lines,
        [
            &*format!(
                "learn::org: provider falls behind org=main provider=a {route} measure=\"delivery\" learn=\"enforce\""
            ),
            &*format!("learn::org: provider keeps up again org=main provider=a {route}"),
            "learn::org: no event has come for two hours though codes were sent: conversions are not judged org=main",
            "learn::org: events come again: conversions are learnt anew org=\"main\"",
        ]
    );
    let levels: Vec<&str> = text.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
    assert_eq!(levels, ["WARN", "WARN", "ERROR", "WARN"]);
}
