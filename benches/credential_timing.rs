//! Does the time of a refusal tell how much of a credential was right? A t-test in the manner of dudect.
//!
//! Run with `cargo bench --bench credential_timing`. Prints Welch's t for a credential that is wrong in its first byte
//! against one that is wrong in its last; |t| below 4.5 means that no difference is seen.

#![expect(clippy::disallowed_types, reason = "a bench measures real time and tells it")]

use std::hint::black_box;
use std::time::Instant;

use http::HeaderMap;
use okta_telephony_hook::okta::authenticate::{Authenticate, Settings};
use okta_telephony_hook::secret::Environment;
use okta_telephony_hook::settings::Findings;

const SECRET: &str = "d41d8cd98f00b204e9800998ecf8427ed41d8cd98f00b204e9800998ecf8427e";
const ATTEMPTS: usize = 1_000_000;

fn authenticate() -> Authenticate {
    let settings: Settings =
        serde_json::from_value(serde_json::json!({ "header": { "secret": SECRET } })).expect("settings");
    settings.check("auth", &Environment::default(), &mut Findings::default())
}

fn headers(secret: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("authorization", secret.parse().expect("value"));
    headers
}

fn main() {
    let authenticate = authenticate();
    let classes = [headers(&format!("x{}", &SECRET[1..])), headers(&format!("{}x", &SECRET[..SECRET.len() - 1]))];
    let now = jiff::Timestamp::now();
    let mut nanos: [Vec<f64>; 2] = [Vec::with_capacity(ATTEMPTS / 2), Vec::with_capacity(ATTEMPTS / 2)];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..ATTEMPTS {
        // The order is random, so that no drift of the machine falls on one class.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let class = usize::from(state & 1 == 1);
        let started = Instant::now();
        let admitted = black_box(authenticate.check(black_box(&classes[class]), now)).is_ok();
        let took = started.elapsed();
        assert!(!admitted);
        nanos[class].push(took.as_nanos() as f64);
    }
    // Interrupts make a long tail; the slowest tenth says nothing about the code.
    let cut = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times.truncate(times.len() * 9 / 10);
    };
    nanos.iter_mut().for_each(cut);
    let [first, last] = &nanos;
    let (m1, v1) = moments(first);
    let (m2, v2) = moments(last);
    let t = (m1 - m2) / (v1 / first.len() as f64 + v2 / last.len() as f64).sqrt();
    println!("wrong first byte: {m1:.1} ns, wrong last byte: {m2:.1} ns, t = {t:.2} over {ATTEMPTS} attempts");
}

fn moments(times: &[f64]) -> (f64, f64) {
    let n = times.len() as f64;
    let mean = times.iter().sum::<f64>() / n;
    (mean, times.iter().map(|t| (t - mean).powi(2)).sum::<f64>() / (n - 1.0))
}
