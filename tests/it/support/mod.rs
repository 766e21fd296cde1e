//! What the tests stand on: an Okta that calls, an issuer of tokens, vendors that answer by script, servers in this
//! process and beside it.

pub mod desk;
pub mod issuer;
pub mod jwt;
pub mod moody;
pub mod okta;
pub mod process;
pub mod redis;
pub mod server;
pub mod stub;
pub mod tls;
pub mod vendor;

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// As long as nothing takes that comes at all, on a machine that is busy.
const LONG: Duration = Duration::from_secs(30);

/// A file of test data.
pub fn data(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(path)
}

/// Waits until something is so, and no longer than that.
pub async fn eventually(what: &str, is_so: impl AsyncFnMut() -> bool) {
    within(LONG, what, is_so).await;
}

/// As `eventually`, for what is slow on purpose.
pub async fn within(limit: Duration, what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < limit, "not within {limit:?}: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}
