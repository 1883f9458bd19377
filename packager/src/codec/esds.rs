//! Elementary stream descriptor (`esds`; ISO/IEC 14496-14 6.7, ISO/IEC 14496-1 7.2.6).

use super::bits::Parsed;

/// DecoderConfigDescriptor (ISO/IEC 14496-1 7.2.6.6).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct DecoderConfig<'a> {
    /// `objectTypeIndication`: 0x40 for MPEG-4 audio.
    pub(super) object_type: u8,
    /// DecoderSpecificInfo; empty where the codec has none.
    pub(super) specific: &'a [u8],
}

const ES_DESCRIPTOR: u8 = 0x03;
const DECODER_CONFIG: u8 = 0x04;
const DECODER_SPECIFIC_INFO: u8 = 0x05;

/// Reads the body of `esds` behind version and flags.
pub(super) fn parse(mut body: &[u8]) -> Parsed<DecoderConfig<'_>> {
    const ENDS: &str = "the elementary stream descriptor ends early";
    let mut es = find(&mut body, ES_DESCRIPTOR)?.ok_or("it has no elementary stream descriptor")?;
    let ([_, _, flags], rest) = es.split_first_chunk::<3>().ok_or(ENDS)?;
    es = rest;
    if flags & 0x80 != 0 {
        es = es.get(2..).ok_or(ENDS)?; // dependsOn_ES_ID
    }
    if flags & 0x40 != 0 {
        let (length, rest) = es.split_first().ok_or(ENDS)?;
        es = rest.get(usize::from(*length)..).ok_or(ENDS)?; // URL
    }
    if flags & 0x20 != 0 {
        es = es.get(2..).ok_or(ENDS)?; // OCR_ES_Id
    }
    let config =
        find(&mut es, DECODER_CONFIG)?.ok_or("it has no decoder configuration descriptor")?;
    let (fixed, mut rest) =
        config.split_first_chunk::<13>().ok_or("the decoder configuration ends early")?;
    let specific = find(&mut rest, DECODER_SPECIFIC_INFO)?.unwrap_or_default();
    Ok(DecoderConfig { object_type: fixed[0], specific })
}

/// The body of the next descriptor with this tag; others are skipped.
fn find<'a>(rest: &mut &'a [u8], tag: u8) -> Parsed<Option<&'a [u8]>> {
    while let Some((&found, after)) = rest.split_first() {
        let (length, after) = parse_length(after)?;
        // Several muxers write a length that covers more than there is in the outer descriptors;
        // what counts is inside.
        let (body, after) = after.split_at(length.min(after.len()));
        *rest = after;
        if found == tag {
            return Ok(Some(body));
        }
    }
    Ok(None)
}

/// `sizeOfInstance` (ISO/IEC 14496-1 8.3.3): seven bits a byte, at most four bytes.
fn parse_length(bytes: &[u8]) -> Parsed<(usize, &[u8])> {
    let mut length = 0;
    for (index, byte) in bytes.iter().take(4).enumerate() {
        length = length << 7 | usize::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Ok((length, &bytes[index + 1..]));
        }
    }
    Err("a descriptor length has no end")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: [u8; 13] = [0x40, 0x15, 0, 0, 0, 0, 1, 0xf4, 0, 0, 1, 0xf4, 0];

    fn descriptor(tag: u8, long: bool, body: &[u8]) -> Vec<u8> {
        let length = body.len() as u8;
        let mut bytes = vec![tag];
        bytes.extend(if long { vec![0x80, 0x80, 0x80, length] } else { vec![length] });
        bytes.extend(body);
        bytes
    }

    #[test]
    fn short_and_long_lengths_give_the_same_configuration() {
        for long in [false, true] {
            let specific = descriptor(5, long, &[0x11, 0x90]);
            let config = descriptor(4, long, &[&CONFIG[..], &specific].concat());
            let sync = descriptor(6, long, &[2]);
            let es = descriptor(3, long, &[&[0, 0, 0][..], &config, &sync].concat());
            let expected = DecoderConfig { object_type: 0x40, specific: &[0x11, 0x90] };
            assert_eq!(parse(&es), Ok(expected));
        }
    }

    #[test]
    fn optional_fields_of_the_stream_descriptor_are_skipped() {
        let config = descriptor(4, false, &CONFIG);
        let fields = [0, 1, 0xe0, 0, 2, 3, b'a', b'b', b'c', 0, 4];
        let es = descriptor(3, false, &[&fields[..], &config].concat());
        assert_eq!(parse(&es), Ok(DecoderConfig { object_type: 0x40, specific: &[] }));
    }

    #[test]
    fn lies_are_errors() {
        assert!(parse(&[]).is_err());
        assert!(parse(&[3, 0xff, 0xff, 0xff, 0xff, 1]).is_err());
        assert!(parse(&[3, 3, 0, 0, 0]).is_err());
        assert!(parse(&[3, 5, 0, 0, 0, 4, 0]).is_err());
    }
}
