//! What was learnt, to be shown: to people as a table, to a scraper as metrics.
//!
//! Must not hold anything but names, countries and counts.

use super::window::Moment;
use super::{Kind, MINUTE, Measure, State, Tally, WINDOW_MINUTES, Way};
use crate::metrics::{LearnedPage, LearnedWay};
use crate::otp::{Channel, Country};

/// What was learnt of one way.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The way.
    pub way: Way,
    /// Attempts of the last half hour that the provider took.
    pub accepted: u32,
    /// Attempts of the last half hour that it did not take.
    pub failed: u32,
    /// Messages of the last half hour that it reported delivered.
    pub delivered: u32,
    /// Messages of the last half hour that it reported undelivered.
    pub undelivered: u32,
    /// Codes whose use could have been heard of by now.
    pub awaited: u32,
    /// Those of them that were used.
    pub converted: u32,
    /// The share of reported messages that were delivered, without the youngest; what is judged.
    pub delivery: Option<f64>,
    /// The share of awaited codes that were used; what is judged.
    pub conversion: Option<f64>,
    /// By what the provider falls behind the others in its country and channel: `delivery`, `conversion`.
    pub behind: Vec<&'static str>,
}

/// A row in the making.
struct Draft<'a> {
    way: &'a Way,
    counts: [u32; 4],
    /// By measure.
    tallies: [Tally; 2],
}

impl Draft<'_> {
    /// Where it goes, and over what: those that go the same way are compared.
    fn lane(&self) -> (Option<Country>, Channel) {
        (self.way.country, self.way.channel)
    }

    fn row(&self, rivals: &[Self]) -> Row {
        let behind = |measure: &Measure| {
            let others = rivals.iter().filter(|other| other.way != self.way);
            self.tallies[*measure as usize].falls_behind(others.map(|other| other.tallies[*measure as usize]))
        };
        let [delivery, conversion] = self.tallies;
        let count = |kind: Kind| self.counts[kind as usize];
        Row {
            way: self.way.clone(),
            accepted: count(Kind::Accepted),
            failed: count(Kind::Failed),
            delivered: count(Kind::Delivered),
            undelivered: count(Kind::Undelivered),
            awaited: conversion.all(),
            converted: conversion.good(),
            delivery: delivery.share(),
            conversion: conversion.share(),
            behind: Measure::ALL.iter().filter(|m| behind(m)).map(|m| m.as_str()).collect(),
        }
    }
}

impl State {
    pub(super) fn table(&self, now: Moment) -> Vec<Row> {
        let minute = now.slot(MINUTE);
        let window = minute + 1 - WINDOW_MINUTES..=minute;
        let draft = |way| Draft {
            way,
            counts: self.cells.sum(way, &window),
            tallies: [self.delivery(way, now), self.orgs.conversions(way, now)],
        };
        let mut drafts: Vec<Draft<'_>> = self.cells.ways().map(draft).filter(|d| d.counts != [0; 4]).collect();
        drafts.sort_unstable_by_key(Draft::lane);
        let rivals = drafts.chunk_by(|a, b| a.lane() == b.lane());
        let mut rows: Vec<Row> = rivals.flat_map(|rivals| rivals.iter().map(|draft| draft.row(rivals))).collect();
        rows.sort_by(|a, b| {
            let busy = |row: &Row| (row.behind.is_empty(), std::cmp::Reverse(row.accepted));
            busy(a).cmp(&busy(b)).then_with(|| a.way.cmp(&b.way))
        });
        rows
    }

    /// What metrics show.
    pub(super) fn page(&self, now: Moment) -> LearnedPage {
        let way = |row: Row| LearnedWay {
            provider: row.way.provider.shared(),
            country: row.way.country_word(),
            channel: row.way.channel.as_str(),
            samples: [
                ("accepted", row.accepted),
                ("failed", row.failed),
                ("delivered", row.delivered),
                ("undelivered", row.undelivered),
                ("awaited", row.awaited),
                ("converted", row.converted),
            ],
            delivery: row.delivery,
            conversion: row.conversion,
        };
        LearnedPage { ways: self.table(now).into_iter().map(way).collect(), orgs: self.orgs.shown() }
    }
}

impl Way {
    /// The country's two letters, or `unknown`.
    pub fn country_word(&self) -> String {
        self.country.map_or_else(|| "unknown".to_owned(), |country| country.to_string())
    }
}
