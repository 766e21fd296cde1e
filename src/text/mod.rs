//! What a message says: Okta's own text for an SMS, a sentence in the person's language for a call.
//!
//! Must not know who delivers it.

mod segments;
mod spoken;

use crate::otp::{Channel, Content, Message, Text};
pub use segments::{Encoding, Segments, segments};

/// Writes what a message says, in the form its channel needs.
pub fn content(message: &Message) -> Content {
    match message.channel {
        Channel::Sms => Content::Text(message.template.clone().unwrap_or_else(|| {
            // Okta leaves the template out in some requests; the code must arrive all the same.
            Text::new(format!("Your verification code is {}.", message.code.expose()))
        })),
        Channel::Voice => Content::Speech(spoken::speech(&message.code, message.locale.as_ref())),
    }
}
