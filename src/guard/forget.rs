//! Forgets what the guard of one org keeps under a number or a user.
//!
//! Must not touch what is kept of many at once: where a number is one member of a set, it leaves by itself.

use std::sync::Arc;

use super::kinds::OF_A_PERSON;
use super::ledger::Ledger;
use crate::otp::{Phone, UserId};
use crate::secret::Pseudonyms;
use crate::store::{Key, Store, StoreFault};

/// Forgets counts of a number and that it is known, and the same of a user; tells how many entries there were.
///
/// # Errors
/// When the store fails; some of the entries may be gone then.
pub async fn forget(
    store: &Arc<dyn Store>,
    pseudonyms: &Pseudonyms,
    org: &Arc<str>,
    number: &Phone,
    user: Option<&UserId>,
) -> Result<usize, StoreFault> {
    let ledger = Ledger {
        store: Arc::clone(store),
        numbers: Arc::clone(store),
        pseudonyms: pseudonyms.clone(),
        org: Arc::clone(org),
    };
    let of = [Some(ledger.phone(number.expose_digits())), user.map(|user| ledger.user(user))];
    let mut forgotten = 0;
    for of in of.into_iter().flatten() {
        for kind in OF_A_PERSON {
            forgotten += usize::from(store.remove(&Key::new(kind, of)).await?);
        }
    }
    Ok(forgotten)
}
