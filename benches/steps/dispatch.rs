//! One attempt, on a task of its own, at a provider that accepts at once.

use divan::Bencher;
use okta_telephony_hook::otp::Verdict;

use crate::ground::{RUNTIME, deadline, hook, job};
use crate::hook::dispatch;

#[divan::bench]
fn accepted(bencher: Bencher) {
    let (dispatch, hook) = (dispatch(), hook());
    bencher.with_inputs(|| (job(), deadline())).bench_local_refs(|(job, deadline)| {
        let plan = hook.plan(&job.message, None);
        let outcome = RUNTIME.block_on(dispatch.run(job, &plan, deadline));
        assert_eq!(outcome.verdict, Verdict::Accepted);
    });
}
