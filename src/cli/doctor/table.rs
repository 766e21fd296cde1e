//! The findings of `doctor` as a table for people or as JSON.
//!
//! Must not look at anything itself.

use serde_json::{Value, json};

use crate::cli::paint::Paint;
use crate::provider::{Check, Diagnosis};

/// What was looked at, by subject.
#[derive(Debug, Default)]
pub(super) struct Table(Vec<(String, Check)>);

impl Table {
    pub(super) fn add(&mut self, subject: impl Into<String>, check: Check) {
        self.0.push((subject.into(), check));
    }

    /// Whether anything does not work.
    pub(super) fn fails(&self) -> bool {
        self.0.iter().any(|(_, check)| matches!(check.diagnosis, Diagnosis::Fail(_)))
    }

    pub(super) fn lines(&self, paint: Paint) -> String {
        let width =
            |of: fn(&(String, Check)) -> &str| self.0.iter().map(|row| of(row).chars().count()).max().unwrap_or(0);
        let (subjects, whats) = (width(|row| &row.0), width(|row| &row.1.what));
        let line = |(subject, check): &(String, Check)| {
            let (word, told) = told(&check.diagnosis);
            // Padded before it is painted: colours have no width.
            let word = format!("{word:<4}");
            let word = match check.diagnosis {
                Diagnosis::Ok(_) => paint.good(&word),
                Diagnosis::Warn(_) => paint.strong(&word),
                Diagnosis::Fail(_) => paint.bad(&word),
            };
            format!("{word}  {subject:<subjects$}  {:<whats$}  {told}", check.what).trim_end().to_owned() + "\n"
        };
        self.0.iter().map(line).collect()
    }

    pub(super) fn json(&self) -> String {
        let row = |(subject, check): &(String, Check)| {
            let (word, told) = told(&check.diagnosis);
            json!({ "subject": subject, "what": check.what, "verdict": word, "told": told })
        };
        let rows: Vec<Value> = self.0.iter().map(row).collect();
        json!({ "ok": !self.fails(), "checks": rows }).to_string() + "\n"
    }
}

fn told(diagnosis: &Diagnosis) -> (&'static str, &str) {
    match diagnosis {
        Diagnosis::Ok(told) => ("ok", told),
        Diagnosis::Warn(told) => ("warn", told),
        Diagnosis::Fail(told) => ("fail", told),
    }
}
