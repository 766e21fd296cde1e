//! What a message says: the org's own text, else Okta's for an SMS and a built-in sentence for a call.
//!
//! Must not know who delivers it.

mod settings;
mod spoken;
mod template;
mod webotp;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::otp::{Channel, Content, Locale, Message, Speech, Text};
use crate::settings::by_locale;
pub use settings::{Settings, WordingSettings};
use template::Template;
use webotp::WebOtp;

/// What Okta's codes live, told when a request leaves it out.
const UNKNOWN_LIFE_MINUTES: u64 = Message::USUAL_LIFE.as_secs() / 60;

/// What lives longer lives as long as anybody cares, and its minutes would read as nonsense.
const MAX_TOLD_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// Okta's five minutes arrive here as a little less; without this every text would say four.
const TRAVEL: Duration = Duration::from_secs(10);

/// One org's texts, checked.
#[derive(Debug, Clone, Default)]
pub struct Texts {
    general: Wording,
    by_request_type: BTreeMap<String, Wording>,
    webotp: Option<WebOtp>,
}

/// Texts by locale.
#[derive(Debug, Clone, Default)]
struct Wording {
    sms: BTreeMap<String, Template>,
    voice: BTreeMap<String, Sentence>,
}

/// What a call says, and the language it is written in.
#[derive(Debug, Clone)]
struct Sentence {
    template: Template,
    language: Locale,
}

impl Texts {
    /// Writes what a message says, in the form its channel needs.
    pub fn content(&self, message: &Message, now: Timestamp) -> Content {
        match message.channel {
            Channel::Sms => Content::Text(self.text(message, now)),
            Channel::Voice => Content::Speech(self.speech(message, now)),
        }
    }

    fn text(&self, message: &Message, now: Timestamp) -> Text {
        let text = match self.find(message, |wording| &wording.sms) {
            Some(template) => Text::new(template.fill(message.code.expose(), minutes(message, now))),
            // Okta leaves the template out in some requests; the code must arrive all the same.
            None => message
                .template
                .clone()
                .unwrap_or_else(|| Text::new(format!("Your verification code is {}.", message.code.expose()))),
        };
        let Some(webotp) = &self.webotp else { return text };
        let bound = webotp.bind(&text, &message.code);
        // A text of Okta's at the limit stays as it is: a convenience must not cost the code.
        if bound.expose().chars().count() <= Text::MAX_CHARS { bound } else { text }
    }

    fn speech(&self, message: &Message, now: Timestamp) -> Speech {
        match self.find(message, |wording| &wording.voice) {
            Some(Sentence { template, language }) => Speech {
                language: language.clone(),
                sentence: Text::new(template.fill(&message.code.spoken(), minutes(message, now))),
            },
            None => spoken::speech(&message.code, message.locale.as_ref()),
        }
    }

    /// The text for a message: that of its request type, else the general one, each by locale.
    fn find<T>(&self, message: &Message, channel: impl Fn(&Wording) -> &BTreeMap<String, T>) -> Option<&T> {
        let special = self.by_request_type.get(message.request_type.as_str());
        let mut wordings = special.into_iter().chain([&self.general]);
        wordings.find_map(|wording| by_locale(channel(wording), message.locale.as_ref()))
    }
}

impl Wording {
    /// Adds the texts of another, which win.
    fn extend(&mut self, other: Self) {
        self.sms.extend(other.sms);
        self.voice.extend(other.voice);
    }
}

/// Whole minutes left of the code's life, at least one.
fn minutes(message: &Message, now: Timestamp) -> u64 {
    let left = message.life_left(now).filter(|left| *left <= MAX_TOLD_LIFE);
    left.map_or(UNKNOWN_LIFE_MINUTES, |left| (left.saturating_add(TRAVEL).as_secs() / 60).max(1))
}

#[cfg(test)]
mod tests;
