//! Phone numbers: E.164 and nothing else, their country, and how little of one may be shown.
//!
//! Must not know where a number came from. Whether a number is *assigned* is the provider's to say: a newly
//! opened range must not be refused here.

mod national;

use std::fmt;

use national::{has_calling_code_of, international};

/// As much as 15 digits, a `+` and two separators after each come to, and then some.
const MAX_BYTES: usize = 64;

/// A number in E.164 form: `+`, then 7 to 15 digits.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Phone {
    e164: Box<str>,
    country: Option<Country>,
}

/// Why a text is no number we can send to. Says the rule, never the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PhoneFault {
    /// Not `+` and 7 to 15 digits once spaces and punctuation are gone, or far too much of those.
    #[error("must be an E.164 number: + and 7 to 15 digits")]
    NotE164,
    /// A national number, and nobody said of which country.
    #[error("must start with + and a country code (or set default_country to accept national numbers)")]
    NoCountryCode,
    /// A national number that the default country does not have.
    #[error("must be an E.164 number, or a number of the configured default_country")]
    NotInDefaultCountry,
}

impl Phone {
    /// Parses a number as people and Okta write it. One without `+` is read as a number of `default_country`.
    ///
    /// # Errors
    /// When it is not E.164 and cannot be made so.
    pub fn parse(text: &str, default_country: Option<Country>) -> Result<Self, PhoneFault> {
        if text.len() > MAX_BYTES {
            return Err(PhoneFault::NotE164);
        }
        let mut compact = String::with_capacity(text.len());
        for c in text.trim().chars() {
            match c {
                '0'..='9' => compact.push(c),
                '+' if compact.is_empty() => compact.push(c),
                ' ' | '-' | '.' | '(' | ')' | '/' | '\u{a0}' => {}
                _ => return Err(PhoneFault::NotE164),
            }
        }
        if compact.starts_with('+') {
            return Self::from_e164(compact, None);
        }
        if compact.is_empty() {
            return Err(PhoneFault::NotE164);
        }
        let country = default_country.ok_or(PhoneFault::NoCountryCode)?;
        Self::from_e164(international(&compact, country).ok_or(PhoneFault::NotInDefaultCountry)?, Some(country))
    }

    fn from_e164(e164: String, home: Option<Country>) -> Result<Self, PhoneFault> {
        let digits = e164.as_bytes().get(1..).unwrap_or_default();
        let fits = (7..=15).contains(&digits.len()) && digits[0] != b'0' && digits.iter().all(u8::is_ascii_digit);
        if !fits {
            return Err(PhoneFault::NotE164);
        }
        // A range that phonelib does not know is that of the country at home, or of the main one, with its calling code.
        let country = phonelib::extract_country(&e164)
            .and_then(|c| Country::parse(c.code))
            .or(home.filter(|home| has_calling_code_of(&e164, *home)))
            .or_else(|| phonelib::guess_country_from_number(&e164).and_then(|c| Country::parse(c.code)));
        Ok(Self { e164: e164.into(), country })
    }

    /// The number with its `+`. Only for what is handed to a provider or hashed with a key.
    pub fn expose(&self) -> &str {
        &self.e164
    }

    /// The number without its `+`, as Telesign wants it.
    pub fn expose_digits(&self) -> &str {
        &self.e164[1..]
    }

    /// The country the number belongs to; `None` for ranges of no country, such as satellite phones.
    pub fn country(&self) -> Option<Country> {
        self.country
    }
}

impl fmt::Debug for Phone {
    /// The country alone: enough to read a log by, useless to call.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Phone({}, …)", self.country.as_ref().map_or("??", Country::as_str))
    }
}

/// An ISO 3166 alpha-2 country code, upper case.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Country([u8; 2]);

impl Country {
    /// Parses two ASCII letters of any case.
    pub fn parse(text: &str) -> Option<Self> {
        let [a, b] = *text.as_bytes() else { return None };
        (a.is_ascii_alphabetic() && b.is_ascii_alphabetic())
            .then(|| Self([a.to_ascii_uppercase(), b.to_ascii_uppercase()]))
    }

    /// As `parse`, but only a country that has numbers: no message ever goes to `UK` or `XX`.
    pub fn with_numbers(text: &str) -> Option<Self> {
        Self::parse(text).filter(|country| phonelib::country_by_code(country.as_str()).is_some())
    }

    /// The country whose calling code and senders it shares, though its numbers are its own: Guernsey, Jersey and Man are
    /// all +44.
    pub fn mainland(self) -> Option<Self> {
        matches!(&self.0, b"GG" | b"JE" | b"IM").then_some(Self(*b"GB"))
    }

    /// Whether a list names it, or its mainland.
    pub fn is_among(self, countries: &[Self]) -> bool {
        countries.contains(&self) || self.mainland().is_some_and(|mainland| countries.contains(&mainland))
    }

    /// The two letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("??")
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Country({})", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, default_country: &str, expected: Result<(&str, &str), PhoneFault>) {
        let found = Phone::parse(text, Country::parse(default_country));
        let found =
            found.as_ref().map(|p| (p.expose(), p.country.as_ref().map_or("", Country::as_str))).map_err(|e| *e);
        assert_eq!(found, expected, "{text:?} in {default_country:?}");
    }

    #[test]
    fn numbers_are_e164_or_refused() {
        const BLANKS: usize = MAX_BYTES - "+15005550006".len();
        check("+15005550006", "", Ok(("+15005550006", "US")));
        check("+1 (500) 555-0006", "", Ok(("+15005550006", "US")));
        check("+447400123456", "", Ok(("+447400123456", "GB")));
        check("+351210000000", "", Ok(("+351210000000", "PT")));
        check("+18765551234", "", Ok(("+18765551234", "JM")));
        check("+882161234567", "", Ok(("+882161234567", "")));
        check("+15551234567", "", Ok(("+15551234567", "US")));
        check("5551234567", "CA", Ok(("+15551234567", "CA")));
        check("+440000000000", "", Ok(("+440000000000", "GB")));
        check("+210000000000", "", Ok(("+210000000000", "")));
        check("9876543210", "", Err(PhoneFault::NoCountryCode));
        check("9876543210", "IN", Ok(("+919876543210", "IN")));
        check("9876543210", "US", Ok(("+19876543210", "US")));
        check("15005550006", "US", Ok(("+15005550006", "US")));
        check("07400 123456", "GB", Ok(("+447400123456", "GB")));
        check("919876543210", "IN", Ok(("+919876543210", "IN")));
        check("0114415551234", "US", Ok(("+4415551234", "GB")));
        check("0011", "US", Err(PhoneFault::NotInDefaultCountry));
        check("00441", "DE", Err(PhoneFault::NotE164));
        check("12", "GB", Err(PhoneFault::NotInDefaultCountry));
        check("+0123456789", "", Err(PhoneFault::NotE164));
        check("+123456", "", Err(PhoneFault::NotE164));
        check("+1234567890123456", "", Err(PhoneFault::NotE164));
        check(&format!("+1{}5005550006", " ".repeat(BLANKS)), "", Ok(("+15005550006", "US")));
        check(&format!("+1{}5005550006", " ".repeat(BLANKS + 1)), "", Err(PhoneFault::NotE164));
        check("+1415555267a", "", Err(PhoneFault::NotE164));
        check("１２３４５６７８", "US", Err(PhoneFault::NotE164));
        check("", "US", Err(PhoneFault::NotE164));
        check("+", "", Err(PhoneFault::NotE164));
    }

    #[test]
    fn debug_shows_the_country_only() {
        let phone = Phone::parse("+15005550006", None).expect("valid");
        assert_eq!(format!("{phone:?}"), "Phone(US, …)");
    }
}
