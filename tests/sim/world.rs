//! Virtual time: two weeks of messages before the guard, the first one observed, the second one counted.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use okta_telephony_hook::deadline::Clock;
use okta_telephony_hook::guard::{Guard, Settings, Tools, Verdict};
use okta_telephony_hook::metrics::Metrics;
use okta_telephony_hook::otp::{
    Attempt, Channel, FailureKind, Message, OtpCode, Outcome, Phone, ProviderName, RequestType, SendError, UserId,
};
use okta_telephony_hook::secret::{Pseudonyms, Secret};
use okta_telephony_hook::settings::Findings;
use okta_telephony_hook::store::{Memory, State};
use tokio::time::{Instant, advance};

use crate::attacks::Attack;
use crate::chance::Chance;
use crate::people;

/// Days that are played.
pub const DAYS: u64 = 14;

/// The first of them are for getting to know people, with the default settings.
const GETTING_TO_KNOW: Duration = Duration::from_secs(7 * 24 * 3600);

/// Millionths of a dollar for a text and a call: of the right order, for the picture.
const PRICES: [(&str, u64, u64); 8] = [
    ("US", 8_300, 14_000),
    ("GB", 40_000, 30_000),
    ("DE", 80_000, 40_000),
    ("AZ", 350_000, 400_000),
    ("UZ", 300_000, 300_000),
    ("MV", 100_000, 1_500_000),
    ("ID", 300_000, 250_000),
    ("NG", 300_000, 350_000),
];

/// Any other country.
const PRICE: (u64, u64) = (60_000, 60_000);

/// One message, asked for by somebody.
#[derive(Debug, Clone)]
pub struct Event {
    /// Since Monday, midnight.
    pub at: Duration,
    pub number: String,
    pub user: String,
    pub address: String,
    pub channel: Channel,
    pub enrols: bool,
    pub attack: Option<Attack>,
}

impl Event {
    fn message(&self) -> Message {
        Message {
            event_id: None,
            source: None,
            request_id: None,
            channel: self.channel,
            recipient: Phone::parse(&self.number, None).expect("E.164"),
            code: OtpCode::parse("482913").expect("digits"),
            template: None,
            locale: None,
            request_type: RequestType::parse(if self.enrols { "pre-enrollment" } else { "mfa-verification" }),
            asked: None,
            expires: None,
            user: UserId::parse(&self.user),
            client_ip: self.address.parse().ok(),
            preview: false,
        }
    }
}

fn price(message: &Message) -> u64 {
    let country = message.recipient.country().map(|country| country.to_string()).unwrap_or_default();
    let known = PRICES.iter().find(|(code, _, _)| *code == country).map(|(_, sms, voice)| (*sms, *voice));
    let (sms, voice) = known.unwrap_or(PRICE);
    if message.channel == Channel::Sms { sms } else { voice }
}

/// The same prices as settings: texts, calls.
pub fn prices() -> (BTreeMap<String, u64>, BTreeMap<String, u64>) {
    let sms = PRICES.iter().map(|(code, sms, _)| ((*code).to_owned(), *sms)).collect();
    (sms, PRICES.iter().map(|(code, _, voice)| ((*code).to_owned(), *voice)).collect())
}

pub fn dollars(micros: u64) -> String {
    format!("${}.{:02}", micros / 1_000_000, micros / 10_000 % 100)
}

/// What came of the second week.
#[derive(Debug, Default)]
pub struct Tally {
    pub genuine: u64,
    pub refused: u64,
    /// Of genuine messages.
    pub by_rule: BTreeMap<&'static str, u64>,
    /// Tried, sent, money lost, money lost without a guard.
    attacks: BTreeMap<Attack, (u64, u64, u64, u64)>,
}

impl Tally {
    pub fn refused_percent(&self) -> f64 {
        self.refused as f64 * 100.0 / self.genuine as f64
    }

    pub fn sent(&self, attack: Attack) -> u64 {
        self.attacks.get(&attack).map_or(0, |counts| counts.1)
    }

    pub fn attacks(&self) -> impl Iterator<Item = (&'static str, u64, u64, u64, u64)> {
        self.attacks.iter().map(|(attack, (tried, sent, lost, whole))| (attack.name(), *tried, *sent, *lost, *whole))
    }
}

thread_local! {
    static START: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// A wall clock that goes with the virtual one, from a Monday, midnight.
fn wall() -> Timestamp {
    let start = START.get().expect("set before the first message");
    let passed = SignedDuration::try_from(start.elapsed()).expect("in range");
    "2026-03-02T00:00:00Z".parse::<Timestamp>().expect("a date") + passed
}

/// Everything that is asked for, in order.
pub struct Week(Vec<Event>);

impl Week {
    pub fn new(people: usize, seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let mut events = people::weeks(people, &mut chance);
        events.extend(Attack::ALL.into_iter().flat_map(|attack| attack.events(&mut chance)));
        events.sort_by_key(|event| event.at);
        Self(events)
    }

    /// Plays it: a week with the defaults, then a week with these settings and the same memory.
    pub async fn play(self, settings: Settings) -> Tally {
        let start = Instant::now();
        START.set(Some(start));
        let metrics = Arc::new(Metrics::new());
        let store = Arc::new(Memory::new(2_000_000));
        let guard = |settings: Settings| {
            let config = settings.check("guard", &mut Findings::default());
            let state = State::over(Arc::clone(&store) as _, Duration::from_millis(50), Arc::clone(&metrics));
            let tools = Tools {
                store: state.store(),
                numbers: state.store(),
                pseudonyms: Pseudonyms::new(Secret::new("a key of the simulation").as_ref()).expect("key"),
                metrics: Arc::clone(&metrics),
                clock: Clock::new(wall),
            };
            Guard::new(config, &"town".into(), tools)
        };
        let (first, second) = (guard(Settings::default()), guard(settings));
        let mut tally = Tally::default();
        for event in self.0 {
            advance((start + event.at).saturating_duration_since(Instant::now())).await;
            let message = event.message();
            if event.at < GETTING_TO_KNOW {
                first.check(&message, "", Instant::now() + Duration::from_secs(1)).await;
            } else {
                tally.judge(&second, &event, &message).await;
            }
        }
        tally
    }
}

impl Tally {
    async fn judge(&mut self, guard: &Guard, event: &Event, message: &Message) {
        let verdict = guard.check(message, "", Instant::now() + Duration::from_secs(1)).await;
        let Some(attack) = event.attack else {
            self.genuine += 1;
            if let Verdict::Refuse { rule } | Verdict::Block { rule } = verdict {
                self.refused += 1;
                *self.by_rule.entry(rule.as_str()).or_default() += 1;
            }
            return;
        };
        let (tried, sent, lost, whole) = self.attacks.entry(attack).or_default();
        *tried += 1;
        *whole += price(message);
        if verdict != Verdict::Allow {
            return;
        }
        if *sent >= attack.provider_patience() {
            guard.learn(message, &refused_as_fraud(message)).await;
            return;
        }
        *sent += 1;
        *lost += price(message);
    }
}

/// What dispatch makes of it: the provider refuses, and nobody else is asked.
fn refused_as_fraud(message: &Message) -> Outcome {
    let attempt = Attempt {
        provider: ProviderName::new("a"),
        result: Err(SendError::new(FailureKind::Blocked, "60410")),
        elapsed: Duration::from_millis(150),
    };
    Outcome::of(message.channel, "default".into(), vec![attempt])
}
