//! 8x8's error codes, as data: what each means for the next step.
//!
//! Must not know HTTP. The SMS API counts upwards and the Voice API downwards, so there are two tables. Source of every
//! row: 8x8's pages "API error codes", "Voice error codes" and "Voice status codes".

use crate::otp::FailureKind::{self, Account, Recipient, Rejected, Throttled, Unconfirmed};
use crate::otp::Remedy;

/// Code, kind, meaning.
pub(super) type Row = (i64, FailureKind, &'static str);

/// The code for a second text to one number within a while.
pub(super) const TOO_SOON: i64 = 1400;

/// The code for a call that comes when its `validUntil` is past.
const TOO_LATE: i64 = -1015;

/// `code` of the SMS API, in order.
pub(super) const TEXTS: [Row; 34] = [
    (429, Throttled, "quota exceeded"),
    (1000, Rejected, "invalid parameter"),
    (1001, Account, "illegal or foreign sub-account, perhaps of another region"),
    (1002, Recipient, "invalid destination number"),
    (1003, Rejected, "bad encoding"),
    (1004, Rejected, "bad text"),
    (1005, Account, "bad source"),
    (1006, Rejected, "bad expiry"),
    (1007, Rejected, "bad template"),
    (1008, Rejected, "bad id"),
    (1009, Recipient, "bad country code"),
    (1010, Rejected, "parameter out of range"),
    (1011, Rejected, "bad schedule time"),
    (1012, Rejected, "bad IP address"),
    (1014, Rejected, "insecure protocol: Singapore needs TLS 1.3"),
    (1100, Rejected, "bulk size over limit"),
    (1200, Account, "missing or wrong API key"),
    (1201, Account, "access forbidden: the key lacks the permission"),
    (1300, Account, "resource not found: the path names nothing but the sub-account"),
    (
        TOO_SOON,
        Recipient,
        "resend too soon to the same number: stops, as another provider would send just what this limit withholds",
    ),
    (2000, Unconfirmed, "internal error: not documented as not processed"),
    (2001, Rejected, "not implemented"),
    (2002, Rejected, "unsupported API version"),
    (2003, Account, "product is not enabled"),
    (3001, Rejected, "user missing"),
    (3002, Recipient, "destination missing"),
    (3003, Recipient, "destination invalid"),
    (3004, Rejected, "content missing"),
    (3005, Rejected, "text missing"),
    (3006, Rejected, "text too long"),
    (3009, Rejected, "clientMessageId too long"),
    (3011, Account, "source too long"),
    (3018, Recipient, "bad country code"),
    (3020, Rejected, "bad receipt callback URL"),
];

/// `statusCode` of the Voice API, in order.
pub(super) const CALLS: [Row; 24] = [
    (-9999, Unconfirmed, "unknown error: nothing is certain, unless the body says NOT_CREATED"),
    (-1020, Rejected, "scenario fault"),
    (-1019, Rejected, "scenario fault"),
    (-1018, Rejected, "scenario fault, or any invalid callflow"),
    (-1017, Recipient, "invalid destination number"),
    (-1016, Rejected, "unaccepted characters in the sentence"),
    (TOO_LATE, Recipient, "validUntil is past: stops, as the code is dead whoever delivers it"),
    (-1014, Account, "caller id not allowed"),
    (-1013, Rejected, "first action must be makeCall"),
    (-1012, Rejected, "misplaced hangup"),
    (-1011, Rejected, "several destinations"),
    (-1010, Rejected, "too many actions"),
    (-1009, Rejected, "invalid flow entry, such as say without a voice"),
    (-1008, Rejected, "bad DTMF parameter"),
    (-1007, Rejected, "invalid action"),
    (-1006, Rejected, "bad DTMF parameter"),
    (-1005, Rejected, "bad DTMF parameter"),
    (-1004, Rejected, "bad DTMF parameter"),
    (-1003, Rejected, "bad DTMF parameter"),
    (-1002, Rejected, "invalid voice profile or language; another provider speaks it with its own"),
    (-1001, Rejected, "invalid JSON"),
    (401, Account, "header missing or token invalid"),
    (404, Account, "sub-account not found"),
    (500, Unconfirmed, "server error: nothing is certain, unless the body says NOT_CREATED"),
];

/// The kind of a code; `None` for one we do not know, which the HTTP status then decides.
pub(super) fn find(table: &[Row], code: i64) -> Option<FailureKind> {
    table.binary_search_by_key(&code, |row| row.0).ok().map(|place| table[place].1)
}

/// What may help a person whom a code refuses.
pub(super) const fn remedy(code: i64) -> Remedy {
    match code {
        TOO_SOON => Remedy::Later,
        TOO_LATE => Remedy::NewCode,
        _ => Remedy::OtherNumber,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_in_order_so_that_every_one_is_found() {
        for table in [&TEXTS[..], &CALLS[..]] {
            assert!(table.is_sorted_by(|a, b| a.0 < b.0));
            assert!(table.iter().all(|row| find(table, row.0) == Some(row.1) && !row.2.is_empty()));
        }
    }

    #[test]
    fn the_two_apis_share_no_code() {
        assert!(TEXTS.iter().all(|row| find(&CALLS, row.0).is_none()));
        assert_eq!((find(&TEXTS, 9999), find(&CALLS, 1)), (None, None));
    }

    #[test]
    fn a_person_is_sent_to_another_number_only_where_the_number_is_at_fault() {
        for (code, expected) in [(1400, Remedy::Later), (-1015, Remedy::NewCode), (1002, Remedy::OtherNumber)] {
            assert_eq!(remedy(code), expected, "{code}");
        }
    }
}
