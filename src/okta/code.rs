//! The code as Okta writes it: by itself, as a text or as a number, and once more in the text of an SMS.
//!
//! Must not know the rest of a request. Nothing here is echoed or logged.

use std::borrow::Cow;

use super::wire::Digits;
use crate::otp::OtpCode;

/// Between two groups of a code stands a blank, a hyphen, a point with a blank: never more than this.
const MAX_GAP_CHARS: usize = 2;

/// No code has more; a text may have any number of them.
const MAX_DIGITS: usize = 12;

/// The digits of a code, with the zeros that a JSON number has lost and the text still has.
pub(super) fn whole<'d>(code: &'d Digits, text: Option<&str>) -> Cow<'d, str> {
    let found = text.filter(|_| code.was_number).and_then(|text| with_leading_zeros(&code.text, text));
    found.map_or(Cow::Borrowed(code.text.trim()), Cow::Owned)
}

/// Whether a text shows the code, also when a template groups its digits (`123 456`).
pub(super) fn holds(text: &str, code: &OtpCode) -> bool {
    let mut before = ' ';
    text.char_indices().any(|(place, c)| {
        let begins = c.is_ascii_digit() && !before.is_ascii_digit();
        before = c;
        begins && starts_with(&text[place..], code)
    })
}

/// Whether the code stands here, in groups of digits of which the last one ends with it: in `1048291` there is no `048291`.
fn starts_with(text: &str, code: &OtpCode) -> bool {
    let (mut rest, mut wanted) = (text.chars(), code.expose().chars().peekable());
    while let Some(&digit) = wanted.peek() {
        match rest.next() {
            Some(c) if c == digit => drop(wanted.next()),
            Some(c) if !c.is_ascii_digit() => {}
            Some(_) | None => return false,
        }
    }
    !rest.next().is_some_and(|c| c.is_ascii_digit())
}

/// The longest reading: a group of zeros alone before the rest belongs to it.
fn with_leading_zeros(number: &str, text: &str) -> Option<String> {
    let readings = starts_of_runs(text).filter_map(|start| grouped(&text[start..], number));
    readings.max_by_key(String::len)
}

/// Where digits begin, but for those behind a point, a colon or a stroke: they are the end of a time or a date.
fn starts_of_runs(text: &str) -> impl Iterator<Item = usize> {
    let (mut earlier, mut before) = (' ', ' ');
    text.char_indices().filter_map(move |(place, c)| {
        let goes_on = before.is_ascii_digit() || (earlier.is_ascii_digit() && matches!(before, '.' | ':' | '/'));
        let begins = c.is_ascii_digit() && !goes_on;
        (earlier, before) = (before, c);
        begins.then_some(place)
    })
}

/// The digits at the start of a text, of as many groups as make up the number and the zeros before it. Where the last
/// group is the whole number, those before it are its zeros only if all are of one length.
fn grouped(text: &str, number: &str) -> Option<String> {
    let significant = number.trim_start_matches('0');
    let (mut digits, mut found, mut gap) = (String::new(), None, 0);
    let mut groups: Vec<usize> = Vec::new();
    for c in text.chars().chain(['\n']) {
        if c.is_ascii_digit() {
            digits.push(c);
            gap = 0;
            continue;
        }
        if gap == 0 && !digits.is_empty() {
            groups.push(digits.len() - groups.iter().sum::<usize>());
            let is_alike = groups.windows(2).all(|pair| pair[0] == pair[1]);
            let is_apart = groups.last() == Some(&number.len()) && !is_alike;
            if !is_apart && digits.len() >= number.len() && digits.trim_start_matches('0') == significant {
                found = Some(digits.clone());
            }
        }
        gap += 1;
        if gap > MAX_GAP_CHARS || c.is_alphanumeric() || c == '\n' || digits.len() > MAX_DIGITS {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_shows_a_code_that_touches_no_other_digit() {
        let code = OtpCode::parse("048291").expect("digits");
        for (text, expected) in [
            ("Your code is 048291.", true),
            ("048291", true),
            ("048 291", true),
            ("0-4-8-2-9-1 is your code", true),
            ("In 5 minutes 048\u{a0}291", true),
            ("Not 048, but 048 291", true),
            ("Your code is 1048291", false),
            ("Your code is 0482910", false),
            ("1048 291", false),
            ("048 2911", false),
            ("Your code is 48291", false),
            ("", false),
        ] {
            assert_eq!(holds(text, &code), expected, "{text:?}");
        }
    }

    #[test]
    fn zeros_that_a_number_has_lost_are_found_in_the_text() {
        for (number, text, expected) in [
            ("48291", "Your code is 048291.", "048291"),
            ("48291", "Your code is 048 291.", "048291"),
            ("48291", "Your code is 048-291. It is good for 5 minutes.", "048291"),
            ("48291", "048\u{a0}291 - 5 minutes", "048291"),
            ("48291", "0 4 8 2 9 1", "048291"),
            ("48291", "0, 4, 8, 2, 9, 1", "048291"),
            ("48291", "Ring 1 800 048 291", "048291"),
            ("29", "Code 00 00 29", "000029"),
            ("29", "Code 000 029", "000029"),
            ("0", "Code 000000", "000000"),
            ("0", "Code 000 000.", "000000"),
            ("48291", "Not 48291, 048291!", "048291"),
            ("48291", "Your code is 48 291.", "48291"),
            ("48291", "PIN 0, then 48291", "48291"),
            ("48291", "Floor 0 - room 48291", "48291"),
            ("48291", "Floor 048\n291", "48291"),
            ("48291", "Floor 048 and 291", "48291"),
            ("48291", "Your code is 148 291.", "48291"),
            ("482910", "At 12:00, 482910 is your code", "482910"),
            ("482910", "Expires at 12:00. 482910 is your code", "482910"),
            ("482910", "14.05.2026 12:00 482910", "482910"),
            ("482910", "05/10/00 482910", "482910"),
            ("482910", "Call 0800 000 482910", "482910"),
            ("48291", "At 12:00, 048 291", "048291"),
            ("48291", "", "48291"),
        ] {
            let digits = Digits { text: number.to_owned(), was_number: true };
            assert_eq!(whole(&digits, Some(text)), expected, "{text:?}");
        }
        let typed = Digits { text: " 48291 ".to_owned(), was_number: false };
        assert_eq!(whole(&typed, Some("Your code is 048291.")), "48291", "a text has lost nothing");
    }
}
