//! New numbers side by side, and what providers call fraud.

use std::time::Duration;

use tokio::time::advance;

use super::{DAY, HOUR, MINUTE, Mode, Settings, Watch, message};
use crate::otp::{Attempt, Channel, FailureKind, Message, Outcome, ProviderName, SendError};

fn prefix_enforced(settings: &mut Settings) {
    settings.per_prefix.mode = Some(Mode::Enforce);
    settings.per_phone.mode = Some(Mode::Off);
}

#[tokio::test(start_paused = true)]
async fn the_fifth_new_number_of_a_prefix_blocks_it_for_an_hour_then_two_then_twelve() {
    let watch = Watch::new(prefix_enforced);
    let mut blocked_hours = Vec::new();
    let mut next = (0..).map(|n: u32| format!("+44740012{:04}", n * 1237 % 10_000));
    for _ in 0..6 {
        for number in next.by_ref().take(4) {
            assert_eq!(watch.stops(&message(&number)).await, None);
        }
        assert_eq!(watch.stops(&message(&next.next().expect("endless"))).await, Some("prefix"));
        assert_eq!(watch.stops(&message("+447400115555")).await, None, "the prefix beside it");
        let mut hours = 0;
        // Always a new number: one that is known would not be blocked.
        while watch.stops(&message(&next.next().expect("endless"))).await.is_some() {
            advance(HOUR).await;
            hours += 1;
        }
        blocked_hours.push(hours);
        advance(11 * MINUTE).await;
    }
    assert_eq!(blocked_hours, [1, 2, 4, 8, 12, 12]);
}

#[tokio::test(start_paused = true)]
async fn four_in_a_row_block_their_thousand_and_then_the_ten_thousand() {
    let watch = Watch::new(prefix_enforced);
    for number in ["+447400123100", "+447400123102", "+447400123103"] {
        assert_eq!(watch.stops(&message(number)).await, None);
    }
    assert_eq!(watch.stops(&message("+447400123101")).await, Some("sequence"));
    assert_eq!(watch.stops(&message("+447400123999")).await, Some("sequence"), "the thousand");
    // The run moves on: now its ten thousand go.
    assert_eq!(watch.stops(&message("+447400124000")).await, Some("prefix"));
    assert_eq!(watch.stops(&message("+447400129999")).await, Some("prefix"));
    assert_eq!(watch.stops(&message("+447400133000")).await, None);
}

#[tokio::test(start_paused = true)]
async fn numbers_here_and_there_block_their_ten_thousand() {
    let watch = Watch::new(prefix_enforced);
    for number in ["+447400121000", "+447400123000", "+447400125000", "+447400127000"] {
        assert_eq!(watch.stops(&message(number)).await, None);
    }
    assert_eq!(watch.stops(&message("+447400129000")).await, Some("prefix"));
    // Those five are counted no more, and what they have blocked is.
    advance(11 * MINUTE).await;
    assert_eq!(watch.stops(&message("+447400122000")).await, Some("prefix"), "another thousand");
}

#[tokio::test(start_paused = true)]
async fn numbers_long_known_may_stand_side_by_side() {
    let watch = Watch::new(prefix_enforced);
    let number = |n: u32| format!("+44740012{n:04}");
    for n in 0..20 {
        assert_eq!(watch.stops(&message(&number(n))).await, None);
        advance(5 * MINUTE).await;
    }
    advance(DAY).await;
    for n in 0..20 {
        assert_eq!(watch.stops(&message(&number(n))).await, None, "{n}");
    }
}

fn outcome(kind: FailureKind) -> Outcome {
    of(SendError::new(kind, "60410"))
}

fn of(error: SendError) -> Outcome {
    let attempt = Attempt { provider: ProviderName::new("a"), result: Err(error), elapsed: Duration::from_millis(100) };
    Outcome::of(Channel::Sms, "r".into(), vec![attempt])
}

#[tokio::test(start_paused = true)]
async fn what_a_provider_calls_fraud_is_blocked_with_its_neighbours_for_twelve_hours() {
    let watch = Watch::new(|_| {});
    for kind in FailureKind::ALL {
        if kind != FailureKind::Blocked {
            watch.guard.learn(&message("+447400123456"), &outcome(kind)).await;
        }
    }
    let preview = Message { preview: true, ..message("+447400123456") };
    watch.guard.learn(&preview, &outcome(FailureKind::Blocked)).await;
    let number_alone = SendError { number_alone: true, ..SendError::new(FailureKind::Blocked, "21216") };
    watch.guard.learn(&message("+447400123456"), &of(number_alone)).await;
    assert_eq!(watch.stops(&message("+447400123456")).await, None);
    watch.guard.learn(&message("+447400123456"), &outcome(FailureKind::Blocked)).await;
    assert_eq!(watch.stops(&message("+447400129999")).await, Some("provider_fraud"));
    assert_eq!(watch.stops(&message("+447400139999")).await, None);
    advance(12 * HOUR).await;
    assert_eq!(watch.stops(&message("+447400129999")).await, None);
}

#[tokio::test(start_paused = true)]
async fn people_long_known_do_not_pay_for_a_neighbour() {
    let watch = Watch::new(|_| {});
    let (known, accused) = (message("+447400120001"), message("+447400120777"));
    assert_eq!((watch.stops(&known).await, watch.stops(&accused).await), (None, None));
    advance(DAY).await;
    watch.guard.learn(&accused, &outcome(FailureKind::Blocked)).await;
    assert_eq!(watch.stops(&known).await, None);
    assert_eq!(watch.stops(&accused).await, Some("provider_fraud"), "known, and refused itself");
    assert_eq!(watch.stops(&message("+447400120002")).await, Some("provider_fraud"));
}

#[tokio::test(start_paused = true)]
async fn a_number_stays_known_while_it_is_used_and_is_forgotten_after_a_month() {
    let watch = Watch::new(prefix_enforced);
    let number = |n: u32| message(&format!("+44740012{n:04}"));
    let morning = async || {
        let mut passed = Vec::new();
        for n in 0..6 {
            passed.push(watch.stops(&number(n)).await.is_none());
        }
        passed
    };
    for n in 0..6 {
        watch.stops(&number(n)).await;
        advance(11 * MINUTE).await;
    }
    for _ in 0..10 {
        advance(9 * DAY).await;
        assert_eq!(morning().await, [true; 6]);
    }
    advance(31 * DAY).await;
    assert_eq!(morning().await, [true, true, true, false, false, false]);
}
