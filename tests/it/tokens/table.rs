//! How a table of tokens is written: each line a call, its verdict, and why.

use serde_json::{Value, json};

use crate::support::jwt::{FIRST, claims, encode, good};

/// Admitted; refused for a reason; refused without one, because no token was found to speak of.
pub type Verdict = Result<(), Option<&'static str>>;

/// One call.
pub struct Case {
    pub why: String,
    pub headers: Vec<(&'static str, String)>,
    pub verdict: Verdict,
}

pub const ADMITTED: Verdict = Ok(());

pub fn refused(reason: &'static str) -> Verdict {
    Err(Some(reason))
}

/// The table while it is being written.
pub struct Table {
    pub issuer: String,
    pub cases: Vec<Case>,
}

impl Table {
    pub fn headers(&mut self, headers: Vec<(&'static str, String)>, verdict: Verdict, why: impl Into<String>) {
        self.cases.push(Case { why: why.into(), headers, verdict });
    }

    pub fn token(&mut self, token: impl Into<String>, verdict: Verdict, why: impl Into<String>) {
        self.headers(vec![("authorization", format!("Bearer {}", token.into()))], verdict, why);
    }

    /// A good token with some claims changed, rightly signed.
    pub fn claims(&mut self, changes: &Value, verdict: Verdict, why: &str) {
        let token = FIRST.token(&FIRST.header(), &claims(&self.issuer, changes));
        self.token(token, verdict, why);
    }

    /// A good token with some members of its header changed, rightly signed.
    pub fn header(&mut self, changes: &Value, verdict: Verdict, why: &str) {
        let mut header = FIRST.header();
        for (member, value) in changes.as_object().expect("an object") {
            header[member] = value.clone();
        }
        header.as_object_mut().expect("an object").retain(|_, value| *value != "absent");
        self.token(FIRST.token(&header, &claims(&self.issuer, &json!({}))), verdict, why);
    }

    /// The two parts of a good token but for its algorithm.
    pub fn body(&self, alg: &str) -> String {
        let header = json!({ "kid": FIRST.kid, "alg": alg });
        format!("{}.{}", encode(header.to_string()), encode(claims(&self.issuer, &json!({})).to_string()))
    }

    pub fn good(&self) -> String {
        good(&FIRST, &self.issuer)
    }
}
