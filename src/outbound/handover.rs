//! Whether an attempt has handed its message over: agreed on by whoever writes it and whoever waits for it.
//!
//! Must not know how it is written, nor who waits.

use std::sync::{Arc, Mutex, MutexGuard};

use crate::locks::lock;
use crate::otp::{FailureKind, SendError};

/// Guards the moment at which an attempt hands its message over. Before it there may be a Lookup, a new connection, or a
/// vendor that takes no more requests at once on the one that is open.
/// Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Handover(Arc<Mutex<State>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    /// Nothing that delivers was written yet.
    #[default]
    Preparing,
    /// To drop the attempt now would unsend nothing.
    HandedOver,
    /// Nobody waits any more: nothing that delivers may be written.
    Closed,
}

impl Handover {
    /// What delivers the message is about to be written. A second time, too, after an answer that proves that the first
    /// one did not.
    ///
    /// # Errors
    /// `Unavailable` with the code `too_late` when nobody waits any more: it must not be written.
    pub fn claim(&self) -> Result<(), SendError> {
        let mut state = self.state();
        if *state == State::Closed {
            return Err(SendError::new(FailureKind::Unavailable, "too_late"));
        }
        *state = State::HandedOver;
        Ok(())
    }

    /// Nobody waits for a message that is not handed over by now; true when it is not, and will not be.
    pub fn withdraw(&self) -> bool {
        let mut state = self.state();
        let unwritten = *state == State::Preparing;
        if unwritten {
            *state = State::Closed;
        }
        unwritten
    }

    /// Nobody waits any more; true when nothing was handed over, and nothing will be.
    pub fn close(&self) -> bool {
        std::mem::replace(&mut *self.state(), State::Closed) == State::Preparing
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }
}
