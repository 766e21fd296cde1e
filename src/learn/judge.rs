//! When one share is clearly below another: as far as so few samples can tell.
//!
//! Must not know what the shares are of.

/// With fewer samples nothing is said, of either side.
const MIN_SAMPLES: u32 = 20;

/// Nearer than this nobody is put last: thousands of samples tell a difference that no person would notice.
const MIN_GAP: f64 = 0.10;

/// Of a normal distribution, 95 % lie within so many standard deviations.
const Z: f64 = 1.96;

/// So many went well, of so many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    good: u32,
    all: u32,
}

impl Tally {
    /// At most `all` of them are good: what other replicas sent may be heard of here.
    pub(super) fn new(good: u32, all: u32) -> Self {
        Self { good: good.min(all), all }
    }

    /// Those of both.
    pub(super) fn plus(self, other: Self) -> Self {
        Self { good: self.good.saturating_add(other.good), all: self.all.saturating_add(other.all) }
    }

    pub(super) fn good(self) -> u32 {
        self.good
    }

    pub(super) fn all(self) -> u32 {
        self.all
    }

    /// The share that went well; `None` without a sample.
    pub(super) fn share(self) -> Option<f64> {
        (self.all > 0).then(|| f64::from(self.good) / f64::from(self.all))
    }

    /// Whether this one is clearly below the best of the others: both have samples enough, their 95 % intervals do not
    /// meet, and they are ten percentage points apart.
    pub(super) fn falls_behind(self, others: impl Iterator<Item = Self>) -> bool {
        let Some((share, (_, upper))) = self.judged() else { return false };
        let best = others.filter_map(Self::judged).max_by(|a, b| a.1.0.total_cmp(&b.1.0));
        best.is_some_and(|(best, (lower, _))| upper < lower && best - share >= MIN_GAP)
    }

    fn judged(self) -> Option<(f64, (f64, f64))> {
        (self.all >= MIN_SAMPLES).then(|| self.share()).flatten().map(|share| (share, self.interval()))
    }

    /// Wilson's score interval. Unlike the simple one it holds for few samples and for shares near 0 and 1.
    fn interval(self) -> (f64, f64) {
        let n = f64::from(self.all);
        let p = f64::from(self.good) / n;
        let middle = p + Z * Z / (2.0 * n);
        let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        let scale = 1.0 + Z * Z / n;
        ((middle - half) / scale, (middle + half) / scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_wilsons() {
        // Newcombe 1998, table I, row 81 of 263, and the edges of 15 and 20.
        for (good, all, lower, upper) in
            [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (20, 20, 0.8389, 1.0)]
        {
            let (low, high) = Tally::new(good, all).interval();
            assert!((low - lower).abs() < 1e-4 && (high - upper).abs() < 1e-4, "{good} of {all}: {low} {high}");
        }
    }

    #[test]
    fn only_a_clear_difference_counts() {
        for (own, others, expected, why) in [
            ((0, 20), vec![(20, 20)], true, "the floor of both"),
            ((0, 19), vec![(20, 20)], false, "too few of its own"),
            ((0, 20), vec![(19, 19)], false, "too few of the other"),
            ((0, 20), vec![], false, "nobody to compare with"),
            ((14, 20), vec![(19, 20)], false, "the intervals meet"),
            ((140, 200), vec![(190, 200)], true, "the same shares, with samples enough"),
            ((9000, 10_000), vec![(9900, 10_000)], false, "certain, and nine points"),
            ((8890, 10_000), vec![(9900, 10_000)], true, "certain, and more than ten points"),
            ((190, 200), vec![(140, 200)], false, "the better one"),
            ((100, 200), vec![(110, 200), (190, 200)], true, "the best of the others is what counts"),
            ((0, 200), vec![(0, 200)], false, "both as bad"),
        ] {
            let others = others.into_iter().map(|(good, all)| Tally::new(good, all));
            assert_eq!(Tally::new(own.0, own.1).falls_behind(others), expected, "{why}");
        }
    }

    #[test]
    fn more_good_ones_than_there_were_count_as_all() {
        assert_eq!(Tally::new(9, 3), Tally::new(3, 3));
        assert_eq!(Tally::new(1, 0).share(), None);
        assert_eq!(Tally::new(1, 2).plus(Tally::new(0, 2)).share(), Some(0.25));
    }
}
