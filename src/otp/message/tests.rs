//! What a message's parts take, and how little of them shows.
//!
//! Must not need a provider.

use super::*;

#[test]
fn locale_spellings_fold_to_one() {
    for (given, expected) in [
        ("EN-US", Some("en-US")),
        ("en", Some("en")),
        ("en_US", Some("en-US")),
        ("pt-br", Some("pt-BR")),
        ("zh_hant_tw", Some("zh-Hant-TW")),
        ("es-419", Some("es-419")),
        (" fr-CA ", Some("fr-CA")),
        ("", None),
        ("e", None),
        ("en-", None),
        ("en US", None),
        ("<x>", None),
    ] {
        assert_eq!(Locale::parse(given).as_ref().map(Locale::as_str), expected, "{given:?}");
    }
}

#[test]
fn a_code_keeps_its_zeros_and_is_spoken_digit_by_digit() {
    let code = OtpCode::parse("048291").expect("six digits");
    assert_eq!(code.expose(), "048291");
    assert_eq!(code.spoken(), "0, 4, 8, 2, 9, 1");
    assert_eq!(format!("{code:?}"), "OtpCode(…)");
    for bad in ["", "12", "1234567890123", "12a4", " 1234", "１２３４"] {
        assert!(OtpCode::parse(bad).is_none(), "{bad:?}");
    }
}

#[test]
fn request_types_are_known_by_their_last_word() {
    for (given, expected) in [
        ("com.okta.user.telephony.mfa-verification", "mfa-verification"),
        ("com.okta.user.telephony.PRE-ENROLLMENT", "pre-enrollment"),
        ("something-new", "something-new"),
        ("a\nb", "ab"),
        ("", "unknown"),
    ] {
        assert_eq!(RequestType::parse(given).as_str(), expected, "{given:?}");
    }
}

#[test]
fn an_event_id_shows_no_control_characters() {
    let id = EventId::parse("abc\r\n\u{1b}[31mred").expect("not empty");
    assert_eq!(id.to_string(), "abc????31mred");
}
