//! Two weeks of genuine users: a working day's curve by time zone, resends, enrolments, offices behind one address,
//! travellers, a firm whose numbers stand side by side.

use std::time::Duration;

use okta_telephony_hook::otp::Channel;
use okta_telephony_hook::settings::List;

use crate::chance::Chance;
use crate::world::{DAYS, Event};

/// A country: share of the people, beginning of its mobile numbers, digits after it, hours ahead of UTC.
const COUNTRIES: [(&str, f64, &str, u32, u64); 10] = [
    ("US", 40.0, "+1", 0, 18),
    ("GB", 20.0, "+447", 9, 0),
    ("DE", 12.0, "+4917", 9, 1),
    ("FR", 8.0, "+336", 8, 1),
    ("IN", 8.0, "+919", 9, 5),
    ("BR", 5.0, "+55119", 8, 21),
    ("NL", 3.0, "+316", 8, 1),
    ("ES", 2.0, "+346", 8, 1),
    ("JP", 1.5, "+8190", 8, 9),
    ("ID", 0.5, "+62812", 8, 7),
];

const AREA_CODES: [&str; 10] = ["212", "415", "312", "206", "617", "404", "305", "713", "303", "602"];

/// Share of a day's messages in each hour of local time: two peaks and a long evening.
const CURVE: [f64; 24] = [
    0.3, 0.2, 0.1, 0.1, 0.2, 0.6, 2.0, 6.0, 14.0, 13.0, 8.0, 6.0, 6.0, 9.0, 7.0, 6.0, 5.0, 4.0, 3.0, 3.0, 2.5, 2.0,
    1.2, 0.8,
];

/// Messages on a working day, on average; of every twentieth person, who signs in to everything anew.
const LOGINS: (f64, f64) = (0.7, 4.0);

/// Of the messages of a working day, on a day of a weekend.
const WEEKEND: f64 = 0.25;

/// Who did not get the first code asks again; who did not get the second is in a hole and goes on asking.
const RESENDS: (f64, f64) = (0.08, 0.25);

/// Share of people whose codes are called out.
const CALLED: f64 = 0.04;

/// Share of people at a desk of one of the offices.
const AT_DESKS: f64 = 0.5;
const OFFICES: u64 = 8;

/// Share of people on the road: another address each day, working hours shifted.
const TRAVELLING: f64 = 0.02;

/// Share of people who join in the second week, on one of its working days.
const JOINING: f64 = 0.01;

/// People of the firm that bought its numbers in one go.
const FIRM: usize = 60;

/// Countries in which more than one in a hundred lives.
pub fn home_countries() -> List {
    List(COUNTRIES.iter().filter(|country| country.1 > 1.0).map(|country| country.0.to_owned()).collect())
}

/// Everything that people ask for.
pub fn weeks(people: usize, chance: &mut Chance) -> Vec<Event> {
    let mut events = Vec::new();
    for person in 0..people {
        Person::new(person, chance).weeks(chance, &mut events);
    }
    events
}

struct Person {
    number: String,
    user: String,
    ahead: u64,
    logins: f64,
    channel: Channel,
    office: Option<u64>,
    travels: bool,
    /// The day from which there is anything to ask for.
    joins: u64,
}

impl Person {
    fn new(place: usize, chance: &mut Chance) -> Self {
        let (_, _, beginning, digits, ahead) = COUNTRIES[chance.weighted(COUNTRIES.iter().map(|country| country.1))];
        let number = if place < FIRM {
            // One in thirty of them joins late, with the next number of the row.
            format!("+4474001{:05}", 23_000 + place)
        } else if digits == 0 {
            let area = AREA_CODES[chance.below(10) as usize];
            // Exchanges from 200 to 899: nobody's phone is in 976.
            format!("+1{area}{}{:06}", 2 + chance.below(7), chance.below(1_000_000))
        } else {
            format!("{beginning}{:0width$}", chance.below(10_u64.pow(digits)), width = digits as usize)
        };
        let joins_late = if place < FIRM { place % 30 == 29 } else { chance.happens(JOINING) };
        Self {
            number,
            user: format!("00u{place}"),
            ahead,
            logins: if chance.happens(0.05) { LOGINS.1 } else { LOGINS.0 },
            channel: if chance.happens(CALLED) { Channel::Voice } else { Channel::Sms },
            office: chance.happens(AT_DESKS).then(|| chance.below(OFFICES)),
            travels: chance.happens(TRAVELLING),
            joins: if joins_late { 7 + chance.below(5) } else { 0 },
        }
    }

    fn weeks(&self, chance: &mut Chance, events: &mut Vec<Event>) {
        for day in self.joins..DAYS {
            let share = if day % 7 >= 5 { WEEKEND } else { 1.0 };
            let joins_today = self.joins > 0 && day == self.joins;
            let logins = if joins_today { 1 } else { chance.poisson(self.logins * share) };
            for _ in 0..logins {
                let hour = chance.weighted(CURVE.iter().copied()) as u64;
                let shift = if self.travels { chance.below(24) } else { self.ahead };
                let hour = (hour + 24 - shift) % 24;
                let second = (day * 24 + hour) * 3600 + chance.below(3600);
                self.login(second, joins_today, chance, events);
            }
        }
    }

    fn login(&self, second: u64, enrols: bool, chance: &mut Chance, events: &mut Vec<Event>) {
        let is_weekend = second / 86_400 % 7 >= 5;
        let address = match self.office {
            _ if self.travels => format!("192.0.{}.{}", chance.below(250), chance.below(250)),
            Some(office) if !is_weekend => format!("198.51.100.{}", office + 1),
            _ => self.home_address(),
        };
        let (mut at, mut channel, mut again) = (second, self.channel, RESENDS.0);
        let mut asked = 0;
        loop {
            asked += 1;
            events.push(Event {
                at: Duration::from_secs(at),
                number: self.number.clone(),
                user: self.user.clone(),
                address: address.clone(),
                channel,
                enrols,
                attack: None,
            });
            if !chance.happens(again) {
                return;
            }
            again = RESENDS.1;
            // Okta lets nobody ask within 30 seconds.
            at += 31 + chance.below(60);
            if asked == 2 && chance.happens(0.3) {
                channel = Channel::Voice;
            }
        }
    }

    /// The same every day.
    fn home_address(&self) -> String {
        let place: u64 = self.user[3..].parse().expect("a number");
        format!("203.{}.{}.{}", place / 62_500 % 250, place / 250 % 250, place % 250)
    }
}
