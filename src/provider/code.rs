//! A vendor's code of an error or a state as its answer writes it: a number, or a text that holds one.
//!
//! Must not know any vendor's codes.

use serde::{Deserialize as _, Deserializer};
use serde_json::Value;

/// An integer, or a text that holds one. `None` for anything else.
pub(super) fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// The same for a member that is read: an odd one counts as absent, and must not hide the others.
///
/// # Errors
/// When the answer is no JSON.
pub(super) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    Value::deserialize(deserializer).map(|value| number(&value))
}
