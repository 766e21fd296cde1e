//! What is heard of a message after Okta was answered: delivery reports of providers, and which codes were used.
//!
//! Must not know axum, nor any vendor's words, and never sends a message.

mod events;
mod reports;

pub use events::{Events, Shared, Taken};
pub use reports::Reports;
