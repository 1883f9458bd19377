//! A message and its headers (RFC 5322).

use std::time::{Duration, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;
use lettre::Message;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};

use super::MailError;

/// Longest subject and longest text, in bytes.
const SUBJECT_BYTES_MAX: usize = 500;
const TEXT_BYTES_MAX: usize = 1 << 20;

/// What is to be sent, in its reader's language.
#[derive(Clone, Debug)]
pub struct MailMessage {
    /// `USER@HOST` or `NAME <USER@HOST>`; one address.
    pub to: String,
    pub subject: String,
    pub text: String,
    pub html: Option<String>,
    pub unsubscribe: Option<Unsubscribe>,
    /// The same for the same message, and for no other: an event's id.
    pub key: String,
}

/// One click ends it (RFC 8058).
#[derive(Clone, Debug)]
pub struct Unsubscribe {
    /// An https address that takes a POST.
    pub url: String,
}

impl MailMessage {
    fn digest(&self) -> String {
        HEXLOWER.encode(&digest(&SHA256, self.key.as_bytes()).as_ref()[..16])
    }

    /// In a folder: the same for the same key.
    pub(super) fn file_name(&self) -> String {
        format!("{}.eml", self.digest())
    }

    pub(super) fn write(
        &self,
        from: &Mailbox,
        reply_to: Option<&Mailbox>,
        now_ms: i64,
    ) -> Result<Message, MailError> {
        let fail = |reason: &str| MailError::Message { reason: reason.to_owned() };
        let to: Mailbox = self.to.parse().map_err(|_| fail("its receiver is no address"))?;
        // A line break would begin another header.
        let is_line = |text: &str| !text.chars().any(char::is_control);
        if !is_line(&self.subject) || !is_line(&self.to) || SUBJECT_BYTES_MAX < self.subject.len() {
            return Err(fail("its subject or receiver is not one short line"));
        }
        let html_bytes = self.html.as_ref().map_or(0, String::len);
        if TEXT_BYTES_MAX < self.text.len().max(html_bytes) {
            return Err(fail("its text is too long"));
        }
        let date = UNIX_EPOCH + Duration::from_millis(u64::try_from(now_ms).unwrap_or(0));
        let id = format!("<{}@{}>", self.digest(), from.email.domain());
        let mut builder = Message::builder()
            .from(from.clone())
            .to(to)
            .subject(self.subject.clone())
            .date(date)
            .message_id(Some(id))
            .raw_header(raw("Auto-Submitted", "auto-generated")?);
        if let Some(reply_to) = reply_to {
            builder = builder.reply_to(reply_to.clone());
        }
        if let Some(Unsubscribe { url }) = &self.unsubscribe {
            let is_url = url.starts_with("https://")
                && url.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>".contains(&byte));
            if !is_url {
                return Err(fail("its address to unsubscribe at is no https URL"));
            }
            builder = builder
                .raw_header(raw("List-Unsubscribe", &format!("<{url}>"))?)
                .raw_header(raw("List-Unsubscribe-Post", "List-Unsubscribe=One-Click")?);
        }
        let written = match &self.html {
            Some(html) => builder
                .multipart(MultiPart::alternative_plain_html(self.text.clone(), html.clone())),
            None => builder.singlepart(SinglePart::plain(self.text.clone())),
        };
        written.map_err(|error| fail(&error.to_string()))
    }
}

fn raw(name: &str, value: &str) -> Result<HeaderValue, MailError> {
    let fail = |_| MailError::Message { reason: format!("`{name}` is no header") };
    let name = HeaderName::new_from_ascii(name.to_owned()).map_err(fail)?;
    Ok(HeaderValue::new(name, value.to_owned()))
}
