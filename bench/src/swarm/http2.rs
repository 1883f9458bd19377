//! HTTP/2 over TLS or in the clear with prior knowledge (RFC 9113): what a load needs of it.
//!
//! Requests are header blocks made once, without a dynamic table (RFC 7541). Of an answer's fields
//! only `:status` is read, which every encoder writes as an index of the static table. Windows are
//! as large as the protocol has them, so that the client never is what a server waits for.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Instant;

use rustls::ClientConfig;

use super::Answer;
use super::wire::Wire;
use crate::client::wrong;

const WINDOW_BYTES: u32 = (1 << 31) - 1;
/// What has come before the connection's window is opened again.
const WINDOW_STEP_BYTES: u32 = 1 << 30;
/// Longest frame that is not content.
const FRAME_BYTES_MAX: usize = 64 << 10;

mod kind {
    pub(super) const DATA: u8 = 0;
    pub(super) const HEADERS: u8 = 1;
    pub(super) const RST_STREAM: u8 = 3;
    pub(super) const SETTINGS: u8 = 4;
    pub(super) const PING: u8 = 6;
    pub(super) const GOAWAY: u8 = 7;
    pub(super) const WINDOW_UPDATE: u8 = 8;
    pub(super) const CONTINUATION: u8 = 9;
}

const END_STREAM: u8 = 0x1;
const ACK: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;

pub(super) struct Http2 {
    shared: Rc<Shared>,
}

struct Shared {
    wire: Wire,
    next_id: Cell<u32>,
    streams: RefCell<Vec<Stream>>,
    reader: RefCell<Reader>,
}

/// A request that waits for its answer.
struct Stream {
    id: u32,
    answer: Answer,
    has_head: bool,
    outcome: Option<Result<()>>,
    waker: Option<Waker>,
}

#[derive(Default)]
struct Reader {
    /// The frame's header as far as it has come.
    header: Vec<u8>,
    /// What of the frame is still to come.
    left: usize,
    /// Of every frame but DATA.
    payload: Vec<u8>,
    received: u32,
    reply: Vec<u8>,
}

/// A header block: static indices for method and scheme, literals for the rest (RFC 7541 6.2.2).
pub(super) fn request(path: &str) -> Vec<u8> {
    let mut block = vec![0x82, 0x87];
    for (name_index, value) in [(1, super::tls::NAME), (4, path)] {
        block.push(name_index);
        write_integer(value.len(), &mut block);
        block.extend_from_slice(value.as_bytes());
    }
    block
}

/// An integer with a prefix of seven bits (RFC 7541 5.1; RFC 9204 4.1.1).
pub(super) fn write_integer(value: usize, to: &mut Vec<u8>) {
    let Some(mut rest) = value.checked_sub(127) else {
        return to.push(value as u8);
    };
    to.push(127);
    while rest >= 128 {
        to.push((rest % 128) as u8 | 0x80);
        rest /= 128;
    }
    to.push(rest as u8);
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8], to: &mut Vec<u8>) {
    let len = (payload.len() as u32).to_be_bytes();
    to.extend_from_slice(&[len[1], len[2], len[3], kind, flags]);
    to.extend_from_slice(&stream.to_be_bytes());
    to.extend_from_slice(payload);
}

impl Http2 {
    /// Connects; a task of this thread reads until this is dropped.
    pub(super) async fn connect(
        address: SocketAddr,
        tls: Option<Arc<ClientConfig>>,
    ) -> Result<Self> {
        let wire = Wire::connect(address, tls).await?;
        let mut hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        let mut settings = Vec::new();
        // No dynamic table, no pushes, the largest window (RFC 9113 6.5.2).
        for (identifier, value) in [(1_u16, 0_u32), (2, 0), (4, WINDOW_BYTES)] {
            settings.extend_from_slice(&identifier.to_be_bytes());
            settings.extend_from_slice(&value.to_be_bytes());
        }
        frame(kind::SETTINGS, 0, 0, &settings, &mut hello);
        let more = WINDOW_BYTES - 65_535;
        frame(kind::WINDOW_UPDATE, 0, 0, &more.to_be_bytes(), &mut hello);
        wire.send(&hello)?;
        let shared = Rc::new(Shared {
            wire,
            next_id: Cell::new(1),
            streams: RefCell::default(),
            reader: RefCell::default(),
        });
        let weak = Rc::downgrade(&shared);
        tokio::task::spawn_local(async move {
            while let Some(shared) = weak.upgrade().filter(|shared| Rc::strong_count(shared) > 1) {
                if let Err(error) = shared.read().await {
                    return shared.fail(&error);
                }
            }
        });
        Ok(Self { shared })
    }

    pub(super) async fn get(&self, block: &[u8], keep: bool) -> Result<Answer> {
        let shared = &self.shared;
        let id = shared.next_id.get();
        shared.next_id.set(id + 2);
        let mut bytes = Vec::with_capacity(9 + block.len());
        frame(kind::HEADERS, END_HEADERS | END_STREAM, id, block, &mut bytes);
        let answer = Answer { body: keep.then(Vec::new), ..Answer::default() };
        let stream = Stream { id, answer, has_head: false, outcome: None, waker: None };
        shared.streams.borrow_mut().push(stream);
        shared.wire.send(&bytes)?;
        poll_fn(|context| {
            let mut streams = shared.streams.borrow_mut();
            let at = streams.iter().position(|stream| stream.id == id);
            let Some(at) = at else { return Poll::Ready(Err(ErrorKind::NotFound.into())) };
            match streams[at].outcome.take() {
                Some(outcome) => {
                    let stream = streams.swap_remove(at);
                    Poll::Ready(outcome.map(|()| stream.answer))
                }
                None => {
                    streams[at].waker = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}

impl Stream {
    fn end(&mut self, outcome: Result<()>) {
        self.outcome = Some(outcome);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Shared {
    async fn read(&self) -> Result<()> {
        let mut outcome = Ok(());
        self.wire
            .receive(&mut |piece| {
                if outcome.is_ok() {
                    let (mut reader, mut streams) =
                        (self.reader.borrow_mut(), self.streams.borrow_mut());
                    outcome = reader.take(piece, &mut streams);
                }
            })
            .await?;
        outcome?;
        let reply = std::mem::take(&mut self.reader.borrow_mut().reply);
        if reply.is_empty() { Ok(()) } else { self.wire.send(&reply) }
    }

    fn fail(&self, error: &Error) {
        for stream in self.streams.borrow_mut().iter_mut() {
            stream.end(Err(wrong(format!("the connection is lost: {error}"))));
        }
    }
}

impl Reader {
    fn take(&mut self, mut piece: &[u8], streams: &mut [Stream]) -> Result<()> {
        while !piece.is_empty() {
            if self.header.len() < 9 {
                let (head, rest) = piece.split_at(piece.len().min(9 - self.header.len()));
                self.header.extend_from_slice(head);
                piece = rest;
                if self.header.len() < 9 {
                    return Ok(());
                }
                self.left = u32::from_be_bytes([0, self.header[0], self.header[1], self.header[2]])
                    as usize;
                if self.kind() != kind::DATA && self.left > FRAME_BYTES_MAX {
                    return Err(wrong("a frame is too long"));
                }
            }
            let (part, rest) = piece.split_at(piece.len().min(self.left));
            piece = rest;
            self.left -= part.len();
            if self.kind() == kind::DATA {
                self.content(part, streams)?;
            } else {
                self.payload.extend_from_slice(part);
            }
            if self.left == 0 {
                self.end_of_frame(streams)?;
                self.header.clear();
                self.payload.clear();
            }
        }
        Ok(())
    }

    fn kind(&self) -> u8 {
        self.header[3]
    }

    fn flags(&self) -> u8 {
        self.header[4]
    }

    fn stream<'a>(&self, streams: &'a mut [Stream]) -> Option<&'a mut Stream> {
        let id = &self.header[5..9];
        let id = u32::from_be_bytes([id[0] & 0x7f, id[1], id[2], id[3]]);
        streams.iter_mut().find(|stream| stream.id == id)
    }

    fn content(&mut self, part: &[u8], streams: &mut [Stream]) -> Result<()> {
        if self.flags() & PADDED != 0 {
            return Err(wrong("padded content is not understood here"));
        }
        self.received += part.len() as u32;
        if self.received >= WINDOW_STEP_BYTES {
            let more = std::mem::take(&mut self.received).to_be_bytes();
            frame(kind::WINDOW_UPDATE, 0, 0, &more, &mut self.reply);
        }
        let Some(stream) = self.stream(streams) else {
            return Err(wrong("content of no request"));
        };
        let answer = &mut stream.answer;
        if !part.is_empty() {
            answer.first_byte.get_or_insert_with(Instant::now);
        }
        answer.body_bytes += part.len() as u64;
        if let Some(body) = &mut answer.body {
            body.extend_from_slice(part);
        }
        Ok(())
    }

    fn end_of_frame(&mut self, streams: &mut [Stream]) -> Result<()> {
        let flags = self.flags();
        match self.kind() {
            kind::SETTINGS if flags & ACK == 0 => {
                frame(kind::SETTINGS, ACK, 0, &[], &mut self.reply);
            }
            kind::PING if flags & ACK == 0 => {
                let payload = std::mem::take(&mut self.payload);
                frame(kind::PING, ACK, 0, &payload, &mut self.reply);
            }
            kind::GOAWAY => return Err(wrong("the server wants no more requests")),
            kind::CONTINUATION => return Err(wrong("header blocks of several frames")),
            kind::HEADERS => {
                let is_ok = has_status_200(&self.payload, flags);
                if let Some(stream) = self.stream(streams) {
                    // Later ones are trailers.
                    if !std::mem::replace(&mut stream.has_head, true) && !is_ok {
                        stream.end(Err(wrong("the answer is not a 200")));
                    }
                }
            }
            kind::RST_STREAM => {
                if let Some(stream) = self.stream(streams) {
                    stream.end(Err(wrong(format!("the stream was reset: {:?}", self.payload))));
                }
            }
            _ => {}
        }
        if matches!(self.kind(), kind::DATA | kind::HEADERS)
            && flags & END_STREAM != 0
            && let Some(stream) = self.stream(streams)
            && stream.outcome.is_none()
        {
            stream.end(Ok(()));
        }
        Ok(())
    }
}

/// Whether a header block begins with `:status: 200`, index 8 of the static table, perhaps behind
/// changes of the dynamic table's size (RFC 7541 6.3).
fn has_status_200(payload: &[u8], flags: u8) -> bool {
    const PRIORITY: u8 = 0x20;
    if flags & (PADDED | PRIORITY) != 0 {
        return false;
    }
    let first = payload.iter().find(|byte| **byte & 0xe0 != 0x20);
    first == Some(&0x88)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_written_as_the_rfc_has_them() {
        let written = |value| {
            let mut bytes = Vec::new();
            write_integer(value, &mut bytes);
            bytes
        };
        assert_eq!(written(126), [126]);
        assert_eq!(written(127), [127, 0]);
        assert_eq!(written(127 + 300), [127, 0xac, 0x02]);
    }

    /// However the bytes are cut, the same answers come out.
    #[test]
    fn frames_are_read_across_pieces() {
        let mut bytes = Vec::new();
        frame(kind::SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100], &mut bytes);
        frame(kind::HEADERS, END_HEADERS, 1, &[0x20, 0x88, 0x5c], &mut bytes);
        frame(kind::HEADERS, END_HEADERS | END_STREAM, 3, &[0x8d], &mut bytes);
        frame(kind::DATA, 0, 1, &[7; 300], &mut bytes);
        frame(kind::DATA, END_STREAM, 1, &[], &mut bytes);
        for size in 1..bytes.len() {
            let stream = |id| Stream {
                id,
                answer: Answer { body: Some(Vec::new()), ..Answer::default() },
                has_head: false,
                outcome: None,
                waker: None,
            };
            let mut streams = [stream(1), stream(3)];
            let mut reader = Reader::default();
            for piece in bytes.chunks(size) {
                reader.take(piece, &mut streams).unwrap();
            }
            assert!(matches!(streams[0].outcome, Some(Ok(()))), "{size}");
            assert_eq!(streams[0].answer.body.as_deref(), Some(&[7; 300][..]));
            assert!(matches!(streams[1].outcome, Some(Err(_))), "{size}");
            assert_eq!(reader.reply, [0, 0, 0, 4, 1, 0, 0, 0, 0]);
        }
    }
}
