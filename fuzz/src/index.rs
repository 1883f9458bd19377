//! Sidecars: their resident part, and the blocks.

use packager::index::{SegmentEntry, Sidecar, SidecarHeader, segment_samples};

use crate::input::Input;
use crate::manifests::check_manifests;

/// Sidecars. Checksums are set right first, or nothing behind them would ever be reached.
pub fn sidecar(data: &[u8]) {
    let _ = SidecarHeader::parse(data);
    let _ = Sidecar::parse(data);
    let mut bytes = data.to_vec();
    mend(&mut bytes);
    let Ok(sidecar) = Sidecar::parse(&bytes) else {
        return;
    };
    let index = &sidecar.index;
    for (at, entry) in index.segments.iter().enumerate() {
        assert_eq!(index.segment_start(at), entry.decode_time);
        assert!(index.segment_start(at + 1) >= entry.decode_time);
        let start = usize::try_from(entry.block_offset_bytes).unwrap_or(usize::MAX);
        let end = start.checked_add(entry.block_len_bytes as usize);
        let block = end.and_then(|end| bytes.get(start..end));
        let _ = block.map(|block| segment_samples(entry, block));
    }
    check_manifests(&[(index, "x1")]);
}

/// Sets the checksums of header, head and table.
fn mend(bytes: &mut [u8]) {
    let word = |bytes: &[u8], at: usize| {
        let word = bytes.get(at..at + 4).and_then(|word| word.try_into().ok());
        u32::from_le_bytes(word.unwrap_or_default()) as usize
    };
    if bytes.len() < 64 {
        return;
    }
    let head_end = 64_usize.saturating_add(word(bytes, 8)).min(bytes.len());
    let table_end = head_end.saturating_add(word(bytes, 12)).min(bytes.len());
    let sums = [(16, 64..head_end), (20, head_end..table_end), (60, 0..60)];
    for (at, range) in sums {
        let sum = crc32(&bytes[range]);
        bytes[at..at + 4].copy_from_slice(&sum.to_le_bytes());
    }
}

/// CRC-32 (ISO/IEC 8802-3), bit by bit: another one than that of the code under test.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| {
            (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg())
        })
    })
}

/// One block: what the segment table says of it, then its payload, whose checksum is added.
pub fn block(data: &[u8]) {
    let mut input = Input::new(data);
    let mut entry = SegmentEntry {
        decode_time: u64::from(input.u32()) << input.u8().min(31),
        sample_count: input.u32(),
        media_bytes: u64::from(input.u32()),
        event_bytes: input.u16().into(),
        ..SegmentEntry::default()
    };
    let mut block = crc32(input.rest()).to_le_bytes().to_vec();
    block.extend_from_slice(input.rest());
    entry.block_len_bytes = block.len() as u32;
    let _ = segment_samples(&entry, input.rest());
    let Ok(segment) = segment_samples(&entry, &block) else {
        return;
    };
    // Of a segment without samples no block is read.
    if entry.sample_count == 0 {
        assert!(segment.samples.is_empty());
        return;
    }
    assert_eq!(segment.samples.len(), entry.sample_count as usize);
    let bytes: u64 = segment.samples.iter().map(|sample| u64::from(sample.size_bytes)).sum();
    assert_eq!(bytes, entry.media_bytes);
    for (index, sample) in segment.samples.iter().enumerate() {
        let parts = segment.layout.sample(index);
        let total: u64 = parts
            .iter()
            .map(|part| u64::from(part.clear_bytes) + u64::from(part.protected_bytes))
            .sum();
        assert!(parts.is_empty() || total == u64::from(sample.size_bytes));
    }
}
