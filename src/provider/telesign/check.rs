//! What a look at a Telesign account tells: whether its products take the credentials.
//!
//! Must not send or change anything. Sources: Telesign docs, "Get status" of Messaging, SMS and Voice
//! (`GET /v1/…/{reference_id}`).

use super::{Product, answer};
use crate::outbound::{Outbound, Request};
use crate::provider::check::{Check, Codes, Diagnosis, ask};

/// No message's reference.
pub(super) const NO_REFERENCE: &str = "00000000000000000000000000000000";

/// A reference that is unknown or too old; nonce, clock, signature, account, our address, the customer id;
/// omnichannel's own; and the same as the older products write them.
const CODES: Codes = Codes {
    unknown: &[10017, 10036],
    refused: &[
        10002, 10003, 10004, 10005, 10007, 10008, 10013, 10014, 10015, 3400, -30000, -30004, -30005, -30006, -30007,
        -30008, -30009, -30010, -30011, -30012, -30013, -30014, -30015, -40002,
    ],
};

/// Whether a product takes the credentials, by asking for a message that is not there.
pub(super) async fn product(outbound: &Outbound, product: Product, request: Request) -> Check {
    let (answer, contact) = ask(outbound, request).await;
    let diagnosis = match answer {
        Ok(answer) => CODES.read(answer.status, answer::status_code(&answer)),
        Err(diagnosis) => diagnosis,
    };
    Check::new(product.resource().trim_start_matches("/v1/"), diagnosis).with(contact).but_for_the_sender()
}

/// One that could not even be signed.
pub(super) fn unsigned(product: Product, code: &str) -> Check {
    Check::new(product.resource().trim_start_matches("/v1/"), Diagnosis::Fail(format!("cannot be signed ({code})")))
}
