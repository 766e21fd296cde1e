//! Twilio's error codes, as data: what each means for the next step.
//!
//! Must not know HTTP. Source of every row: Twilio's error dictionary and its error pages; rows marked asynchronous
//! also come in delivery reports and in a 201 that already failed.

use crate::otp::FailureKind::{self, Account, Blocked, Recipient, Rejected, Throttled, Unavailable, Unconfirmed};

/// Code, kind, meaning; in the order of the codes.
pub(super) const TABLE: [(i64, FailureKind, &str); 73] = [
    (10001, Account, "account is not active"),
    (10004, Throttled, "call concurrency limit"),
    (20001, Rejected, "unknown parameter"),
    (20003, Account, "wrong SID, token or key; suspended account; wrong region"),
    (20005, Account, "account is not active"),
    (20006, Account, "access denied"),
    (20008, Account, "resource not available to test credentials"),
    (20403, Account, "access denied, such as a restricted key without the permission"),
    (20404, Account, "unknown SID: wrong account or service"),
    (20409, Rejected, "conflicting state"),
    (20422, Rejected, "invalid parameter"),
    (20429, Throttled, "too many concurrent requests; not processed"),
    (20500, Unconfirmed, "internal error: may have been processed"),
    (20503, Unavailable, "documented as unavailable: not processed"),
    (21205, Rejected, "invalid Url"),
    (21210, Account, "From is neither owned nor verified (call)"),
    (21211, Recipient, "invalid To"),
    (21212, Account, "invalid From"),
    (21214, Rejected, "To cannot be reached by this account (call); another may reach it"),
    (21215, Rejected, "geo permission for the country is off (call)"),
    (21216, Blocked, "To is on Twilio's call blocklist: fraud or regulation"),
    (21217, Recipient, "To is no valid number (call)"),
    (21219, Rejected, "trial account: To is not verified (call)"),
    (21408, Rejected, "geo permission for the country is off (text): a setting of this account"),
    (21602, Rejected, "no body"),
    (21603, Account, "no sender"),
    (21604, Rejected, "no To"),
    (21606, Account, "From is not owned or cannot send texts"),
    (21608, Rejected, "trial account: To is not verified (text)"),
    (21609, Rejected, "invalid StatusCallback"),
    (21610, Recipient, "opted out of this sender: asking another would go behind the person's back"),
    (21611, Throttled, "the sender's queue is full"),
    (21612, Rejected, "this pair of To and From has no route; another sender may have one"),
    (21614, Recipient, "To cannot get texts (landline)"),
    (21617, Recipient, "body over 1600 characters: stops, as every provider would refuse the same text"),
    (21701, Account, "messaging service missing"),
    (21702, Account, "messaging service unavailable"),
    (21703, Account, "messaging service has no usable sender"),
    (21704, Account, "messaging service is empty"),
    (21705, Account, "messaging service is invalid"),
    (30001, Throttled, "queue overflow (asynchronous)"),
    (30002, Account, "account suspended (asynchronous)"),
    (30003, Recipient, "handset unreachable (asynchronous)"),
    (30004, Recipient, "blocked by the recipient or carrier (asynchronous)"),
    (30005, Recipient, "unknown handset (asynchronous)"),
    (30006, Recipient, "landline or unreachable carrier (asynchronous)"),
    (30007, Rejected, "filtered as spam (asynchronous)"),
    (30008, Unavailable, "unknown error, final (asynchronous)"),
    (30017, Unavailable, "carrier congestion (asynchronous)"),
    (30022, Throttled, "US A2P rate limit (asynchronous)"),
    (30023, Throttled, "US A2P daily cap (asynchronous)"),
    (30024, Rejected, "numeric sender is not registered (asynchronous)"),
    (30027, Throttled, "US A2P daily cap (asynchronous)"),
    (30032, Rejected, "toll-free number is not verified (asynchronous)"),
    (30034, Rejected, "US A2P number is not registered (asynchronous)"),
    (30450, Blocked, "SMS pumping protection (asynchronous)"),
    (60200, Rejected, "invalid parameter; Verify's answer reads which"),
    (60203, Throttled, "five sends of one pending verification"),
    (60204, Account, "the Verify service lacks the feature (custom codes)"),
    (60205, Recipient, "SMS to a landline"),
    (60212, Throttled, "too many concurrent starts for one number"),
    (60220, Rejected, "China: use case is not vetted"),
    (60223, Rejected, "channel is disabled on the Verify service"),
    (60226, Rejected, "China: friendly name is needed"),
    (60228, Rejected, "template not found"),
    (60229, Rejected, "template is not approved"),
    (60238, Blocked, "creation blocked by Twilio: review or sanctions"),
    (60242, Rejected, "custom message is not allowed"),
    (60243, Rejected, "custom message is not supported"),
    (60331, Rejected, "no text-to-speech for this locale"),
    (60408, Rejected, "template and channel do not fit"),
    (60410, Blocked, "Fraud Guard blocks the prefix for up to 12 hours"),
    (60605, Blocked, "geo permission of Verify, or suspected fraud"),
];

/// Codes that limit one number alone.
pub(super) const PER_NUMBER: [i64; 2] = [60203, 60212];

/// Codes by which Twilio holds something against one number, or the account, that is no fraud beside it.
pub(super) const NUMBER_ALONE: [i64; 2] = [21216, 60238];

/// The person has answered STOP.
pub(super) const OPTED_OUT: i64 = 21610;

/// The kind of a code; `None` for one we do not know, which the HTTP status then decides.
pub(super) fn find(code: i64) -> Option<FailureKind> {
    TABLE.binary_search_by_key(&code, |row| row.0).ok().map(|row| TABLE[row].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_in_order_so_that_every_one_is_found() {
        assert!(TABLE.is_sorted_by(|a, b| a.0 < b.0));
        assert!(TABLE.iter().all(|row| find(row.0) == Some(row.1) && !row.2.is_empty()));
        assert_eq!(find(99_999), None);
    }
}
