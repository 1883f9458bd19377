//! CEA-608 and CEA-708 captions inside the picture's user data (ATSC A/53 part 4, 6.2.3; CTA-608
//! and CTA-708): which channels and services speak, not what they say.

use super::scanner::SampleFacts;

/// `itu_t_t35_country_code` of the United States, `provider_code` of ATSC, `user_identifier` and
/// `user_data_type_code` of captions.
const ATSC_CAPTIONS: [u8; 8] = [0xb5, 0x00, 0x31, b'G', b'A', b'9', b'4', 3];

/// Payload bytes of a caption channel packet (CTA-708 5).
const PACKET_BYTES_MAX: usize = 128;

/// Follows both fields of CEA-608: a byte pair does not say which channel it belongs to.
#[derive(Clone, Debug, Default)]
pub(super) struct Captions {
    fields: [Speaker; 2],
}

/// Who owns the text in a field of CEA-608.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Speaker {
    /// Nobody said; the first channel, as in a stream that is joined in the middle.
    #[default]
    Unknown,
    /// First or second channel of the field.
    Channel(u8),
    /// Programme information, which is no caption (field 2).
    ExtendedData,
}

impl Captions {
    /// Takes a registered ITU-T T.35 message, country code first, and adds what it carries.
    pub(super) fn handle_t35(&mut self, message: &[u8], facts: &mut SampleFacts) {
        let Some(captions) = message.strip_prefix(&ATSC_CAPTIONS) else { return };
        let [flags, _em_data, rows @ ..] = captions else { return };
        const PROCESS_CC_DATA: u8 = 0x40;
        if flags & PROCESS_CC_DATA == 0 {
            return;
        }
        let mut packet = Vec::new();
        for row in rows.as_chunks::<3>().0.iter().take(usize::from(flags & 0x1f)) {
            let [header, first, second] = *row;
            const CC_VALID: u8 = 4;
            if header & CC_VALID == 0 {
                continue;
            }
            match header & 3 {
                field @ 0..=1 => self.handle_pair(field, [first & 0x7f, second & 0x7f], facts),
                kind => {
                    const PACKET_START: u8 = 3;
                    if kind == PACKET_START {
                        add_services(&packet, facts);
                        packet.clear();
                    } else if packet.is_empty() {
                        continue; // goes on with a packet of an earlier picture
                    }
                    packet.extend([first, second]);
                }
            }
        }
        add_services(&packet, facts);
    }

    /// CTA-608: control codes name the channel that the following characters belong to.
    fn handle_pair(&mut self, field: u8, pair: [u8; 2], facts: &mut SampleFacts) {
        let speaker = &mut self.fields[usize::from(field)];
        match pair[0] {
            0 => return,
            1..=0x0f if field == 1 => *speaker = Speaker::ExtendedData,
            1..=0x0f => return,
            control @ 0x10..=0x1f => *speaker = Speaker::Channel(control >> 3 & 1),
            _ => {}
        }
        let channel = match *speaker {
            Speaker::Channel(channel) => channel,
            Speaker::Unknown => 0,
            Speaker::ExtendedData => return,
        };
        facts.cea608_channels |= 1 << (2 * field + channel);
    }
}

/// CTA-708 6.2: the service blocks of a caption channel packet, as far as this picture holds it.
/// Pictures come in decode order, so that packets are not joined across them: the header of the
/// first block, at least, always stands beside the packet's own.
fn add_services(packet: &[u8], facts: &mut SampleFacts) {
    let Some((header, blocks)) = packet.split_first() else { return };
    let size = match header & 0x3f {
        0 => PACKET_BYTES_MAX,
        code => usize::from(code) * 2,
    };
    let mut rest = &blocks[..blocks.len().min(size - 1)];
    while let Some((header, after)) = rest.split_first() {
        let (mut service, size) = (header >> 5, usize::from(header & 0x1f));
        rest = after;
        if service == 7 && size > 0 {
            let Some((extended, after)) = rest.split_first() else { return };
            (service, rest) = (extended & 0x3f, after);
        }
        // Service 0 is padding to the end; an empty block is a place holder.
        if service == 0 {
            return;
        }
        if size > 0 && service <= 8 {
            facts.cea708_services |= 1 << (service - 1);
        }
        rest = &rest[size.min(rest.len())..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts_of(captions: &mut Captions, rows: &[[u8; 3]]) -> SampleFacts {
        let mut message = ATSC_CAPTIONS.to_vec();
        message.extend([0x40 | rows.len() as u8, 0xff]);
        message.extend(rows.concat());
        message.push(0xff);
        let mut facts = SampleFacts::default();
        captions.handle_t35(&message, &mut facts);
        facts
    }

    #[test]
    fn channels_follow_field_and_control_code() {
        let mut captions = Captions::default();
        let mut channels = |rows: &[[u8; 3]]| facts_of(&mut captions, rows).cea608_channels;
        assert_eq!(channels(&[[0xfc, 0x80, 0x80], [0xfd, 0x80, 0x80]]), 0, "nulls");
        assert_eq!(channels(&[[0xfc, 0xc8, 0xe9]]), 1, "text before any control code: CC1");
        assert_eq!(channels(&[[0xfc, 0x1c, 0x20]]), 2, "resume caption loading, CC2");
        assert_eq!(channels(&[[0xfc, 0xc8, 0xe9]]), 2, "its text");
        assert_eq!(channels(&[[0xfd, 0x15, 0x2c]]), 4, "CC3");
        assert_eq!(channels(&[[0xfd, 0x01, 0x03], [0xfd, 0xc8, 0xe9]]), 0, "extended data");
        assert_eq!(channels(&[[0xf8, 0xc8, 0xe9]]), 0, "not valid");
    }

    #[test]
    fn services_follow_their_blocks() {
        let mut captions = Captions::default();
        let mut services = |rows: &[[u8; 3]]| facts_of(&mut captions, rows).cea708_services;
        // Packet of 8 bytes: service 1 with 2 bytes, service 2 with 2 bytes, padding.
        let rows = [[0xff, 0x04, 0x22], [0xfe, 1, 2], [0xfe, 0x42, 3], [0xfe, 4, 0]];
        assert_eq!(services(&rows), 0b11);
        // Service 8 takes the extended header.
        assert_eq!(services(&[[0xff, 0x02, 0xe1], [0xfe, 8, 1]]), 0x80);
        assert_eq!(services(&[[0xfe, 0x22, 1]]), 0, "the middle of an earlier packet");
        assert_eq!(services(&[[0xff, 0x02, 0x20], [0xfe, 0, 0]]), 0, "an empty block");
    }
}
