//! Limits and fraud checks: every rule on, none of them reached.

use std::time::Duration;

use divan::Bencher;
use okta_telephony_hook::guard::{Guard, Tools, Verdict};
use tokio::time::Instant;

use crate::ground::{HOOKS, RUNTIME, at_once, hook, message};

#[divan::bench]
fn check(bencher: Bencher) {
    let _inside = RUNTIME.enter();
    let (shared, hook) = (&HOOKS.shared, hook());
    let tools = Tools {
        store: std::sync::Arc::clone(&shared.counters),
        numbers: std::sync::Arc::clone(&shared.numbers),
        pseudonyms: shared.pseudonyms.clone(),
        metrics: std::sync::Arc::clone(&shared.metrics),
        clock: shared.clock,
    };
    let guard = Guard::new(hook.config().guard.clone(), &hook.config().name, tools);
    bencher.with_inputs(message).bench_local_refs(|message| {
        let verdict = at_once(guard.check(message, "0123456789abcdef", Instant::now() + Duration::from_secs(1)));
        assert!(matches!(verdict, Verdict::Allow), "{verdict:?}");
    });
}
