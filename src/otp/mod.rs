//! The words every other module speaks: one message to deliver, the number and the code in it, and what became of it.
//!
//! Must not know Okta, any provider, HTTP or configuration files.

mod delivery;
mod message;
mod outcome;
mod phone;
mod source;
#[cfg(test)]
mod testing;

pub use delivery::Delivery;
pub use message::{Channel, Content, EventId, Locale, Message, OtpCode, RequestId, RequestType, Speech, Text, UserId};
pub use outcome::{
    Accepted, Attempt, FailureKind, Next, Outcome, ProviderName, Remedy, SendError, Suspicion, TransactionId, Verdict,
};
pub use phone::{Country, Phone, PhoneFault};
pub use source::Source;
