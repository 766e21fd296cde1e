//! Which words Verify is asked to use, and what it is asked instead when it refuses them.
//!
//! Must not send anything. Source: Twilio docs, error pages 60228, 60229, 60331 and 60408, "Verify supported languages".

use super::settings::Config;
use super::{answer, locale};
use crate::otp::Message;
use crate::outbound::Answer;

/// The template is not there, is not approved, does not fit the channel, or cannot be spoken: said of the one named, or
/// of the service's own in the locale.
const NO_TEMPLATE: [i64; 4] = [60228, 60229, 60331, 60408];

/// What decides the words of a message. Both are left out where the choice is Verify's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Wording<'c> {
    /// `Locale`.
    pub locale: Option<&'c str>,
    /// `TemplateSid`.
    pub template: Option<&'c str>,
}

impl<'c> Wording<'c> {
    /// By the settings; a locale that they do not name by Verify's own list.
    pub(super) fn of(config: &'c Config, message: &Message) -> Self {
        let configured = match &message.locale {
            Some(locale) => config.locale.of(locale),
            None => config.locale.iter().find(|(key, _)| *key == "default").map(|(_, tag)| tag),
        };
        let tag = configured.or_else(|| message.locale.as_ref().and_then(locale::tag));
        Self { locale: tag.filter(|tag| !tag.is_empty()), template: config.template_sid.as_deref() }
    }

    /// What to ask for instead, when a refusal blames these words or may: nothing was sent then.
    ///
    /// Nobody is asked a third time, so nothing that may be at fault stays: a refused template takes the locale with it,
    /// as it may be the locale that it lacks.
    pub(super) fn mended(self, answer: &Answer) -> Option<Self> {
        if !(400..500).contains(&answer.status) || self == Self::default() {
            return None;
        }
        let failure = answer::Failure::read(answer);
        let code = failure.as_ref().and_then(|f| f.code);
        if code.is_some_and(|code| NO_TEMPLATE.contains(&code)) {
            return Some(Self::default());
        }
        // 404 is documented for a locale outside the list.
        let blames_locale = answer.status == 404 || failure.is_some_and(|f| f.names_parameter("Locale"));
        (blames_locale && self.locale.is_some()).then_some(Self { locale: None, ..self })
    }
}
