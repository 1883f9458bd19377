//! Supplemental enhancement information (ITU-T H.264 7.3.2.3, H.265 7.3.5): the messages of one
//! NAL unit.

/// `payloadType` (ITU-T H.264 table D-1, H.265 table D.1).
pub(super) const USER_DATA_REGISTERED: u32 = 4;
pub(super) const RECOVERY_POINT: u32 = 6;

/// Calls `handle` with the type and the bytes of each message in `payload`, a NAL unit without its
/// header. Messages that run past the end are left out: nothing depends on them.
pub(super) fn for_each_message(payload: &[u8], mut handle: impl FnMut(u32, &[u8])) {
    let bytes = unescape(payload);
    let mut rest = &bytes[..];
    // The last byte is `rbsp_trailing_bits`; a message has two bytes at least.
    while rest.len() > 2 {
        let Some((kind, after)) = take_number(rest) else { return };
        let Some((size, after)) = take_number(after) else { return };
        let Some((message, after)) = after.split_at_checked(size as usize) else { return };
        handle(kind, message);
        rest = after;
    }
}

/// Bytes of 255 add up until a smaller one closes the number.
fn take_number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let full = bytes.iter().position(|byte| *byte != 255)?;
    let number = u32::try_from(full).ok()?.checked_mul(255)?;
    Some((number.checked_add(bytes[full].into())?, &bytes[full + 1..]))
}

/// `payload` without `emulation_prevention_three_byte`.
fn unescape(payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(payload.len());
    let mut zeros = 0;
    for &byte in payload {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        bytes.push(byte);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(payload: &[u8]) -> Vec<(u32, Vec<u8>)> {
        let mut found = Vec::new();
        for_each_message(payload, |kind, message| found.push((kind, message.to_vec())));
        found
    }

    #[test]
    fn messages_are_split_and_unescaped() {
        let payload = [6, 1, 0x84, 4, 4, 0, 0, 3, 1, 9, 0x80];
        assert_eq!(messages(&payload), [(6, vec![0x84]), (4, vec![0, 0, 1, 9])]);

        let mut long = vec![255, 2, 255, 1];
        long.resize(4 + 256, 7);
        long.push(0x80);
        assert_eq!(messages(&long), [(257, vec![7; 256])]);
    }

    #[test]
    fn a_message_past_the_end_is_left_out() {
        assert!(messages(&[4, 9, 1, 0x80]).is_empty());
        assert!(messages(&[255, 255, 255]).is_empty());
        assert!(messages(&[]).is_empty());
    }
}
