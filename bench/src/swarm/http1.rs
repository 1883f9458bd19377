//! HTTP/1.1 over TCP or TLS: one request at a time on a connection.

use std::io::Result;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use rustls::ClientConfig;

use super::Answer;
use super::wire::Wire;
use crate::client::{body_len, wrong};

/// Longest head of an answer.
const HEAD_BYTES_MAX: usize = 16 << 10;

pub(super) struct Http1 {
    wire: Wire,
}

/// How far an answer has been read.
#[derive(Default)]
struct Reading {
    head: Vec<u8>,
    /// Of the body; known when the head is whole.
    left: Option<u64>,
    answer: Answer,
    error: Option<std::io::Error>,
}

pub(super) fn request(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", super::tls::NAME).into_bytes()
}

impl Http1 {
    pub(super) async fn connect(
        address: SocketAddr,
        tls: Option<Arc<ClientConfig>>,
    ) -> Result<Self> {
        Ok(Self { wire: Wire::connect(address, tls).await? })
    }

    pub(super) async fn get(&self, request: &[u8], keep: bool) -> Result<Answer> {
        self.wire.send(request)?;
        let mut reading = Reading::default();
        reading.answer.body = keep.then(Vec::new);
        let may_skip = !keep && !self.wire.is_encrypted();
        loop {
            match reading.left {
                Some(0) => return Ok(reading.answer),
                Some(left) if may_skip && reading.answer.first_byte.is_some() => {
                    self.wire.skip(left).await?;
                    reading.answer.body_bytes += left;
                    reading.left = Some(0);
                }
                _ => self.wire.receive(&mut |piece| reading.take(piece)).await?,
            }
            if let Some(error) = reading.error {
                return Err(error);
            }
        }
    }
}

impl Reading {
    fn take(&mut self, piece: &[u8]) {
        if self.left.is_some() {
            return self.take_body(piece);
        }
        // The end of the head may lie across two pieces.
        let searched = self.head.len().saturating_sub(3);
        self.head.extend_from_slice(piece);
        let found = self.head[searched..].windows(4).position(|end| end == b"\r\n\r\n");
        let Some(end) = found.map(|at| searched + at + 4) else {
            if self.head.len() > HEAD_BYTES_MAX {
                self.error = Some(wrong("the head of the answer is too long"));
            }
            return;
        };
        match body_len(&self.head[..end]) {
            Ok(len) => self.left = Some(len),
            Err(error) => self.error = Some(error),
        }
        let body = self.head.split_off(end);
        self.take_body(&body);
    }

    fn take_body(&mut self, piece: &[u8]) {
        if piece.is_empty() {
            return;
        }
        let Some(left) = self.left.and_then(|left| left.checked_sub(piece.len() as u64)) else {
            self.error.get_or_insert_with(|| wrong("the body is longer than Content-Length"));
            return;
        };
        self.left = Some(left);
        self.answer.first_byte.get_or_insert_with(Instant::now);
        self.answer.body_bytes += piece.len() as u64;
        if let Some(body) = &mut self.answer.body {
            body.extend_from_slice(piece);
        }
    }
}
