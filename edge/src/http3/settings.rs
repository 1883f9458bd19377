//! SETTINGS: what we announce, and the check of what a client announces (RFC 9114 7.2.4).

use bytes::Bytes;

use super::error::{Code, Fault};
use super::frame::{kind, read_varint, write_frame_header, write_varint};

/// `SETTINGS_QPACK_MAX_TABLE_CAPACITY` and `SETTINGS_QPACK_BLOCKED_STREAMS` (RFC 9204 5).
const QPACK_MAX_TABLE_CAPACITY: u64 = 0x1;
const QPACK_BLOCKED_STREAMS: u64 = 0x7;
/// `SETTINGS_MAX_FIELD_SECTION_SIZE` (RFC 9114 7.2.4.1).
const MAX_FIELD_SECTION_SIZE: u64 = 0x6;

/// Settings in one frame; who sends more means no good.
const SETTINGS_MAX: usize = 64;

/// The SETTINGS frame that opens our control stream.
pub(super) fn write(field_section_bytes_max: u64, to: &mut Vec<u8>) {
    let mut payload = Vec::new();
    for (identifier, value) in [
        (QPACK_MAX_TABLE_CAPACITY, 0),
        (QPACK_BLOCKED_STREAMS, 0),
        (MAX_FIELD_SECTION_SIZE, field_section_bytes_max),
    ] {
        write_varint(identifier, &mut payload);
        write_varint(value, &mut payload);
    }
    write_frame_header(kind::SETTINGS, payload.len() as u64, to);
    to.extend_from_slice(&payload);
}

/// Checks a client's settings. None of their values changes what we send: answers are small beside
/// any limit of a client's, and we fill no dynamic table.
pub(super) fn check(mut payload: Bytes) -> Result<(), Fault> {
    let mut seen = Vec::new();
    while !payload.is_empty() {
        let pair = read_varint(&mut payload).zip(read_varint(&mut payload));
        let Some((identifier, _)) = pair else {
            return Err(Fault::connection(Code::FRAME_ERROR, "the settings are cut short"));
        };
        // Identifiers of HTTP/2 are reserved (RFC 9114 7.2.4.1), and none may come twice.
        if matches!(identifier, 0x0 | 0x2..=0x5) || seen.contains(&identifier) {
            return Err(Fault::connection(Code::SETTINGS_ERROR, "a setting is reserved or double"));
        }
        if seen.len() == SETTINGS_MAX {
            return Err(Fault::connection(Code::EXCESSIVE_LOAD, "there are too many settings"));
        }
        seen.push(identifier);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(payload: &'static [u8]) -> Option<Code> {
        match check(Bytes::from_static(payload)) {
            Err(Fault::Connection { code, .. }) => Some(code),
            _ => None,
        }
    }

    #[test]
    fn settings_are_checked() {
        let mut ours = Vec::new();
        write(16_384, &mut ours);
        assert_eq!(ours, [0x04, 0x09, 0x01, 0x00, 0x07, 0x00, 0x06, 0x80, 0x00, 0x40, 0x00]);
        assert_eq!(check(Bytes::from(ours.split_off(2))), Ok(()));
        assert_eq!(code(&[0x21, 0x00, 0x08, 0x01]), None);
        assert_eq!(code(&[0x02, 0x00]), Some(Code::SETTINGS_ERROR));
        assert_eq!(code(&[0x06, 0x01, 0x06, 0x01]), Some(Code::SETTINGS_ERROR));
        assert_eq!(code(&[0x06]), Some(Code::FRAME_ERROR));
        assert_eq!(code(&[0x06, 0x40]), Some(Code::FRAME_ERROR));
    }
}
