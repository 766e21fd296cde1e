//! Tries again what a store that was away for a moment did not do.
//!
//! Must not be waited for by a hook. Whoever asks says by it that the work may be done twice.

use std::future::Future;
use std::time::Duration;

use tokio::time::sleep;

use super::StoreFault;

/// Pauses before each further try: the store may have been restarted a moment ago.
const PAUSES: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(1)];

/// Does it at once, and twice more if it fails.
///
/// # Errors
/// The last fault.
pub async fn insist<T, W>(work: impl Fn() -> W) -> Result<T, StoreFault>
where
    W: Future<Output = Result<T, StoreFault>>,
{
    for pause in PAUSES {
        // A fault was counted and told where it came up.
        if let Ok(done) = work().await {
            return Ok(done);
        }
        sleep(pause).await;
    }
    work().await
}
