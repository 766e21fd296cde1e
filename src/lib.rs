//! A standalone server for Okta's telephony inline hook.
//!
//! Okta generates a one-time code and calls one HTTPS endpoint, which has three seconds to have a provider deliver it.
//! [`hook`] tells what happens in between, one line a step; [`http`] carries it to and from the wire; [`okta`] and
//! [`provider`] are the two foreign languages; [`otp`] holds the words in between; [`app`] puts all of it together.
//!
//! What holds everywhere (`docs/architecture.md` gives the reasons):
//!
//! - An authenticated, readable hook is answered inside its budget.
//! - A send that was handed over is never cancelled, only left to itself.
//! - No code, number, name, credential or body reaches a log, a metric or an error text.
//! - A module names only modules on floors below its own; `tests/it/tidy.rs` has the table.

pub mod agenda;
pub mod app;
pub mod cli;
pub mod config;
pub mod deadline;
pub mod dedupe;
pub mod dispatch;
pub mod feedback;
pub mod guard;
pub mod hook;
pub mod http;
pub mod journal;
pub mod learn;
pub mod locks;
pub mod metrics;
pub mod okta;
pub mod otp;
pub mod outbound;
pub mod provider;
pub mod recent;
pub mod route;
pub mod secret;
pub mod segments;
pub mod seldom;
pub mod settings;
pub mod store;
pub mod telemetry;
pub mod text;
