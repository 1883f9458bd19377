//! A long range, piece by piece.

use std::ops::Range;

use bytes::Bytes;

use super::{ObjectError, ObjectReader};

/// Bytes handed out at a time of a local object: what a connection writes before it lets others run.
/// They lie in a mapping and take no memory. A remote object is handed out block by block.
const PIECE_BYTES: u64 = 1 << 20;

/// The pieces of a range in order. What has been handed out is no longer held here.
#[derive(Debug)]
pub struct ObjectStream {
    reader: ObjectReader,
    rest: Range<u64>,
    /// Up to where blocks of a remote object were asked for.
    #[cfg(feature = "s3")]
    requested_to: u64,
}

impl ObjectStream {
    pub(super) fn new(reader: ObjectReader, range: Range<u64>) -> Result<Self, ObjectError> {
        reader.meta().check_range(reader.key(), &range)?;
        Ok(Self {
            reader,
            #[cfg(feature = "s3")]
            requested_to: range.start,
            rest: range,
        })
    }

    /// The next piece; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<Bytes, ObjectError>> {
        if self.rest.is_empty() {
            return None;
        }
        let piece = match &self.reader {
            ObjectReader::Local(reader) => {
                let end = self.rest.end.min(self.rest.start + PIECE_BYTES);
                reader.slice(self.rest.start..end).await
            }
            #[cfg(feature = "s3")]
            ObjectReader::S3(reader) => reader.next_piece(&self.rest, &mut self.requested_to).await,
        };
        match &piece {
            Ok(bytes) => self.rest.start += bytes.len() as u64,
            // After a failure nothing can follow in order.
            Err(_) => self.rest.start = self.rest.end,
        }
        Some(piece)
    }
}
