//! `[mail]`: where mail goes.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::secret::Secret;

/// `[mail]`: a mail server, or a folder.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mail {
    /// `smtp://host:port`, `smtps://host:port` or `dir:PATH`; unset means `DIR/mail`.
    pub url: Option<String>,
    pub from: String,
    pub reply_to: Option<String>,
    pub user: Option<String>,
    pub password: Option<Secret>,
    /// Whether a server may be spoken to in the clear.
    pub allow_plaintext: bool,
    /// PEM file of authorities that may vouch for the server, beside Mozilla's.
    pub ca: Option<PathBuf>,
    pub connections_max: u32,
    pub timeout_seconds: f64,
    /// Messages that a folder keeps, and how long.
    pub folder_messages_max: u32,
    pub folder_days_max: u32,
}

impl Default for Mail {
    fn default() -> Self {
        Self {
            url: None,
            from: "StreamVerse <no-reply@localhost.localdomain>".to_owned(),
            reply_to: None,
            user: None,
            password: None,
            allow_plaintext: false,
            ca: None,
            connections_max: 4,
            timeout_seconds: 20.0,
            folder_messages_max: 1_000,
            folder_days_max: 7,
        }
    }
}

impl Mail {
    /// Settings in which every key is set.
    pub(super) fn example() -> Self {
        Self {
            url: Some("smtp://mail.example.org:587".to_owned()),
            reply_to: Some("support@example.org".to_owned()),
            user: Some("streamverse".to_owned()),
            password: Some(Secret::reference("env:MAIL_PASSWORD")),
            ca: Some(PathBuf::from("ca.pem")),
            ..Self::default()
        }
    }
}

pub(super) fn check_mail(mail: &Mail, fail: &mut impl FnMut(&str, String, &str)) {
    if let Err(error) = crate::mail::Target::parse(mail.url.as_deref()) {
        fail("mail.url", error, "write smtp://HOST:PORT, smtps://HOST:PORT or dir:PATH");
    }
    for (key, address) in
        [("mail.from", Some(&mail.from)), ("mail.reply_to", mail.reply_to.as_ref())]
    {
        if let Some(address) = address
            && address.parse::<lettre::message::Mailbox>().is_err()
        {
            let cure = "write NAME <USER@HOST> or USER@HOST";
            fail(key, format!("`{address}` is no address"), cure);
        }
    }
    if mail.user.is_some() != mail.password.is_some() {
        let cause = "one of user and password is missing".to_owned();
        fail("mail.user", cause, "set both, or neither");
    }
    let ranges = [
        ("mail.connections_max", f64::from(mail.connections_max), 1.0, 100.0),
        ("mail.timeout_seconds", mail.timeout_seconds, 1.0, 300.0),
        ("mail.folder_messages_max", f64::from(mail.folder_messages_max), 1.0, 100_000.0),
        ("mail.folder_days_max", f64::from(mail.folder_days_max), 1.0, 3_650.0),
    ];
    for (key, value, min, max) in ranges {
        if !(min..=max).contains(&value) {
            let cure = format!("write a number from {min} to {max}");
            fail(key, format!("{value} is out of range"), &cure);
        }
    }
}
