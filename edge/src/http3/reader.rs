//! What a client sends on a request stream: fields, content, perhaps trailers.

use std::time::Duration;

use bytes::Bytes;
use quinn::{ReadError, RecvStream};

use super::content::ContentSender;
use super::error::{Code, Fault};
use super::frame::{Event, FrameHeader, FrameReader, kind};

/// Bytes taken from a stream at a time.
const READ_BYTES: usize = 16 * 1024;

/// Memory that a claimed length is worth before its bytes are there.
const RESERVED_BYTES_MAX: usize = 1024;

/// Content that nobody wants and that is read all the same, for the client's peace.
const CONTENT_BYTES_MAX: u64 = 64 * 1024;

/// Frames of unknown types on one stream, and their bytes: extensions and grease (RFC 9114 9).
const UNKNOWN_FRAMES_MAX: u32 = 32;
const UNKNOWN_BYTES_MAX: u64 = 64 * 1024;

/// The receiving side of a request stream.
pub(super) struct RequestReader {
    stream: RecvStream,
    frames: FrameReader,
    /// Bytes that were read and not looked at.
    unread: Bytes,
    unknown_frames: u32,
    unknown_bytes: u64,
    /// Nothing more will come, or will be looked at.
    is_over: bool,
}

/// The fields that begin a request.
#[derive(Debug)]
pub(super) enum Section {
    Whole(Vec<u8>),
    /// Its frame is longer than was announced; nothing of it was kept.
    TooLarge,
}

impl RequestReader {
    pub(super) fn new(stream: RecvStream) -> Self {
        Self {
            stream,
            frames: FrameReader::default(),
            unread: Bytes::new(),
            unknown_frames: 0,
            unknown_bytes: 0,
            is_over: false,
        }
    }

    /// The first field section, within `limit`.
    pub(super) async fn section(
        &mut self,
        bytes_max: u32,
        limit: Duration,
    ) -> Result<Section, Fault> {
        let late = Fault::stream(Code::REQUEST_CANCELLED, "the fields did not arrive in time");
        tokio::time::timeout(limit, self.read_section(bytes_max)).await.unwrap_or(Err(late))
    }

    async fn read_section(&mut self, bytes_max: u32) -> Result<Section, Fault> {
        loop {
            let incomplete = Fault::stream(Code::REQUEST_INCOMPLETE, "there are no fields");
            let header = self.next_frame().await?.ok_or(incomplete)?;
            match header.kind {
                // The length decides, before a byte is kept.
                kind::HEADERS if u64::from(bytes_max) < header.len_bytes => {
                    return Ok(Section::TooLarge);
                }
                kind::HEADERS => return self.keep_payload(header).await.map(Section::Whole),
                kind::DATA => {
                    let reason = "content comes before the fields";
                    return Err(Fault::connection(Code::FRAME_UNEXPECTED, reason));
                }
                _ => self.pass_unknown(header).await?,
            }
        }
    }

    /// Reads to the end of the request (RFC 9114 4.1). `content` gets what it wants; the rest is
    /// dropped, and so are trailers.
    ///
    /// A client whose stream is not read to its end sees it as broken off: this, or
    /// [`RequestReader::stop`], has to come before the reader goes.
    pub(super) async fn read_rest(
        &mut self,
        content_length: Option<u64>,
        mut content: ContentSender,
    ) -> Result<(), Fault> {
        let malformed = Fault::stream(Code::MESSAGE_ERROR, "content-length is wrong");
        let (mut content_bytes, mut dropped_bytes, mut has_trailers) = (0_u64, 0, false);
        while let Some(header) = self.next_frame().await? {
            let goes_on = match header.kind {
                kind::DATA | kind::HEADERS if has_trailers => {
                    let reason = "a frame comes after the trailers";
                    return Err(Fault::connection(Code::FRAME_UNEXPECTED, reason));
                }
                kind::DATA => {
                    content_bytes = content_bytes.saturating_add(header.len_bytes);
                    if content_length.is_some_and(|length| length < content_bytes) {
                        return Err(malformed);
                    }
                    self.hand_over(&mut content, &mut dropped_bytes).await?
                }
                kind::HEADERS => {
                    has_trailers = true;
                    let is_short = header.len_bytes <= CONTENT_BYTES_MAX;
                    if is_short {
                        self.pass_payload().await?;
                    }
                    is_short
                }
                _ => {
                    self.pass_unknown(header).await?;
                    true
                }
            };
            if !goes_on {
                // The answer does not depend on it (RFC 9114 4.1).
                self.stop(Code::NO_ERROR);
                return Ok(());
            }
        }
        if content_length.is_some_and(|length| length != content_bytes) {
            return Err(malformed);
        }
        content.finish();
        Ok(())
    }

    /// Reads the payload of a frame; false when too much of it was for nobody.
    async fn hand_over(
        &mut self,
        content: &mut ContentSender,
        dropped_bytes: &mut u64,
    ) -> Result<bool, Fault> {
        loop {
            let (part, is_last) = self.next_part().await?;
            let part_bytes = part.len() as u64;
            if !content.send(part).await {
                *dropped_bytes += part_bytes;
                if CONTENT_BYTES_MAX < *dropped_bytes {
                    return Ok(false);
                }
            }
            if is_last {
                return Ok(true);
            }
        }
    }

    /// Tells the client to send no more, unless it has sent all.
    pub(super) fn stop(&mut self, code: Code) {
        if !std::mem::replace(&mut self.is_over, true) {
            // Fails only when the stream is over.
            let _ = self.stream.stop(code.to_varint());
        }
    }

    /// The next frame's header; `None` at the end of the stream.
    async fn next_frame(&mut self) -> Result<Option<FrameHeader>, Fault> {
        let Some(event) = self.next().await? else { return Ok(None) };
        let Event::Frame(header) = event else {
            let reason = "a payload was not read";
            return Err(Fault::connection(Code::INTERNAL_ERROR, reason));
        };
        let is_of_control = matches!(
            header.kind,
            kind::SETTINGS
                | kind::GOAWAY
                | kind::MAX_PUSH_ID
                | kind::CANCEL_PUSH
                | kind::PUSH_PROMISE
                | kind::PRIORITY_UPDATE_REQUEST
                | kind::PRIORITY_UPDATE_PUSH
        );
        if is_of_control || kind::is_of_http2(header.kind) {
            let reason = "a frame has no place on a request stream";
            return Err(Fault::connection(Code::FRAME_UNEXPECTED, reason));
        }
        Ok(Some(header))
    }

    /// The payload of a frame whose length was checked.
    async fn keep_payload(&mut self, header: FrameHeader) -> Result<Vec<u8>, Fault> {
        let claimed = usize::try_from(header.len_bytes).unwrap_or(usize::MAX);
        let mut payload = Vec::with_capacity(claimed.min(RESERVED_BYTES_MAX));
        loop {
            let (part, is_last) = self.next_part().await?;
            payload.extend_from_slice(&part);
            if is_last {
                return Ok(payload);
            }
        }
    }

    async fn pass_payload(&mut self) -> Result<(), Fault> {
        while !self.next_part().await?.1 {}
        Ok(())
    }

    async fn pass_unknown(&mut self, header: FrameHeader) -> Result<(), Fault> {
        self.unknown_frames += 1;
        self.unknown_bytes = self.unknown_bytes.saturating_add(header.len_bytes);
        if UNKNOWN_FRAMES_MAX < self.unknown_frames || UNKNOWN_BYTES_MAX < self.unknown_bytes {
            let reason = "there are too many frames of unknown types";
            return Err(Fault::connection(Code::EXCESSIVE_LOAD, reason));
        }
        self.pass_payload().await
    }

    async fn next_part(&mut self) -> Result<(Bytes, bool), Fault> {
        match self.next().await? {
            Some(Event::Payload { bytes, is_last }) => Ok((bytes, is_last)),
            // A frame that the stream's end cuts short is found by `next`.
            _ => Err(Fault::connection(Code::FRAME_ERROR, "a frame is cut short")),
        }
    }

    async fn next(&mut self) -> Result<Option<Event>, Fault> {
        loop {
            if let Some(event) = self.frames.read(&mut self.unread) {
                return Ok(Some(event));
            }
            match self.stream.read_chunk(READ_BYTES, true).await {
                Ok(Some(chunk)) => self.unread = chunk.bytes,
                Ok(None) => {
                    self.is_over = true;
                    if self.frames.is_between_frames() {
                        return Ok(None);
                    }
                    let reason = "the stream ends within a frame";
                    return Err(Fault::connection(Code::FRAME_ERROR, reason));
                }
                Err(ReadError::Reset(_)) => {
                    self.is_over = true;
                    return Err(Fault::Cancelled);
                }
                Err(_) => return Err(Fault::Gone),
            }
        }
    }
}
