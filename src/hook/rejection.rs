//! Why a request is turned away before anything is sent, and what its caller hears.
//!
//! Must not know a message: there is none yet.

use crate::okta::authenticate::Denied;
use crate::okta::oauth::Reason;
use crate::okta::{Fault, Reply};
use crate::recent::Ending;

/// Why a request is turned away before anything is sent.
#[derive(Debug)]
pub(super) enum Rejection {
    Denied(Option<Reason>),
    Overloaded,
    Unread(Unread),
    Unreadable(Vec<Fault>),
}

/// Why a body could not be taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// It did not come in time.
    Slow,
    /// It ended early, or its chunks make no sense.
    Broken,
    /// Over the limit.
    TooLarge,
}

impl Unread {
    /// What its sender hears, of whatever it was the body.
    pub fn reply(self) -> Reply {
        match self {
            Self::Slow => Reply::timeout(),
            Self::Broken => Reply::bad_request(&[]),
            Self::TooLarge => Reply::too_large(),
        }
    }
}

impl Rejection {
    /// How it ends the hook.
    pub(super) fn ending(&self) -> Ending {
        match self {
            Self::Denied(_) => Ending::Unauthorized,
            Self::Overloaded => Ending::Overloaded,
            Self::Unread(Unread::Slow) => Ending::SlowBody,
            Self::Unread(Unread::TooLarge) => Ending::TooLarge,
            Self::Unread(Unread::Broken) | Self::Unreadable(_) => Ending::Unreadable,
        }
    }

    pub(super) fn reply(&self) -> Reply {
        match self {
            Self::Denied(_) => Reply::unauthorized(),
            Self::Overloaded => Reply::overloaded(),
            Self::Unread(unread) => unread.reply(),
            Self::Unreadable(faults) => Reply::bad_request(faults),
        }
    }
}

impl From<Denied> for Rejection {
    fn from(Denied(reason): Denied) -> Self {
        Self::Denied(reason)
    }
}

impl From<Unread> for Rejection {
    fn from(unread: Unread) -> Self {
        Self::Unread(unread)
    }
}

impl From<Vec<Fault>> for Rejection {
    fn from(faults: Vec<Fault>) -> Self {
        Self::Unreadable(faults)
    }
}
