//! Feeds: a number as anybody may write it, read with and without a country of its own.
//!
//! Must hold: what is taken is E.164 and is read as itself again in every country. It ends as it was written: a code
//! never goes to another subscriber. Neither its `Debug` nor a fault shows a digit of it.

#![cfg_attr(fuzzing, no_main)]

use okta_telephony_hook::otp::{Country, Phone};

/// None, and countries that differ in trunk prefixes, calling codes and lengths.
const HOMES: [&str; 10] = ["", "US", "DE", "IN", "BR", "IT", "GB", "AR", "KZ", "CI"];

/// A subscriber's own digits, in the shortest numbers too.
const LAST: usize = 4;

/// Whether it was taken anywhere.
pub fn holds(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let mut is_taken = false;
    for home in HOMES.map(Country::parse) {
        match Phone::parse(text, home) {
            Ok(phone) => {
                is_taken = true;
                is_sound(&phone, text);
            }
            Err(fault) => assert!(!has_digits(&fault.to_string().replace("7 to 15", "").replace("E.164", ""))),
        }
    }
    is_taken
}

fn is_sound(phone: &Phone, text: &str) {
    let number = phone.expose();
    let digits = number.strip_prefix('+').expect("a plus");
    assert!((7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0'));
    assert_eq!(phone.expose_digits(), digits);
    let written: String = text.chars().filter(char::is_ascii_digit).collect();
    let last = |digits: &str| digits[digits.len().saturating_sub(LAST)..].to_owned();
    assert_eq!(last(digits), last(&written), "{text:?} became {number}");
    if text.trim().starts_with('+') {
        assert_eq!(digits, written, "a whole number stays as it is");
    }
    for home in HOMES.map(Country::parse) {
        let again = Phone::parse(number, home).expect("taken once");
        assert_eq!(again.expose(), number);
        // A range of nobody's is of the home it was read in, which a whole number does not tell: then of the main country.
        assert_eq!(again.country().is_some(), phone.country().is_some(), "{number}");
    }
    assert!(!has_digits(&format!("{phone:?}")));
}

fn has_digits(text: &str) -> bool {
    text.bytes().any(|b| b.is_ascii_digit())
}

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    holds(data);
});
