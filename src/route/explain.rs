//! Routes in words: for `check-config`, and for `preview` to say why one was taken.
//!
//! Must not decide: it tells what `plan` does.

use super::{Route, Router, Strategy};
use crate::otp::{Channel, Message, ProviderName};

impl Router {
    /// One line a route, for `check-config`.
    pub fn describe(&self) -> Vec<String> {
        self.routes.iter().map(Route::describe).collect()
    }

    /// Why a message takes its route: every route that was passed over, then the one that fits.
    pub fn explain(&self, message: &Message) -> Vec<String> {
        let mut lines = Vec::new();
        for route in &self.routes {
            let Some(condition) = route.misfit(message) else {
                lines.push(format!("takes {}", route.describe()));
                if route.strategy == Strategy::Weighted {
                    lines.push("one is drawn by weight, the others follow as listed".to_owned());
                }
                let other = Channel::ALL.into_iter().find(|c| *c != message.channel);
                let unable = other.map(|other| route.only_for(other, message.channel)).unwrap_or_default();
                lines.extend(unable.iter().map(|name| format!("skips {name}: not configured for {}", message.channel)));
                return lines;
            };
            lines.push(format!("passes {}: {condition} does not fit", route.name));
        }
        lines.push("no route fits: nobody is asked".to_owned());
        lines
    }
}

impl Route {
    /// Providers that deliver over one channel and not over another.
    fn only_for(&self, channel: Channel, not: Channel) -> Vec<&ProviderName> {
        let able = |c: Channel| self.providers[c as usize].iter().map(|(name, _)| name);
        able(channel).filter(|name| !able(not).any(|n| n == *name)).collect()
    }

    fn describe(&self) -> String {
        let list = |key: &str, items: Vec<String>| (!items.is_empty()).then(|| format!("{key} {}", items.join(", ")));
        let conditions: Vec<String> = [
            list("country", self.countries.iter().map(ToString::to_string).collect()),
            list("channel", self.channels.iter().map(ToString::to_string).collect()),
            list("request type", self.request_types.clone()),
            list("locale", self.locales.clone()),
        ]
        .into_iter()
        .flatten()
        .collect();
        let arrow = if self.strategy == Strategy::Weighted { " | " } else { " → " };
        let send = |channel: Channel| {
            let offers = &self.providers[channel as usize];
            let name = |(name, weight): &(ProviderName, u32)| {
                if self.strategy == Strategy::Weighted { format!("{name} ({weight})") } else { name.to_string() }
            };
            let names: Vec<String> = offers.iter().map(name).collect();
            format!("{channel}: {}", if names.is_empty() { "nobody".to_owned() } else { names.join(arrow) })
        };
        let when = if conditions.is_empty() { "every request".to_owned() } else { conditions.join("; ") };
        let taken = Channel::ALL.into_iter().filter(|c| self.channels.is_empty() || self.channels.contains(c));
        format!("{}: {when}: {}", self.name, taken.map(send).collect::<Vec<_>>().join("; "))
    }
}
