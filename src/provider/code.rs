//! A vendor's code of an error or a state as its answer writes it: a number, or a text that holds one.
//!
//! Must not know any vendor's codes.

use serde::{Deserialize as _, Deserializer};
use serde_json::Value;

/// No vendor's code has more digits; of so many, every integer has a fraction's form of its own.
const MOST: f64 = 1e9;

/// An integer, also one with a fraction of zero, or a text that holds one. `None` for anything else.
pub(super) fn number(value: &Value) -> Option<i64> {
    let whole = || value.as_f64().filter(|number| number.fract() == 0.0 && number.abs() < MOST).map(|n| n as i64);
    value.as_i64().or_else(whole).or_else(|| value.as_str()?.trim().parse().ok())
}

/// The same for a member that is read: an odd one counts as absent, and must not hide the others.
///
/// # Errors
/// When the answer is no JSON.
pub(super) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    Value::deserialize(deserializer).map(|value| number(&value))
}
