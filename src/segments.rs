//! How many segments an SMS takes: what is charged, and what may arrive out of order.
//!
//! Must not know what a text says or who sends it. Source: 3GPP TS 23.038, section 6.2.1 (alphabet), and TS 23.040 (joined segments).

use std::fmt;

/// The basic alphabet, one septet a character.
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?\
    ¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";

/// The extension table: an escape and a character, two septets.
const EXTENSION: &str = "\u{c}^{}\\[~]|€";

/// How an SMS is written on the air.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Seven bits a character.
    Gsm7,
    /// Sixteen bits a character; one character outside GSM-7 is enough to need it.
    Ucs2,
}

impl Encoding {
    /// Septets or 16-bit units that a text sent alone may have.
    pub const fn alone(self) -> usize {
        match self {
            Self::Gsm7 => 160,
            Self::Ucs2 => 70,
        }
    }

    /// The same for each segment of a longer text: six octets go to the header that joins them.
    const fn joined(self) -> usize {
        match self {
            Self::Gsm7 => 153,
            Self::Ucs2 => 67,
        }
    }

    fn units(self, c: char) -> usize {
        match self {
            Self::Gsm7 => 1 + usize::from(EXTENSION.contains(c)),
            Self::Ucs2 => c.len_utf16(),
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Gsm7 => "GSM-7",
            Self::Ucs2 => "UCS-2",
        })
    }
}

/// What an SMS takes on the air.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segments {
    /// How it is written.
    pub encoding: Encoding,
    /// How many segments it is cut into; an empty text is one.
    pub parts: usize,
}

impl fmt::Display for Segments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.parts == 1 { "" } else { "s" };
        write!(f, "{} segment{plural}, {}", self.parts, self.encoding)
    }
}

impl Segments {
    /// Counts those of a text, in the encoding that it needs.
    pub fn of(text: &str) -> Self {
        Self::written(text, if outside_gsm7(text).is_some() { Encoding::Ucs2 } else { Encoding::Gsm7 })
    }

    /// Counts those of a text in this encoding, which must be able to write it.
    pub fn written(text: &str, encoding: Encoding) -> Self {
        let units: usize = text.chars().map(|c| encoding.units(c)).sum();
        let parts = if units <= encoding.alone() { 1 } else { joined(text, encoding) };
        Self { encoding, parts }
    }
}

/// Fills segment after segment: an escape or half of a surrogate pair is never left at the end of one.
fn joined(text: &str, encoding: Encoding) -> usize {
    let (mut parts, mut filled) = (1, 0);
    for c in text.chars() {
        let units = encoding.units(c);
        if filled + units > encoding.joined() {
            parts += 1;
            filled = 0;
        }
        filled += units;
    }
    parts
}

/// The first character that GSM-7 cannot write, extension table included.
pub fn outside_gsm7(text: &str) -> Option<char> {
    text.chars().find(|c| !BASIC.contains(*c) && !EXTENSION.contains(*c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alphabet_is_whole() {
        assert_eq!(BASIC.chars().count(), 127, "128 places, one of them the escape");
        assert_eq!(EXTENSION.chars().count(), 10);
    }

    #[test]
    fn segments_are_counted_as_networks_count_them() {
        use Encoding::{Gsm7, Ucs2};
        for (text, encoding, parts, reason) in [
            (String::new(), Gsm7, 1, "nothing is still one message"),
            ("a".repeat(160), Gsm7, 1, "exactly one"),
            ("a".repeat(161), Gsm7, 2, "two joined, 153 each"),
            ("a".repeat(306), Gsm7, 2, "exactly two"),
            ("a".repeat(307), Gsm7, 3, "one too many for two"),
            ("€".repeat(80), Gsm7, 1, "an extension character takes two septets"),
            ("€".repeat(81), Gsm7, 2, "162 septets"),
            (format!("{}€{}", "a".repeat(152), "a".repeat(152)), Gsm7, 3, "an escape is not cut from its character"),
            ("à".repeat(160), Gsm7, 1, "à is in the alphabet"),
            ("á".repeat(70), Ucs2, 1, "á is not"),
            ("á".repeat(71), Ucs2, 2, "two joined, 67 each"),
            ("コ".repeat(70), Ucs2, 1, "one unit"),
            ("🔑".repeat(35), Ucs2, 1, "an emoji takes two units"),
            ("🔑".repeat(36), Ucs2, 2, "72 units"),
            (format!("{}🔑{}", "á".repeat(66), "á".repeat(66)), Ucs2, 3, "a surrogate pair is not cut"),
            (format!("{}ç", "a".repeat(70)), Ucs2, 2, "one character is enough; only the capital Ç is in GSM-7"),
        ] {
            assert_eq!(Segments::of(&text), Segments { encoding, parts }, "{reason}");
        }
        assert_eq!(
            Segments::written(&"a".repeat(71), Ucs2),
            Segments { encoding: Ucs2, parts: 2 },
            "wanted, not needed"
        );
        assert_eq!(Segments::of("{}").to_string(), "1 segment, GSM-7");
        assert_eq!(Segments::of(&"á".repeat(71)).to_string(), "2 segments, UCS-2");
    }

    #[test]
    fn the_first_character_outside_is_named() {
        for (text, expected) in [
            ("Your code: {1} [2] ~3~ \\4 ^5 |6 €7\n", None),
            ("L’été", Some('’')),
            ("no\u{a0}break", Some('\u{a0}')),
            ("tab\t", Some('\t')),
        ] {
            assert_eq!(outside_gsm7(text), expected, "{text:?}");
        }
    }
}
