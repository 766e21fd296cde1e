//! How far this machine's clock and Okta's are apart, as far as hooks show it.
//!
//! Must not change what becomes of a hook: it tells, and a person sets the clock.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::metrics::Metrics;
use crate::otp::Message;
use crate::seldom::Seldom;

/// Clocks that are kept by NTP and the way from Okta together differ by a second or two; a tenth of a code's usual life
/// is what begins to matter.
const TOLERATED: SignedDuration = SignedDuration::from_secs(30);

/// A clock that is wrong is wrong for every hook; a line for each would bury the hooks' own.
const QUIET: Duration = Duration::from_secs(10 * 60);

/// Tells of the skew that one org's hooks show.
#[derive(Debug)]
pub(super) struct Skew {
    org: Arc<str>,
    metrics: Arc<Metrics>,
    told: Seldom<()>,
}

impl Skew {
    pub(super) fn new(org: &Arc<str>, metrics: &Arc<Metrics>) -> Self {
        Self { org: Arc::clone(org), metrics: Arc::clone(metrics), told: Seldom::new(QUIET) }
    }

    /// Notes a message that has just come, by our clock at `now`. Not for repeats, which Okta may have sent long ago;
    /// the dates of previews are canned.
    pub(super) fn note(&self, message: &Message, now: Timestamp) {
        let Some(asked) = message.asked.filter(|_| !message.preview) else { return };
        let ahead = now.duration_since(asked);
        self.metrics.clock_skew(&self.org, ahead.as_secs());
        if ahead.abs() > TOLERATED && self.told.is_due(()) {
            tracing::warn!(
                org = %self.org,
                ahead_seconds = ahead.as_secs(),
                "this machine's clock and Okta's differ: codes may be taken for expired, or live too long at a provider. \
                 Set this clock by NTP; doctor compares it with the providers' too"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(asked: Option<Timestamp>, preview: bool) -> Message {
        Message { asked, preview, ..Message::bare("+15005550006", "482913") }
    }

    #[tokio::test(start_paused = true)]
    async fn every_skew_is_measured_and_one_that_begins_to_matter_is_told() {
        let now: Timestamp = "2026-01-05T10:00:00Z".parse().expect("a date");
        for (ahead, preview, measured, is_told) in [
            (Some(0), false, Some(0), false),
            (Some(30), false, Some(30), false),
            (Some(31), false, Some(31), true),
            (Some(-30), false, Some(-30), false),
            (Some(-31), false, Some(-31), true),
            (Some(3600), true, None, false),
            (None, false, None, false),
        ] {
            let metrics = Arc::new(Metrics::new());
            let skew = Skew::new(&"main".into(), &metrics);
            let asked = ahead.map(|ahead| now - SignedDuration::from_secs(ahead));
            skew.note(&message(asked, preview), now);
            let line = "okta_hook_clock_skew_seconds{org=\"main\"} ";
            let shown = metrics.render().lines().find_map(|l| l.strip_prefix(line)?.parse::<f64>().ok());
            assert_eq!(shown, measured.map(f64::from), "{ahead:?}");
            assert_eq!(!skew.told.is_due(()), is_told, "{ahead:?}");
        }
    }
}
