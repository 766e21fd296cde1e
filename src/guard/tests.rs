//! Tests of the rules, each on a paused clock.

mod faults;
mod forgotten;
mod fraud;
mod volume;

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, advance};

use super::{Guard, Mode, Rule, Settings, Tools, Verdict};
use crate::deadline::Clock;
use crate::metrics::Metrics;
use crate::otp::{Channel, Message, UserId};
use crate::secret::{Pseudonyms, Secret};
use crate::settings::{Findings, List};
use crate::store::{Backend, Key, Memory, State, Store};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

thread_local! {
    static START: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// A wall clock that goes with the paused one. A Monday, noon.
fn wall() -> Timestamp {
    let start = START.get().unwrap_or_else(|| {
        START.set(Some(Instant::now()));
        Instant::now()
    });
    let passed = SignedDuration::try_from(start.elapsed()).expect("in range");
    "2026-03-02T12:00:00Z".parse::<Timestamp>().expect("a date") + passed
}

pub(super) fn message(number: &str) -> Message {
    Message::bare(number, "482913")
}

fn by_user(number: &str, user: &str) -> Message {
    Message { user: UserId::parse(user), ..message(number) }
}

fn from(number: &str, address: &str) -> Message {
    Message { client_ip: address.parse().ok(), ..message(number) }
}

fn call(number: &str) -> Message {
    Message { channel: Channel::Voice, ..message(number) }
}

struct Watch {
    guard: Guard,
    metrics: Arc<Metrics>,
}

impl Watch {
    /// A guard with these changes to the default settings.
    fn new(change: impl FnOnce(&mut Settings)) -> Self {
        Self::over(Arc::new(Memory::new(100_000)), change)
    }

    /// A guard over a store that somebody else may use too.
    fn over(store: Arc<dyn Store>, change: impl FnOnce(&mut Settings)) -> Self {
        Self::in_state(|metrics| State::over(store, Duration::from_millis(50), metrics), change)
    }

    fn in_state(open: impl FnOnce(Arc<Metrics>) -> State, change: impl FnOnce(&mut Settings)) -> Self {
        wall();
        let mut settings = Settings::default();
        change(&mut settings);
        let mut findings = Findings::default();
        let config = settings.check("guard", &mut findings);
        assert!(findings.faults.is_empty(), "{findings:?}");
        let metrics = Arc::new(Metrics::new());
        let state = open(Arc::clone(&metrics));
        let tools = Tools {
            store: state.store(),
            numbers: state.store(),
            pseudonyms: Pseudonyms::new(Secret::new("a test key").as_ref()).expect("key"),
            metrics: Arc::clone(&metrics),
            clock: Clock::new(wall),
        };
        Self { guard: Guard::new(config, &"main".into(), tools), metrics }
    }

    async fn check(&self, message: &Message) -> Verdict {
        self.guard.check(message, "k00:0", Instant::now() + Duration::from_millis(50)).await
    }

    /// The rule that stops a message. No time may pass.
    async fn stops(&self, message: &Message) -> Option<&'static str> {
        let before = Instant::now();
        let verdict = self.check(message).await;
        assert_eq!(before.elapsed(), Duration::ZERO, "memory is never waited for");
        match verdict {
            Verdict::Allow => None,
            Verdict::Refuse { rule } => {
                assert!(!matches!(rule, Rule::Prefix | Rule::Sequence | Rule::ProviderFraud));
                Some(rule.as_str())
            }
            Verdict::Block { rule } => {
                assert!(matches!(rule, Rule::Prefix | Rule::Sequence | Rule::ProviderFraud));
                Some(rule.as_str())
            }
        }
    }

    /// How many messages pass before one is stopped.
    async fn passes(&self, message: &Message) -> usize {
        for passed in 0..10_000 {
            if self.stops(message).await.is_some() {
                return passed;
            }
        }
        panic!("nothing stops it")
    }

    fn count(&self, rule: &str, decision: &str) -> u64 {
        let line = format!("okta_hook_guard_total{{org=\"main\",rule=\"{rule}\",decision=\"{decision}\"}} ");
        self.metrics.render().lines().find_map(|l| l.strip_prefix(&line)?.parse().ok()).unwrap_or(0)
    }
}

const NUMBER: &str = "+447400123456";

#[tokio::test(start_paused = true)]
async fn one_number_gets_five_in_ten_minutes_ten_in_an_hour_fifteen_in_a_day() {
    let watch = Watch::new(|_| {});
    let mut passed = Vec::new();
    for _ in 0..24 {
        passed.push(watch.passes(&message(NUMBER)).await);
        // What is refused is not charged to the longer windows.
        assert_eq!(watch.passes(&message(NUMBER)).await, 0);
        advance(30 * MINUTE).await;
    }
    assert_eq!(passed[..6], [5, 5, 5, 0, 0, 0]);
    assert_eq!(passed.iter().sum::<usize>(), 15);
    advance(12 * HOUR).await;
    assert_eq!(watch.passes(&message(NUMBER)).await, 5);
    assert_eq!(watch.stops(&message("+447400999999")).await, None, "other numbers go on");
}

#[tokio::test(start_paused = true)]
async fn calls_are_counted_apart_and_to_new_numbers_are_a_quarter() {
    let watch = Watch::new(|_| {});
    assert_eq!(watch.passes(&call(NUMBER)).await, 2);
    assert_eq!(watch.passes(&message(NUMBER)).await, 5);
    advance(DAY).await;
    assert_eq!(watch.passes(&call(NUMBER)).await, 5, "a number that is known has the limits of texts");
    let watch = Watch::new(|settings| settings.voice_share = 1);
    assert_eq!(watch.passes(&call(NUMBER)).await, 5);
}

#[tokio::test(start_paused = true)]
async fn one_user_gets_five_in_ten_minutes_and_three_numbers_in_a_day() {
    let watch = Watch::new(|settings| settings.per_phone.mode = Some(Mode::Off));
    assert_eq!(watch.passes(&by_user(NUMBER, "00u1")).await, 5);
    assert_eq!(watch.stops(&by_user(NUMBER, "00u1")).await, Some("per_user"));
    assert_eq!(watch.stops(&message(NUMBER)).await, None, "no user, nothing to count");
    let mut stopped = Vec::new();
    for number in ["+447400100000", "+447400200000", "+447400300000", "+447400400000", "+447400100000"] {
        advance(11 * MINUTE).await;
        stopped.push(watch.stops(&by_user(number, "00u2")).await);
    }
    assert_eq!(stopped, [None, None, None, Some("per_user"), Some("per_user")]);
    advance(DAY).await;
    assert_eq!(watch.stops(&by_user("+447400400000", "00u2")).await, None);
}

#[tokio::test(start_paused = true)]
async fn one_address_gets_five_new_numbers_in_an_hour_and_known_ones_without_limit() {
    let watch = Watch::new(|settings| settings.per_ip.mode = Some(Mode::Enforce));
    let number = |n: u32| format!("+4474{:08}", n * 1_234_567);
    for n in 1..=5 {
        assert_eq!(watch.stops(&from(&number(n), "203.0.113.7")).await, None);
    }
    assert_eq!(watch.stops(&from(&number(6), "203.0.113.7")).await, Some("per_ip"));
    assert_eq!(watch.stops(&from(&number(6), "203.0.113.8")).await, None);
    assert_eq!(watch.stops(&from(&number(7), "127.0.0.1")).await, None);
    assert_eq!(watch.stops(&message(&number(7))).await, None);
    // One household of the newer protocol.
    for n in 11..=15 {
        assert_eq!(watch.stops(&from(&number(n), &format!("2001:db8::{n}"))).await, None);
    }
    assert_eq!(watch.stops(&from(&number(16), "2001:db8::ffff")).await, Some("per_ip"));
    // The next day five more, and those of yesterday as often as they like.
    advance(DAY).await;
    for n in [21, 22, 23, 24, 25, 1, 2, 3, 4, 5, 6, 7] {
        assert_eq!(watch.stops(&from(&number(n), "203.0.113.7")).await, None, "{n}");
    }
    assert_eq!(watch.stops(&from(&number(26), "203.0.113.7")).await, Some("per_ip"));
}

#[tokio::test(start_paused = true)]
async fn one_address_gets_so_many_messages_to_new_numbers_in_ten_minutes() {
    let watch = Watch::new(|settings| {
        settings.per_ip.mode = Some(Mode::Enforce);
        settings.per_ip.per_10_minutes = 3;
        settings.per_phone.mode = Some(Mode::Off);
    });
    assert_eq!(watch.passes(&from(NUMBER, "203.0.113.7")).await, 3);
    assert_eq!(watch.passes(&from(NUMBER, "2001:db8::1")).await, 3);
    assert_eq!(watch.stops(&from(NUMBER, "2001:db8::2")).await, Some("per_ip"), "the same network");
    assert_eq!(watch.passes(&from(NUMBER, "2001:db8:0:1::1")).await, 3, "the network beside it");
    for nobody in ["127.0.0.1", "::1", "0.0.0.0", "::"] {
        for _ in 0..5 {
            assert_eq!(watch.stops(&from(NUMBER, nobody)).await, None, "{nobody} tells nobody apart");
        }
    }
    advance(DAY).await;
    for _ in 0..5 {
        assert_eq!(watch.stops(&from(NUMBER, "203.0.113.7")).await, None, "a known number");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_observed_is_counted_and_goes() {
    let watch = Watch::new(|settings| {
        settings.mode = Some(Mode::Observe);
        settings.countries.deny = List(vec!["US".to_owned()]);
    });
    for _ in 0..8 {
        assert_eq!(watch.stops(&by_user(NUMBER, "00u1")).await, None);
    }
    assert_eq!(watch.stops(&message("+15005550006")).await, None);
    assert_eq!(watch.stops(&message("+97912345678")).await, None);
    // Neighbours of a pumped number, counted once a message.
    for n in 0..20 {
        assert_eq!(watch.stops(&message(&format!("+49170123{n:04}"))).await, None);
    }
    let seen = ["per_phone", "per_user", "country", "range", "sequence"].map(|rule| watch.count(rule, "observed"));
    assert_eq!(seen, [3, 3, 1, 1, 17]);
    assert_eq!(watch.count("per_phone", "refused"), 0);

    // Beyond the limits of ten minutes, an hour and a day: one message, counted once.
    let watch = Watch::new(|settings| settings.per_phone.mode = Some(Mode::Observe));
    for _ in 0..20 {
        assert_eq!(watch.stops(&message(NUMBER)).await, None);
    }
    assert_eq!(watch.count("per_phone", "observed"), 15);
}

#[test]
fn what_can_be_decided_is_known_beforehand() {
    let decisions = |change: &dyn Fn(&mut Settings)| {
        let mut settings = Settings::default();
        change(&mut settings);
        settings.check("guard", &mut Findings::default()).decisions()
    };
    let fails_open = ("store", "allowed_fail_open");
    assert!(decisions(&|_| {}).contains(&fails_open));
    assert_eq!(decisions(&|settings| settings.mode = Some(Mode::Off)), []);
}

#[test]
fn a_limit_that_a_shorter_time_allows_more_than_is_warned_of() {
    for (limits, warned) in [([5, 10, 15], 0), ([5, 5, 5], 0), ([6, 5, 15], 1), ([5, 16, 15], 1)] {
        let mut settings = Settings::default();
        let phone = &mut settings.per_phone;
        [phone.per_10_minutes, phone.per_hour, phone.per_day] = limits;
        let mut findings = Findings::default();
        settings.check("guard", &mut findings);
        assert_eq!(findings.warnings.len(), warned, "{limits:?}: {findings:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_off_is_not_asked() {
    let watch = Watch::new(|settings| settings.mode = Some(Mode::Off));
    for _ in 0..100 {
        assert_eq!(watch.stops(&by_user(NUMBER, "00u1")).await, None);
    }
    assert_eq!(watch.stops(&message("+97912345678")).await, None);
    assert!(format!("{:?}", watch.guard.ledger.store).contains("(0 of"), "{:?}", watch.guard.ledger.store);
}

#[tokio::test(start_paused = true)]
async fn a_number_is_remembered_only_where_a_rule_asks_how_well_it_is_known_and_never_a_suspect() {
    let known = async |watch: &Watch, number: &str| {
        let number = message(number);
        let case = watch.guard.ledger.case(&number, "");
        let key = Key::new(super::kinds::KNOWN, case.number);
        watch.guard.ledger.numbers.read(&key).await.expect("memory").is_some()
    };
    let watch = Watch::new(|settings| {
        settings.per_phone.mode = Some(Mode::Off);
        settings.per_user.mode = Some(Mode::Off);
        settings.per_ip.mode = Some(Mode::Off);
        settings.per_prefix.mode = Some(Mode::Off);
        settings.provider_fraud.mode = Some(Mode::Off);
    });
    watch.stops(&message(NUMBER)).await;
    assert!(!known(&watch, NUMBER).await, "nobody asks");

    let watch = Watch::new(|settings| settings.per_phone.mode = Some(Mode::Observe));
    for n in 0..4 {
        watch.stops(&message(&format!("+44740012345{n}"))).await;
    }
    let seen = [known(&watch, "+447400123452").await, known(&watch, "+447400123453").await];
    assert_eq!(seen, [true, false], "the fourth in a row is a suspect, even where that is only observed");
    for _ in 0..6 {
        watch.stops(&message("+15005550006")).await;
    }
    assert!(known(&watch, "+15005550006").await, "a limit says nothing of a number");
}

#[tokio::test(start_paused = true)]
async fn previews_are_not_counted_and_countries_hold_for_them_too() {
    let watch = Watch::new(|settings| settings.countries.allow = List(vec!["GB".to_owned()]));
    let preview = |number| Message { preview: true, ..by_user(number, "00u1") };
    for _ in 0..100 {
        assert_eq!(watch.stops(&preview(NUMBER)).await, None);
    }
    assert_eq!(watch.stops(&preview("+15005550006")).await, Some("country"));
    assert_eq!(watch.stops(&preview("+97912345678")).await, Some("range"));
    assert_eq!(watch.passes(&by_user(NUMBER, "00u1")).await, 5);
}

#[tokio::test(start_paused = true)]
async fn numbers_known_for_a_month_leave_room_for_the_counts_of_ten_minutes() {
    let small = |metrics| {
        let config = crate::store::Config {
            backend: Backend::Memory,
            timeout: Duration::from_millis(50),
            prefix: String::new(),
            max_entries: 40,
        };
        State::open(&config, metrics).expect("memory")
    };
    let watch = Watch::in_state(small, |settings| settings.per_prefix.mode = Some(Mode::Off));
    for person in 0..40 {
        watch.stops(&message(&format!("+15005550{person:03}"))).await;
        advance(12 * HOUR).await;
    }
    let often = message("+15005551000");
    for _ in 0..5 {
        assert_eq!(watch.stops(&often).await, None);
        advance(Duration::from_secs(2)).await;
    }
    assert_eq!(watch.stops(&often).await, Some("per_phone"));
}

#[test]
fn an_operator_is_told_what_a_rule_allows() {
    let mut settings = Settings::default();
    settings.countries.deny = List(vec!["US".to_owned()]);
    settings.per_country.mode = Some(Mode::Enforce);
    settings.spend.voice_micros = 52_300;
    settings.spend.per_hour_micros = Some(12_340_000);
    settings.per_prefix.block = 90 * MINUTE;
    let config = settings.check("guard", &mut Findings::default());
    let guard = Watch::new(|_| {}).guard;
    let explained = Guard { config, ..guard }.explain(&call(NUMBER));
    assert_eq!(explained.verdict, Verdict::Allow);
    let told: Vec<_> = explained.lines.iter().map(|line| format!("{} {}", line.rule, line.allows)).collect();
    assert_eq!(
        told,
        [
            "countries not US",
            "per_phone 2 in ten minutes, 3 in an hour, 4 in a day",
            "per_user 2 in ten minutes, 5 in a day, 3 numbers in a day",
            "per_ip 3 in ten minutes, 5 numbers in an hour, both of new numbers",
            "per_prefix 4 new numbers in ten minutes, 3 in a row; block 5400s",
            "provider_fraud no number beside one refused as fraud; block 12 h",
            "per_country 5 in an hour, or 3 times the usual",
            "spend $12.3400 in an hour; this message $0.0523",
        ]
    );
}
