//! One circuit breaker: closed = traffic flows, open = skipped, half-open = one probe.
//!
//! Must not know providers or clocks: the present moment and the jitter are handed in. Own code rather than a crate:
//! results are recorded long after the call, an attempt that was left to itself counts, and a paused clock must rule.

use std::time::Duration;

use tokio::time::Instant;

use super::ring::Ring;

/// Failures in a row that open it; Envoy's default.
const CONSECUTIVE_FAILURES: u32 = 5;

/// Results that a failure rate needs to mean anything.
const MIN_RESULTS: u32 = 20;

/// How far back results count, in buckets.
const BUCKETS: usize = 6;
const BUCKET: Duration = Duration::from_secs(5);

/// First and longest time to stay open; in between it doubles.
const FIRST_PENALTY: Duration = Duration::from_secs(1);
const LONGEST_PENALTY: Duration = Duration::from_secs(60);

/// Doublings that a refused account starts with: a person has to act first, which takes longer than a second.
const ACCOUNT_DOUBLINGS: u32 = 4;

/// Whether traffic may flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It flows.
    Closed,
    /// It does not, until then.
    Open(Instant),
    /// The penalty is over: one probe may go.
    Due,
    /// The probe is out.
    Probing,
}

/// The time between two changes of a breaker. What was begun in an earlier one says nothing about now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Era(u64);

/// The state.
#[derive(Debug)]
pub(super) struct Breaker {
    phase: Phase,
    era: Era,
    consecutive: u32,
    /// Trips since the last success; doubles the penalty.
    trips: u32,
    /// Whether it was a refused account that opened it last.
    refused: bool,
    window: Ring<Ends, BUCKETS>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Closed,
    Open { until: Instant },
    Probing,
}

#[derive(Debug, Clone, Copy, Default)]
struct Ends {
    good: u32,
    bad: u32,
}

impl Breaker {
    pub(super) fn new(now: Instant) -> Self {
        let window = Ring::new(BUCKET, now);
        Self { phase: Phase::Closed, era: Era(0), consecutive: 0, trips: 0, refused: false, window }
    }

    pub(super) fn standing(&self, now: Instant) -> Standing {
        match self.phase {
            Phase::Closed => Standing::Closed,
            Phase::Open { until } if now < until => Standing::Open(until),
            Phase::Open { .. } => Standing::Due,
            Phase::Probing => Standing::Probing,
        }
    }

    /// An attempt begins; unless traffic flows, it is the probe. `None` when it must not: a penalty is not over, or the
    /// probe is out already. As `last_resort` it must: it knows as much of the provider as a probe.
    pub(super) fn begin(&mut self, now: Instant, last_resort: bool) -> Option<Era> {
        match self.standing(now) {
            Standing::Closed => {}
            Standing::Open(_) | Standing::Probing if !last_resort => return None,
            Standing::Probing => {}
            Standing::Open(_) | Standing::Due => self.turn(Phase::Probing),
        }
        Some(self.era)
    }

    /// The attempt that began was none: the provider was not asked, and a probe is still due.
    pub(super) fn withdraw(&mut self, era: Era, now: Instant) {
        if era == self.era && self.phase == Phase::Probing {
            self.turn(Phase::Open { until: now });
        }
    }

    /// The provider answered as a provider that is well does.
    pub(super) fn succeed(&mut self, era: Era, now: Instant) {
        match self.phase {
            _ if era != self.era => {}
            Phase::Open { .. } => {}
            Phase::Closed => {
                self.window.current(now).good += 1;
                self.consecutive = 0;
            }
            Phase::Probing => {
                self.start_anew(now);
            }
        }
    }

    /// A person may have put right what the account was refused for: closes it if that is what opened it; true if so.
    pub(super) fn forgive(&mut self, now: Instant) -> bool {
        let forgiven = self.refused && self.phase != Phase::Closed;
        if forgiven {
            self.start_anew(now);
        }
        forgiven
    }

    fn start_anew(&mut self, now: Instant) {
        *self = Self { era: self.era, ..Self::new(now) };
        self.turn(Phase::Closed);
    }

    /// The provider failed; true when that opens the breaker. `jitter` lies in 0..=1 and lengthens the penalty by up to half.
    pub(super) fn fail(&mut self, era: Era, now: Instant, jitter: f64) -> bool {
        let tripped = match self.phase {
            _ if era != self.era => false,
            Phase::Probing => true,
            Phase::Open { .. } => false,
            Phase::Closed => {
                self.window.current(now).bad += 1;
                self.consecutive += 1;
                self.consecutive >= CONSECUTIVE_FAILURES || self.half_of_many(now)
            }
        };
        if tripped {
            self.refused = false;
            self.open(now, jitter, 0);
        }
        tripped
    }

    /// The provider refuses our account: opens at once; true when it was not open. Refusals of what was under way
    /// together are one.
    pub(super) fn refuse(&mut self, era: Era, now: Instant, jitter: f64) -> bool {
        match self.phase {
            // A person has to act, however it was opened: that counts whenever it was begun.
            Phase::Open { until } => {
                self.phase = Phase::Open { until: until.max(now + penalty(ACCOUNT_DOUBLINGS, jitter)) };
                self.trips = self.trips.max(ACCOUNT_DOUBLINGS + 1);
                false
            }
            Phase::Closed | Phase::Probing if era != self.era => false,
            Phase::Closed | Phase::Probing => {
                self.refused = true;
                self.open(now, jitter, ACCOUNT_DOUBLINGS);
                true
            }
        }
    }

    fn open(&mut self, now: Instant, jitter: f64, least_doublings: u32) {
        let doublings = self.trips.max(least_doublings).min(6);
        self.trips = doublings + 1;
        self.turn(Phase::Open { until: now + penalty(doublings, jitter) });
    }

    fn turn(&mut self, phase: Phase) {
        self.phase = phase;
        self.era.0 += 1;
    }

    fn half_of_many(&self, now: Instant) -> bool {
        let (good, bad) = self.window.recent(now).fold((0, 0), |(good, bad), e| (good + e.good, bad + e.bad));
        good + bad >= MIN_RESULTS && bad >= good
    }
}

fn penalty(doublings: u32, jitter: f64) -> Duration {
    (FIRST_PENALTY * 2_u32.pow(doublings)).mul_f64(1.0 + jitter / 2.0).min(LONGEST_PENALTY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open_for(breaker: &Breaker, now: Instant) -> u128 {
        match breaker.standing(now) {
            Standing::Open(until) => until.duration_since(now).as_millis(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn five_failures_in_a_row_open_it_and_a_good_probe_closes_it() {
        let start = Instant::now();
        let mut breaker = Breaker::new(start);
        for _ in 0..4 {
            assert!(!breaker.fail(breaker.era, start, 0.0));
        }
        breaker.succeed(breaker.era, start);
        for n in 1..=5 {
            assert_eq!(breaker.fail(breaker.era, start, 0.0), n == 5);
        }
        assert_eq!(open_for(&breaker, start), 1000);
        let later = start + Duration::from_secs(1);
        assert_eq!(breaker.standing(later), Standing::Due);
        let probe = breaker.begin(later, false).expect("the probe");
        assert_eq!(breaker.standing(later), Standing::Probing);
        assert_eq!(breaker.begin(later, false), None, "one probe");
        breaker.succeed(probe, later);
        assert_eq!(breaker.standing(later), Standing::Closed);
    }

    #[test]
    fn each_failed_probe_doubles_the_penalty_up_to_a_minute() {
        let mut now = Instant::now();
        let mut breaker = Breaker::new(now);
        for n in 1..=5 {
            assert_eq!(breaker.fail(breaker.era, now, 0.0), n == 5);
        }
        for expected in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert_eq!(open_for(&breaker, now), expected * 1000);
            now += Duration::from_secs(61);
            let probe = breaker.begin(now, false).expect("the probe");
            assert!(breaker.fail(probe, now, 0.0));
        }
    }

    #[test]
    fn jitter_lengthens_a_penalty_by_up_to_half() {
        for (jitter, expected) in [(0.0, 1000), (0.5, 1250), (1.0, 1500)] {
            let now = Instant::now();
            let mut breaker = Breaker::new(now);
            for n in 1..=5 {
                assert_eq!(breaker.fail(breaker.era, now, jitter), n == 5);
            }
            assert_eq!(open_for(&breaker, now), expected);
        }
    }

    #[test]
    fn half_of_twenty_in_thirty_seconds_open_it() {
        let start = Instant::now();
        let mut breaker = Breaker::new(start);
        for n in 0..19 {
            if n % 2 == 0 {
                assert!(!breaker.fail(breaker.era, start, 0.0), "result {n}");
            } else {
                breaker.succeed(breaker.era, start);
            }
        }
        assert!(breaker.fail(breaker.era, start, 0.0), "the twentieth");

        // The same results, spread so that never twenty lie within thirty seconds.
        let mut breaker = Breaker::new(start);
        for n in 0..40_u32 {
            let now = start + Duration::from_secs(2) * n;
            assert!(n % 2 != 0 || !breaker.fail(breaker.era, now, 0.0), "result {n}");
            if n % 2 != 0 {
                breaker.succeed(breaker.era, now);
            }
        }
    }

    #[test]
    fn what_was_begun_before_it_opened_says_nothing_of_now() {
        let start = Instant::now();
        let mut breaker = Breaker::new(start);
        let stale = breaker.begin(start, false).expect("traffic flows");
        for _ in 0..5 {
            breaker.fail(stale, start, 0.0);
        }
        breaker.succeed(stale, start);
        assert_eq!(open_for(&breaker, start), 1000);
        let later = start + Duration::from_secs(1);
        let probe = breaker.begin(later, false).expect("the probe");
        breaker.succeed(stale, later);
        breaker.withdraw(stale, later);
        assert!(!breaker.fail(stale, later, 0.0) && !breaker.refuse(stale, later, 0.0));
        assert_eq!(breaker.standing(later), Standing::Probing, "the probe alone decides");
        breaker.succeed(probe, later);
        assert!((0..30).all(|_| !breaker.fail(stale, later, 0.0)) && !breaker.refuse(stale, later, 0.0));
        assert_eq!(breaker.standing(later), Standing::Closed);
    }

    #[test]
    fn who_is_asked_as_nobody_else_is_left_serves_as_the_probe() {
        let now = Instant::now();
        let mut breaker = Breaker::new(now);
        breaker.refuse(breaker.era, now, 0.0);
        assert_eq!(breaker.begin(now, false), None);
        let era = breaker.begin(now, true).expect("somebody is always asked");
        assert_eq!(breaker.begin(now, true), Some(era), "and however many ask");
        breaker.succeed(era, now);
        assert_eq!(breaker.standing(now), Standing::Closed);
        assert!(!breaker.fail(era, now, 0.0), "the first of them has decided");

        let mut breaker = Breaker::new(now);
        breaker.refuse(breaker.era, now, 0.0);
        let era = breaker.begin(now, true).expect("somebody is always asked");
        assert_eq!([breaker.fail(era, now, 0.0), breaker.fail(era, now, 0.0)], [true, false]);
        assert_eq!(open_for(&breaker, now), 32_000, "failures together lengthen the penalty once");
    }

    #[test]
    fn a_probe_that_did_not_ask_is_still_due() {
        let start = Instant::now();
        let mut breaker = Breaker::new(start);
        breaker.withdraw(breaker.era, start);
        assert_eq!(breaker.standing(start), Standing::Closed);
        breaker.refuse(breaker.era, start, 0.0);
        let later = start + Duration::from_secs(16);
        let probe = breaker.begin(later, false).expect("the probe");
        breaker.withdraw(probe, later);
        assert_eq!(breaker.standing(later), Standing::Due);
    }

    #[test]
    fn a_refused_account_opens_it_at_once() {
        let now = Instant::now();
        let mut breaker = Breaker::new(now);
        assert!(breaker.refuse(breaker.era, now, 0.0));
        assert_eq!(open_for(&breaker, now), 16_000);
        assert!(!breaker.refuse(breaker.era, now, 0.0), "told once");
    }

    #[test]
    fn what_a_refused_account_has_opened_can_be_forgiven_and_an_outage_cannot() {
        let now = Instant::now();
        let mut breaker = Breaker::new(now);
        assert!(!breaker.forgive(now), "closed");
        breaker.refuse(breaker.era, now, 0.0);
        let probe = breaker.begin(now, true).expect("a last resort");
        assert!(breaker.forgive(now), "and the probe that is out");
        assert!(!breaker.refuse(probe, now, 0.0) && !breaker.forgive(now), "which says nothing of now");
        assert_eq!(breaker.standing(now), Standing::Closed);
        breaker.refuse(breaker.era, now, 0.0);
        assert_eq!(open_for(&breaker, now), 16_000, "as for the first time");

        let probe = breaker.begin(now, true).expect("a last resort");
        breaker.fail(probe, now, 0.0);
        assert!(!breaker.forgive(now), "it is down now");
        let mut breaker = Breaker::new(now);
        for _ in 0..5 {
            breaker.fail(breaker.era, now, 0.0);
        }
        breaker.refuse(breaker.era, now, 0.0);
        assert!(!breaker.forgive(now), "it was down before it refused anybody");
        assert_eq!(open_for(&breaker, now), 16_000);
    }

    #[test]
    fn refusals_of_what_was_under_way_together_are_one() {
        let start = Instant::now();
        let mut breaker = Breaker::new(start);
        for millis in [0, 5, 10] {
            breaker.refuse(breaker.era, start + Duration::from_millis(millis), 0.0);
        }
        assert_eq!(open_for(&breaker, start), 16_010);
        let later = start + Duration::from_secs(20);
        let probe = breaker.begin(later, false).expect("the probe");
        assert!(breaker.refuse(probe, later, 0.0), "the probe");
        assert_eq!(open_for(&breaker, later), 32_000);

        let mut breaker = Breaker::new(start);
        for _ in 0..5 {
            breaker.fail(breaker.era, start, 0.0);
        }
        breaker.refuse(breaker.era, start, 0.0);
        assert_eq!(open_for(&breaker, start), 16_000, "a person has to act, however it was opened");
        let probe = breaker.begin(later, false).expect("the probe");
        breaker.fail(probe, later, 0.0);
        assert_eq!(open_for(&breaker, later), 32_000, "and what follows goes on from there");
    }
}
