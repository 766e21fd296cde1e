//! `forget`: removes from the shared store what is remembered of a number.
//!
//! Must not show the number, nor what was found.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio_util::task::TaskTracker;

use crate::config::{self, Config, Sources};
use crate::deadline::Clock;
use crate::guard;
use crate::journal::Journal;
use crate::metrics::Metrics;
use crate::otp::{Phone, UserId};
use crate::store::{self, State, StoreFault};

/// A command may wait longer than a hook: it has to open the connection first.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub(super) struct ForgetArguments {
    /// Number to forget, with + and country code
    #[arg(long, value_name = "NUMBER")]
    to: String,
    /// Okta's id of a user, to forget what is kept of the user as well
    #[arg(long, value_name = "ID")]
    user: Option<String>,
}

pub(super) fn run(sources: &Sources, arguments: &ForgetArguments) -> ExitCode {
    let loaded = match config::load(sources) {
        Ok(loaded) => loaded,
        Err(invalid) => return super::tell(&invalid),
    };
    let number = match Phone::parse(&arguments.to, None) {
        Ok(number) => number,
        Err(rule) => {
            eprintln!("--to: {rule}");
            return ExitCode::from(super::EXIT_CONFIG);
        }
    };
    let mut config = loaded.config;
    if !config.state.is_shared() {
        return super::fail(
            "state.url is memory: what a server remembers ends with its process, and nothing of it can be forgotten from here",
        );
    }
    config.state = store::Config { timeout: PATIENCE, ..config.state };
    let runtime = match super::small_runtime() {
        Ok(runtime) => runtime,
        Err(e) => return super::fail(e),
    };
    let user = arguments.user.as_deref().and_then(UserId::parse);
    runtime.block_on(async {
        let state = match State::open(&config.state, Arc::new(Metrics::new())) {
            Ok(state) => state,
            Err(e) => return super::fail(e),
        };
        match forget(&config, &state, &number, user.as_ref()).await {
            Ok(Forgotten { journal, guard }) => println!("Forgotten: journal {journal}, guard {guard}."),
            Err(fault) => return super::fail(format_args!("the state store failed: {fault}; run this again")),
        }
        ExitCode::SUCCESS
    })
}

/// How many entries there were.
struct Forgotten {
    journal: usize,
    guard: usize,
}

async fn forget(
    config: &Config,
    state: &State,
    number: &Phone,
    user: Option<&UserId>,
) -> Result<Forgotten, StoreFault> {
    let pseudonyms = &config.pseudonyms;
    let journal = Journal::new(state, &config.journal, pseudonyms.clone(), Clock::SYSTEM, TaskTracker::new());
    let orgs: Vec<&str> = config.orgs.iter().map(|org| &*org.name).collect();
    let mut forgotten = Forgotten { journal: journal.forget(&orgs, number, user).await?, guard: 0 };
    let store = state.store();
    for org in &config.orgs {
        forgotten.guard += guard::forget(&store, pseudonyms, &org.name, number, user).await?;
    }
    Ok(forgotten)
}
