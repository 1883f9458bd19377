//! Mail: to a server by SMTP (RFC 5321), or else into a folder, a file a message.
//!
//! Texts come as they are to be read; nothing here knows templates or languages. A message has a key
//! of its own: its `Message-ID` follows from it, so that what is sent twice can be told for one, and a
//! folder holds it once. Over SMTP the server's answer decides: 4yz may be tried again, 5yz not
//! (RFC 5321 4.2.1); failures to reach the server count against its breaker.

mod folder;
mod message;
mod smtp;

use std::path::{Path, PathBuf};

use lettre::message::Mailbox;

use crate::config;
use crate::resilience::ServiceMetrics;

pub use message::{MailMessage, Unsubscribe};

use folder::Folder;
use smtp::Smtp;

/// Sends messages. Clones share connections and breaker.
#[derive(Clone, Debug)]
pub struct Mailer {
    from: Mailbox,
    reply_to: Option<Mailbox>,
    way: Way,
}

#[derive(Clone, Debug)]
enum Way {
    Smtp(Smtp),
    Folder(Folder),
}

/// What `mail.url` names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Target {
    Smtp {
        host: String,
        port: u16,
        is_tls: bool,
    },
    /// `None`: in the data directory.
    Folder(Option<PathBuf>),
}

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MailError {
    #[error("mail can't be set up: {reason}")]
    Setup { reason: String },
    #[error("the message can't be written: {reason}")]
    Message { reason: String },
    /// The server does not want it, now or ever.
    #[error("the mail server refuses it: {reason}")]
    Refused { reason: String },
    #[error("the mail server can't take it now: {reason}")]
    Later { reason: String },
    #[error("the mail folder can't be written: {0}")]
    Folder(#[from] std::io::Error),
}

impl MailError {
    /// Whether the same message may be taken later.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Later { .. } | Self::Folder(_))
    }
}

impl Target {
    /// # Errors
    /// When it names no way that mail can go.
    pub fn parse(url: Option<&str>) -> Result<Self, String> {
        let Some(url) = url else { return Ok(Self::Folder(None)) };
        if let Some(path) = url.strip_prefix("dir:") {
            let is_path = !path.is_empty();
            return is_path.then(|| Self::Folder(Some(path.into()))).ok_or("no path".to_owned());
        }
        let wrong = || format!("`{url}` is no address of a mail server");
        let uri: http::Uri = url.parse().map_err(|_| wrong())?;
        let (is_tls, port) = match uri.scheme_str() {
            Some("smtp") => (false, 587),
            Some("smtps") => (true, 465),
            _ => return Err(wrong()),
        };
        let is_bare = matches!(uri.path(), "" | "/") && uri.query().is_none() && !url.contains('@');
        let host = uri.host().filter(|host| is_bare && !host.is_empty()).ok_or_else(wrong)?;
        Ok(Self::Smtp { host: host.to_owned(), port: uri.port_u16().unwrap_or(port), is_tls })
    }
}

impl Mailer {
    /// # Errors
    /// When addresses, authorities or the folder can't be used.
    pub fn open(
        config: &config::Mail,
        data_dir: &Path,
        breaker: config::Outbound,
        metrics: ServiceMetrics,
    ) -> Result<Self, MailError> {
        let mailbox = |text: &str| {
            text.parse::<Mailbox>()
                .map_err(|_| MailError::Setup { reason: format!("`{text}` is no address") })
        };
        let target = Target::parse(config.url.as_deref());
        let way = match target.map_err(|reason| MailError::Setup { reason })? {
            Target::Folder(path) => {
                let path = path.unwrap_or_else(|| data_dir.join("mail"));
                let days = u64::from(config.folder_days_max);
                Way::Folder(Folder::open(path, config.folder_messages_max as usize, days)?)
            }
            Target::Smtp { host, port, is_tls } => {
                Way::Smtp(Smtp::new(config, &host, port, is_tls, &breaker, metrics)?)
            }
        };
        let reply_to = config.reply_to.as_deref().map(mailbox).transpose()?;
        Ok(Self { from: mailbox(&config.from)?, reply_to, way })
    }

    /// Sends a message; when this answers, a server or the disk has it.
    ///
    /// # Errors
    /// By cause; [`MailError::is_passing`] tells whether to try again.
    pub async fn send(&self, message: &MailMessage, now_ms: i64) -> Result<(), MailError> {
        let written = message.write(&self.from, self.reply_to.as_ref(), now_ms)?;
        match &self.way {
            Way::Smtp(smtp) => smtp.send(written).await,
            Way::Folder(folder) => {
                let (folder, name) = (folder.clone(), message.file_name());
                let bytes = written.formatted();
                let wrote =
                    tokio::task::spawn_blocking(move || folder.write(&name, &bytes, now_ms)).await;
                Ok(wrote.unwrap_or_else(|error| Err(std::io::Error::other(error)))?)
            }
        }
    }
}

#[cfg(test)]
mod tests;
