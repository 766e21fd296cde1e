//! The tables of the operator's page.
//!
//! Must not write HTML, nor show what a log line must not: names from the configuration, words from fixed sets, counts,
//! keyed hashes.

use std::time::Duration;

use jiff::Timestamp;

use super::html::{Row, Table, Tone};
use crate::dispatch::health::{Circuit, Condition};
use crate::http::ops::Shown;
use crate::learn;
use crate::otp::{Channel, Country, ProviderName, Verdict};
use crate::recent::{Ending, HookRecord};

/// Ways are shown as far as a person would read; `/learned` has them all.
const MAX_WAYS: usize = 100;

/// Whether it is well, and since when.
pub(super) fn state(shown: &Shown, obstacles: &[String], now: Timestamp) -> Table {
    let metrics = &shown.metrics;
    let row = |tone, what: &str, how: String| Row { tone, cells: vec![what.to_owned(), how] };
    let ready = match obstacles {
        [] => row(Tone::Good, "state", "ready".to_owned()),
        obstacles => row(Tone::Bad, "state", format!("not ready: {}", obstacles.join("; "))),
    };
    let since = format!("{} ({})", moment(shown.since), span(between(shown.since, now)));
    let (taken, refused) = metrics.config_reloads();
    let mut rows = vec![
        ready,
        row(Tone::Plain, "version", env!("CARGO_PKG_VERSION").to_owned()),
        row(Tone::Plain, "runs since", since),
        row(Tone::Plain, "hooks in flight", metrics.in_flight.get().to_string()),
        row(alarm(metrics.shed.get()), "turned away with 429", metrics.shed.get().to_string()),
        row(alarm(metrics.panics.get()), "panics", metrics.panics.get().to_string()),
        row(alarm(refused), "configuration read again", format!("{taken} taken, {refused} refused")),
    ];
    if let Some(certificates) = &shown.certificates {
        let left = match between(now, certificates.expires()) {
            Duration::ZERO => "expired".to_owned(),
            left => format!("{} left", span(left)),
        };
        let tone = if certificates.has_expired() { Tone::Bad } else { Tone::Plain };
        rows.push(row(tone, "certificate", format!("good until {} ({left})", moment(certificates.expires()))));
    }
    for (target, setting) in shown.health.switches().list() {
        rows.push(row(Tone::Odd, "switch", format!("{target} {}", setting.as_str())));
    }
    Table { caption: "State".to_owned(), heads: &["what", "how it is"], rows }
}

/// How every provider is doing, on the channels it has.
pub(super) fn providers(shown: &Shown) -> Table {
    let ways = shown.providers.iter().flat_map(|(name, provider)| {
        let channels = Channel::ALL.into_iter().filter(|channel| provider.supports(*channel));
        channels.map(move |channel| (name, provider.kind(), channel))
    });
    let rows = ways.filter_map(|(name, kind, channel)| {
        let condition = shown.health.condition(name, channel)?;
        Some(provider(shown, (name, kind, channel), &condition))
    });
    let heads = &["provider", "kind", "channel", "circuit breaker", "held back", "in flight", "accepted", "failed"];
    Table { caption: "Providers, since the start".to_owned(), heads, rows: rows.collect() }
}

fn provider(shown: &Shown, (name, kind, channel): (&ProviderName, &str, Channel), condition: &Condition) -> Row {
    let mut held: Vec<String> = Vec::new();
    held.extend(condition.switch.map(|setting| setting.as_str().to_owned()));
    held.extend(condition.paused_for.map(|left| format!("paused for {}", span(left))));
    if condition.is_full {
        held.push("at its limit".to_owned());
    }
    let tone = match (condition.circuit, held.is_empty()) {
        (Circuit::Open(_), _) => Tone::Bad,
        (Circuit::Closed, true) => Tone::Good,
        (Circuit::Closed, false) | (Circuit::HalfOpen, _) => Tone::Odd,
    };
    let left = match condition.circuit {
        Circuit::Open(left) => format!(" for {}", span(left)),
        Circuit::Closed | Circuit::HalfOpen => String::new(),
    };
    let in_flight = match condition.limits.max_in_flight {
        Some(most) => format!("{} of {most}", condition.in_flight),
        None => condition.in_flight.to_string(),
    };
    let (accepted, failed) = shown.metrics.attempts_at(name, channel);
    let failed = failed.iter().map(|(kind, count)| format!("{kind} {count}"));
    let cells = vec![
        name.to_string(),
        kind.to_owned(),
        channel.to_string(),
        format!("{}{left}", condition.circuit.as_str()),
        held.join(", "),
        in_flight,
        accepted.to_string(),
        failed.collect::<Vec<_>>().join(", "),
    ];
    Row { tone, cells }
}

/// What was learnt of the providers: what `/learned` says.
pub(super) fn learned(shown: &Shown) -> Table {
    let all = shown.learn.table();
    let caption = match all.len().saturating_sub(MAX_WAYS) {
        0 => "Learnt in the last half hour".to_owned(),
        more => format!("Learnt in the last half hour ({more} more at /learned)"),
    };
    let share = |share: Option<f64>| share.map(|share| format!("{:.1} %", share * 100.0)).unwrap_or_default();
    let row = |row: &learn::Row| {
        let (tone, verdict) = match row.behind.as_slice() {
            [] => (Tone::Plain, "fine".to_owned()),
            behind => (Tone::Odd, format!("falls behind in {}", behind.join(", "))),
        };
        let mut cells = vec![row.way.provider.to_string(), row.way.country_word(), row.way.channel.to_string()];
        let counts = [row.accepted, row.failed, row.delivered, row.undelivered, row.awaited, row.converted];
        cells.extend(counts.map(|count| count.to_string()));
        cells.extend([share(row.delivery), share(row.conversion), verdict]);
        Row { tone, cells }
    };
    let heads = &[
        "provider",
        "country",
        "channel",
        "accepted",
        "failed",
        "delivered",
        "undelivered",
        "awaited",
        "converted",
        "delivery",
        "conversion",
        "verdict",
    ];
    Table { caption, heads, rows: all.iter().take(MAX_WAYS).map(row).collect() }
}

/// The last hooks.
pub(super) fn hooks(shown: &Shown) -> Table {
    let heads = &[
        "time (UTC)",
        "org",
        "verdict",
        "channel",
        "country",
        "provider",
        "tried",
        "ms",
        "route",
        "notes",
        "transaction id",
        "event id",
        "phone_ref",
    ];
    let rows = shown.recent.list().iter().map(|told| hook(told)).collect();
    Table { caption: "The last hooks, newest first".to_owned(), heads, rows }
}

fn hook(told: &HookRecord) -> Row {
    let tone = match told.ending {
        Ending::Outcome(Verdict::Accepted) | Ending::Repeat => Tone::Good,
        Ending::Outcome(Verdict::Exhausted | Verdict::Blocked)
        | Ending::Broken
        | Ending::Overloaded
        | Ending::Unauthorized => Tone::Bad,
        Ending::Outcome(Verdict::Refused | Verdict::Unconfirmed)
        | Ending::Expired
        | Ending::RepeatUnheard
        | Ending::SlowBody
        | Ending::TooLarge
        | Ending::Unknown
        | Ending::Unreadable => Tone::Odd,
    };
    let or_empty = |text: &Option<String>| text.clone().unwrap_or_default();
    let cells = vec![
        moment(told.at),
        told.org.to_string(),
        told.ending.as_str().to_owned(),
        told.channel.map_or("", Channel::as_str).to_owned(),
        told.country.as_ref().map_or("", Country::as_str).to_owned(),
        or_empty(&told.provider),
        told.attempts.join("; "),
        told.elapsed.as_millis().to_string(),
        told.route.as_deref().unwrap_or_default().to_owned(),
        notes(told),
        or_empty(&told.transaction_id),
        told.event_id.as_ref().map(ToString::to_string).unwrap_or_default(),
        told.phone_ref.clone(),
    ];
    Row { tone, cells }
}

/// What is worth telling of a few hooks only.
fn notes(told: &HookRecord) -> String {
    let mut notes = Vec::new();
    notes.extend(told.repeat.map(|reason| format!("repeat: {reason}")));
    notes.extend(told.resend.as_ref().map(|previous| format!("resend: {previous}")));
    if !told.skipped.is_empty() {
        notes.push(format!("skipped: {}", told.skipped.join(", ")));
    }
    notes.extend(told.fault.clone());
    if told.preview {
        notes.push("preview".to_owned());
    }
    notes.join("; ")
}

fn alarm(count: u64) -> Tone {
    if count == 0 { Tone::Plain } else { Tone::Odd }
}

/// A moment, to the millisecond.
pub(super) fn moment(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// From one moment to a later one; zero when it is not later.
fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

/// A length of time in its two largest units.
fn span(length: Duration) -> String {
    let seconds = length.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{} s", length.as_secs_f64().ceil()),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_moments_are_told_briefly() {
        for (length, told) in [
            (Duration::ZERO, "0 s"),
            (Duration::from_millis(200), "1 s"),
            (Duration::from_secs(59), "59 s"),
            (Duration::from_secs(61), "1 min 1 s"),
            (Duration::from_secs(3 * 3600 + 300), "3 h 5 min"),
            (Duration::from_secs(50 * 3600), "2 d 2 h"),
        ] {
            assert_eq!(span(length), told);
        }
        assert_eq!(moment(Timestamp::UNIX_EPOCH), "1970-01-01T00:00:00.000Z");
        assert_eq!(between(Timestamp::MAX, Timestamp::UNIX_EPOCH), Duration::ZERO);
    }
}
