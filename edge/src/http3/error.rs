//! Error codes and what each ends (RFC 9114 8.1, RFC 9204 6).

use std::fmt;

/// An error code of HTTP/3 or QPACK.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) struct Code(pub(super) u32);

impl Code {
    pub(super) const NO_ERROR: Self = Self(0x100);
    pub(super) const GENERAL_PROTOCOL_ERROR: Self = Self(0x101);
    pub(super) const INTERNAL_ERROR: Self = Self(0x102);
    pub(super) const STREAM_CREATION_ERROR: Self = Self(0x103);
    pub(super) const CLOSED_CRITICAL_STREAM: Self = Self(0x104);
    pub(super) const FRAME_UNEXPECTED: Self = Self(0x105);
    pub(super) const FRAME_ERROR: Self = Self(0x106);
    pub(super) const EXCESSIVE_LOAD: Self = Self(0x107);
    pub(super) const ID_ERROR: Self = Self(0x108);
    pub(super) const SETTINGS_ERROR: Self = Self(0x109);
    pub(super) const MISSING_SETTINGS: Self = Self(0x10a);
    pub(super) const REQUEST_REJECTED: Self = Self(0x10b);
    pub(super) const REQUEST_CANCELLED: Self = Self(0x10c);
    pub(super) const REQUEST_INCOMPLETE: Self = Self(0x10d);
    pub(super) const MESSAGE_ERROR: Self = Self(0x10e);
    pub(super) const QPACK_DECOMPRESSION_FAILED: Self = Self(0x200);
    pub(super) const QPACK_ENCODER_STREAM_ERROR: Self = Self(0x201);
    pub(super) const QPACK_DECODER_STREAM_ERROR: Self = Self(0x202);

    pub(super) fn to_varint(self) -> quinn::VarInt {
        quinn::VarInt::from_u32(self.0)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:#x}", self.0)
    }
}

/// What is wrong with what a client sent, and how far it reaches.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Fault {
    /// Ends the connection.
    #[error("{reason} ({code:?})")]
    Connection { code: Code, reason: &'static str },

    /// Ends the stream alone.
    #[error("{reason} ({code:?})")]
    Stream { code: Code, reason: &'static str },

    /// The client gave up a request.
    #[error("the client cancelled the request")]
    Cancelled,

    /// The connection is gone already.
    #[error("the client went away")]
    Gone,
}

impl Fault {
    pub(super) const fn connection(code: Code, reason: &'static str) -> Self {
        Self::Connection { code, reason }
    }

    pub(super) const fn stream(code: Code, reason: &'static str) -> Self {
        Self::Stream { code, reason }
    }
}
