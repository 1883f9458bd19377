//! What a message says, in its reader's language.

use api::i18n::{Domain, Language};

use crate::sender::Letter;

/// The messages of this domain, for the catalogue.
pub const LOCALES: Domain = &[
    ("de", include_str!("../locales/de/mail.ftl")),
    ("en", include_str!("../locales/en/mail.ftl")),
];

/// Subject and text of a letter; none for a template that nobody wrote.
///
/// Links and codes stand on lines of their own and are never values of a message: what people copy
/// holds no invisible characters.
pub(crate) fn write(
    language: &Language,
    template: &str,
    letter: &Letter,
) -> Option<(String, String)> {
    let (name, ending) = match template {
        "verify" => ("verify", "mail-ignore"),
        "reset_password" => ("reset", "mail-ignore"),
        "confirm_email" => ("confirm-email", "mail-ignore"),
        "already_registered" => ("already-registered", "mail-ignore"),
        "password_changed" => ("password-changed", "mail-secure"),
        "email_changed" => ("email-changed", "mail-secure"),
        "new_device" => ("new-device", "mail-secure"),
        "account_deleted" => ("account-deleted", "mail-secure"),
        "export_ready" => ("export-ready", "mail-secure"),
        _ => return None,
    };
    let say = |message: &str| language.text(message, &[]);
    let mut parts = vec![say(&format!("mail-{name}-body"))];
    parts.extend(letter.link.clone());
    if let Some(code) = &letter.code {
        parts.push(say("mail-code"));
        parts.push(code.clone());
    }
    parts.push(say(ending));
    let mut text = parts.join("\n\n");
    text.push('\n');
    Some((say(&format!("mail-{name}-subject")), text))
}
