//! Okta's JSON becomes a message, and a message gets its content.

use divan::Bencher;
use okta_telephony_hook::okta;

use crate::ground::{EXAMPLE, EXAMPLE_CALL, body, hook, message};

#[divan::bench]
fn sms(bencher: Bencher) {
    bencher.with_inputs(body).bench_local_refs(|body| okta::decode(body, None).expect("readable"));
}

/// Okta's examples as they are printed in its documentation.
#[divan::bench(args = ["sms", "voice"])]
fn example(bencher: Bencher, channel: &str) {
    let body = if channel == "sms" { EXAMPLE } else { EXAMPLE_CALL };
    bencher.bench_local(|| okta::decode(divan::black_box(body.as_bytes()), None).expect("readable"));
}

#[divan::bench]
fn content(bencher: Bencher) {
    let hook = hook();
    bencher.with_inputs(message).bench_local_refs(|message| hook.content(message));
}
