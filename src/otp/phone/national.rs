//! Numbers without their `+`, as people of one country write them: which E.164 number is meant.
//!
//! Must not know who asks. It reads; whether the result is E.164 is checked by its caller.

use std::cmp::Reverse;

use phonelib::{PhoneNumber, PhoneNumberType};

use super::Country;

/// What is dialled before a foreign number. phonelib knows more of them, and takes them only before numbers that it knows.
const ACCESS_CODES: [&str; 2] = ["0011", "00"];

/// The same in the countries that share +1.
const NANP_ACCESS_CODES: [&str; 1] = ["011"];

/// Most mobile numbers have about so many digits behind the calling code.
const USUAL_DIGITS: usize = 10;

/// What is longer is more often a calling code and a number behind it, as in India: 91 and ten digits.
const MAX_DIGITS: usize = 11;

/// The fewest digits behind these calling codes, of which phonelib allows fewer: or else a number of Brazil's area code 55
/// would be read as one with its calling code.
const MIN_DIGITS: [(&str, usize); 3] = [("55", 10), ("48", 9), ("27", 9)];

/// The number that is meant by digits alone, with a `+`; `None` when they are none of this country.
///
/// phonelib knows trunk prefixes but refuses ranges that are not assigned (`987` in the US, which Okta's own preview
/// uses), and an unassigned range may be a new one: then the number is taken as it stands.
pub(super) fn international(digits: &str, country: Country) -> Option<String> {
    let national = PhoneNumber::parse_with_country(digits, country.as_str());
    let calling_code = calling_code(country)?;
    // In many countries a number with its calling code has also a length that a national one may have.
    let least = MIN_DIGITS.iter().find(|(code, _)| *code == calling_code).map_or(0, |(_, least)| *least);
    let is_whole = digits.strip_prefix(&calling_code).is_some_and(|rest| rest.len() >= least);
    let whole = is_whole.then(|| PhoneNumber::parse(&format!("+{digits}"))).flatten();
    // Of two that are equally likely the last is taken: the digits spell out the calling code.
    if let Some(likeliest) = [national, whole].into_iter().flatten().max_by_key(likelihood) {
        return Some(likeliest.e164().to_owned());
    }
    let access_codes = if calling_code == "1" { &NANP_ACCESS_CODES[..] } else { &ACCESS_CODES[..] };
    if let Some(abroad) = access_codes.iter().find_map(|code| digits.strip_prefix(code)) {
        return Some(format!("+{abroad}"));
    }
    let bare = digits.trim_start_matches('0');
    match bare.len() {
        11 if calling_code == "1" && bare.starts_with('1') => Some(format!("+{bare}")),
        5.. => Some(format!("+{calling_code}{bare}")),
        _ => None,
    }
}

/// Whether a number in E.164 form has the calling code of a country.
pub(super) fn has_calling_code_of(e164: &str, country: Country) -> bool {
    calling_code(country).is_some_and(|code| e164[1..].starts_with(&code))
}

/// The digits before the numbers of a country. The area code is part of phonelib's prefix in the countries that share +1,
/// and part of the number as people write it.
fn calling_code(country: Country) -> Option<String> {
    let prefix = phonelib::country_by_code(country.as_str())?.prefix.to_string();
    Some(if prefix.starts_with('1') { "1".to_owned() } else { prefix })
}

/// Codes go to mobile phones, and phonelib's lengths alone allow nearly anything.
fn likelihood(number: &PhoneNumber) -> (bool, Reverse<usize>) {
    let digits = number.national_number().len();
    let is_mobile = matches!(number.phone_type(), PhoneNumberType::Mobile | PhoneNumberType::FixedLineOrMobile);
    (is_mobile && digits <= MAX_DIGITS, Reverse(digits.abs_diff(USUAL_DIGITS)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(country: &str, cases: &[(&str, &str)]) {
        let country = Country::parse(country).expect("a country");
        for (digits, expected) in cases {
            assert_eq!(international(digits, country).as_deref(), Some(*expected), "{digits} in {country}");
        }
    }

    #[test]
    fn a_number_that_has_lost_its_plus_keeps_its_calling_code() {
        check("DE", &[("4915112345678", "+4915112345678"), ("491511234567", "+491511234567")]);
        check("IN", &[("919876543210", "+919876543210"), ("911123456789", "+911123456789")]);
        check("IT", &[("393912345678", "+393912345678")]);
        check("NL", &[("31612345678", "+31612345678")]);
        check("PH", &[("639171234567", "+639171234567")]);
        check("TR", &[("905321234567", "+905321234567")]);
        check("GB", &[("447400123456", "+447400123456"), ("442079460958", "+442079460958")]);
        check("US", &[("14155551234", "+14155551234"), ("19876543210", "+19876543210")]);
    }

    #[test]
    fn a_national_number_that_begins_like_the_calling_code_stays_national() {
        check("IN", &[("9198765432", "+919198765432"), ("9112345678", "+919112345678")]);
        check("IT", &[("3933123456", "+393933123456"), ("3912345678", "+393912345678")]);
        check("VN", &[("849123456", "+84849123456")]);
        check("NO", &[("47123456", "+4747123456")]);
        check("PL", &[("481234567", "+48481234567")]);
        check("BR", &[("55991234567", "+5555991234567"), ("55987654321", "+5555987654321")]);
        check("BR", &[("5532941206", "+555532941206"), ("5511987654321", "+5511987654321")]);
        check("ZA", &[("277963980", "+27277963980"), ("27821234567", "+27821234567")]);
        check("DE", &[("04921123456", "+494921123456"), ("015112345678", "+4915112345678")]);
    }

    #[test]
    fn what_is_dialled_before_foreign_numbers_is_taken_off() {
        check("US", &[("011447400123456", "+447400123456"), ("0114415551234", "+4415551234")]);
        check("DE", &[("00447400123456", "+447400123456"), ("004915112345678", "+4915112345678")]);
        check("DE", &[("00999123456789", "+999123456789")]);
        check("AU", &[("0011447400123456", "+447400123456")]);
        check("JP", &[("010447400123456", "+447400123456")]);
        check("IT", &[("0111234567", "+390111234567")]);
    }
}
