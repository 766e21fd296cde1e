//! The members of one set in memory, each of which leaves by itself.
//!
//! Must not know what they are. Most sets have one member or two, and there are many of them: a map and an order by
//! time for each would take ten times the room.

use tokio::time::Instant;

use super::Expiring;
use crate::secret::KeyedHash;

/// Up to here looking at all of them is as fast as finding one.
const FEW: usize = 16;

/// The members of a set.
#[derive(Debug)]
pub(super) enum Members {
    /// Most sets. It leaves with the set.
    One(KeyedHash),
    /// In no order.
    Few(Vec<(KeyedHash, Instant)>),
    /// In a box, as a place is kept for the largest kind of value in every entry of the store.
    Many(Box<Expiring<KeyedHash, ()>>),
}

impl Members {
    /// A set of these, all of which stay until `end`.
    pub(super) fn new(members: &[KeyedHash], now: Instant, end: Instant) -> Self {
        if let [one] = members {
            return Self::One(*one);
        }
        let mut set = Self::Few(Vec::with_capacity(members.len()));
        for member in members {
            set.add(*member, now, end, end);
        }
        set
    }

    /// Adds a member, or has it stay until `end`; those whose time is over at `now` leave. The set itself would have left
    /// at `set_end`.
    pub(super) fn add(&mut self, member: KeyedHash, now: Instant, end: Instant, set_end: Instant) {
        match self {
            Self::One(known) if *known == member => {}
            Self::One(known) => *self = Self::Few(vec![(*known, set_end), (member, end)]),
            Self::Few(few) => {
                few.retain(|(known, until)| *until > now && *known != member);
                // Few is what they stay, and `push` would make room for four.
                few.reserve_exact(1);
                few.push((member, end));
                if few.len() > FEW {
                    let mut many = Box::<Expiring<_, _>>::default();
                    for (member, end) in few.drain(..) {
                        many.put(member, (), end);
                    }
                    *self = Self::Many(many);
                }
            }
            Self::Many(many) => {
                while many.pop_over(now).is_some() {}
                many.put(member, (), end);
            }
        }
    }

    /// How many there are, with those that are over and have not left.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Few(few) => few.len(),
            Self::Many(many) => many.len(),
        }
    }

    /// When the last of them leaves, if they know that.
    pub(super) fn last_end(&self) -> Option<Instant> {
        match self {
            Self::One(_) => None,
            Self::Few(few) => few.iter().map(|(_, end)| *end).max(),
            Self::Many(many) => many.last_end(),
        }
    }

    /// Those whose time is not over at `now`.
    pub(super) fn at(&self, now: Instant) -> Vec<KeyedHash> {
        match self {
            Self::One(member) => vec![*member],
            Self::Few(few) => few.iter().filter(|(_, end)| *end > now).map(|(member, _)| *member).collect(),
            Self::Many(many) => many.keys().filter(|m| many.get(*m, now).is_some()).copied().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::secret::{Pseudonyms, Secret};

    #[tokio::test(start_paused = true)]
    async fn few_or_many_they_count_stay_and_leave_alike() {
        let pseudonyms = Pseudonyms::new(Secret::new("a test key").as_ref()).expect("random");
        let member = |number: u64| pseudonyms.hash(&[&number.to_be_bytes()]);
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        for crowd in [2, FEW as u64 + 5] {
            let mut members = Members::new(&[member(0)], start, at(100));
            assert_eq!((members.len(), members.last_end(), members.at(at(99))), (1, None, vec![member(0)]));
            members.add(member(0), start, at(100), at(100));
            for number in 1..crowd {
                members.add(member(number), start, at(100 + number), at(99 + number));
            }
            assert_eq!((members.len() as u64, members.last_end()), (crowd, Some(at(99 + crowd))));
            assert_eq!(members.at(at(100)).len() as u64, crowd - 1, "the first left with the set it was alone in");
            // Added again, the first becomes the last.
            members.add(member(0), start, at(200), at(200));
            assert_eq!((members.len() as u64, members.last_end()), (crowd, Some(at(200))));
            assert_eq!(members.at(at(199)), [member(0)]);
            members.add(member(crowd), at(199), at(300), at(200));
            assert_eq!(members.len(), 2, "{members:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn those_that_come_together_are_all_there() {
        let pseudonyms = Pseudonyms::new(Secret::new("a test key").as_ref()).expect("random");
        let [a, b, c] = ["a", "b", "c"].map(|name| pseudonyms.hash(&[name.as_bytes()]));
        let (now, end) = (Instant::now(), Instant::now() + Duration::from_secs(1));
        for together in [&[][..], &[a], &[a, b, c]] {
            let members = Members::new(together, now, end);
            assert_eq!((members.at(now), members.len()), (together.to_vec(), together.len()));
        }
    }
}
