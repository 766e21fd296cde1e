//! Logs: their format, and what may speak in them.
//!
//! Must not know what is logged. Only our own crate speaks below `warn`: hyper, h2, redis and rustls write URLs,
//! headers and bodies into their debug lines, which is to say codes and credentials.

mod json;
mod lines;

use std::io;

use jiff::Timestamp;
use serde::Deserialize;
use tracing::{Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, fmt};

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
    let (layer, lines) = match settings.format {
        Format::Json => {
            let lines = Lines::start(json::dropped)?;
            (JsonLines(lines.clone()).boxed(), lines)
        }
        Format::Text => {
            let lines =
                Lines::start(|count| format!("{:.6}  WARN log lines dropped count={count}\n", Timestamp::now()))?;
            (text(lines.clone(), colours).boxed(), lines)
        }
    };
    // Only tests start logging twice, and the first subscriber serves them.
    let _ = tracing_subscriber::registry().with(layer.with_filter(speakers)).try_init();
    Ok(Flush(lines))
}

/// Lines for people.
fn text<S>(lines: Lines, colours: bool) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fmt::layer().with_writer(move || lines.clone()).with_target(false).with_ansi(colours)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_people_goes_where_nobody_waits_for_it() {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::registry().with(text(lines.clone(), false));
        tracing::subscriber::with_default(subscriber, || tracing::warn!(count = 3, "said"));
        let written = String::from_utf8(lines.taken()).expect("text");
        assert!(written.ends_with(" WARN said count=3\n") && written.matches('\n').count() == 1, "{written}");
    }
}
