//! `forget`: removes from the shared store what is remembered of a number.
//!
//! Must not show the number, nor what was found.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio_util::task::TaskTracker;

use super::Ended;
use crate::config::{Config, Sources};
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

pub(super) fn run(sources: &Sources, arguments: &ForgetArguments) -> Ended {
    let mut config = super::load(sources)?.config;
    let number = Phone::parse(&arguments.to, None).map_err(|rule| super::refuse(format_args!("--to: {rule}")))?;
    if !config.state.is_shared() {
        return Err(super::fail(
            "state.url is memory: what a server remembers ends with its process, and nothing of it can be forgotten from here",
        ));
    }
    config.state = store::Config { timeout: PATIENCE, ..config.state };
    let user = arguments.user.as_deref().and_then(UserId::parse);
    super::small_runtime()?.block_on(async {
        let state = State::open(&config.state, Arc::new(Metrics::new())).map_err(super::fail)?;
        let failed = |fault| super::fail(format_args!("the state store failed: {fault}; run this again"));
        let Forgotten { journal, guard } = forget(&config, &state, &number, user.as_ref()).await.map_err(failed)?;
        println!("Forgotten: journal {journal}, guard {guard}.");
        Ok(ExitCode::SUCCESS)
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
