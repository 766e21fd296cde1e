//! The routes in use, and how others take their place while connections go on.
//!
//! Must not know what any route does or why it changes.

use std::fmt;
use std::sync::{Arc, RwLock};

use axum::Router;

use crate::locks;

/// Routes that can be replaced. Each request takes those in use when it comes and keeps them to its end, so a replacement
/// cuts nobody off, and a connection that is kept alive gets the new ones with its next request.
#[derive(Clone)]
pub struct Swap(Arc<RwLock<Router>>);

impl Swap {
    /// Begins with these.
    pub fn new(router: Router) -> Self {
        Self(Arc::new(RwLock::new(router)))
    }

    /// Every request from now on gets these.
    pub fn set(&self, router: Router) {
        *locks::write(&self.0) = router;
    }

    /// Those in use. Locked for the length of a pointer's copy.
    pub(super) fn current(&self) -> Router {
        locks::read(&self.0).clone()
    }
}

impl fmt::Debug for Swap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Swap")
    }
}
