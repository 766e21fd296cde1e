//! What a person reads when no code comes, in the languages we speak.
//!
//! Must not tell a cause, a provider, a number or a name: Okta shows `errorSummary` to end users.

use crate::otp::Locale;

/// What happened, as far as the person needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Notice {
    /// Nothing could be sent now.
    NotSent,
    /// Nothing can be sent to this number.
    Refused,
    /// The code had run out before it could be sent.
    Expired,
}

/// The sentence in the person's language, else in English.
pub(super) fn wording(notice: Notice, locale: Option<&Locale>) -> &'static str {
    let of = |name: &str| WORDS.iter().find(|row| row.0.contains(&name));
    let row = locale.and_then(|locale| of(locale.as_str()).or_else(|| of(locale.language()))).unwrap_or(&WORDS[0]);
    match notice {
        Notice::NotSent => row.1,
        Notice::Refused => row.2,
        Notice::Expired => row.3,
    }
}

type Row = (&'static [&'static str], &'static str, &'static str, &'static str);

/// Languages, or whole tags where the script hangs on the region; then `NotSent`, `Refused`, `Expired`. The first row
/// serves every other language.
const WORDS: [Row; 18] = [
    (
        &["en"],
        "We could not send your code. Please try again in a moment or use another method.",
        "We cannot send a code to this phone number. Please use another number or another method.",
        "This code has expired. Please request a new one.",
    ),
    (
        &["es"],
        "No hemos podido enviar tu código. Inténtalo de nuevo en unos instantes o usa otro método.",
        "No podemos enviar un código a este número de teléfono. Usa otro número u otro método.",
        "Este código ha caducado. Solicita uno nuevo.",
    ),
    (
        &["fr"],
        "Nous n’avons pas pu envoyer votre code. Réessayez dans un instant ou utilisez une autre méthode.",
        "Nous ne pouvons pas envoyer de code à ce numéro. Utilisez un autre numéro ou une autre méthode.",
        "Ce code a expiré. Demandez-en un nouveau.",
    ),
    (
        &["de"],
        "Ihr Code konnte nicht gesendet werden. Bitte versuchen Sie es gleich noch einmal oder wählen Sie einen anderen Weg.",
        "An diese Telefonnummer kann kein Code gesendet werden. Bitte verwenden Sie eine andere Nummer oder einen anderen Weg.",
        "Dieser Code ist abgelaufen. Bitte fordern Sie einen neuen an.",
    ),
    (
        &["pt"],
        "Não foi possível enviar o seu código. Tente novamente dentro de momentos ou use outro método.",
        "Não é possível enviar um código para este número de telefone. Use outro número ou outro método.",
        "Este código expirou. Peça um novo.",
    ),
    (
        &["it"],
        "Non è stato possibile inviare il codice. Riprova tra poco o usa un altro metodo.",
        "Non è possibile inviare un codice a questo numero di telefono. Usa un altro numero o un altro metodo.",
        "Questo codice è scaduto. Richiedine uno nuovo.",
    ),
    (
        &["nl"],
        "Uw code kon niet worden verzonden. Probeer het zo meteen opnieuw of gebruik een andere methode.",
        "Naar dit telefoonnummer kan geen code worden verzonden. Gebruik een ander nummer of een andere methode.",
        "Deze code is verlopen. Vraag een nieuwe aan.",
    ),
    (
        &["ja"],
        "コードを送信できませんでした。しばらくしてからもう一度お試しいただくか、別の方法をご利用ください。",
        "この電話番号にはコードを送信できません。別の番号または別の方法をご利用ください。",
        "このコードは有効期限が切れています。新しいコードをリクエストしてください。",
    ),
    (
        &["da"],
        "Vi kunne ikke sende din kode. Prøv igen om lidt, eller brug en anden metode.",
        "Vi kan ikke sende en kode til dette telefonnummer. Brug et andet nummer eller en anden metode.",
        "Koden er udløbet. Bed om en ny.",
    ),
    (
        &["sv"],
        "Vi kunde inte skicka din kod. Försök igen om en stund eller använd en annan metod.",
        "Vi kan inte skicka en kod till det här telefonnumret. Använd ett annat nummer eller en annan metod.",
        "Koden har gått ut. Begär en ny.",
    ),
    (
        &["nb", "no"],
        "Vi kunne ikke sende koden din. Prøv igjen om litt, eller bruk en annen metode.",
        "Vi kan ikke sende en kode til dette telefonnummeret. Bruk et annet nummer eller en annen metode.",
        "Koden er utløpt. Be om en ny.",
    ),
    (
        &["fi"],
        "Koodin lähettäminen epäonnistui. Yritä hetken kuluttua uudelleen tai käytä toista tapaa.",
        "Tähän puhelinnumeroon ei voi lähettää koodia. Käytä toista numeroa tai toista tapaa.",
        "Koodi on vanhentunut. Pyydä uusi koodi.",
    ),
    (
        &["pl"],
        "Nie udało się wysłać kodu. Spróbuj ponownie za chwilę lub użyj innej metody.",
        "Nie możemy wysłać kodu na ten numer telefonu. Użyj innego numeru lub innej metody.",
        "Ten kod wygasł. Poproś o nowy.",
    ),
    (
        &["ko"],
        "코드를 보내지 못했습니다. 잠시 후 다시 시도하거나 다른 방법을 사용하세요.",
        "이 전화번호로는 코드를 보낼 수 없습니다. 다른 번호나 다른 방법을 사용하세요.",
        "코드가 만료되었습니다. 새 코드를 요청하세요.",
    ),
    (
        &["zh"],
        "无法发送您的验证码。请稍后重试或使用其他方式。",
        "无法向此电话号码发送验证码。请使用其他号码或其他方式。",
        "此验证码已过期。请重新获取。",
    ),
    (
        &["zh-TW", "zh-HK", "zh-MO", "zh-Hant", "zh-Hant-TW", "zh-Hant-HK", "zh-Hant-MO"],
        "無法傳送您的驗證碼。請稍後再試或使用其他方式。",
        "無法傳送驗證碼至此電話號碼。請使用其他號碼或其他方式。",
        "此驗證碼已過期。請重新取得。",
    ),
    (
        &["ru"],
        "Не удалось отправить код. Повторите попытку чуть позже или воспользуйтесь другим способом.",
        "Мы не можем отправить код на этот номер телефона. Используйте другой номер или другой способ.",
        "Срок действия кода истёк. Запросите новый.",
    ),
    (
        &["ca"],
        "No hem pogut enviar el codi. Torneu-ho a provar d’aquí a una estona o utilitzeu un altre mètode.",
        "No podem enviar cap codi a aquest número de telèfon. Utilitzeu un altre número o un altre mètode.",
        "Aquest codi ha caducat. Sol·liciteu-ne un de nou.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_reads_the_language_and_script_of_the_locale() {
        for (locale, start) in [
            ("pt-PT", "Este"),
            ("no", "Koden er utløpt"),
            ("zh", "此验证码"),
            ("zh-Hans-SG", "此验证码"),
            ("zh_tw", "此驗證碼"),
            ("zh-Hant-HK", "此驗證碼"),
            ("hu-HU", "This code"),
            ("", "This code"),
        ] {
            let told = wording(Notice::Expired, Locale::parse(locale).as_ref());
            assert!(told.starts_with(start), "{locale}: {told}");
        }
    }
}
