//! Every fault of one provider beside every fault of the next, over both channels, under every policy: what must hold
//! holds in all of them. On a paused clock, each case in milliseconds.

use okta_telephony_hook::otp::FailureKind;

use crate::support::okta::{self, Understood, understand};
use crate::support::stub::{Act, Stage};

const FAULTS: [Act; 17] = [
    Act::Accept(300),
    Act::Accept(900),
    Act::Accept(1500),
    Act::Accept(4000),
    Act::Hang,
    Act::Panic,
    Act::Unreached(2),
    Act::Unreached(400),
    Act::Fail(5, FailureKind::Unavailable),
    Act::Fail(400, FailureKind::Unavailable),
    Act::Fail(30, FailureKind::Throttled),
    Act::Fail(30, FailureKind::Account),
    Act::Fail(30, FailureKind::Rejected),
    Act::Fail(30, FailureKind::Recipient),
    Act::Fail(30, FailureKind::Blocked),
    Act::Fail(20, FailureKind::Unconfirmed),
    Act::Fail(1000, FailureKind::Unconfirmed),
];

/// What a transcript says of one message.
#[derive(Debug, Default)]
struct Ledger {
    asked: Vec<(u64, String)>,
    /// Of those that were asked.
    unreached: usize,
    accepted: Vec<u64>,
    refused: Vec<u64>,
    doubts: Vec<u64>,
    answers: Vec<u64>,
}

impl Ledger {
    fn read(transcript: &[String]) -> Self {
        let mut ledger = Self::default();
        for line in transcript {
            let (ms, what) = line.split_once(' ').expect("time");
            let ms: u64 = ms.parse().expect("milliseconds");
            match what.rsplit(' ').next().expect("word") {
                "asked" => ledger.asked.push((ms, what.to_owned())),
                "reached" => ledger.unreached += 1,
                "accepts" => ledger.accepted.push(ms),
                "recipient" | "blocked" => ledger.refused.push(ms),
                "unconfirmed" | "panics" => ledger.doubts.push(ms),
                "200" => ledger.answers.push(ms),
                _ => {}
            }
        }
        ledger
    }

    /// What reached a provider.
    fn calls(&self) -> usize {
        self.asked.len() - self.unreached
    }

    fn copies(&self) -> usize {
        self.accepted.len()
    }
}

/// Whether `act` leaves a doubt, as seen by someone who waits no longer than `limit` milliseconds.
fn doubtful(act: Act, limit: u64) -> bool {
    match act {
        Act::Accept(ms) | Act::PrepareAndAccept(ms) => ms > limit,
        Act::Hang | Act::Panic => true,
        Act::Prepare | Act::Unfit | Act::Unreached(_) => false,
        Act::Fail(_, kind) => kind == FailureKind::Unconfirmed,
    }
}

fn goes_on(act: Act) -> bool {
    use FailureKind::{Account, Rejected, Throttled, Unavailable};
    matches!(act, Act::Unreached(_) | Act::Fail(_, Account | Rejected | Throttled | Unavailable))
}

/// One case: what `a` and `b` do, the channel, and the policy.
#[derive(Debug, Clone, Copy)]
struct Case {
    a: Act,
    b: Act,
    voice: bool,
    /// Whether the policy goes on after a doubt.
    next: bool,
    /// The attempt time-out in milliseconds.
    limit: u64,
}

fn check(case: Case, understood: &Understood, ledger: &Ledger) {
    let Case { a, b, voice, next, limit } = case;
    let answer = ledger.answers[0];
    assert_eq!(ledger.answers.len(), 1, "INV1: one answer");
    assert!(answer <= 2600, "INV1: in time");
    let accepted_before = ledger.accepted.iter().any(|at| *at <= answer);
    let blocked = [a, b].iter().any(|act| matches!(act, Act::Fail(_, FailureKind::Blocked)));
    match understood {
        Understood::Command(status, ..) if status == "SUCCESSFUL" => {
            assert!(accepted_before || blocked, "INV2: success without acceptance");
        }
        Understood::Command(..) => assert!(!accepted_before, "an acceptance was not told"),
        Understood::Error(_) => {
            assert!(!accepted_before, "INV3: error after acceptance");
            assert!(ledger.doubts.iter().all(|at| *at > answer), "INV3: error with a doubt");
        }
    }
    assert!(ledger.calls() <= 2, "INV4");
    if doubtful(a, limit) && !next {
        assert_eq!(ledger.asked.len(), 1, "INV4: a second send after a doubt although the policy says stop");
    }
    if voice && !next {
        assert!(ledger.copies() <= 1 || !doubtful(a, limit), "INV4: two calls");
    }
    if let Some(refused) = ledger.refused.first() {
        assert!(ledger.asked.iter().all(|(at, _)| at <= refused), "INV7: asked after a refusal");
    }
    let b_is_well = matches!(b, Act::Accept(ms) if ms <= 900);
    if goes_on(a) && b_is_well {
        assert_eq!(ledger.copies(), 1, "INV8: the second provider was well and nobody got a code");
        assert!(accepted_before);
    }
    if matches!(a, Act::Accept(ms) if ms <= limit) {
        assert_eq!((ledger.copies(), ledger.asked.len()), (1, 1), "the first provider was well");
    }
    if doubtful(a, limit) && next && b_is_well {
        assert!(ledger.copies() >= 1, "INV8: a doubt, and the second provider was well");
    }
}

#[tokio::test(start_paused = true)]
async fn what_must_hold_holds_for_every_pair_of_faults() {
    let mut cases = 0;
    for a in FAULTS {
        for b in FAULTS {
            for voice in [false, true] {
                for (next, word) in [(true, "next"), (false, "stop")] {
                    for limit in [1200, 700] {
                        let case = Case { a, b, voice, next, limit };
                        let org = format!(
                            "attempt_timeout = '{limit}ms'\nmin_attempt = '300ms'\nafter_unconfirmed = {{ sms = '{word}', voice = '{word}' }}"
                        );
                        let stage = Stage::new(&org, &[("a", &[a]), ("b", &[b])]);
                        let make = if voice { okta::voice } else { okta::sms };
                        let reply = stage.call(&make("+15005550010", "482913")).await;
                        assert_eq!(reply.status, 200);
                        stage.tasks.close();
                        stage.tasks.wait().await;
                        let transcript = stage.transcript();
                        let ledger = Ledger::read(&transcript);
                        let understood = understand(&reply.body);
                        let check = || check(case, &understood, &ledger);
                        let held = std::panic::catch_unwind(std::panic::AssertUnwindSafe(check));
                        assert!(held.is_ok(), "{case:?}: {understood:?} {transcript:#?}");
                        cases += 1;
                    }
                }
            }
        }
    }
    assert_eq!(cases, FAULTS.len().pow(2) * 2 * 2 * 2);
}

#[tokio::test(start_paused = true)]
async fn a_third_provider_is_called_only_after_two_calls_that_cannot_have_worked() {
    for a in FAULTS {
        for b in FAULTS {
            for limit in [1200, 700] {
                let org = format!("attempt_timeout = '{limit}ms'\nmin_attempt = '300ms'");
                let stage = Stage::new(&org, &[("a", &[a]), ("b", &[b]), ("c", &[Act::Accept(200)])]);
                stage.call(&okta::another_sms()).await;
                stage.tasks.close();
                stage.tasks.wait().await;
                let transcript = stage.transcript();
                let ledger = Ledger::read(&transcript);
                let in_doubt = [a, b].iter().any(|act| doubtful(*act, limit));
                assert!(ledger.calls() <= if in_doubt { 2 } else { 3 }, "INV4: {a:?} {b:?} {transcript:#?}");
                let unreached = [a, b].iter().filter(|act| matches!(act, Act::Unreached(_))).count();
                let others_go_on = [a, b].iter().all(|act| goes_on(*act) || doubtful(*act, limit));
                if unreached > 0 && others_go_on {
                    assert!(ledger.copies() >= 1, "INV8: c was well and free to be asked: {a:?} {b:?} {transcript:#?}");
                }
            }
        }
    }
}
