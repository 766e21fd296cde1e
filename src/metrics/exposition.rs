//! The two forms a page of metrics is written in: OpenMetrics, and Prometheus' older text format.
//!
//! Must not know any metric. The library writes OpenMetrics; the older form differs in the names above counters.

/// In what form whoever asks can read the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposition {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus' text format, version 0.0.4: for whoever does not name the other.
    Text,
}

impl Exposition {
    /// What the value of an `Accept` header asks for.
    pub fn accepted(accept: &str) -> Self {
        let accept = accept.to_ascii_lowercase().replace(' ', "");
        let names_it = |range: &str| {
            let mut parts = range.split(';');
            parts.next() == Some("application/openmetrics-text") && !parts.any(|part| matches!(part, "q=0" | "q=0.0"))
        };
        if accept.split(',').any(names_it) { Self::OpenMetrics } else { Self::Text }
    }

    /// The content type of the page.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// A page that was written as OpenMetrics, in this form.
    pub fn of(self, page: String) -> String {
        match self {
            Self::OpenMetrics => page,
            Self::Text => text(&page),
        }
    }
}

/// A counter's samples end in `_total`, and so must its name; the mark at the end means nothing here.
fn text(page: &str) -> String {
    let mut text = String::with_capacity(page.len() + 1024);
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        let family = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' '));
        let kind = lines.peek().and_then(|next| next.strip_prefix("# TYPE ")?.split_once(' '));
        match (family, kind) {
            _ if line == "# EOF" => {}
            (Some((name, help)), Some((of, "counter"))) if of == name => {
                text.push_str(&format!("# HELP {name}_total {help}\n# TYPE {name}_total counter\n"));
                lines.next();
            }
            _ => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# HELP hooks Hooks.\n# TYPE hooks counter\nhooks_total{org=\"a\"} 1\n\
                        # HELP open Open now.\n# TYPE open gauge\nopen 2\n# EOF\n";

    #[test]
    fn counters_have_the_name_of_their_samples_in_the_older_form() {
        let text = Exposition::Text.of(PAGE.to_owned());
        assert_eq!(
            text,
            "# HELP hooks_total Hooks.\n# TYPE hooks_total counter\nhooks_total{org=\"a\"} 1\n\
             # HELP open Open now.\n# TYPE open gauge\nopen 2\n"
        );
        assert_eq!(Exposition::OpenMetrics.of(PAGE.to_owned()), PAGE);
    }

    #[test]
    fn the_newer_form_is_for_whoever_names_it() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1";
        assert_eq!(Exposition::accepted(prometheus), Exposition::OpenMetrics);
        assert_eq!(Exposition::accepted("Application/OpenMetrics-Text ; q=0.9"), Exposition::OpenMetrics);
        for accept in ["", "*/*", "text/plain;version=0.0.4", "application/openmetrics-text; q=0, text/plain"] {
            assert_eq!(Exposition::accepted(accept), Exposition::Text, "{accept}");
        }
    }
}
