//! What a vendor's answer says that nobody may see: an id or an error code in which the number or the code stands.
//!
//! Must not know any vendor. Ids and codes go to Okta, into logs and onto pages; a vendor chooses them, and so could
//! whoever stands in its place.

use crate::otp::{Accepted, FailureKind, Message, SendError, TransactionId};

/// What stands for a code that cannot be shown, and for the lack of an id that can.
const UNREADABLE: &str = "unreadable";

/// The digits of the longest error code any vendor documents; from seven on it could be a number.
const CODE_DIGITS: usize = 5;

/// So many of a number's last digits give it away: national forms lack the calling code, of at most three digits.
const TELLING_DIGITS: usize = 9;

/// The ending without what gives its message away. An id that does is no id: then nobody knows what became of the message,
/// as after any answer without one.
pub(super) fn discreet(ending: Result<Accepted, SendError>, message: &Message) -> Result<Accepted, SendError> {
    match ending {
        Ok(accepted) if tells(&accepted.transaction_id, message) => {
            Err(SendError::new(FailureKind::Unconfirmed, UNREADABLE))
        }
        Ok(accepted) => {
            let attempt_id = accepted.attempt_id.filter(|id| !tells(id, message));
            Ok(Accepted { attempt_id, ..accepted })
        }
        Err(error) if is_telling_code(&error.code, message) => Err(SendError { code: UNREADABLE.to_owned(), ..error }),
        Err(error) => Err(error),
    }
}

/// Whether an id holds the number, however it is written, or the code as a word of its own: six digits somewhere in thirty
/// hexadecimal ones are chance.
fn tells(id: &TransactionId, message: &Message) -> bool {
    let id = id.as_str();
    let number = message.recipient.expose_digits();
    let end = &number[number.len().saturating_sub(TELLING_DIGITS)..];
    let digits: String = id.chars().filter(char::is_ascii_digit).collect();
    let mut words = id.split(|c: char| !c.is_ascii_alphanumeric());
    digits.contains(end) || words.any(|word| word == message.code.expose())
}

fn is_telling_code(code: &str, message: &Message) -> bool {
    let digits = code.trim_start_matches('-');
    let is_number = digits.bytes().all(|b| b.is_ascii_digit());
    is_number && (digits.len() > CODE_DIGITS || digits == message.code.expose())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        Message::bare("+447400123456", "48291")
    }

    fn id(text: &str) -> TransactionId {
        TransactionId::parse(text).expect("an id")
    }

    #[test]
    fn an_id_that_tells_the_number_or_the_code_is_none() {
        for telling in ["447400123456", "d1-+447400123456", "SM-07400123456", "44-7400.123456/x", "48291", "m_48291+7"]
        {
            let error = discreet(Ok(Accepted::new(id(telling))), &message()).expect_err(telling);
            assert_eq!((error.kind, error.code.as_str()), (FailureKind::Unconfirmed, "unreadable"), "{telling}");
        }
        for plain in
            ["SM4829148291482914829148291482914", "447400123457", "d1f0a6f8-4829-1aaa-8f6b-400123450000", "x48291"]
        {
            let accepted = Accepted { attempt_id: Some(id(plain)), ..Accepted::new(id(plain)) };
            assert_eq!(discreet(Ok(accepted.clone()), &message()), Ok(accepted), "{plain}");
        }
        let accepted = Accepted { attempt_id: Some(id("48291")), ..Accepted::new(id("VE1")) };
        assert_eq!(discreet(Ok(accepted), &message()), Ok(Accepted::new(id("VE1"))));
    }

    #[test]
    fn a_code_that_could_be_a_number_or_is_the_code_is_not_shown() {
        for (code, shown) in [
            ("21211", "21211"),
            ("-1015", "-1015"),
            ("http_404", "http_404"),
            ("connect", "connect"),
            ("48291", "unreadable"),
            ("-48291", "unreadable"),
            ("447400123456", "unreadable"),
            ("-123456", "unreadable"),
        ] {
            let error = SendError { opted_out: true, ..SendError::new(FailureKind::Recipient, code) };
            let expected = SendError { code: shown.to_owned(), ..error.clone() };
            assert_eq!(discreet(Err(error), &message()), Err(expected), "{code}");
        }
    }
}
