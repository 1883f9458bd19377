//! Program specific information: PAT and PMT (ISO/IEC 13818-1 2.4.4), one packet each.

use super::packet::PACKET_BYTES;
use super::stream::ElementaryStream;

/// Where the tables and the tracks lie; the PIDs from 0x20 to 0x1ffa are free for any use.
pub(super) const PMT_PID: u16 = 0x1000;
pub(super) const VIDEO_PID: u16 = 0x100;
pub(super) const AUDIO_PID: u16 = 0x101;

const PAT_PID: u16 = 0;
const PROGRAM_NUMBER: u16 = 1;
const TRANSPORT_STREAM_ID: u16 = 1;

const PAT_TABLE: u8 = 0x00;
const PMT_TABLE: u8 = 0x02;

/// Packets of the tables that open each segment.
pub(super) const PACKETS: u64 = 2;

/// Appends PAT and PMT. Their counters follow the segment's number, from 1.
///
/// `clock_pid` is the PID whose packets carry the PCR.
pub(super) fn write_tables(
    out: &mut Vec<u8>,
    video: Option<&ElementaryStream>,
    audio: Option<&ElementaryStream>,
    clock_pid: u16,
    segment_number: u64,
) {
    // One packet of each table per segment, so the count of those before is the number less one.
    let counter = (segment_number.wrapping_sub(1) & 0xf) as u8;
    write_section(out, PAT_PID, counter, &section(PAT_TABLE, TRANSPORT_STREAM_ID, &pat_body()));
    let body = pmt_body(video, audio, clock_pid);
    write_section(out, PMT_PID, counter, &section(PMT_TABLE, PROGRAM_NUMBER, &body));
}

/// One program and the PID of its map (ISO/IEC 13818-1 2.4.4.3).
fn pat_body() -> Vec<u8> {
    let mut body = PROGRAM_NUMBER.to_be_bytes().to_vec();
    body.extend((0xe000 | PMT_PID).to_be_bytes());
    body
}

/// The PID of the clock, no program descriptors, then each stream (ISO/IEC 13818-1 2.4.4.8).
fn pmt_body(
    video: Option<&ElementaryStream>,
    audio: Option<&ElementaryStream>,
    clock_pid: u16,
) -> Vec<u8> {
    let mut body = (0xe000 | clock_pid).to_be_bytes().to_vec();
    body.extend(0xf000_u16.to_be_bytes());
    for (pid, stream) in [(VIDEO_PID, video), (AUDIO_PID, audio)] {
        let Some(stream) = stream else { continue };
        body.push(stream.stream_type);
        body.extend((0xe000 | pid).to_be_bytes());
        body.extend((0xf000 | stream.descriptors.len() as u16).to_be_bytes());
        body.extend(&stream.descriptors);
    }
    body
}

/// A whole section with its header and CRC: version 0, current, section 0 of 0.
fn section(table: u8, table_extension: u16, body: &[u8]) -> Vec<u8> {
    let length = (5 + body.len() + 4) as u16;
    let mut section = vec![table];
    section.extend((0xb000 | length).to_be_bytes());
    section.extend(table_extension.to_be_bytes());
    section.extend([0xc1, 0, 0]);
    section.extend(body);
    section.extend(crc32(&section).to_be_bytes());
    section
}

/// One packet: pointer_field 0, the section, then stuffing bytes `ff` (ISO/IEC 13818-1 2.4.4.1).
fn write_section(out: &mut Vec<u8>, pid: u16, counter: u8, section: &[u8]) {
    // Two streams with two short descriptors each: a section here is below 50 bytes.
    debug_assert!(section.len() <= PACKET_BYTES - 5);
    let start = out.len();
    out.extend([0x47, 0x40 | (pid >> 8) as u8, pid as u8, 0x10 | counter, 0]);
    out.extend(section);
    out.resize(start + PACKET_BYTES, 0xff);
}

/// CRC-32/MPEG-2 (ISO/IEC 13818-1 annex A): not reflected, all ones at first, not inverted.
fn crc32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |crc, byte| {
        let index = (crc >> 24) as u8 ^ byte;
        crc << 8 ^ CRC_TABLE[usize::from(index)]
    })
}

const CRC_TABLE: [u32; 256] = crc_table();

const fn crc_table() -> [u32; 256] {
    const POLYNOMIAL: u32 = 0x04c1_1db7;
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = (index as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            crc = crc << 1 ^ if crc >> 31 == 1 { POLYNOMIAL } else { 0 };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc_of_the_check_string() {
        // The check value of CRC-32/MPEG-2 in the catalogue of parametrised CRCs.
        assert_eq!(crc32(b"123456789"), 0x0376_e6e7);
    }

    #[test]
    fn a_section_with_its_crc_sums_to_zero() {
        assert_eq!(crc32(&section(PAT_TABLE, TRANSPORT_STREAM_ID, &pat_body())), 0);
    }

    #[test]
    fn tables_fill_two_packets() {
        let mut out = Vec::new();
        write_tables(&mut out, None, None, AUDIO_PID, 17);
        assert_eq!(out.len(), 2 * PACKET_BYTES);
        assert_eq!(out[..4], [0x47, 0x40, 0, 0x10]);
        assert_eq!(out[PACKET_BYTES..PACKET_BYTES + 4], [0x47, 0x50, 0, 0x10]);
    }
}
