//! Which providers, in which order.

use divan::Bencher;

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
