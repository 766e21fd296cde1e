//! Okta's language: how it proves itself, what it asks, how it must be answered.
//!
//! Must not know any provider, nor how a message is delivered. Nothing outside this folder knows Okta's words.

pub mod authenticate;
mod code;
mod decode;
pub mod event;
pub mod factors;
pub mod jwks;
pub mod oauth;
pub mod preview;
mod reply;
mod summary;
mod wire;
mod wording;

pub use decode::{Decoded, Fault, Oddity, channel_called, decode, request_id};
pub use reply::{
    Accepted, Blocked, Exhausted, Refused, Replies, Reply, Settings as ReplySettings, Unconfirmed, is_taken,
};
