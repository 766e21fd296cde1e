//! Logs: their format, and what may speak in them.
//!
//! Must not know what is logged. Only our own crate speaks below `warn`: hyper, h2, redis and rustls write URLs,
//! headers and bodies into their debug lines, which is to say codes and credentials.

mod json;
mod lines;

use std::io;

use serde::Deserialize;
use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

use crate::settings::word;
use json::JsonLines;
pub use lines::Flush;
use lines::Lines;

/// `[log]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// `json`, one object a line, or `text`.
    #[serde(deserialize_with = "word")]
    pub format: Format,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    #[serde(deserialize_with = "word")]
    pub level: Verbosity,
}

impl Default for Settings {
    fn default() -> Self {
        Self { format: Format::Json, level: Verbosity::Info }
    }
}

/// `log.format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// `log.level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verbosity {
    /// Only what a person must act upon.
    Error,
    /// And failovers.
    Warn,
    /// And one line a hook.
    Info,
    /// And more.
    Debug,
    /// And everything.
    Trace,
}

impl Verbosity {
    fn level(self) -> Level {
        match self {
            Self::Error => Level::ERROR,
            Self::Warn => Level::WARN,
            Self::Info => Level::INFO,
            Self::Debug => Level::DEBUG,
            Self::Trace => Level::TRACE,
        }
    }
}

/// Starts logging to standard error, for the rest of the process; what is returned writes the last lines when dropped.
/// A second call changes nothing.
///
/// # Errors
/// When no thread can be started.
pub fn start(settings: &Settings, colours: bool) -> io::Result<Flush> {
    let level = settings.level.level();
    let speakers = Targets::new()
        .with_default(LevelFilter::from_level(level.min(Level::WARN)))
        .with_target("okta_telephony_hook", level);
    let (lines, flush) = match settings.format {
        Format::Json => {
            let lines = Lines::start()?;
            (JsonLines(lines.clone()).boxed(), Flush::of(lines))
        }
        Format::Text => {
            let lines = fmt::layer().with_writer(io::stderr).with_target(false).with_ansi(colours);
            (lines.boxed(), Flush::nothing())
        }
    };
    // Only tests start logging twice, and the first subscriber serves them.
    let _ = tracing_subscriber::registry().with(lines.with_filter(speakers)).try_init();
    Ok(flush)
}
