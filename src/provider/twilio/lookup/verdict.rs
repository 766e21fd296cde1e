//! What Lookup's answer says about texts to a number.
//!
//! Must not know how it was asked. Source: twilio-oai `lookups_v2`.

use serde::Deserialize;

use super::Config;
use crate::otp::FailureKind;
use crate::outbound::Answer;
use crate::provider::code;

/// Line types that take no texts. `fixedVoip`, `nonFixedVoip`, `personal` and `unknown` may.
const NO_TEXTS: [&str; 7] = ["landline", "pager", "premium", "sharedCost", "tollFree", "uan", "voicemail"];

/// Whether texts may go to a number; a refusal with the kind and cause of its error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Pass,
    Refuse(FailureKind, &'static str),
}

/// The members that matter. Every package is `null` unless asked for, and can fail by itself.
#[derive(Deserialize)]
struct Found {
    valid: bool,
    line_type_intelligence: Option<LineType>,
    sms_pumping_risk: Option<Risk>,
}

#[derive(Deserialize)]
struct LineType {
    r#type: Option<String>,
    #[serde(default, deserialize_with = "code::read")]
    error_code: Option<i64>,
}

#[derive(Deserialize)]
struct Risk {
    sms_pumping_risk_score: Option<f64>,
    carrier_risk_category: Option<String>,
    number_blocked: Option<bool>,
    #[serde(default, deserialize_with = "code::read")]
    error_code: Option<i64>,
}

/// What an answer says; `None` when it is no answer, or one that may be another next time. An invalid number is a 200.
pub(super) fn judge(config: &Config, answer: &Answer) -> Option<Verdict> {
    if answer.status != 200 {
        return None;
    }
    let found: Found = serde_json::from_slice(&answer.body).ok()?;
    if !found.valid {
        return Some(Verdict::Refuse(FailureKind::Recipient, "lookup_invalid_number"));
    }
    // Risk first: fraud outweighs a line type, as its refusal is the graver one.
    let packages = [
        found.sms_pumping_risk.map(|r| (r.error_code, risk(config, &r))),
        found.line_type_intelligence.map(|l| (l.error_code, line_type(&l))),
    ];
    let mut verdict = Some(Verdict::Pass);
    for (error_code, refusal) in packages.into_iter().flatten() {
        match (error_code, refusal) {
            // The members beside an error code say nothing.
            (Some(_), _) => verdict = None,
            (None, Some(refusal)) => return Some(refusal),
            (None, None) => {}
        }
    }
    verdict
}

fn line_type(line: &LineType) -> Option<Verdict> {
    let takes_none = NO_TEXTS.contains(&line.r#type.as_deref()?);
    takes_none.then_some(Verdict::Refuse(FailureKind::Recipient, "lookup_line_type"))
}

fn risk(config: &Config, risk: &Risk) -> Option<Verdict> {
    let denied = |category: &str| config.deny_risk_category.iter().any(|d| d.eq_ignore_ascii_case(category));
    let cause = if risk.number_blocked == Some(true) {
        "lookup_number_blocked"
    } else if risk.sms_pumping_risk_score.is_some_and(|score| score > config.max_risk_score) {
        "lookup_risk_score"
    } else if risk.carrier_risk_category.as_deref().is_some_and(denied) {
        "lookup_risk_category"
    } else {
        return None;
    };
    Some(Verdict::Refuse(FailureKind::Blocked, cause))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::provider::twilio::lookup::Settings;
    use crate::provider::twilio::testing::{answer, fixtures};
    use crate::settings::Findings;

    fn config(settings: Value) -> Config {
        let settings: Settings = serde_json::from_value(settings).expect("readable");
        let mut findings = Findings::default();
        let config = settings.check("lookup", None, &mut findings).expect("complete");
        assert_eq!(findings.faults, []);
        config
    }

    #[test]
    fn every_published_answer_gets_its_verdict() {
        for (name, fixture) in fixtures("lookup-") {
            let verdict = judge(&config(json!({})), &answer(&fixture["response"]));
            let kind = match verdict {
                Some(Verdict::Refuse(kind, _)) => Some(kind),
                Some(Verdict::Pass) | None => None,
            };
            let expected = match (fixture["expect"]["outcome"].as_str(), fixture["expect"]["class"].as_str()) {
                (Some("allow" | "operator-policy"), _) => None,
                (Some("deny"), Some("blocked/opt-out")) => Some(FailureKind::Blocked),
                (Some("deny" | "deny-sms"), Some("bad-number")) => Some(FailureKind::Recipient),
                other => panic!("{name}: {other:?}"),
            };
            assert_eq!(kind, expected, "{name}");
            let answered = fixture["response"]["status"] == 200;
            assert_eq!(verdict.is_some(), answered, "{name}: an error must not be remembered");
        }
    }

    #[test]
    fn only_a_package_that_answered_counts() {
        let line = |t: &str| json!({ "type": t, "error_code": null });
        let risk = |score: u8, category: &str| {
            json!({
                "sms_pumping_risk_score": score, "carrier_risk_category": category, "number_blocked": false,
            })
        };
        let failed = json!({ "type": "landline", "sms_pumping_risk_score": 100, "error_code": 60608 });
        let (no_texts, score) = (
            Verdict::Refuse(FailureKind::Recipient, "lookup_line_type"),
            Verdict::Refuse(FailureKind::Blocked, "lookup_risk_score"),
        );
        let category = Verdict::Refuse(FailureKind::Blocked, "lookup_risk_category");
        for (line, risk, expected) in [
            (line("mobile"), risk(90, "moderate"), Some(Verdict::Pass)),
            (line("mobile"), risk(91, "low"), Some(score)),
            (line("mobile"), risk(0, "High"), Some(category)),
            (line("tollFree"), risk(0, "low"), Some(no_texts)),
            (line("premium"), risk(100, "low"), Some(score)),
            (line("unknown"), json!(null), Some(Verdict::Pass)),
            (line("a type of tomorrow"), json!(null), Some(Verdict::Pass)),
            (failed.clone(), risk(0, "low"), None),
            (failed.clone(), risk(91, "low"), Some(score)),
            (line("pager"), failed.clone(), Some(no_texts)),
            (failed.clone(), failed, None),
        ] {
            let body = json!({ "valid": true, "line_type_intelligence": line, "sms_pumping_risk": risk });
            let found = judge(&config(json!({})), &answer(&json!({ "status": 200, "body": body })));
            assert_eq!(found, expected, "{body}");
        }
        for raw_body in ["", "<html>", "{}", "[]", r#"{"valid":null}"#] {
            let found = judge(&config(json!({})), &answer(&json!({ "status": 200, "raw_body": raw_body })));
            assert_eq!(found, None, "{raw_body:?}");
        }
    }
}
