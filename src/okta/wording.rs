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
    let language = locale.map_or("en", Locale::language);
    let row = WORDS.iter().find(|row| row.0 == language).unwrap_or(&WORDS[0]);
    match notice {
        Notice::NotSent => row.1,
        Notice::Refused => row.2,
        Notice::Expired => row.3,
    }
}

type Row = (&'static str, &'static str, &'static str, &'static str);

/// Language, then `NotSent`, `Refused`, `Expired`. The first row serves every other language.
const WORDS: [Row; 8] = [
    (
        "en",
        "We could not send your code. Please try again in a moment or use another method.",
        "We cannot send a code to this phone number. Please use another number or another method.",
        "This code has expired. Please request a new one.",
    ),
    (
        "es",
        "No hemos podido enviar tu código. Inténtalo de nuevo en unos instantes o usa otro método.",
        "No podemos enviar un código a este número de teléfono. Usa otro número u otro método.",
        "Este código ha caducado. Solicita uno nuevo.",
    ),
    (
        "fr",
        "Nous n’avons pas pu envoyer votre code. Réessayez dans un instant ou utilisez une autre méthode.",
        "Nous ne pouvons pas envoyer de code à ce numéro. Utilisez un autre numéro ou une autre méthode.",
        "Ce code a expiré. Demandez-en un nouveau.",
    ),
    (
        "de",
        "Ihr Code konnte nicht gesendet werden. Bitte versuchen Sie es gleich noch einmal oder wählen Sie einen anderen Weg.",
        "An diese Telefonnummer kann kein Code gesendet werden. Bitte verwenden Sie eine andere Nummer oder einen anderen Weg.",
        "Dieser Code ist abgelaufen. Bitte fordern Sie einen neuen an.",
    ),
    (
        "pt",
        "Não foi possível enviar o seu código. Tente novamente dentro de momentos ou use outro método.",
        "Não é possível enviar um código para este número de telefone. Use outro número ou outro método.",
        "Este código expirou. Peça um novo.",
    ),
    (
        "it",
        "Non è stato possibile inviare il codice. Riprova tra poco o usa un altro metodo.",
        "Non è possibile inviare un codice a questo numero di telefono. Usa un altro numero o un altro metodo.",
        "Questo codice è scaduto. Richiedine uno nuovo.",
    ),
    (
        "nl",
        "Uw code kon niet worden verzonden. Probeer het zo meteen opnieuw of gebruik een andere methode.",
        "Naar dit telefoonnummer kan geen code worden verzonden. Gebruik een ander nummer of een andere methode.",
        "Deze code is verlopen. Vraag een nieuwe aan.",
    ),
    (
        "ja",
        "コードを送信できませんでした。しばらくしてからもう一度お試しいただくか、別の方法をご利用ください。",
        "この電話番号にはコードを送信できません。別の番号または別の方法をご利用ください。",
        "このコードは有効期限が切れています。新しいコードをリクエストしてください。",
    ),
];
