//! Which routes can be reached, and what no route takes: warnings for whoever wrote them.
//!
//! Must not decide: it looks at what `plan` would do.

use super::{Route, Router, locale_fits};
use crate::otp::{Channel, Country};
use crate::settings::Findings;

/// The requests that a route takes for one item of each of its conditions. `None`: whatever there is, or is not.
#[derive(Clone, Copy)]
struct Part<'r> {
    channel: Channel,
    country: Option<&'r Country>,
    request_type: Option<&'r String>,
    locale: Option<&'r String>,
}

impl Router {
    /// Warns of a route behind others that take everything it would.
    pub(super) fn find_unreachable(&self, at: &str, findings: &mut Findings) {
        for (place, route) in self.routes.iter().enumerate() {
            if Channel::ALL.into_iter().any(|channel| self.reaches(place, channel)) {
                continue;
            }
            let takers = |part| self.routes[..place].iter().position(|earlier| earlier.covers(part));
            let mut takers: Vec<usize> = Channel::ALL.iter().flat_map(|c| route.parts(*c)).filter_map(takers).collect();
            takers.sort_unstable();
            takers.dedup();
            let names: Vec<&str> = takers.iter().map(|place| &*self.routes[*place].name).collect();
            let rule = match names.as_slice() {
                [name] => format!("{name} comes first and takes all of it"),
                names => format!("{} come first and take all of it", names.join(", ")),
            };
            findings.warn(format!("{at}[{place}]"), format!("can never be reached: {rule}"));
        }
    }

    /// Warns of a channel that nobody delivers, at least for some messages. A route that no message of the channel
    /// reaches delivers none of it.
    pub(super) fn find_uncovered(&self, at: &str, findings: &mut Findings) {
        for channel in Channel::ALL {
            let taking = || self.routes.iter().enumerate().filter(|(place, _)| self.reaches(*place, channel));
            if !taking().any(|(_, r)| r.serves(channel)) {
                findings.warn(at, format!("nobody delivers {channel}: Okta gets an error for every such request"));
                continue;
            }
            for (place, _) in taking().filter(|(_, r)| !r.serves(channel)) {
                let rule = format!("takes {channel} and has no provider for it: Okta gets an error for such requests");
                findings.warn(format!("{at}[{place}]"), rule);
            }
            let everything = Part { channel, country: None, request_type: None, locale: None };
            if !self.routes.iter().any(|route| route.covers(everything)) {
                findings
                    .warn(at, format!("no route without conditions takes {channel}: some requests find no provider"));
            }
        }
    }

    /// Whether the routes before this one leave it anything of a channel.
    ///
    /// A part is left unless a single route takes it. That is exact for parts: what stands for the whole of a kind, as
    /// no list of countries names every request, only a route without that condition takes.
    fn reaches(&self, place: usize, channel: Channel) -> bool {
        let is_left = |part| !self.routes[..place].iter().any(|earlier| earlier.covers(part));
        self.routes[place].parts(channel).any(is_left)
    }
}

impl Route {
    /// Every part of this route's requests over one channel.
    fn parts(&self, channel: Channel) -> impl Iterator<Item = Part<'_>> {
        let takes = self.channels.is_empty() || self.channels.contains(&channel);
        let whole = Part { channel, country: None, request_type: None, locale: None };
        let parts = takes.then_some(whole).into_iter();
        let parts = parts.flat_map(|part| items(&self.countries).map(move |country| Part { country, ..part }));
        let parts =
            parts.flat_map(|part| items(&self.request_types).map(move |request_type| Part { request_type, ..part }));
        parts.flat_map(|part| items(&self.locales).map(move |locale| Part { locale, ..part }))
    }

    /// Whether this route takes all of a part.
    fn covers(&self, part: Part<'_>) -> bool {
        let locale = |theirs: &String| self.locales.iter().any(|mine| locale_covers(mine, theirs));
        (self.channels.is_empty() || self.channels.contains(&part.channel))
            && (self.countries.is_empty() || part.country.is_some_and(|c| c.is_among(&self.countries)))
            && (self.request_types.is_empty() || part.request_type.is_some_and(|r| self.request_types.contains(r)))
            && (self.locales.is_empty() || part.locale.is_some_and(locale))
    }

    fn serves(&self, channel: Channel) -> bool {
        !self.providers[channel as usize].is_empty()
    }
}

/// The items of a condition one by one; a condition that is not there as one item for everything.
fn items<T>(list: &[T]) -> impl Iterator<Item = Option<&T>> {
    list.is_empty().then_some(None).into_iter().chain(list.iter().map(Some))
}

/// Whether whatever fits one pattern fits another.
fn locale_covers(mine: &str, theirs: &str) -> bool {
    match theirs.strip_suffix("-*") {
        Some(language) => mine.ends_with("-*") && locale_fits(mine, language),
        None => locale_fits(mine, theirs),
    }
}
