//! Reads one object, block by block: each is checked before it is handed on, so that the first bytes
//! of a large object are there early, and none that the disk made up.

use std::fs::File;
use std::io::{self, Read};

use bytes::Bytes;

use super::format::{BLOCK_BYTES, FIXED_BYTES, FormatError, Lengths, Meta, parse_rest};
use crate::cache::pieces::Pieces;

/// An object whose head holds. Its body is still to be read.
#[derive(Debug)]
pub struct Reading {
    pub meta: Meta,
    pub body_bytes: u64,
    file: File,
    checksums: std::vec::IntoIter<u32>,
    left_bytes: u64,
}

impl Reading {
    /// Reads the head. Blocks.
    pub(super) fn open(mut file: File, object_bytes_max: u64) -> io::Result<Self> {
        let file_bytes = file.metadata()?.len();
        let mut fixed = [0; FIXED_BYTES];
        file.read_exact(&mut fixed)?;
        let lengths = Lengths::parse(&fixed, file_bytes, object_bytes_max).map_err(rotten)?;
        let mut rest = vec![0; lengths.rest_bytes()];
        file.read_exact(&mut rest)?;
        let (meta, table) = parse_rest(&fixed, lengths, &rest).map_err(rotten)?;
        let body_bytes = lengths.body_bytes;
        Ok(Self { meta, body_bytes, file, checksums: table.into_iter(), left_bytes: body_bytes })
    }

    /// The next block of the body, checked; `None` at its end. Blocks.
    pub fn next_block(&mut self) -> io::Result<Option<Bytes>> {
        let Some(checksum) = self.checksums.next() else {
            return Ok(None);
        };
        let mut block = vec![0; self.left_bytes.min(BLOCK_BYTES as u64) as usize];
        self.file.read_exact(&mut block)?;
        if crc32c::crc32c(&block) != checksum {
            return Err(rotten(FormatError::Checksum("a block")));
        }
        self.left_bytes -= block.len() as u64;
        Ok(Some(Bytes::from(block)))
    }

    /// What is left of the body. Blocks.
    pub fn read_all(&mut self) -> io::Result<Pieces> {
        let mut pieces = Pieces::default();
        while let Some(block) = self.next_block()? {
            pieces.push(block);
        }
        Ok(pieces)
    }
}

pub(super) fn rotten(error: FormatError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
