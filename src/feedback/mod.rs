//! What is heard of a message after Okta was answered: delivery reports of providers, and which codes were used.
//!
//! Must not know axum, nor any vendor's words, and never sends a message.

mod events;
mod reports;
mod unknown_users;
mod worker;

pub use events::{Events, Taken};
pub use reports::Reports;
pub use unknown_users::UnknownUsers;
pub use worker::{Tools, Worker};
