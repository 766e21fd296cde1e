//! Whether an attempt has handed its message over: agreed on by a provider of several steps and whoever waits for it.
//!
//! Must not know what the steps are, nor who waits.

use std::sync::{Mutex, MutexGuard};

use crate::locks::lock;
use crate::otp::{FailureKind, SendError};

/// Guards the moment at which an attempt hands its message over. A provider of one step need not mind it: its attempt
/// counts as handed over from the start.
#[derive(Debug, Default)]
pub struct Handover(Mutex<State>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    /// To drop the attempt now would unsend nothing.
    #[default]
    HandedOver,
    /// Nothing that delivers was sent yet.
    Preparing,
    /// Nobody waits any more: nothing that delivers may be sent.
    Closed,
}

impl Handover {
    /// The provider only prepares the message from here to the next `claim`: the attempt may be dropped meanwhile.
    pub fn prepare(&self) {
        let mut state = self.state();
        if *state == State::HandedOver {
            *state = State::Preparing;
        }
    }

    /// The provider is about to send what delivers the message. A second time, too, after an answer that proves that the
    /// first one did not.
    ///
    /// # Errors
    /// `Unavailable` with the code `too_late` when nobody waits any more: it must not be sent.
    pub fn claim(&self) -> Result<(), SendError> {
        let mut state = self.state();
        if *state == State::Closed {
            return Err(SendError::new(FailureKind::Unavailable, "too_late"));
        }
        *state = State::HandedOver;
        Ok(())
    }

    /// Nobody waits any more; true when nothing was handed over, and nothing will be.
    pub fn close(&self) -> bool {
        std::mem::replace(&mut *self.state(), State::Closed) == State::Preparing
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }
}
