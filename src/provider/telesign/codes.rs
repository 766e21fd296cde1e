//! Telesign's status codes, as data: what each means for the next step.
//!
//! Must not know HTTP. Source of every row: Telesign's pages on status and error codes and its SMS and Voice
//! specifications. Rows marked late are reports of delivery that an answer to a send may carry as well.

use std::ops::RangeInclusive;

use self::Meaning::{Accepted, Failed};
use super::Product;
use crate::otp::FailureKind::{self, Account, Blocked, Recipient, Rejected, Throttled, Unavailable, Unconfirmed};

/// What a code says about a send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The message is under way, or there.
    Accepted,
    /// It is not.
    Failed(FailureKind),
}

/// Code, what follows, meaning; in the order of the codes.
type Row = (i64, Meaning, &'static str);

/// `/v1/omnichannel`.
pub(super) const OMNICHANNEL: [Row; 29] = [
    (3000, Accepted, "delivered"),
    (3001, Accepted, "in progress"),
    (3002, Accepted, "at the gateway"),
    (3003, Failed(Unavailable), "delivery error, final (late)"),
    (3005, Accepted, "read"),
    (3006, Failed(Account), "none of the channels is enabled for this customer"),
    (3041, Failed(Unavailable), "the carrier refused it for now"),
    (3056, Failed(Unconfirmed), "not delivered inside the fallback time, which is not to say never (late)"),
    (3101, Failed(Recipient), "invalid phone number"),
    (3102, Failed(Rejected), "invalid message_type"),
    (3103, Failed(Rejected), "invalid external_id"),
    (3104, Failed(Rejected), "invalid account_lifecycle_event"),
    (3105, Failed(Rejected), "invalid originating_ip"),
    (3106, Failed(Rejected), "invalid or empty callback_url"),
    (3109, Failed(Account), "invalid sender_id: not one of this account"),
    (3110, Failed(Rejected), "malformed request"),
    (3113, Failed(Rejected), "unknown or repeated channel"),
    (3116, Failed(Rejected), "body over 10 KB"),
    (3200, Failed(Account), "channel is not enabled for this customer"),
    (3204, Failed(Throttled), "rate limit"),
    (3206, Failed(Account), "omnichannel is not enabled for this customer"),
    (3210, Failed(Account), "hosted Okta hook is not enabled for this customer"),
    (3300, Failed(Rejected), "no channels"),
    (3301, Failed(Rejected), "no channel"),
    (3302, Failed(Rejected), "no phone_number"),
    (3303, Failed(Rejected), "no message"),
    (3304, Failed(Rejected), "no message_type"),
    (3400, Failed(Account), "not authorised"),
    (3500, Failed(Unavailable), "system unavailable: documented to be sent again"),
];

/// `/v1/messaging`.
pub(super) const MESSAGING: [Row; 37] = [
    (200, Accepted, "delivered"),
    (203, Accepted, "at the gateway"),
    (207, Failed(Unavailable), "failed for an unknown reason, final (late)"),
    (210, Failed(Unavailable), "handset failure, temporary (late)"),
    (211, Failed(Recipient), "handset failure, permanent (late)"),
    (220, Failed(Unavailable), "no route (late)"),
    (221, Failed(Unavailable), "expired before delivery (late)"),
    (222, Failed(Recipient), "handset cannot get texts (late)"),
    (229, Failed(Blocked), "blocked at this customer's request"),
    (230, Failed(Blocked), "blocked by Telesign"),
    (231, Failed(Rejected), "content refused"),
    (233, Failed(Blocked), "high risk score"),
    (237, Failed(Blocked), "country is blocked"),
    (238, Failed(Blocked), "prefix is blocked"),
    (250, Accepted, "final state unknown"),
    (251, Accepted, "final state unknown"),
    (286, Failed(Recipient), "blocked type of phone, such as a landline"),
    (290, Accepted, "in progress"),
    (291, Accepted, "queued"),
    (292, Accepted, "queued at the gateway"),
    (295, Accepted, "status is late"),
    (500, Failed(Unavailable), "not attempted"),
    (502, Failed(Rejected), "campaign error: another sender may be registered"),
    (503, Failed(Unavailable), "the carrier refused it for now (late)"),
    (504, Failed(Unavailable), "the carrier refused it for good (late)"),
    (505, Failed(Unavailable), "gateway failure, temporary (late)"),
    (506, Failed(Unavailable), "gateway failure, permanent (late)"),
    (507, Failed(Recipient), "invalid destination"),
    (508, Failed(Account), "invalid source: a sender this account may not use"),
    (509, Failed(Rejected), "unsupported parameter"),
    (510, Failed(Recipient), "blocked by the subscriber: asking another would go behind the person's back"),
    (511, Failed(Recipient), "subscriber is out of credit (late)"),
    (512, Failed(Recipient), "subscriber is roaming (late)"),
    (513, Failed(Unavailable), "number was ported (late)"),
    (514, Failed(Recipient), "subscriber is absent (late)"),
    (515, Failed(Blocked), "taken for spam"),
    (599, Failed(Unavailable), "not available"),
];

/// `/v1/voice`. A call that failed while it was made may have rung, and been answered: a second is not for us to make.
pub(super) const VOICE: [Row; 11] = [
    (100, Accepted, "answered"),
    (101, Failed(Unconfirmed), "not answered"),
    (103, Accepted, "in progress"),
    (104, Failed(Recipient), "invalid number"),
    (105, Accepted, "not handled yet"),
    (106, Failed(Unconfirmed), "call failed"),
    (107, Failed(Unconfirmed), "busy"),
    (108, Failed(Unconfirmed), "call cancelled"),
    (129, Failed(Blocked), "blocked at this customer's request"),
    (130, Failed(Blocked), "blocked by Telesign"),
    (500, Failed(Unavailable), "not attempted, as of a text: no phone has rung"),
];

/// What every product refuses requests with. Authentication belongs here, so omnichannel may answer with these too.
pub(super) const REFUSALS: [Row; 38] = [
    (10002, Failed(Account), "nonce was used before"),
    (10003, Failed(Account), "nonce has a wrong length"),
    (10004, Failed(Account), "Date is out of the window: check this machine's clock"),
    (10005, Failed(Account), "Date cannot be read"),
    (10007, Failed(Account), "no Date"),
    (10008, Failed(Account), "wrong signature or key"),
    (10012, Failed(Account), "feature is not enabled for this customer"),
    (10013, Failed(Account), "account not found"),
    (10014, Failed(Account), "our address is not on the account's list"),
    (10015, Failed(Account), "invalid customer id"),
    (10017, Failed(Account), "unknown customer or reference"),
    (10019, Failed(Throttled), "rate limit"),
    (10020, Failed(Throttled), "hard cap"),
    (10030, Failed(Account), "no funds"),
    (10031, Failed(Account), "account is not allowed on this host"),
    (10032, Failed(Blocked), "blocked by Telesign"),
    (10033, Failed(Rejected), "trial account: the number is not verified there; another may reach it"),
    (10034, Failed(Rejected), "call type is blocked for this country"),
    (10035, Failed(Account), "host is not allowed for this account"),
    (10036, Failed(Rejected), "reference has expired"),
    (11000, Failed(Recipient), "invalid phone_number"),
    (11001, Failed(Recipient), "invalid country code of phone_number"),
    (11003, Failed(Rejected), "invalid account_lifecycle_event"),
    (11004, Failed(Rejected), "invalid callback_url"),
    (11005, Failed(Account), "invalid customer_id"),
    (11009, Failed(Rejected), "invalid message"),
    (11010, Failed(Rejected), "invalid originating_ip"),
    (11011, Failed(Rejected), "invalid reference_id"),
    (11013, Failed(Account), "invalid sender_id: not one of this account"),
    (11016, Failed(Rejected), "invalid external_id"),
    (11017, Failed(Rejected), "invalid message_type"),
    (11018, Failed(Rejected), "invalid voice"),
    (11027, Failed(Rejected), "invalid parameter"),
    (11034, Failed(Rejected), "invalid parameter"),
    (11035, Failed(Rejected), "invalid parameter"),
    (12000, Failed(Rejected), "no phone_number"),
    (12009, Failed(Rejected), "no message"),
    (12017, Failed(Rejected), "no message_type"),
];

/// The older family of `errors[].code`, in ranges: one meaning stands for many of them.
pub(super) const ERRORS: [(RangeInclusive<i64>, FailureKind, &str); 8] = [
    (-90001..=-90001, Unavailable, "system unavailable"),
    (-40008..=-40007, Throttled, "rate limit, hard cap"),
    (-40006..=-40006, Rejected, "bad request"),
    (-40002..=-40002, Account, "not authorised"),
    (-30015..=-30004, Account, "credentials, signature, date or nonce"),
    (-30000..=-30000, Account, "credentials"),
    (-20002..=-20002, Account, "feature is not enabled for this customer"),
    (-10001..=-10001, Rejected, "invalid parameter; only its text would tell which, and texts change"),
];

/// Not attempted; with a list of errors that say why, where there is one.
pub(super) const NOT_ATTEMPTED: i64 = 500;

/// Codes that block one number alone: at our request, or Telesign's own.
pub(super) const NUMBER_ALONE: [i64; 5] = [129, 130, 229, 230, 10032];

/// The person has blocked such texts.
pub(super) const OPTED_OUT: i64 = 510;

/// What a code means to a product; `None` for one we do not know, which the HTTP status then decides.
pub(super) fn find(product: Product, code: i64) -> Option<Meaning> {
    let own: &[Row] = match product {
        Product::Omnichannel => &OMNICHANNEL,
        Product::Messaging => &MESSAGING,
        Product::Voice => &VOICE,
    };
    let row = |table: &[Row]| table.binary_search_by_key(&code, |row| row.0).ok().map(|at| table[at].1);
    let error = || ERRORS.iter().find(|(codes, ..)| codes.contains(&code)).map(|error| Failed(error.1));
    row(own).or_else(|| row(&REFUSALS)).or_else(error)
}

/// What a code means to whichever product has it: no two give one code two meanings.
pub(super) fn any(code: i64) -> Option<Meaning> {
    [Product::Omnichannel, Product::Messaging, Product::Voice].into_iter().find_map(|product| find(product, code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_in_order_so_that_every_one_is_found() {
        for (product, table) in [
            (Product::Omnichannel, OMNICHANNEL.as_slice()),
            (Product::Messaging, &MESSAGING),
            (Product::Voice, &VOICE),
            (Product::Omnichannel, &REFUSALS),
            (Product::Messaging, &REFUSALS),
            (Product::Voice, &REFUSALS),
        ] {
            assert!(table.is_sorted_by(|a, b| a.0 < b.0));
            assert!(table.iter().all(|row| find(product, row.0) == Some(row.1) && !row.2.is_empty()), "{product:?}");
        }
    }

    #[test]
    fn a_code_of_another_product_is_unknown() {
        for (product, code) in
            [(Product::Omnichannel, 290), (Product::Messaging, 3001), (Product::Voice, 290), (Product::Voice, -30001)]
        {
            assert_eq!(find(product, code), None, "{product:?} {code}");
        }
    }
}
