//! Who was sent what by whom: asked before a message, noted after it.

use divan::Bencher;
use okta_telephony_hook::otp::{Message, Outcome};
use tokio_util::sync::CancellationToken;

use crate::ground::{HOOKS, RUNTIME, at_once, message};
use crate::reply::accepted;

/// Of a person who was sent nothing lately.
#[divan::bench]
fn previous(bencher: Bencher) {
    let _inside = RUNTIME.enter();
    bencher.with_inputs(message).bench_local_refs(|message| at_once(HOOKS.shared.journal.previous("main", message)));
}

/// Of an accepted message; nobody waits for it.
#[divan::bench]
fn note(bencher: Bencher) {
    let _inside = RUNTIME.enter();
    let told = || -> (Message, Outcome, CancellationToken) {
        let message = message();
        let outcome = accepted(message.event_id.as_ref().expect("an event").as_str());
        (message, outcome, CancellationToken::new())
    };
    bencher.with_inputs(told).bench_local_refs(|(message, outcome, noted)| {
        at_once(HOOKS.shared.journal.note("main", message, outcome, None, noted.clone().drop_guard()))
    });
}
