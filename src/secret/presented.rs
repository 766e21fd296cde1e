//! Credentials as a request presents them.
//!
//! Must not judge them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{HeaderMap, HeaderName};

/// The value of a header that stands there exactly once: a second one could be a smuggled request's.
pub fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h [u8]> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    values.next().is_none().then(|| first.as_bytes())
}

/// `user:password` of an `Authorization: Basic` value.
pub fn basic_pair(value: &[u8]) -> Option<Vec<u8>> {
    STANDARD.decode(after(b"basic ", value)?).ok()
}

/// The token of an `Authorization: Bearer` value.
pub fn bearer(value: &[u8]) -> Option<&[u8]> {
    after(b"bearer ", value)
}

/// What stands behind a scheme, in whose name case does not count (RFC 9110, 11.1).
fn after<'v>(scheme: &[u8], value: &'v [u8]) -> Option<&'v [u8]> {
    let (found, rest) = value.split_at_checked(scheme.len())?;
    found.eq_ignore_ascii_case(scheme).then(|| rest.trim_ascii())
}
