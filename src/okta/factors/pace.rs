//! How often the org's API may be asked: sign-ins and every other client of the org live by the same limits.
//!
//! Must not wait, nor look at a clock: it is handed the present moment. Source: Okta docs, "Rate limit best practices".

use std::sync::Mutex;
use std::time::Duration;

use http::HeaderMap;
use tokio::time::Instant;

use crate::locks::lock;
use crate::outbound::Answer;

/// What is left to others of each window: a tenth of what it allows.
const RESERVE: u64 = 10;

/// Okta's windows last a minute. It may name a later end after too many requests at one time, and that is an estimate:
/// one more question settles it.
const WINDOW: Duration = Duration::from_secs(60);

/// Dates are in whole seconds: a reset in this very second is not over yet.
const LEAST: Duration = Duration::from_secs(1);

/// Until when nothing is asked.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<Option<Instant>>);

impl Pace {
    /// The end of the pause, if there is one.
    pub(super) fn paused_until(&self, now: Instant) -> Option<Instant> {
        lock(&self.0).filter(|until| *until > now)
    }

    /// Learns from an answer; the end of the pause that it asks for.
    pub(super) fn learn(&self, answer: &Answer, headers: &HeaderMap, now: Instant) -> Option<Instant> {
        let until = now + pause(answer, headers)?;
        let mut paused = lock(&self.0);
        // Answers overtake each other: the later end holds.
        let until = paused.map_or(until, |known| known.max(until));
        *paused = Some(until);
        Some(until)
    }
}

/// How long to ask nothing after this answer.
fn pause(answer: &Answer, headers: &HeaderMap) -> Option<Duration> {
    // One answer may carry several limits: the narrowest counts.
    let limit = numbers(headers, "x-rate-limit-limit").min().unwrap_or_default();
    let left = numbers(headers, "x-rate-limit-remaining").min();
    let is_low = left.is_some_and(|left| left < (limit / RESERVE).max(1));
    if answer.status != 429 && !is_low {
        return None;
    }
    // By Okta's own clock on both sides: ours may be wrong.
    let reset = numbers(headers, "x-rate-limit-reset").max().zip(answer.date);
    let told = reset.map(|(reset, date)| Duration::from_secs(reset.saturating_sub(date.as_second().unsigned_abs())));
    Some(told.or(answer.retry_after).unwrap_or(WINDOW).clamp(LEAST, WINDOW))
}

/// Every number of a header, which may come more than once or with commas.
fn numbers<'h>(headers: &'h HeaderMap, name: &'static str) -> impl Iterator<Item = u64> + 'h {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).filter_map(|number| number.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderValue;

    use super::*;

    /// What is told by status, limit, remaining and seconds to the reset.
    fn told(status: u16, limit: &str, remaining: &str, reset: Option<i64>) -> (Answer, HeaderMap) {
        let date: jiff::Timestamp = "2026-01-05T10:00:00Z".parse().expect("a date");
        let mut headers = HeaderMap::new();
        for (name, value) in [("x-rate-limit-limit", limit), ("x-rate-limit-remaining", remaining)] {
            for value in value.split(';').filter(|value| !value.is_empty()) {
                headers.append(name, HeaderValue::from_str(value).expect("a value"));
            }
        }
        if let Some(reset) = reset {
            headers.insert("x-rate-limit-reset", HeaderValue::from(date.as_second() + reset));
        }
        (Answer { status, body: Bytes::new(), retry_after: None, max_age: None, date: Some(date) }, headers)
    }

    #[test]
    fn a_tenth_of_every_window_is_left_to_others() {
        for (status, limit, remaining, reset, seconds) in [
            (200, "600", "599", Some(40), None),
            (200, "600", "60", Some(40), None),
            (200, "600", "59", Some(40), Some(40)),
            (404, "600", "0", Some(40), Some(40)),
            (200, "15", "1", Some(40), None),
            (200, "5", "1", Some(40), None),
            (200, "5", "0", Some(40), Some(40)),
            // Too many at one time; the end is an estimate.
            (429, "0", "0", Some(119), Some(60)),
            (429, "", "", Some(7), Some(7)),
            (429, "600", "300", Some(-3), Some(1)),
            (429, "", "", None, Some(60)),
            // The narrower of two limits.
            (200, "600;100", "599;9", Some(20), Some(20)),
            (200, "600, 100", "599, 9", Some(20), Some(20)),
            (200, "", "", Some(20), None),
            (200, "many", "few", Some(20), None),
            (503, "", "", None, None),
        ] {
            let (answer, headers) = told(status, limit, remaining, reset);
            let expected = seconds.map(Duration::from_secs);
            assert_eq!(pause(&answer, &headers), expected, "{status} {limit:?} {remaining:?} {reset:?}");
        }
    }

    #[test]
    fn without_a_date_or_a_reset_retry_after_counts_else_a_window() {
        let (answer, headers) = told(429, "600", "0", Some(20));
        let undated = Answer { date: None, ..answer };
        assert_eq!(pause(&undated, &headers), Some(WINDOW));
        let undated = Answer { retry_after: Some(Duration::from_secs(9)), ..undated };
        assert_eq!(pause(&undated, &headers), Some(Duration::from_secs(9)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_later_end_holds_and_passes() {
        let (pace, start) = (Pace::default(), Instant::now());
        assert_eq!(pace.paused_until(start), None);
        for reset in [30, 10] {
            let (answer, headers) = told(429, "600", "0", Some(reset));
            assert_eq!(pace.learn(&answer, &headers, start), Some(start + Duration::from_secs(30)), "{reset}");
        }
        let (fine, headers) = told(200, "600", "599", Some(60));
        assert_eq!(pace.learn(&fine, &headers, start), None);
        assert_eq!(pace.paused_until(start + Duration::from_secs(29)), Some(start + Duration::from_secs(30)));
        assert_eq!(pace.paused_until(start + Duration::from_secs(30)), None);
    }
}
