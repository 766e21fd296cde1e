//! One event → one JSON object on one line: timestamp, level, message, then the fields in their order.
//!
//! Must not know what is logged. Own code, as the line is written for every hook: tracing-subscriber's JSON formatter
//! took a quarter of a hook's time.

use std::cell::RefCell;
use std::fmt::{self, Write as _};

use jiff::Timestamp;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::lines::Lines;

/// Writes every event as a line.
#[derive(Debug)]
pub(super) struct JsonLines(pub Lines);

/// The line that tells of lines lost.
pub(super) fn dropped(count: u64) -> String {
    let now = Timestamp::now();
    format!("{{\"timestamp\":\"{now:.6}\",\"level\":\"WARN\",\"message\":\"log lines dropped\",\"count\":{count}}}\n")
}

thread_local! {
    /// The line in the making; kept so that a line costs no allocation.
    static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl<S: Subscriber> Layer<S> for JsonLines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        LINE.with_borrow_mut(|line| {
            line.clear();
            let mut line = Line { bytes: line };
            // Writing into a Vec cannot fail.
            let _ =
                write!(line, "{{\"timestamp\":\"{:.6}\",\"level\":\"{}\"", Timestamp::now(), event.metadata().level());
            event.record(&mut line);
            line.bytes.extend_from_slice(b"}\n");
            self.0.push(line.bytes);
        });
    }
}

struct Line<'a> {
    bytes: &'a mut Vec<u8>,
}

impl Line<'_> {
    fn key(&mut self, field: &Field) {
        self.bytes.push(b',');
        self.text(field.name());
        self.bytes.push(b':');
    }

    fn text(&mut self, text: &str) {
        // serde_json escapes what must not stand in a line; writing into a Vec cannot fail.
        let _ = serde_json::to_writer(&mut *self.bytes, text);
    }
}

impl fmt::Write for Line<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

impl Visit for Line<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.key(field);
        self.text(value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.key(field);
        self.text(&format!("{value:?}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.key(field);
        let _ = write!(self, "{value}");
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.key(field);
        let _ = write!(self, "{value}");
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.key(field);
        let _ = write!(self, "{value}");
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.key(field);
        let _ = write!(self, "{value}");
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.key(field);
        // JSON has no word for what is no number.
        let _ = if value.is_finite() { write!(self, "{value}") } else { self.write_str("null") };
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn a_line_is_one_json_object_whatever_stands_in_it() {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::registry().with(JsonLines(lines.clone()));
        tracing::subscriber::with_default(subscriber, || {
            let absent: Option<&str> = None;
            tracing::warn!(text = "a\"b\\c\nd\u{1b}[31m", number = -3, ratio = 1.5, odd = f64::NAN, absent, flag = true, shown = %"x\r\ny", "said");
        });
        let written = String::from_utf8(lines.taken()).expect("text");
        let json: serde_json::Value = serde_json::from_str(&written).expect("one object");
        assert_eq!(written.matches('\n').count(), 1);
        assert!(!written.contains('\u{1b}'));
        let expected = serde_json::json!({
            "timestamp": json["timestamp"], "level": "WARN", "message": "said", "text": "a\"b\\c\nd\u{1b}[31m",
            "number": -3, "ratio": 1.5, "odd": null, "flag": true, "shown": "x\r\ny",
        });
        assert_eq!(json, expected);
    }
}
