//! Which providers, in which order.

use divan::Bencher;
use jiff::{SignedDuration, Timestamp};
use okta_telephony_hook::learn::{Sent, Way};
use okta_telephony_hook::otp::Delivery;

use crate::ground::{ORG, hooks, message};

/// The last of so many routes is the one that fits.
#[divan::bench(args = [1, 100])]
fn routes(bencher: Bencher, count: usize) {
    let others = "[[orgs.main.routes]]\nwhen = { country = [\"DE\", \"FR\"] }\nsend = [\"first\"]\n".repeat(count - 1);
    let last = "[[orgs.main.routes]]\nsend = [\"first\", \"second\"]\n";
    let hooks = hooks(&format!("{ORG}{others}{last}"));
    let hook = hooks.hooks.first().expect("one org");
    bencher.with_inputs(message).bench_local_refs(|message| hook.plan(message, None));
}

/// Where enough is known of both providers to compare what they delivered.
#[divan::bench]
fn learnt(bencher: Bencher) {
    let hooks = hooks(ORG);
    let hook = hooks.hooks.first().expect("one org");
    for provider in hooks.providers.keys() {
        for minutes in 5..25 {
            let at = Timestamp::now() - SignedDuration::from_mins(minutes);
            let sent = Sent { way: Way::of(provider, &message()), at, awaited: true };
            for delivery in [Delivery::Delivered, Delivery::Delivered, Delivery::Undelivered] {
                hooks.shared.learn.reported(&sent, delivery);
            }
        }
    }
    bencher.with_inputs(message).bench_local_refs(|message| hook.plan(message, None));
}
