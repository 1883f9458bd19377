//! What a response body is made of: a few byte strings that go to the socket in one write.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// A piece of a body: byte strings in order, gathered by the kernel.
///
/// Samples of a muxed source lie apart; handing them over as a list spares copying them together.
#[derive(Clone, Debug, Default)]
pub struct Chunk {
    parts: VecDeque<Bytes>,
    remaining: usize,
}

impl Chunk {
    pub fn push(&mut self, part: Bytes) {
        if !part.is_empty() {
            self.remaining += part.len();
            self.parts.push_back(part);
        }
    }

    /// Number of byte strings.
    pub fn part_count(&self) -> usize {
        self.parts.len()
    }
}

impl Extend<Bytes> for Chunk {
    fn extend<I: IntoIterator<Item = Bytes>>(&mut self, parts: I) {
        parts.into_iter().for_each(|part| self.push(part));
    }
}

impl From<Bytes> for Chunk {
    fn from(bytes: Bytes) -> Self {
        let mut chunk = Self::default();
        chunk.push(bytes);
        chunk
    }
}

impl Buf for Chunk {
    fn remaining(&self) -> usize {
        self.remaining
    }

    fn chunk(&self) -> &[u8] {
        self.parts.front().map_or(&[], |part| part)
    }

    fn advance(&mut self, mut count: usize) {
        assert!(count <= self.remaining, "advanced past the end of a chunk");
        self.remaining -= count;
        while count > 0 {
            let front = self.parts.front_mut().expect("`remaining` counts the parts");
            if count < front.len() {
                front.advance(count);
                return;
            }
            count -= front.len();
            self.parts.pop_front();
        }
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut used = 0;
        for (slice, part) in slices.iter_mut().zip(&self.parts) {
            *slice = IoSlice::new(part);
            used += 1;
        }
        used
    }

    fn copy_to_bytes(&mut self, len: usize) -> Bytes {
        assert!(len <= self.remaining, "asked for more than a chunk holds");
        if let Some(front) = self.parts.front_mut()
            && front.len() > len
        {
            self.remaining -= len;
            return front.split_to(len);
        }
        if self.parts.front().is_some_and(|front| front.len() == len) {
            self.remaining -= len;
            return self.parts.pop_front().unwrap_or_default();
        }
        let mut out = bytes::BytesMut::with_capacity(len);
        bytes::BufMut::put(&mut out, self.take(len));
        out.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk() -> Chunk {
        let mut chunk = Chunk::default();
        for part in ["ab", "", "cdef", "g"] {
            chunk.push(Bytes::from_static(part.as_bytes()));
        }
        chunk
    }

    #[test]
    fn parts_read_as_one_string() {
        assert_eq!(chunk().copy_to_bytes(7), "abcdefg");
        let mut rest = chunk();
        rest.advance(3);
        assert_eq!(rest.remaining(), 4);
        assert_eq!(rest.copy_to_bytes(3), "def");
        assert_eq!(rest.copy_to_bytes(1), "g");
        assert!(!rest.has_remaining());
    }

    #[test]
    fn parts_are_gathered_without_copies() {
        let chunk = chunk();
        let mut slices = [IoSlice::new(&[]); 8];
        assert_eq!(chunk.chunks_vectored(&mut slices), 3);
        assert_eq!(&*slices[1], b"cdef");
    }
}
