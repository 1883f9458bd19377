use super::*;

fn sound() -> Sound {
    Sound {
        codec: AudioCodec::Other(crate::FourCc(*b"mp4a")),
        rfc6381: String::new(),
        channels: 2,
        sample_rate: 44_100,
        aac: None,
        joc_complexity: None,
        channel_configuration: None,
    }
}

/// Bits written as groups of zeros and ones, padded to a byte.
fn bits(groups: &str) -> Vec<u8> {
    let digits: Vec<u8> = groups
        .bytes()
        .filter(|digit| matches!(digit, b'0' | b'1'))
        .map(|digit| digit & 1)
        .collect();
    let to_byte =
        |bits: &[u8]| bits.iter().enumerate().fold(0, |byte, (at, bit)| byte | bit << (7 - at));
    digits.chunks(8).map(to_byte).collect()
}

#[track_caller]
fn check(specific: &[u8], rfc6381: &str, channels: u16, sample_rate: u32, aac: Option<[u8; 3]>) {
    let mut found = sound();
    describe(&DecoderConfig { object_type: 0x40, specific }, &mut found).unwrap();
    assert_eq!(found.rfc6381, rfc6381);
    assert_eq!((found.channels, found.sample_rate), (channels, sample_rate));
    let fields = |aac: AacConfig| [aac.object_type, aac.frequency_index, aac.channel_configuration];
    assert_eq!(found.aac.map(fields), aac);
}

#[test]
fn low_complexity() {
    check(&[0x12, 0x10], "mp4a.40.2", 2, 44_100, Some([2, 4, 2]));
    check(&[0x11, 0xb0], "mp4a.40.2", 6, 48_000, Some([2, 3, 6]));
    check(&[0x11, 0xb8], "mp4a.40.2", 8, 48_000, Some([2, 3, 7]));
}

#[test]
fn an_escaped_rate_keeps_its_hertz() {
    let config = bits("00010 1111 000000001011101110000001 0010 000");
    check(&config, "mp4a.40.2", 2, 48_001, Some([2, 15, 2]));
}

#[test]
fn spectral_band_replication_is_explicit_or_behind_the_core() {
    // AOT 5, core 24 kHz stereo, output 48 kHz, core AOT 2.
    check(&bits("00101 0110 0010 0011 00010 000"), "mp4a.40.5", 2, 48_000, Some([2, 6, 2]));
    // The same, backward compatible: LC, then 0x2b7, AOT 5, sbrPresentFlag, 48 kHz.
    let config = bits("00010 0110 0010 000 01010110111 00101 1 0011");
    check(&config, "mp4a.40.5", 2, 48_000, Some([2, 6, 2]));
    // sbrPresentFlag 0 says that there is none.
    check(
        &bits("00010 0110 0010 000 01010110111 00101 0"),
        "mp4a.40.2",
        2,
        24_000,
        Some([2, 6, 2]),
    );
    // An escaped output rate.
    let config = bits("00101 0110 0010 1111 000000001011101110000000 00010 000");
    check(&config, "mp4a.40.5", 2, 48_000, Some([2, 6, 2]));
}

#[test]
fn parametric_stereo_makes_two_of_one() {
    check(&bits("11101 0110 0001 0011 00010 000"), "mp4a.40.29", 2, 48_000, Some([2, 6, 1]));
    let config = bits("00010 0110 0001 000 01010110111 00101 1 0011 10101001000 1");
    check(&config, "mp4a.40.29", 2, 48_000, Some([2, 6, 1]));
    let config = bits("00010 0110 0001 000 01010110111 00101 1 0011 10101001000 0");
    check(&config, "mp4a.40.5", 1, 48_000, Some([2, 6, 1]));
}

#[test]
fn a_program_config_element_counts_its_loudspeakers() {
    // Front: one single and one pair; back: one pair; one low-frequency element: 5.1.
    let elements = "0 0000  1 0001  1 0010  0000";
    let config =
        format!("00010 0011 0000 000  0000 01 0011 0010 0000 0001 01 000 0000 0 0 0 {elements}");
    // One front pair and one back pair after the alignment and an empty comment.
    let mut bytes = bits(&config);
    bytes.push(0);
    check(&bytes, "mp4a.40.2", 6, 48_000, Some([2, 3, 0]));
}

#[test]
fn xhe_aac_takes_rate_and_channels_from_its_own_configuration() {
    // AOT 42 (31 + 10), 48 kHz, configuration 2; USAC 48 kHz, frame length 1, configuration 2.
    check(&bits("11111 001010 0011 0010  00011 001 00010"), "mp4a.40.42", 2, 48_000, None);
    // 38.4 kHz, and the channel count spelled out: 3.
    check(&bits("11111 001010 0011 0000  10010 001 00000 00011"), "mp4a.40.42", 3, 38_400, None);
}

#[test]
fn other_object_types_have_no_configuration() {
    for (object_type, rfc6381, codec) in [
        (0x69, "mp4a.69", AudioCodec::Mp3),
        (0x6b, "mp4a.6B", AudioCodec::Mp3),
        (0x67, "mp4a.67", AudioCodec::Aac),
        (0xa5, "mp4a.A5", AudioCodec::Ac3),
        (0xdd, "mp4a.DD", AudioCodec::Other(crate::FourCc(*b"mp4a"))),
    ] {
        let mut found = sound();
        describe(&DecoderConfig { object_type, specific: &[] }, &mut found).unwrap();
        assert_eq!((found.rfc6381.as_str(), found.codec), (rfc6381, codec));
        assert_eq!((found.channels, found.sample_rate), (2, 44_100));
    }
    // MPEG-1 layer III as an MPEG-4 audio object.
    check(&bits("11111 000010 0100 0010"), "mp4a.40.34", 2, 44_100, None);
}

#[test]
fn short_configurations_are_errors() {
    for specific in [&[][..], &[0x12], &[0x2b, 0x11], &[0xf9]] {
        assert!(AudioSpecificConfig::parse(specific).is_err(), "{specific:02x?}");
    }
    assert!(AudioSpecificConfig::parse(&bits("00010 1101 0010 000")).is_err(), "reserved rate");
}
