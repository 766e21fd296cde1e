//! The kinds of the keys under which the guard keeps something.
//!
//! Must not know what a rule does with them. They stand in one place so that whoever adds one sees the list of those
//! that go when a person is forgotten; `tests/it/tidy.rs` lets no other file name one.

/// Since when a number is known.
pub(super) const KNOWN: &str = "guard-known";

/// Messages to a number, for a user, from an address, by channel: the hash tells which.
pub(super) const SMS_10M: &str = "guard-10m-sms";
pub(super) const VOICE_10M: &str = "guard-10m-voice";
pub(super) const SMS_1H: &str = "guard-1h-sms";
pub(super) const VOICE_1H: &str = "guard-1h-voice";
pub(super) const SMS_1D: &str = "guard-1d-sms";
pub(super) const VOICE_1D: &str = "guard-1d-voice";

/// The numbers of a user.
pub(super) const USER_PHONES: &str = "guard-user-phones";

/// The numbers asked for from an address.
pub(super) const IP_PHONES: &str = "guard-ip-phones";

/// New numbers side by side; the block of them, and how often there was one.
pub(super) const PREFIX: &str = "guard-prefix";
pub(super) const BLOCK: &str = "guard-block";
pub(super) const STRIKES: &str = "guard-strikes";

/// Messages to a country in an hour, and since when there are such counts.
pub(super) const COUNTRY: &str = "guard-country";
pub(super) const SINCE: &str = "guard-since";

/// What was spent.
pub(super) const SPEND_1H: &str = "guard-spend-1h";
pub(super) const SPEND_1D: &str = "guard-spend-1d";

/// Those that may stand under the hash of a number or of a user.
pub(super) const OF_A_PERSON: [&str; 8] = [KNOWN, SMS_10M, VOICE_10M, SMS_1H, VOICE_1H, SMS_1D, VOICE_1D, USER_PHONES];
