//! What the headers of an answer say about time: when to come again, how long it holds, when it was given.
//!
//! Must not know who answered, and must not decide what is waited for. Source: RFC 9110, sections 5.6.7 and 10.2.3.

use std::time::Duration;

use http::HeaderValue;
use jiff::Timestamp;
use jiff::fmt::rfc2822;

use crate::deadline::Clock;

/// More than anybody here waits for: what goes beyond is as long as this.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// `Retry-After` in either form; `None` when it cannot be read, or asks for no time or a moment that is over.
///
/// A moment is held against `date`, the clock of whoever answered, as ours may be wrong; against ours only without it.
pub(super) fn retry_after(value: &HeaderValue, date: Option<Timestamp>) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        // All that can fail now is that there are too many digits.
        let asked = text.parse().map_or(MAX_RETRY_AFTER, Duration::from_secs).min(MAX_RETRY_AFTER);
        return (!asked.is_zero()).then_some(asked);
    }
    let now = date.unwrap_or_else(|| Clock::SYSTEM.now());
    let left = self::date(value)?.duration_since(now);
    Duration::try_from(left).ok().filter(|left| !left.is_zero()).map(|left| left.min(MAX_RETRY_AFTER))
}

/// The one form of three that is still sent; mail has the same.
pub(super) fn date(value: &HeaderValue) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new().parse_timestamp(value.to_str().ok()?.trim()).ok()
}

/// `max-age` of `Cache-Control`.
pub(super) fn max_age(value: &HeaderValue) -> Option<Duration> {
    value.to_str().ok()?.split(',').find_map(|directive| {
        let (name, seconds) = directive.split_once('=')?;
        let seconds = name.trim().eq_ignore_ascii_case("max-age").then(|| seconds.trim().trim_matches('"'))?;
        seconds.parse().ok().map(Duration::from_secs)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_asked_for_in_seconds_or_as_a_moment_and_never_lost_for_being_long() {
        let date = "2026-01-05T10:00:00Z".parse().ok();
        for (value, expected) in [
            ("0", None),
            (" 7 ", Some(7)),
            ("3600", Some(3600)),
            ("3601", Some(3600)),
            ("99999999999999999999999", Some(3600)),
            ("Mon, 05 Jan 2026 10:00:30 GMT", Some(30)),
            ("Mon, 05 Jan 2026 12:00:00 GMT", Some(3600)),
            ("Mon, 05 Jan 2026 10:00:00 GMT", None),
            ("Mon, 05 Jan 2026 09:59:00 GMT", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ] {
            let found = retry_after(&HeaderValue::from_static(value), date);
            assert_eq!(found, expected.map(Duration::from_secs), "{value:?}");
        }
        let far = HeaderValue::from_static("Fri, 01 Jan 2100 00:00:00 GMT");
        assert_eq!(retry_after(&far, None), Some(MAX_RETRY_AFTER), "our own clock does without the other");
    }
}
