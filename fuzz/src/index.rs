//! Sidecars: their resident part, and the blocks.

use packager::index::{
    SegmentEntry, SegmentSamples, Sidecar, SidecarHeader, StoredBlock, segment_samples,
};

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
        let _ = block.map(|bytes| segment_samples(StoredBlock { entry, bytes }, None));
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

/// One block and that of its guide: what the segment tables say of them, then the payloads, whose
/// checksums are added.
pub fn block(data: &[u8]) {
    let mut input = Input::new(data);
    let mut entry = row(&mut input);
    let guide_len = usize::from(input.u16());
    let mut guide_entry = SegmentEntry::default();
    let mut guide_bytes = Vec::new();
    if guide_len > 0 {
        guide_entry = row(&mut input);
        guide_bytes = with_checksum(input.take(guide_len));
        guide_entry.block_len_bytes = guide_bytes.len() as u32;
    }
    let bytes = with_checksum(input.rest());
    entry.block_len_bytes = bytes.len() as u32;
    let guide = StoredBlock { entry: &guide_entry, bytes: &guide_bytes };
    let guide = (guide_len > 0).then_some(guide);
    let _ = segment_samples(StoredBlock { entry: &entry, bytes: input.rest() }, guide);
    if let Some(guide) = guide {
        check_segment(&guide_entry, segment_samples(guide, None).ok());
    }
    check_segment(
        &entry,
        segment_samples(StoredBlock { entry: &entry, bytes: &bytes }, guide).ok(),
    );
}

fn row(input: &mut Input<'_>) -> SegmentEntry {
    SegmentEntry {
        decode_time: u64::from(input.u32()) << input.u8().min(31),
        sample_count: input.u32(),
        media_bytes: u64::from(input.u32()),
        event_bytes: input.u16().into(),
        ..SegmentEntry::default()
    }
}

fn with_checksum(payload: &[u8]) -> Vec<u8> {
    [&crc32(payload).to_le_bytes(), payload].concat()
}

/// What was read is what the table says.
fn check_segment(entry: &SegmentEntry, segment: Option<SegmentSamples>) {
    let Some(segment) = segment else {
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
        assert!(sample.offset_bytes.checked_add(sample.size_bytes.into()).is_some());
        let parts = segment.layout.sample(index);
        let total: u64 = parts
            .iter()
            .map(|part| u64::from(part.clear_bytes) + u64::from(part.protected_bytes))
            .sum();
        assert!(parts.is_empty() || total == u64::from(sample.size_bytes));
    }
}

/// An input for [`block`]: the blocks of a segment and of its guide, as a sidecar has them.
pub(crate) fn block_seed(block: StoredBlock<'_>, guide: Option<StoredBlock<'_>>) -> Vec<u8> {
    let row = |entry: &SegmentEntry| {
        let mut row = Vec::new();
        row.extend_from_slice(&(entry.decode_time as u32).to_be_bytes());
        row.push(0);
        row.extend_from_slice(&entry.sample_count.to_be_bytes());
        row.extend_from_slice(&(entry.media_bytes as u32).to_be_bytes());
        row.extend_from_slice(&(entry.event_bytes as u16).to_be_bytes());
        row
    };
    let payload = |block: StoredBlock<'_>| block.bytes.get(4..).unwrap_or_default().to_vec();
    let mut seed = row(block.entry);
    let guide_payload = guide.map(payload).unwrap_or_default();
    seed.extend_from_slice(&(guide_payload.len() as u16).to_be_bytes());
    if let (Some(guide), false) = (guide, guide_payload.is_empty()) {
        seed.extend_from_slice(&row(guide.entry));
        seed.extend_from_slice(&guide_payload);
    }
    seed.extend_from_slice(&payload(block));
    seed
}
