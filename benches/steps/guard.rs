//! Limits and fraud checks: every rule on, none of them reached.

use std::time::Duration;

use divan::Bencher;
use okta_telephony_hook::guard::{Guard, Verdict};
use tokio::time::Instant;

use crate::ground::{HOOKS, RUNTIME, at_once, hook, message};

#[divan::bench]
fn check(bencher: Bencher) {
    let _inside = RUNTIME.enter();
    let (shared, hook) = (&HOOKS.shared, hook());
    let guard = Guard::new(hook.config().guard.clone(), &hook.config().name, shared.guard.clone());
    bencher.with_inputs(message).bench_local_refs(|message| {
        let verdict = at_once(guard.check(message, "0123456789abcdef", Instant::now() + Duration::from_secs(1)));
        assert!(matches!(verdict, Verdict::Allow), "{verdict:?}");
    });
}
