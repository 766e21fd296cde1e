//! A window for every way that messages take, as many ways as there may be.
//!
//! Must not know what is counted.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use super::Way;
use super::window::Window;
use crate::otp::ProviderName;

/// Windows by way. The one that was counted in least recently makes room.
#[derive(Debug)]
pub(super) struct Cells<const KINDS: usize, const SLOTS: usize> {
    cells: HashMap<Way, Cell<KINDS, SLOTS>>,
    most: usize,
    /// Goes up with every count.
    turn: u64,
}

#[derive(Debug)]
struct Cell<const KINDS: usize, const SLOTS: usize> {
    window: Window<KINDS, SLOTS>,
    turn: u64,
}

impl<const KINDS: usize, const SLOTS: usize> Cells<KINDS, SLOTS> {
    /// None yet, and never more than `most`.
    pub(super) fn new(most: usize) -> Self {
        Self { cells: HashMap::new(), most, turn: 0 }
    }

    /// Counts one of a kind.
    pub(super) fn add(&mut self, way: &Way, slot: u32, kind: usize) {
        self.turn += 1;
        if let Some(cell) = self.cells.get_mut(way) {
            cell.turn = self.turn;
            return cell.window.add(slot, kind);
        }
        if self.cells.len() >= self.most {
            self.make_room();
        }
        let mut window = Window::new();
        window.add(slot, kind);
        self.cells.insert(way.clone(), Cell { window, turn: self.turn });
    }

    /// What was counted of a way in these slots; zeros when nothing was.
    pub(super) fn sum(&self, way: &Way, slots: &RangeInclusive<u32>) -> [u32; KINDS] {
        self.cells.get(way).map_or([0; KINDS], |cell| cell.window.sum(slots))
    }

    /// Every way that anything was counted of.
    pub(super) fn ways(&self) -> impl Iterator<Item = &Way> {
        self.cells.keys()
    }

    /// Forgets the ways of some providers.
    pub(super) fn forget(&mut self, gone: impl Fn(&ProviderName) -> bool) {
        self.cells.retain(|way, _| !gone(&way.provider));
    }

    /// Forgets the ways of which nothing was counted in this slot or a later one.
    pub(super) fn drop_idle_since(&mut self, slot: u32) {
        self.cells.retain(|_, cell| !cell.window.is_idle_since(slot));
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.cells.clear();
    }

    /// Rare enough to look at every cell: a new way, when all the room is taken.
    fn make_room(&mut self) {
        let oldest = self.cells.iter().min_by_key(|(_, cell)| cell.turn).map(|(way, _)| way.clone());
        oldest.and_then(|way| self.cells.remove(&way));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otp::Channel;

    #[test]
    fn the_way_that_was_counted_in_least_recently_makes_room() {
        let way = |name: &str| Way { provider: ProviderName::new(name), country: None, channel: Channel::Sms };
        let mut cells = Cells::<1, 3>::new(2);
        for name in ["a", "b", "a", "c"] {
            cells.add(&way(name), 10, 0);
        }
        assert_eq!(["a", "b", "c"].map(|name| cells.sum(&way(name), &(0..=99))), [[2], [0], [1]]);
        assert_eq!(cells.ways().count(), 2);
        cells.add(&way("a"), 12, 0);
        cells.drop_idle_since(11);
        assert_eq!(cells.ways().collect::<Vec<_>>(), [&way("a")]);
        cells.forget(|name| name.as_str() == "a");
        assert_eq!(cells.ways().count(), 0);
    }
}
