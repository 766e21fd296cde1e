//! HTML: a page of tables, everything in it escaped here.
//!
//! Must not know what a table holds. By hand rather than by a template engine: there is one page.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The page can be read without it.
const STYLE: &str = "
:root { color-scheme: light dark; font: 14px/1.4 system-ui, sans-serif }
body { margin: 1rem }
div { overflow-x: auto; margin-bottom: 1.5rem }
table { border-collapse: collapse }
caption { text-align: left; font-weight: bold; font-size: 1.15rem; padding: .3rem 0 }
th, td { text-align: left; vertical-align: top; padding: .15rem .9rem .15rem .3rem; border-top: 1px solid #8885 }
tbody th { font-weight: normal; white-space: nowrap }
tr.good th { border-left: 4px solid #2a8a3e }
tr.odd th { border-left: 4px solid #c80 }
tr.odd { background: #fa02 }
tr.bad th { border-left: 4px solid #c22 }
tr.bad { background: #f002 }
";

/// How the browser knows that the style is ours: what a content security policy calls it.
pub(super) fn style_source() -> String {
    format!("sha256-{}", STANDARD.encode(digest(&SHA256, STYLE.as_bytes())))
}

/// A page in the making.
#[derive(Debug)]
pub(super) struct Page(String);

/// Rows under one caption.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) caption: String,
    pub(super) heads: &'static [&'static str],
    pub(super) rows: Vec<Row>,
}

/// One row; its first cell is what it is about.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) tone: Tone,
    pub(super) cells: Vec<String>,
}

/// How a row looks. It says nothing that its words do not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// As it should be.
    Good,
    /// Worth a look.
    Odd,
    /// Somebody should act.
    Bad,
    /// Neither.
    Plain,
}

impl Tone {
    const fn class(self) -> &'static str {
        match self {
            Self::Good => " class=\"good\"",
            Self::Odd => " class=\"odd\"",
            Self::Bad => " class=\"bad\"",
            Self::Plain => "",
        }
    }
}

impl Page {
    /// A page that has itself loaded again every ten seconds.
    pub(super) fn new(title: &str) -> Self {
        let mut page = Self(String::with_capacity(64 * 1024));
        page.raw("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
        page.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
        page.raw("<meta http-equiv=\"refresh\" content=\"10\">\n<title>");
        page.text(title);
        page.raw("</title>\n<style>");
        page.raw(STYLE);
        page.raw("</style>\n</head>\n<body>\n");
        page
    }

    /// A sentence.
    pub(super) fn note(&mut self, text: &str) {
        self.raw("<p>");
        self.text(text);
        self.raw("</p>\n");
    }

    /// A table; without rows it says so.
    pub(super) fn table(&mut self, table: &Table) {
        self.raw("<div><table>\n<caption>");
        self.text(&table.caption);
        self.raw("</caption>\n<thead><tr>");
        for head in table.heads {
            self.raw("<th scope=\"col\">");
            self.text(head);
            self.raw("</th>");
        }
        self.raw("</tr></thead>\n<tbody>\n");
        for row in &table.rows {
            self.row(row);
        }
        if table.rows.is_empty() {
            // Writing into a String cannot fail.
            let _ = writeln!(self.0, "<tr><td colspan=\"{}\">none yet</td></tr>", table.heads.len());
        }
        self.raw("</tbody>\n</table></div>\n");
    }

    fn row(&mut self, row: &Row) {
        let _ = write!(self.0, "<tr{}>", row.tone.class());
        for (place, cell) in row.cells.iter().enumerate() {
            let (open, close) = if place == 0 { ("<th scope=\"row\">", "</th>") } else { ("<td>", "</td>") };
            self.raw(open);
            self.text(cell);
            self.raw(close);
        }
        self.raw("</tr>\n");
    }

    /// The whole page.
    pub(super) fn finish(mut self) -> String {
        self.raw("</body>\n</html>\n");
        self.0
    }

    fn raw(&mut self, html: &'static str) {
        self.0.push_str(html);
    }

    fn text(&mut self, text: &str) {
        escape(text, &mut self.0);
    }
}

/// Writes a text so that it stays text, in an element as in quotes, and looks like what it is: characters that cannot be
/// seen, or that turn the writing around, become U+FFFD.
fn escape(text: &str, html: &mut String) {
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c if is_unseen(c) => html.push(char::REPLACEMENT_CHARACTER),
            c => html.push(c),
        }
    }
}

/// Controls, and the formatting characters of Unicode that join, hide or turn around what stands beside them.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(text: &str) -> String {
        let mut html = String::new();
        escape(text, &mut html);
        html
    }

    #[test]
    fn what_means_something_in_html_is_text() {
        let given = r#"<script>alert("1" & '2')</script>"#;
        let expected = "&lt;script&gt;alert(&quot;1&quot; &amp; &#39;2&#39;)&lt;/script&gt;";
        assert_eq!(escaped(given), expected);
        assert_eq!(escaped("&lt;"), "&amp;lt;", "nothing is taken for escaped already");
        assert_eq!(escaped("Zürich 東京 مرحبا 👍"), "Zürich 東京 مرحبا 👍");
    }

    #[test]
    fn what_cannot_be_seen_or_turns_the_writing_around_is_shown_as_such() {
        let unseen = "\0\u{1b}\r\n\t\u{7f}\u{85}\u{ad}\u{61c}\u{200b}\u{200f}\u{2028}\u{202a}\u{202e}\u{2066}\u{2069}\
            \u{feff}\u{fffb}\u{e0041}";
        for c in unseen.chars() {
            assert_eq!(escaped(&format!("a{c}b")), "a\u{fffd}b", "{c:?}");
        }
    }

    #[test]
    fn a_page_holds_its_tables_and_the_style_that_its_policy_names() {
        let mut page = Page::new("<title>");
        let row = |tone, cell: &str| Row { tone, cells: vec![cell.to_owned(), "b".to_owned()] };
        let rows = vec![row(Tone::Bad, "<a>"), row(Tone::Plain, "c")];
        page.table(&Table { caption: "one & two".to_owned(), heads: &["x", "y"], rows });
        page.table(&Table { caption: "three".to_owned(), heads: &["z"], rows: Vec::new() });
        let html = page.finish();
        for expected in [
            "<title>&lt;title&gt;</title>",
            "<caption>one &amp; two</caption>",
            "<tr><th scope=\"col\">x</th><th scope=\"col\">y</th></tr>",
            "<tr class=\"bad\"><th scope=\"row\">&lt;a&gt;</th><td>b</td></tr>",
            "<tr><th scope=\"row\">c</th><td>b</td></tr>",
            "<tr><td colspan=\"1\">none yet</td></tr>",
        ] {
            assert!(html.contains(expected), "{expected} in {html}");
        }
        let style = html.split_once("<style>").and_then(|(_, rest)| rest.split_once("</style>")).expect("style").0;
        assert_eq!(style_source(), format!("sha256-{}", STANDARD.encode(digest(&SHA256, style.as_bytes()))));
    }
}
