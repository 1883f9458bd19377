//! Messages to people: facts of `notification.send` become mail.
//!
//! A consumer of the event log puts each message into a queue, in the transaction that notes the
//! event: once, whatever crashes. [`Sender`] takes what is due and hands it to the [`Mailer`]; a
//! message leaves the queue when a server or the disk has it. Who is killed between the two sends it
//! again, with the same `Message-ID`, which its reader's server can tell for one.
//!
//! Address, link and code lie sealed in the queue. [`Opener`] opens them: whoever sealed them.

mod queue;
mod sender;
mod text;

#[cfg(test)]
mod tests;

pub use queue::{CONSUMER, SCHEMA, consumer, erase};
pub use sender::{Letter, Opener, Sender, SenderMetrics};
pub use text::LOCALES;
