//! Where messages may go: countries, and ranges of numbers that no code is ever sent to. Pure.
//!
//! Must not count anything.

use super::Rule;
use super::config::countries;
use super::settings::{Countries, Mode};
use crate::otp::{Country, Message, Phone};
use crate::settings::{Findings, List};

/// Ranges of no country, where nobody signs in and every message pays somebody: premium rate (979), shared cost (808),
/// Inmarsat (870), personal numbers (878), satellite and international networks (881 to 883), disaster relief (888).
/// ITU-T E.164 list of assigned country codes.
const NEVER: [&str; 8] = ["979", "808", "870", "878", "881", "882", "883", "888"];

/// Premium rate in the North American plan: as an area code, and (976) as an exchange of any area.
const NANP_PREMIUM: [&str; 2] = ["1900", "1976"];

/// The last word of Okta's `requestType` for a number that is being enrolled.
const ENROLLMENT: &str = "pre-enrollment";

/// Where messages may go, checked.
#[derive(Debug, Clone)]
pub(super) struct Destinations {
    pub(super) mode: Mode,
    pub(super) allow: Vec<Country>,
    pub(super) deny: Vec<Country>,
    pub(super) enrollment_allow: Vec<Country>,
    /// Beginnings without `+`, and whether each is denied.
    prefixes: Vec<(String, bool)>,
}

impl Countries {
    /// Checks the rules; `at` is the key path of this table.
    pub(super) fn check(&self, mode: Mode, at: &str, findings: &mut Findings) -> Destinations {
        let allow = countries(&self.allow, &format!("{at}.allow"), findings);
        let deny = countries(&self.deny, &format!("{at}.deny"), findings);
        let enrollment_allow = countries(&self.enrollment_allow, &format!("{at}.enrollment_allow"), findings);
        for country in allow.iter().filter(|country| country.is_among(&deny)) {
            findings.warn(format!("{at}.deny"), format!("denies {country}, which is in allow: nothing is sent there"));
        }
        if !allow.is_empty() && enrollment_allow.iter().any(|country| !allow.contains(country)) {
            findings
                .warn(format!("{at}.enrollment_allow"), "holds a country that is not in allow: nothing is sent there");
        }
        let mut prefixes: Vec<(String, bool)> =
            NEVER.iter().chain(&NANP_PREMIUM).map(|digits| ((*digits).to_owned(), true)).collect();
        for (key, list, denied) in
            [("deny_prefixes", &self.deny_prefixes, true), ("allow_prefixes", &self.allow_prefixes, false)]
        {
            prefixes.extend(read_prefixes(list, &format!("{at}.{key}"), findings).map(|digits| (digits, denied)));
        }
        Destinations { mode, allow, deny, enrollment_allow, prefixes }
    }
}

fn read_prefixes(list: &List, at: &str, findings: &mut Findings) -> impl Iterator<Item = String> {
    let read = |text: &String| {
        let digits = text.trim().strip_prefix('+')?;
        let fits = (1..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        fits.then(|| digits.to_owned())
    };
    let prefixes: Option<Vec<String>> = list.0.iter().map(read).collect();
    if prefixes.is_none() {
        findings.fault(at, "must hold beginnings of numbers such as +4470");
    }
    prefixes.unwrap_or_default().into_iter()
}

impl Destinations {
    /// The rule that a message breaks by where it goes.
    pub(super) fn forbids(&self, message: &Message) -> Option<Rule> {
        if self.mode == Mode::Off {
            return None;
        }
        if self.is_denied_range(&message.recipient) {
            return Some(Rule::Range);
        }
        let country = message.recipient.country();
        let enrols = message.request_type.as_str() == ENROLLMENT;
        let outside = |list: &[Country]| !list.is_empty() && country.is_none_or(|country| !list.contains(&country));
        let denied = country.is_some_and(|country| country.is_among(&self.deny));
        let forbidden = denied || outside(&self.allow) || (enrols && outside(&self.enrollment_allow));
        forbidden.then_some(Rule::Country)
    }

    /// By the longest beginning that fits; between equals the denied one.
    fn is_denied_range(&self, phone: &Phone) -> bool {
        let digits = phone.expose_digits();
        let fitting = self.prefixes.iter().filter(|(prefix, _)| digits.starts_with(prefix.as_str()));
        match fitting.max_by_key(|(prefix, denied)| (prefix.len(), *denied)) {
            Some((_, denied)) => *denied,
            None => is_premium_exchange(phone),
        }
    }
}

/// `976` after the area code. Only in the United States and Canada: elsewhere in the plan it is an exchange like others.
fn is_premium_exchange(phone: &Phone) -> bool {
    let shares = phone.country().is_some_and(|country| matches!(country.as_str(), "US" | "CA"));
    shares && phone.expose_digits().get(4..7) == Some("976")
}

#[cfg(test)]
mod tests {
    use super::super::tests::message;
    use super::*;
    use crate::otp::RequestType;

    fn list(text: &str) -> List {
        List(text.split_whitespace().map(str::to_owned).collect())
    }

    fn destinations(settings: &Countries) -> Destinations {
        let mut findings = Findings::default();
        let checked = settings.check(Mode::Enforce, "guard.countries", &mut findings);
        assert!(findings.faults.is_empty(), "{findings:?}");
        checked
    }

    #[test]
    fn ranges_that_pay_somebody_get_nothing_whatever_is_allowed() {
        let destinations = destinations(&Countries::default());
        for (number, expected) in [
            ("+15005550006", None),
            ("+447400123456", None),
            ("+18765551234", None),
            ("+97912345678", Some(Rule::Range)),
            ("+80812345678", Some(Rule::Range)),
            ("+870773112345", Some(Rule::Range)),
            ("+8781012345678", Some(Rule::Range)),
            ("+881612345678", Some(Rule::Range)),
            ("+882161234567", Some(Rule::Range)),
            ("+883512345678", Some(Rule::Range)),
            ("+88812345678", Some(Rule::Range)),
            ("+19005550123", Some(Rule::Range)),
            ("+12129765550", Some(Rule::Range)),
            // Jamaica: an exchange like any other.
            ("+18769761234", None),
        ] {
            assert_eq!(destinations.forbids(&message(number)), expected, "{number}");
        }
    }

    #[test]
    fn the_longest_prefix_decides() {
        let settings = Countries {
            deny_prefixes: list("+4470 +447640"),
            allow_prefixes: list("+87077 +44764"),
            ..Countries::default()
        };
        let destinations = destinations(&settings);
        for (number, expected) in [
            ("+447012345678", Some(Rule::Range)),
            ("+447400123456", None),
            ("+447641234567", None),
            ("+447640123456", Some(Rule::Range)),
            ("+870773112345", None),
            ("+870123112345", Some(Rule::Range)),
        ] {
            assert_eq!(destinations.forbids(&message(number)), expected, "{number}");
        }
    }

    #[test]
    fn a_country_that_is_allowed_and_denied_gets_nothing_and_is_named() {
        let settings = Countries { allow: list("GB DE US JE"), deny: list("de FR GB"), ..Countries::default() };
        let mut findings = Findings::default();
        let destinations = settings.check(Mode::Enforce, "orgs.main.guard.countries", &mut findings);
        let told: Vec<String> = findings.warnings.iter().map(|w| format!("{}: {}", w.key, w.rule)).collect();
        let line = |country| {
            format!("orgs.main.guard.countries.deny: denies {country}, which is in allow: nothing is sent there")
        };
        assert_eq!(told, [line("GB"), line("DE"), line("JE")]);
        assert!(findings.faults.is_empty(), "{findings:?}");
        for (number, expected) in [("+4930123456", true), ("+447400123456", true), ("+15005550006", false)] {
            assert_eq!(destinations.forbids(&message(number)).is_some(), expected, "{number}");
        }
    }

    #[test]
    fn countries_are_those_of_numbers_and_enrolment_may_have_fewer() {
        let settings = Countries { allow: list("US gb"), enrollment_allow: list("US"), ..Countries::default() };
        let allowed = destinations(&settings);
        let denied = destinations(&Countries { deny: list("GB"), ..Countries::default() });
        let enrol = |number| {
            let mut message = message(number);
            message.request_type = RequestType::parse("com.okta.user.telephony.pre-enrollment");
            message
        };
        let country = Some(Rule::Country);
        assert_eq!(allowed.forbids(&message("+15005550006")), None);
        assert_eq!(allowed.forbids(&message("+447400123456")), None);
        assert_eq!(allowed.forbids(&message("+18765551234")), country, "+1 876 is not the United States");
        assert_eq!(allowed.forbids(&message("+4930123456")), country);
        assert_eq!(allowed.forbids(&enrol("+15005550006")), None);
        assert_eq!(allowed.forbids(&enrol("+447400123456")), country);
        assert_eq!(denied.forbids(&message("+447400123456")), country);
        // Guernsey: denied with the mainland, and not allowed with it.
        assert_eq!(denied.forbids(&message("+447911123456")), country);
        assert_eq!(allowed.forbids(&message("+447911123456")), country);
        assert_eq!(denied.forbids(&message("+4930123456")), None);
    }
}
