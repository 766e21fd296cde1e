//! A message is claimed, or the first answer is given again.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use divan::Bencher;
use okta_telephony_hook::dedupe::{Call, Claim, Repeat};
use okta_telephony_hook::okta::{Replies, Reply};
use okta_telephony_hook::otp::Message;

use crate::ground::{HOOKS, RUNTIME, at_once, deadline, hook, message};

/// The claim of a message nobody has seen, and its answer being kept.
#[divan::bench]
fn first_claim(bencher: Bencher) {
    let _inside = RUNTIME.enter();
    let replies = hook().config().replies.clone();
    let reply = replies.doubtful(None, Duration::ZERO);
    bencher.with_inputs(message).bench_local_refs(|message| match claim(message, &replies) {
        Claim::First(ticket) => ticket.answer(&reply),
        Claim::Repeat(repeat) => panic!("a repeat: {repeat:?}"),
    });
}

/// The same message once more, which hears the first answer.
#[divan::bench]
fn replay(bencher: Bencher) {
    let _inside = RUNTIME.enter();
    let replies = hook().config().replies.clone();
    let reply = replies.doubtful(None, Duration::ZERO);
    let answered = || {
        let message = message();
        answer(&message, &replies, &reply);
        message
    };
    bencher.with_inputs(answered).bench_local_refs(|message| -> Repeat {
        match claim(message, &replies) {
            Claim::Repeat(repeat) => repeat,
            Claim::First(ticket) => panic!("no repeat: {ticket:?}"),
        }
    });
}

fn claim(message: &Message, replies: &Replies) -> Claim {
    let (deadline, begun) = (deadline(), Arc::new(AtomicBool::new(false)));
    at_once(HOOKS.shared.dedupe.claim(Call { org: "main", message, deadline: &deadline, begun: &begun, replies }))
}

fn answer(message: &Message, replies: &Replies, reply: &Reply) {
    match claim(message, replies) {
        Claim::First(ticket) => ticket.answer(reply),
        Claim::Repeat(repeat) => panic!("a repeat: {repeat:?}"),
    }
}
