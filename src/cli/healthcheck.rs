//! `healthcheck`: is the local server ready?
//!
//! Must not need anything but the address of the admin listener: a probe runs every few seconds in every container.

use std::process::ExitCode;

use super::local;
use crate::config::{self, Sources};

pub(super) fn run(sources: &Sources) -> ExitCode {
    let (_, admin) = config::load_listeners(sources);
    match local::get(admin.listen, "/readyz", None) {
        Ok((200, _)) => ExitCode::SUCCESS,
        Ok(_) => super::fail("not ready"),
        Err(e) => super::fail(format_args!("no answer from {}: {e}", admin.listen)),
    }
}
