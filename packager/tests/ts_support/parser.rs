//! A strict parser of MPEG-2 transport streams (ISO/IEC 13818-1), for tests.

use std::collections::BTreeMap;

/// What a stream holds.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    pub(crate) pids: BTreeMap<u16, Pid>,
    pub(crate) pcr_pid: u16,
    /// PCRs at 27 MHz in order of the stream.
    pub(crate) pcrs: Vec<u64>,
    /// PID → stream type and descriptors.
    pub(crate) streams: BTreeMap<u16, (u8, Vec<u8>)>,
    pub(crate) packets: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Pid {
    pub(crate) packets_with_payload: u64,
    pub(crate) packets_without_payload: u64,
    pub(crate) pes: Vec<Pes>,
    last_counter: Option<u8>,
}

#[derive(Debug, Default)]
pub(crate) struct Pes {
    pub(crate) stream_id: u8,
    pub(crate) pts: u64,
    pub(crate) dts: Option<u64>,
    pub(crate) length_field: usize,
    pub(crate) random_access: bool,
    pub(crate) has_pcr: bool,
    pub(crate) data: Vec<u8>,
}

/// Parses whole segments one after the other; panics on whatever the standard forbids.
pub(crate) fn parse(stream: &[u8]) -> Parsed {
    let mut parsed = Parsed::default();
    assert_eq!(stream.len() % 188, 0);
    for (at, packet) in stream.chunks(188).enumerate() {
        parsed.packets += 1;
        parse_packet(&mut parsed, packet, at);
    }
    for (pid, found) in &mut parsed.pids {
        for pes in &mut found.pes {
            parse_pes(pes, *pid);
        }
    }
    parsed
}

fn parse_packet(parsed: &mut Parsed, packet: &[u8], at: usize) {
    assert_eq!(packet[0], 0x47, "packet {at}");
    assert_eq!(packet[1] & 0xa0, 0, "neither error nor priority");
    assert_eq!(packet[3] & 0xc0, 0, "not scrambled");
    let starts = packet[1] & 0x40 != 0;
    let pid = u16::from(packet[1] & 0x1f) << 8 | u16::from(packet[2]);
    let (has_adaptation, has_payload) = (packet[3] & 0x20 != 0, packet[3] & 0x10 != 0);
    assert!(has_adaptation || has_payload);
    let (mut payload_at, mut pcr, mut random_access) = (4, None, false);
    if has_adaptation {
        let length = usize::from(packet[4]);
        payload_at = 5 + length;
        if has_payload {
            assert!(length <= 182, "packet {at}");
        } else {
            assert_eq!(length, 183);
        }
        if length > 0 {
            let flags = packet[5];
            assert_eq!(flags & !0x50, 0, "only random access and PCR");
            random_access = flags & 0x40 != 0;
            let mut field = &packet[6..payload_at];
            if flags & 0x10 != 0 {
                pcr = Some(read_pcr(&field[..6]));
                field = &field[6..];
            }
            assert!(field.iter().all(|byte| *byte == 0xff), "stuffing of packet {at}");
        }
    }
    check_counter(parsed.pids.entry(pid).or_default(), packet[3] & 0xf, has_payload, (pid, at));
    let payload = &packet[payload_at..];
    match pid {
        0 => assert_eq!(read_section(payload, starts)[8..12], [0, 1, 0xf0, 0]),
        0x1000 => read_pmt(parsed, &read_section(payload, starts)),
        _ => {
            assert!(parsed.streams.contains_key(&pid), "packet {at} is of an unknown PID {pid}");
            if let Some(pcr) = pcr {
                assert_eq!(pid, parsed.pcr_pid);
                parsed.pcrs.push(pcr);
            }
            let found = parsed.pids.get_mut(&pid).unwrap();
            if starts {
                found.pes.push(Pes { random_access, has_pcr: pcr.is_some(), ..Pes::default() });
            }
            if has_payload {
                found.pes.last_mut().expect("a PES packet is open").data.extend(payload);
            }
        }
    }
}

fn check_counter(pid: &mut Pid, counter: u8, has_payload: bool, place: (u16, usize)) {
    match has_payload {
        true => pid.packets_with_payload += 1,
        false => pid.packets_without_payload += 1,
    }
    if let Some(last) = pid.last_counter {
        let expected = if has_payload { (last + 1) & 0xf } else { last };
        assert_eq!(counter, expected, "continuity of (PID, packet) {place:?}");
    }
    pid.last_counter = Some(counter);
}

fn read_pcr(bytes: &[u8]) -> u64 {
    let all = bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
    assert_eq!(all >> 9 & 0x3f, 0x3f, "reserved bits are ones");
    (all >> 15) * 300 + (all & 0x1ff)
}

fn read_section(payload: &[u8], starts: bool) -> Vec<u8> {
    assert!(starts);
    assert_eq!(payload[0], 0, "pointer_field");
    let length = usize::from(u16::from_be_bytes([payload[2], payload[3]]) & 0xfff);
    let section = &payload[1..4 + length];
    assert!(payload[4 + length..].iter().all(|byte| *byte == 0xff));
    let mut crc = u32::MAX;
    for byte in section {
        for bit in (0..8).rev() {
            let feedback = (crc >> 31) as u8 ^ byte >> bit & 1;
            crc = crc << 1 ^ if feedback == 1 { 0x04c1_1db7 } else { 0 };
        }
    }
    assert_eq!(crc, 0);
    section.to_vec()
}

fn read_pmt(parsed: &mut Parsed, section: &[u8]) {
    assert_eq!(section[0], 2);
    let u16_at = |at: usize| u16::from_be_bytes([section[at], section[at + 1]]);
    parsed.pcr_pid = u16_at(8) & 0x1fff;
    let mut at = 12 + usize::from(u16_at(10) & 0xfff);
    while at < section.len() - 4 {
        let descriptors_len = usize::from(u16_at(at + 3) & 0xfff);
        let descriptors = section[at + 5..at + 5 + descriptors_len].to_vec();
        parsed.streams.insert(u16_at(at + 1) & 0x1fff, (section[at], descriptors));
        at += 5 + descriptors_len;
    }
    assert_eq!(at, section.len() - 4);
}

fn parse_pes(pes: &mut Pes, pid: u16) {
    let data = &pes.data;
    assert_eq!(data[..3], [0, 0, 1], "start of a PES packet of PID {pid}");
    pes.stream_id = data[3];
    pes.length_field = usize::from(u16::from_be_bytes([data[4], data[5]]));
    assert!(pes.length_field == 0 || pes.length_field == data.len() - 6);
    assert_eq!(data[6], 0x84);
    let timestamp = |at: usize, prefix: u8| {
        assert_eq!(data[at] >> 4, prefix);
        assert!(data[at] & data[at + 2] & data[at + 4] & 1 == 1, "marker bits");
        u64::from(data[at] >> 1 & 7) << 30
            | u64::from(u16::from_be_bytes([data[at + 1], data[at + 2]]) >> 1) << 15
            | u64::from(u16::from_be_bytes([data[at + 3], data[at + 4]]) >> 1)
    };
    let header_len = match data[7] {
        0x80 => {
            pes.pts = timestamp(9, 2);
            5
        }
        0xc0 => {
            pes.pts = timestamp(9, 3);
            pes.dts = Some(timestamp(14, 1));
            assert_ne!(pes.dts, Some(pes.pts), "a DTS is written where it differs");
            10
        }
        flags => panic!("PTS_DTS_flags {flags:02x}"),
    };
    assert_eq!(data[8], header_len);
    pes.data.drain(..9 + usize::from(header_len));
}
