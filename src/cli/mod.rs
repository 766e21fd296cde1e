//! The commands, as an administrator types them.
//!
//! Must not know what happens to a message. Standard output is for the person who typed the command, standard error
//! for logs and faults. Exit codes: 0 done, 1 could not do it, 2 the configuration or the arguments are wrong.

mod check_config;
mod doctor;
mod forget;
mod harden;
mod healthcheck;
mod local;
mod paint;
mod preview;
mod serve;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{self, Invalid, Loaded, Sources};

/// Answers Okta's telephony inline hook: has a provider deliver the one-time code and tells Okta so in time.
#[derive(Debug, Parser)]
#[command(name = "okta-telephony-hook", version, about)]
struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// For whoever leaves out `serve`.
    #[command(flatten)]
    serve: serve::ServeArguments,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Default, Args)]
struct ConfigArguments {
    /// TOML file; may be repeated, later ones win. Default: config/local.toml when present
    #[arg(long = "config", value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// A command's arguments, and the files named behind it. clap's `global` would forget those named before it.
#[derive(Debug, Args)]
struct With<T: Args> {
    #[command(flatten)]
    arguments: T,
    #[command(flatten)]
    config: ConfigArguments,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server (the default)
    Serve(With<serve::ServeArguments>),
    /// Read the configuration as `serve` would, tell every fault at once, then the routes
    CheckConfig(With<check_config::CheckConfigArguments>),
    /// Look, without sending anything, whether all that the server needs is there and well
    Doctor(With<doctor::DoctorArguments>),
    /// Play one Okta request; by default nothing is sent
    Preview(With<Box<preview::PreviewArguments>>),
    /// Forget what is remembered of a number, in every org, in the state store that replicas share
    Forget(With<forget::ForgetArguments>),
    /// Exit with 0 when the local server is ready, for HEALTHCHECK in a container
    Healthcheck(ConfigArguments),
}

/// Runs the command that was typed.
pub fn run() -> ExitCode {
    let Arguments { config: before, serve, command } = Arguments::parse();
    let sources = |behind: ConfigArguments| Sources::of_process([before.files, behind.files].concat());
    let Some(command) = command else {
        return serve::run(sources(ConfigArguments::default()), &serve).unwrap_or_else(|code| code);
    };
    let ended = match command {
        Command::Serve(its) => serve::run(sources(its.config), &serve.and(&its.arguments)),
        _ if serve != serve::ServeArguments::default() => Err(refuse("--sandbox is for serve alone")),
        Command::CheckConfig(its) => check_config::run(&sources(its.config), &its.arguments),
        Command::Doctor(its) => doctor::run(&sources(its.config), &its.arguments),
        Command::Preview(its) => preview::run(&sources(its.config), &its.arguments),
        Command::Forget(its) => forget::run(&sources(its.config), &its.arguments),
        Command::Healthcheck(config) => Ok(healthcheck::run(&sources(config))),
    };
    ended.unwrap_or_else(|code| code)
}

/// How a command ended. Why it could not go on has been told where that came up.
type Ended = Result<ExitCode, ExitCode>;

/// The configuration or an argument is wrong.
const EXIT_CONFIG: u8 = 2;

/// Reads the configuration, or tells every fault of it on standard error.
fn load(sources: &Sources) -> Result<Loaded, ExitCode> {
    config::load(sources).map_err(|invalid| tell(&invalid))
}

fn tell(invalid: &Invalid) -> ExitCode {
    let count = invalid.0.faults.len();
    eprintln!("The configuration has {count} fault{}:", if count == 1 { "" } else { "s" });
    for fault in &invalid.0.faults {
        eprintln!("  {fault}");
    }
    ExitCode::from(EXIT_CONFIG)
}

/// A runtime for commands that make a call or two.
fn small_runtime() -> Result<tokio::runtime::Runtime, ExitCode> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(fail)
}

/// Writes to standard output. A reader who has seen enough (`| head`) is no fault.
fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Tells what is wrong with an argument that only the configuration shows to be wrong.
fn refuse(reason: impl std::fmt::Display) -> ExitCode {
    eprintln!("{reason}");
    ExitCode::from(EXIT_CONFIG)
}

/// Tells why a command could not be done.
fn fail(reason: impl std::fmt::Display) -> ExitCode {
    eprintln!("{reason}");
    ExitCode::FAILURE
}
