//! One text of an operator: parsed once, filled for each message.
//!
//! Must not know its channel, its language or where it is looked up.

use crate::settings::Findings;

/// A checked text with its placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(Box<str>),
    Code,
    Minutes,
}

impl Template {
    /// Parses a text; `None` after noting every fault under `at`.
    pub(super) fn parse(text: &str, at: &str, findings: &mut Findings) -> Option<Self> {
        let known = findings.faults.len();
        // No handset shows one, no TwiML may hold one.
        if text.chars().any(|c| c.is_control() && c != '\n') {
            findings.fault(at, "must hold no control characters but line feeds");
        }
        // XML 1.0, section 2.2. A call would be taken with it, and tell of an error instead of the code.
        if text.contains(['\u{fffe}', '\u{ffff}']) {
            findings.fault(at, "must hold neither U+FFFE nor U+FFFF: no TwiML may hold them");
        }
        let (mut parts, mut rest) = (Vec::new(), text);
        while !rest.is_empty() {
            let literal = rest.find(['{', '}']).unwrap_or(rest.len());
            if literal > 0 {
                parts.push(Part::Literal(rest[..literal].into()));
                rest = &rest[literal..];
            } else if let Some(after) = rest.strip_prefix("{code}") {
                parts.push(Part::Code);
                rest = after;
            } else if let Some(after) = rest.strip_prefix("{minutes}") {
                parts.push(Part::Minutes);
                rest = after;
            } else {
                findings.fault(at, "must hold no braces but those of {code} and {minutes}");
                break;
            }
        }
        if !text.contains("{code}") {
            findings.fault(at, "must hold {code}");
        }
        (findings.faults.len() == known).then_some(Self(parts))
    }

    /// The text with its placeholders filled.
    pub(super) fn fill(&self, code: &str, minutes: u64) -> String {
        let mut text = String::with_capacity(self.0.iter().map(|part| part.room(code)).sum());
        for part in &self.0 {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Code => text.push_str(code),
                Part::Minutes => text.push_str(&minutes.to_string()),
            }
        }
        text
    }
}

impl Part {
    fn room(&self, code: &str) -> usize {
        match self {
            Self::Literal(literal) => literal.len(),
            Self::Code => code.len(),
            // A code that lives for hours is not seen; if one does, the text grows by itself.
            Self::Minutes => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_wherever_they_stand() {
        for (text, expected) in [
            ("{code}", "4829"),
            ("Your code is {code}.", "Your code is 4829."),
            ("{code} ({minutes} min)\n{code}", "4829 (5 min)\n4829"),
            ("{minutes}{code}€", "54829€"),
        ] {
            let mut findings = Findings::default();
            let template = Template::parse(text, "x", &mut findings).expect("a template");
            assert_eq!(template.fill("4829", 5), expected, "{text}");
        }
    }

    #[test]
    fn every_fault_of_a_text_is_told() {
        let code = "x: must hold {code}";
        let braces = "x: must hold no braces but those of {code} and {minutes}";
        for (text, expected) in [
            ("", &[code][..]),
            ("Your code", &[code]),
            ("Your code is {otp}.", &[braces, code]),
            ("Your code is {Code}.", &[braces, code]),
            ("{code} for {name}", &[braces]),
            ("{code", &[braces, code]),
            ("{code}}", &[braces]),
            ("{{code}}", &[braces]),
            ("{}{code}", &[braces]),
            ("{code}\u{7}", &["x: must hold no control characters but line feeds"]),
            ("{code}\u{fffe}", &["x: must hold neither U+FFFE nor U+FFFF: no TwiML may hold them"]),
            ("\u{ffff}{code}", &["x: must hold neither U+FFFE nor U+FFFF: no TwiML may hold them"]),
        ] {
            let mut findings = Findings::default();
            assert_eq!(Template::parse(text, "x", &mut findings), None, "{text}");
            let told: Vec<String> = findings.faults.iter().map(ToString::to_string).collect();
            assert_eq!(told, expected, "{text}");
        }
    }
}
