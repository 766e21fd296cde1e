//! What the tests stand on: an Okta that calls, vendors that answer by script, servers in this process and beside it.

pub mod okta;
pub mod process;
pub mod redis;
pub mod server;
pub mod stub;
pub mod vendor;

use std::path::PathBuf;

/// A file of test data.
pub fn data(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(path)
}
