//! From one provider to the next inside one deadline: scripts and transcripts on a paused clock.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use okta_telephony_hook::deadline::Clock;
use okta_telephony_hook::otp::FailureKind::{
    Account, Blocked, Recipient, Rejected, Throttled, Unavailable, Unconfirmed,
};
use tokio::time::Instant;

use crate::support::okta::{self, Understood, understand};
use crate::support::stub::{Act, Stage};

#[tokio::test(start_paused = true)]
async fn a_certain_failure_goes_to_the_next_provider_at_once() {
    let stage = Stage::new("", &[("a", &[Act::Fail(40, Unavailable)]), ("b", &[Act::Accept(200)])]);
    let reply = stage.call(&okta::sms("+15005550010", "482913")).await;
    assert_eq!(
        understand(&reply.body),
        Understood::Command("SUCCESSFUL".into(), Some("b".into()), Some("id-b".into()))
    );
    assert_eq!(
        stage.transcript(),
        ["0 a asked", "40 a unavailable", "40 b asked", "240 b accepts", "240 Okta hears 200"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_text_in_doubt_goes_to_the_next_provider_and_a_call_does_not() {
    let stage = Stage::new("", &[("a", &[Act::Hang]), ("b", &[Act::Accept(200)])]);
    stage.call(&okta::sms("+15005550010", "482913")).await;
    assert_eq!(stage.transcript(), ["0 a asked", "1200 b asked", "1400 b accepts", "1400 Okta hears 200"]);

    let stage = Stage::new("", &[("a", &[Act::Hang]), ("b", &[])]);
    let reply = stage.call(&okta::voice("+15005550010", "482913")).await;
    assert_eq!(understand(&reply.body), Understood::Command("PENDING".into(), Some("a".into()), None));
    assert_eq!(stage.transcript(), ["0 a asked", "2575 Okta hears 200"]);
}

// In real time: a paused clock wakes nobody late.
#[tokio::test]
async fn when_the_wait_leaves_just_enough_time_for_the_next_provider_it_is_asked() {
    for org in ["budget = '1500ms'", "attempt_timeout = '2090ms'"] {
        let mut heard = Vec::new();
        // A machine that is busy with other tests may wake us too late, but not time and again.
        while heard.len() < 5 && !heard.contains(&Some("b".to_owned())) {
            let stage = Stage::new(org, &[("a", &[Act::Hang]), ("b", &[Act::Accept(10)])]);
            let reply = stage.call(&okta::another_sms()).await;
            heard.push(match understand(&reply.body) {
                Understood::Command(status, by, _) if status == "SUCCESSFUL" => by,
                _ => None,
            });
        }
        assert_eq!(heard.last(), Some(&Some("b".to_owned())), "{org}: {heard:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_every_provider_would_refuse_is_asked_once() {
    for kind in [Recipient, Blocked] {
        let stage = Stage::new("", &[("a", &[Act::Fail(40, kind)]), ("b", &[])]);
        stage.call(&okta::sms("+15005550010", "482913")).await;
        assert_eq!(stage.transcript().len(), 3, "{:?}", stage.transcript());
    }
}

#[tokio::test(start_paused = true)]
async fn providers_that_cannot_take_the_message_count_for_nothing() {
    let unfit: &[Act] = &[Act::Unfit];
    let stage = Stage::new("", &[("a", unfit), ("b", unfit), ("c", unfit), ("d", &[Act::Accept(10)])]);
    let reply = stage.call(&okta::another_sms()).await;
    assert!(matches!(understand(&reply.body), Understood::Command(_, Some(by), _) if by == "d"));

    let doubt = [Act::Fail(10, Unconfirmed)];
    let stage = Stage::new("", &[("a", unfit), ("b", &doubt), ("c", &doubt), ("d", &[])]);
    let reply = stage.call(&okta::another_sms()).await;
    assert_eq!(understand(&reply.body), Understood::Command("PENDING".into(), Some("c".into()), None));
    assert!(stage.unused().is_empty(), "{:?}", stage.transcript());
}

#[tokio::test(start_paused = true)]
async fn going_past_providers_that_cannot_take_a_message_uses_no_failover_up() {
    // Some 140 failovers are allowed in that time.
    let stage = Stage::new("", &[("a", &[Act::Unfit; 200]), ("b", &[Act::Accept(10); 200])]);
    for _ in 0..200 {
        let reply = stage.call(&okta::another_sms()).await;
        assert!(matches!(understand(&reply.body), Understood::Command(_, Some(by), _) if by == "b"));
    }
    assert_eq!(stage.metrics.failovers_refused.get(), 0);

    // The same when the one that cannot take it comes last. All in one moment: the breaker has no time to open.
    let stage = Stage::new("okta_concurrency = 1000", &[("a", &[Act::Unreached(100); 200]), ("b", &[Act::Unfit; 200])]);
    let hooks: Vec<_> = (0..200).map(|_| okta::another_sms()).collect();
    let _ = futures_util::future::join_all(hooks.iter().map(|hook| stage.call(hook))).await;
    assert_eq!(stage.metrics.failovers_refused.get(), 0);
    assert!(stage.unused().is_empty(), "{:?}", stage.unused());

    // A failover to who was asked and failed is not given back.
    let scripts: [(&str, &[Act]); 2] = [("a", &[Act::Unreached(100); 200]), ("b", &[Act::Fail(1, Rejected); 140])];
    let stage = Stage::new("okta_concurrency = 1000", &scripts);
    let _ = futures_util::future::join_all(hooks.iter().map(|hook| stage.call(hook))).await;
    assert_eq!(stage.metrics.failovers_refused.get(), 60);
    assert!(stage.unused().is_empty(), "{:?}", stage.unused());
}

#[tokio::test(start_paused = true)]
async fn what_one_provider_rejects_goes_to_the_next_however_often() {
    // Its breaker never opens: it is well.
    let stage = Stage::new("", &[("a", &[Act::Fail(1, Rejected); 200]), ("b", &[Act::Accept(1); 200])]);
    for _ in 0..200 {
        let reply = stage.call(&okta::another_sms()).await;
        assert!(matches!(understand(&reply.body), Understood::Command(_, Some(by), _) if by == "b"));
    }
    assert_eq!(stage.metrics.failovers_refused.get(), 0);

    // What fails beside it does open one, and so counts.
    let stage = Stage::new(
        "okta_concurrency = 1000",
        &[("a", &[Act::Fail(1, Rejected); 150]), ("b", &[Act::Unreached(100); 150]), ("c", &[Act::Accept(1); 130])],
    );
    let hooks: Vec<_> = (0..150).map(|_| okta::another_sms()).collect();
    let _ = futures_util::future::join_all(hooks.iter().map(|hook| stage.call(hook))).await;
    assert_eq!(stage.metrics.failovers_refused.get(), 20);
    assert!(stage.unused().is_empty(), "{:?}", stage.unused());
}

#[tokio::test(start_paused = true)]
async fn who_is_better_not_asked_is_asked_when_nobody_else_takes_the_message() {
    let failures = [&[Act::Fail(1, Unavailable); 5][..], &[Act::Accept(1)]].concat();
    let stage = Stage::new("", &[("a", &[Act::Unfit; 6]), ("b", &failures)]);
    for _ in 0..5 {
        stage.call(&okta::another_sms()).await;
    }
    let reply = stage.call(&okta::another_sms()).await;
    assert!(matches!(understand(&reply.body), Understood::Command(_, Some(by), _) if by == "b"));
    assert!(stage.unused().is_empty(), "{:?}", stage.transcript());
    assert_eq!(stage.shared.recent.list()[0].skipped, [""; 0], "who was asked was not skipped");
}

#[tokio::test(start_paused = true)]
async fn who_asked_for_a_pause_is_not_asked_until_it_is_over() {
    let stage = Stage::new("", &[("a", &[Act::Fail(10, Throttled), Act::Accept(10)]), ("b", &[Act::Accept(10); 2])]);
    stage.call(&okta::another_sms()).await;
    stage.call(&okta::another_sms()).await;
    assert_eq!(stage.shared.recent.list()[0].skipped, ["a paced"]);
    tokio::time::advance(Duration::from_secs(1)).await;
    stage.call(&okta::another_sms()).await;
    assert!(stage.unused().is_empty(), "{:?}", stage.transcript());
}

#[tokio::test(start_paused = true)]
async fn nobody_is_probed_by_a_message_that_has_no_time_for_another_attempt() {
    let org = "budget = '1500ms'\nattempt_timeout = '1200ms'\nmin_attempt = '800ms'";
    let stage = Stage::new(org, &[("a", &[Act::Fail(1, Unavailable); 5]), ("b", &[Act::Accept(1); 6])]);
    for _ in 0..5 {
        stage.call(&okta::another_sms()).await;
    }
    tokio::time::advance(Duration::from_secs(2)).await;
    stage.call(&okta::another_sms()).await;
    assert!(stage.unused().is_empty(), "{:?}", stage.transcript());
}

#[tokio::test(start_paused = true)]
async fn a_message_that_a_provider_cannot_take_takes_no_place_from_another() {
    let rest = "[providers.a.limits]\nmax_per_second = 1";
    let script = [Act::Unfit, Act::Unfit, Act::Accept(1)];
    let stage = Stage::new(rest, &[("a", &script), ("b", &[Act::Accept(1); 2])]);
    for _ in 0..3 {
        stage.call(&okta::another_sms()).await;
    }
    assert!(stage.unused().is_empty(), "{:?}", stage.transcript());
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_cannot_take_the_message_says_nothing_of_the_provider() {
    let script = [&[Act::Fail(10, Unavailable); 5][..], &[Act::Unfit, Act::Fail(10, Unavailable)]].concat();
    let stage = Stage::new("", &[("a", &script), ("b", &[Act::Accept(10); 8])]);
    for _ in 0..5 {
        stage.call(&okta::another_sms()).await;
    }
    tokio::time::advance(Duration::from_secs(2)).await;
    // Unfit, the failed probe, and one who finds the breaker open again.
    for _ in 0..3 {
        let reply = stage.call(&okta::another_sms()).await;
        assert!(matches!(understand(&reply.body), Understood::Command(_, Some(by), _) if by == "b"));
    }
    assert!(stage.unused().is_empty(), "{:?}", stage.transcript());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_comes_while_the_next_one_is_asked_is_final_too() {
    for (kind, expected) in [(Recipient, "refused"), (Blocked, "blocked")] {
        let (late, failed) = ([Act::Fail(1300, kind)], [Act::Fail(200, Unavailable)]);
        let stage = Stage::new("", &[("a", &late), ("b", &failed), ("c", &[])]);
        let reply = stage.call(&okta::sms("+15005550010", "482913")).await;
        let refusal = format!("1300 a {}", kind.as_str());
        assert_eq!(
            stage.transcript(),
            ["0 a asked", "1200 b asked", &refusal, "1400 b unavailable", "1400 Okta hears 200"]
        );
        let told = String::from_utf8_lossy(&reply.body).into_owned();
        assert_eq!(told.contains("SUCCESSFUL"), expected == "blocked", "{told}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_comes_while_the_next_one_prepares_does_not_stop_it_and_a_refusal_does() {
    for (kind, last) in [(Unavailable, "1400 Okta hears 200"), (Recipient, "1300 Okta hears 200")] {
        let late = [Act::Fail(1300, kind)];
        let stage = Stage::new("", &[("a", &late), ("b", &[Act::PrepareAndAccept(200)]), ("c", &[])]);
        stage.call(&okta::another_sms()).await;
        let (transcript, is_sent) = (stage.transcript(), kind == Unavailable);
        assert_eq!(transcript.last().map(String::as_str), Some(last), "{transcript:?}");
        assert_eq!(transcript.contains(&"1400 b accepts".to_owned()), is_sent, "{transcript:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_doubt_that_turns_out_to_be_none_frees_its_place_for_the_third() {
    let (late, failed) = ([Act::Fail(1300, Unavailable)], [Act::Fail(10, Unavailable)]);
    let stage = Stage::new("", &[("a", &late), ("b", &failed), ("c", &[Act::Accept(100)])]);
    let reply = stage.call(&okta::another_sms()).await;
    assert!(matches!(understand(&reply.body), Understood::Command(_, Some(by), _) if by == "c"));
    assert_eq!(
        stage.transcript()[2..],
        ["1210 b unavailable", "1300 a unavailable", "1300 c asked", "1400 c accepts", "1400 Okta hears 200"]
    );
}

#[tokio::test(start_paused = true)]
async fn while_one_is_in_doubt_the_third_is_not_asked() {
    let failed = [Act::Fail(10, Unavailable)];
    for (act, heard) in [(Act::Hang, "2575"), (Act::Accept(1300), "1300"), (Act::Fail(1300, Recipient), "1300")] {
        let stage = Stage::new("", &[("a", &[act]), ("b", &failed), ("c", &[])]);
        stage.call(&okta::another_sms()).await;
        assert_eq!(stage.transcript().last(), Some(&format!("{heard} Okta hears 200")), "{:?}", stage.transcript());
    }
    // Nor when too little time is left.
    let stage = Stage::new("", &[("a", &[Act::Fail(2100, Unavailable)]), ("b", &failed), ("c", &[])]);
    let reply = stage.call(&okta::another_sms()).await;
    assert!(matches!(understand(&reply.body), Understood::Error(_)));
    assert_eq!(stage.transcript().last().map(String::as_str), Some("2100 Okta hears 200"));
}

#[tokio::test(start_paused = true)]
async fn who_only_prepares_when_nobody_waits_any_more_has_failed_for_certain() {
    let failed = [Act::Fail(10, Unavailable)];
    let stage = Stage::new("", &[("a", &[Act::Prepare]), ("b", &failed), ("c", &[Act::Accept(100)])]);
    let reply = stage.call(&okta::another_sms()).await;
    assert!(matches!(understand(&reply.body), Understood::Command(_, Some(by), _) if by == "c"));
    assert_eq!(stage.transcript()[2..4], ["1210 b unavailable", "1210 c asked"]);
    assert!(stage.tasks.is_empty(), "nobody is left to itself");

    let stage = Stage::new("", &[("a", &[Act::Prepare])]);
    let reply = stage.call(&okta::another_sms()).await;
    assert!(matches!(understand(&reply.body), Understood::Error(_)), "nothing was sent, and Okta may");
    assert_eq!(stage.metric("okta_hook_attempts_total{provider=\"a\",channel=\"sms\",kind=\"unavailable\"}"), 1.0);

    let stage = Stage::new("", &[("a", &[Act::Prepare; 5]), ("b", &[Act::Accept(10); 6])]);
    for _ in 0..6 {
        stage.call(&okta::another_sms()).await;
    }
    assert!(stage.unused().is_empty(), "its breaker opens: {:?}", stage.transcript());
}

#[tokio::test(start_paused = true)]
async fn who_only_prepares_when_another_accepts_is_neither_praised_nor_blamed() {
    let late: &[Act] = &[Act::Accept(1300); 6];
    let stage = Stage::new("", &[("a", late), ("b", &[Act::Prepare; 6])]);
    for _ in 0..4 {
        let reply = stage.call(&okta::another_sms()).await;
        assert!(matches!(understand(&reply.body), Understood::Command(_, Some(by), _) if by == "a"));
    }
    let open = stage.metric("okta_hook_breaker_state{provider=\"b\",channel=\"sms\"}");
    assert_eq!((open, stage.tasks.len()), (0.0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_providers_limit_holds_when_everybody_fails_over_to_it() {
    let rest = "[providers.b.limits]\nmax_in_flight = 1";
    let stage = Stage::new(rest, &[("a", &[Act::Hang; 4]), ("b", &[Act::Accept(100); 4])]);
    let hooks = [(); 4].map(|()| okta::another_sms());
    let _ = futures_util::future::join_all(hooks.iter().map(|hook| stage.call(hook))).await;
    let asked = |name: &str| stage.transcript().iter().filter(|line| line.ends_with(&format!("{name} asked"))).count();
    assert_eq!((asked("a"), asked("b")), (4, 1), "{:?}", stage.transcript());
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_has_ended_takes_no_place_from_another_message() {
    let rest = "[providers.a.limits]\nmax_in_flight = 1";
    let stage = Stage::new(rest, &[("a", &[Act::Fail(5, Rejected); 2]), ("b", &[Act::Accept(1000); 2])]);
    let (first, second) = (okta::another_sms(), okta::another_sms());
    let later = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        stage.call(&second).await
    };
    tokio::join!(stage.call(&first), later);
    assert!(stage.unused().is_empty(), "{:?}", stage.transcript());
}

#[tokio::test(start_paused = true)]
async fn who_broke_down_while_another_was_waited_for_is_not_asked() {
    let (soon, later) = ([Act::Fail(100, Unavailable); 5], [Act::Fail(600, Unavailable)]);
    let stage = Stage::new("", &[("a", &[&soon[..], &later].concat()), ("b", &[Act::Fail(10, Unavailable); 5])]);
    let hooks = [(); 6].map(|()| okta::another_sms());
    let _ = futures_util::future::join_all(hooks.iter().map(|hook| stage.call(hook))).await;
    assert_eq!(stage.transcript().last().map(String::as_str), Some("600 Okta hears 200"));
    assert!(stage.unused().is_empty(), "{:?}", stage.transcript());
}

#[tokio::test(start_paused = true)]
async fn who_asked_for_a_pause_while_another_was_waited_for_is_not_asked() {
    let failing = [Act::Fail(100, Unavailable), Act::Fail(600, Unavailable)];
    let stage = Stage::new("", &[("a", &failing), ("b", &[Act::Fail(10, Throttled)])]);
    let hooks = [(); 2].map(|()| okta::another_sms());
    let _ = futures_util::future::join_all(hooks.iter().map(|hook| stage.call(hook))).await;
    assert_eq!(stage.transcript().last().map(String::as_str), Some("600 Okta hears 200"), "{:?}", stage.transcript());
    assert_eq!(stage.shared.recent.list()[0].skipped, ["b paced"]);
}

#[tokio::test(start_paused = true)]
async fn of_many_who_find_a_probe_due_one_makes_it_and_nobody_is_left_without() {
    let script = [&[Act::Fail(1, Unavailable); 5][..], &[Act::Accept(300)]].concat();
    let stage = Stage::new("", &[("a", &script), ("b", &[Act::Accept(10); 14])]);
    for _ in 0..5 {
        stage.call(&okta::another_sms()).await;
    }
    tokio::time::advance(Duration::from_secs(2)).await;
    let hooks = [(); 10].map(|()| okta::another_sms());
    let _ = futures_util::future::join_all(hooks.iter().map(|hook| stage.call(hook))).await;
    assert!(stage.unused().is_empty(), "{:?}", stage.transcript());

    // Where there is nobody else they are all asked: a last resort needs no probe.
    let script = [&[Act::Fail(1, Unavailable); 5][..], &[Act::Accept(300); 10]].concat();
    let stage = Stage::new("", &[("a", &script)]);
    for _ in 0..5 {
        stage.call(&okta::another_sms()).await;
    }
    tokio::time::advance(Duration::from_secs(2)).await;
    let hooks = [(); 10].map(|()| okta::another_sms());
    for reply in futures_util::future::join_all(hooks.iter().map(|hook| stage.call(hook))).await {
        assert!(matches!(understand(&reply.body), Understood::Command(_, Some(by), _) if by == "a"));
    }
    assert!(stage.unused().is_empty(), "{:?}", stage.transcript());
}

#[tokio::test(start_paused = true)]
async fn time_outs_of_before_do_not_open_a_breaker_that_a_good_probe_has_closed() {
    // Eleven hang, and five that fail open it a second before those are given up. The penalty is 1.5 s at most.
    let script = [&[Act::Hang; 11][..], &[Act::Fail(1, Unavailable); 5], &[Act::Accept(1); 2]].concat();
    let stage = Stage::new("attempt_timeout = '2s'", &[("a", &script), ("b", &[Act::Accept(1); 16])]);
    let hooks = [(); 18].map(|()| okta::another_sms());
    let before = futures_util::future::join_all(hooks[..16].iter().map(|hook| stage.call(hook)));
    let after = async {
        tokio::time::sleep(Duration::from_millis(1_600)).await;
        stage.call(&hooks[16]).await;
        tokio::time::sleep(Duration::from_millis(600)).await;
        stage.call(&hooks[17]).await
    };
    let (_, last) = tokio::join!(before, after);
    assert!(
        matches!(understand(&last.body), Understood::Command(_, Some(by), _) if by == "a"),
        "{:?}",
        stage.transcript()
    );
    assert!(stage.unused().is_empty(), "{:?}", stage.transcript());
}

#[tokio::test(start_paused = true)]
async fn a_late_acceptance_before_the_answer_counts() {
    let stage = Stage::new("", &[("a", &[Act::Accept(1500)]), ("b", &[Act::Hang])]);
    let reply = stage.call(&okta::sms("+15005550010", "482913")).await;
    assert_eq!(
        understand(&reply.body),
        Understood::Command("SUCCESSFUL".into(), Some("a".into()), Some("id-a".into()))
    );
    assert_eq!(stage.transcript(), ["0 a asked", "1200 b asked", "1500 a accepts", "1500 Okta hears 200"]);
}

#[tokio::test(start_paused = true)]
async fn with_nobody_left_to_ask_whoever_is_still_out_is_waited_for() {
    let stage = Stage::new("", &[("a", &[Act::Accept(2000)]), ("b", &[Act::Fail(100, Unavailable)])]);
    let reply = stage.call(&okta::another_sms()).await;
    assert!(matches!(understand(&reply.body), Understood::Command(_, Some(by), _) if by == "a"));
    let expected = ["0 a asked", "1200 b asked", "1300 b unavailable", "2000 a accepts", "2000 Okta hears 200"];
    assert_eq!(stage.transcript(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_taken_before_the_deadline_is_no_failure_of_its_provider() {
    // More than open a breaker, each longer than a text would be waited for.
    let stage = Stage::new("", &[("a", &[Act::Accept(1500); 7]), ("b", &[])]);
    for n in 0..7 {
        let reply = stage.call(&okta::voice(&format!("+1500555{n:04}"), "482913")).await;
        assert!(matches!(understand(&reply.body), Understood::Command(_, Some(by), _) if by == "a"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_text_that_the_last_one_takes_before_the_deadline_is_no_failure_of_its_provider() {
    // As many as open a breaker.
    let stage = Stage::new("", &[("a", &[Act::Accept(1500); 5])]);
    for _ in 0..5 {
        let reply = stage.call(&okta::another_sms()).await;
        assert!(matches!(understand(&reply.body), Understood::Command(_, Some(by), _) if by == "a"));
    }
    assert_eq!(stage.metric("okta_hook_breaker_state{provider=\"a\",channel=\"sms\"}"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn who_answers_when_nobody_waits_any_more_has_failed_and_still_tells_of_our_account() {
    let stage = Stage::new("", &[("a", &[Act::Accept(1500); 5]), ("b", &[Act::Accept(1000); 6])]);
    for _ in 0..6 {
        stage.call(&okta::another_sms()).await;
    }
    assert!(stage.unused().is_empty(), "five in a row open a breaker: {:?}", stage.transcript());

    let stage = Stage::new("", &[("a", &[Act::Fail(1500, Account)]), ("b", &[Act::Accept(1000); 2])]);
    for _ in 0..2 {
        stage.call(&okta::another_sms()).await;
    }
    assert!(stage.unused().is_empty(), "one refusal does: {:?}", stage.transcript());
}

#[tokio::test(start_paused = true)]
async fn nobody_gets_more_than_two_sends_with_a_doubt_or_three_in_all() {
    let doubt = [Act::Fail(10, Unconfirmed)];
    let failed = [Act::Fail(10, Unavailable)];
    let stage = Stage::new("", &[("a", &doubt), ("b", &doubt), ("c", &[])]);
    let reply = stage.call(&okta::sms("+15005550010", "482913")).await;
    assert_eq!(understand(&reply.body), Understood::Command("PENDING".into(), Some("b".into()), None));

    let stage = Stage::new("", &[("a", &failed), ("b", &failed), ("c", &failed), ("d", &[])]);
    let reply = stage.call(&okta::sms("+15005550010", "482913")).await;
    assert!(matches!(understand(&reply.body), Understood::Error(_)));
    assert!(stage.unused().is_empty(), "{:?}", stage.transcript());
}

#[tokio::test(start_paused = true)]
async fn nothing_starts_with_less_than_min_attempt_left() {
    let org = "budget = '1500ms'\nattempt_timeout = '1200ms'\nmin_attempt = '800ms'";
    let stage = Stage::new(org, &[("a", &[Act::Fail(900, Unavailable)]), ("b", &[])]);
    let reply = stage.call(&okta::sms("+15005550010", "482913")).await;
    assert!(matches!(understand(&reply.body), Understood::Error(_)));
    assert_eq!(stage.transcript(), ["0 a asked", "900 a unavailable", "900 Okta hears 200"]);

    // Twice as much is enough for two: who hangs is given up a little before its half is over.
    let org = "budget = '1625ms'\nattempt_timeout = '1200ms'\nmin_attempt = '800ms'";
    let stage = Stage::new(org, &[("a", &[Act::Hang]), ("b", &[Act::Accept(10)])]);
    stage.call(&okta::another_sms()).await;
    assert_eq!(stage.transcript(), ["0 a asked", "790 b asked", "800 b accepts", "800 Okta hears 200"]);
}

#[tokio::test(start_paused = true)]
async fn the_shortest_budget_leaves_room_for_an_attempt_without_further_settings() {
    let stage = Stage::new("budget = '500ms'", &[("a", &[Act::Accept(400)])]);
    let reply = stage.call(&okta::sms("+15005550010", "482913")).await;
    assert!(matches!(understand(&reply.body), Understood::Command(status, ..) if status == "SUCCESSFUL"));
}

#[tokio::test(start_paused = true)]
async fn when_slow_providers_would_use_up_the_orgs_transactions_hooks_are_given_less_time() {
    let acts = vec![Act::Accept(2400); 240];
    let stage = Arc::new(Stage::new("okta_concurrency = 75", &[("a", &acts)]));
    let mut calls = Vec::new();
    for n in 0..240 {
        let stage = Arc::clone(&stage);
        calls.push(tokio::spawn(async move {
            let begun = Instant::now();
            let reply = stage.call(&okta::sms(&format!("+1500555{n:04}"), "482913")).await;
            (begun.elapsed(), understand(&reply.body))
        }));
        tokio::time::sleep(Duration::from_micros(16_667)).await;
    }
    let mut waited = Vec::new();
    for call in calls {
        waited.push(call.await.expect("no panic"));
    }
    // The first ones find the org at ease; once forty are in flight, sixty a second leave three quarters of a second.
    assert!(waited[0].0 >= Duration::from_millis(2400), "{:?}", waited[0]);
    let (last, heard) = &waited[239];
    assert!((Duration::from_millis(650)..Duration::from_millis(900)).contains(last), "{last:?}");
    assert_eq!(*heard, Understood::Command("PENDING".into(), Some("a".into()), None));
    assert!(stage.metric("okta_hook_shortened_total") > 100.0);
}

#[tokio::test(start_paused = true)]
async fn a_crowd_that_comes_once_has_time_for_a_provider_that_needs_a_second() {
    let stage = Stage::new("", &[("a", &[Act::Accept(1_000); 80])]);
    let hooks: Vec<_> = (0..80).map(|_| okta::another_sms()).collect();
    for reply in futures_util::future::join_all(hooks.iter().map(|hook| stage.call(hook))).await {
        assert!(matches!(understand(&reply.body), Understood::Command(status, ..) if status == "SUCCESSFUL"));
    }
    assert!(stage.metric("okta_hook_shortened_total") > 0.0, "they are more than the org's share");
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_was_given_less_time_has_all_of_it_when_who_was_asked_fails_for_certain() {
    let scripts: [(&str, &[Act]); 3] =
        [("a", &[Act::Unfit; 100]), ("b", &[Act::Fail(200, Unavailable); 100]), ("c", &[Act::Accept(900); 100])];
    let stage = Stage::new("", &scripts);
    let hooks: Vec<_> = (0..100).map(|_| okta::another_sms()).collect();
    for reply in futures_util::future::join_all(hooks.iter().map(|hook| stage.call(hook))).await {
        let heard = understand(&reply.body);
        assert!(matches!(&heard, Understood::Command(_, Some(by), Some(_)) if by == "c"), "{heard:?}");
    }
    assert!(stage.metric("okta_hook_shortened_total") > 50.0);
    assert!(stage.unused().is_empty(), "{:?}", stage.unused());
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_has_its_time_back_has_time_for_a_probe() {
    let a = [[Act::Unfit; 5].as_slice(), &[Act::Accept(1_000); 199], &[Act::Fail(10, Unavailable)]].concat();
    let b = [[Act::Fail(0, Unavailable); 5].as_slice(), &[Act::Accept(1_500)]].concat();
    let stage = Stage::new("", &[("a", &a), ("b", &b)]);
    for _ in 0..5 {
        stage.call(&okta::another_sms()).await;
    }
    assert_eq!(stage.metric(r#"okta_hook_breaker_state{provider="b",channel="sms"}"#), 2.0);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (slow, last): (Vec<_>, _) = ((0..199).map(|_| okta::another_sms()).collect(), okta::another_sms());
    let crowd = futures_util::future::join_all(slow.iter().map(|hook| stage.call(hook)));
    let (_, reply) = tokio::join!(crowd, stage.call(&last));
    let heard = understand(&reply.body);
    assert!(
        matches!(&heard, Understood::Command(status, Some(by), _) if status == "SUCCESSFUL" && by == "b"),
        "{heard:?}"
    );
    assert!(stage.metric("okta_hook_shortened_total") > 50.0);
    assert!(stage.unused().is_empty(), "{:?}", stage.unused());
}

#[tokio::test(start_paused = true)]
async fn neither_a_doubt_nor_one_who_was_not_asked_gives_a_hook_more_time() {
    for first in [Act::Hang, Act::Unfit] {
        let stage = Stage::new("", &[("a", &[first; 100]), ("b", &[Act::Hang; 100])]);
        let hooks: Vec<_> = (0..100).map(|_| okta::another_sms()).collect();
        let waited = hooks.iter().map(async |hook| {
            let begun = Instant::now();
            stage.call(hook).await;
            begun.elapsed()
        });
        let waited = futures_util::future::join_all(waited).await;
        let short = waited.iter().filter(|waited| **waited < Duration::from_millis(2_500)).count();
        assert!(short > 50, "{waited:?}");
        assert_eq!(short as f64, stage.metric("okta_hook_shortened_total"), "{waited:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_slow_while_transactions_are_short_still_leaves_an_attempt() {
    let stage = Arc::new(Stage::new("okta_concurrency = 10", &[("a", &[Act::Accept(100); 100])]));
    let mut calls = Vec::new();
    for n in 0..100 {
        let stage = Arc::clone(&stage);
        let body = okta::sms(&format!("+1500555{n:04}"), "482913").to_string().into_bytes();
        calls.push(tokio::spawn(async move { stage.call_slowly(Duration::from_millis(700), body).await }));
    }
    for call in calls {
        let heard = understand(&call.await.expect("no panic").body);
        assert!(matches!(heard, Understood::Command(status, ..) if status == "SUCCESSFUL"));
    }
    assert!(stage.metric("okta_hook_shortened_total") > 0.0);
}

/// A wall clock that jumps an hour forth and back at every look.
fn jumping() -> jiff::Timestamp {
    static LOOKS: AtomicU32 = AtomicU32::new(0);
    let hour =
        jiff::SignedDuration::from_hours(if LOOKS.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) { 1 } else { -1 });
    jiff::Timestamp::now() + hour
}

#[tokio::test(start_paused = true)]
async fn row_44_a_wall_clock_that_jumps_moves_no_deadline() {
    for _ in 0..4 {
        let stage = Stage::with_clock("", &[("a", &[Act::Hang]), ("b", &[Act::Hang])], Clock::new(jumping));
        let mut request = okta::sms("+15005550010", "482913");
        // Whether a code has run out is all that the wall clock decides; this one's life is unknown.
        request["data"]["messageProfile"].as_object_mut().expect("object").remove("otpExpires");
        let reply = stage.call(&request).await;
        assert_eq!(understand(&reply.body), Understood::Command("PENDING".into(), Some("b".into()), None));
        assert_eq!(stage.transcript(), ["0 a asked", "1200 b asked", "2575 Okta hears 200"]);
    }
}

thread_local! { static LOOKS: Cell<u32> = const { Cell::new(0) }; }

/// A wall clock that breaks at one look.
fn breaking() -> jiff::Timestamp {
    let left = LOOKS.get();
    LOOKS.set(left.saturating_sub(1));
    assert_ne!(left, 1, "scripted panic");
    jiff::Timestamp::now()
}

#[tokio::test(start_paused = true)]
async fn wherever_we_break_nobody_hears_that_nothing_was_sent_once_a_provider_was_asked() {
    let (mut before, mut after) = (0, 0);
    for look in 1..30 {
        let stage = Stage::with_clock("", &[("a", &[Act::Accept(10)])], Clock::new(breaking));
        LOOKS.set(look);
        let reply = stage.call(&okta::another_sms()).await;
        let has_broken = LOOKS.replace(0) == 0;
        let was_asked = stage.transcript().iter().any(|line| line.ends_with("a asked"));
        let is_error = matches!(understand(&reply.body), Understood::Error(_));
        assert!(!(was_asked && is_error), "look {look}: {:?}", stage.transcript());
        before += usize::from(has_broken && is_error);
        after += usize::from(has_broken && was_asked);
    }
    assert!(before > 0 && after > 0, "broken {before} times before the send, {after} times after it");
}
