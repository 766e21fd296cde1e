//! `Source`: which of Okta's hooks a message came from.
//!
//! Must not know what it is compared with.

use std::fmt;

/// Okta's `source`: the address of the inline hook that called. Within one, an event id names one event.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Source(Box<str>);

impl Source {
    /// Wraps a non-empty address.
    pub fn parse(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self(text.into()))
    }

    /// The address exactly as Okta sent it, for comparing.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source(…)")
    }
}
