use super::*;

fn sound() -> Sound {
    Sound {
        codec: AudioCodec::Other(crate::FourCc(*b"ec-3")),
        rfc6381: String::new(),
        channels: 2,
        sample_rate: 0,
        aac: None,
        joc_complexity: None,
        channel_configuration: None,
    }
}

#[test]
fn ac3_by_mode_and_low_frequency() {
    let mut found = sound();
    // fscod 0, bsid 8, bsmod 0, acmod 7, lfeon 1, bit_rate_code 15.
    describe_ac3(&[0x10, 0x3d, 0xe0], &mut found).unwrap();
    assert_eq!((found.channels, found.sample_rate), (6, 48_000));
    assert_eq!((found.rfc6381.as_str(), found.channel_configuration), ("ac-3", Some(6)));
    assert_eq!(describe_ac3(&[0xc0, 0, 0], &mut sound()), Err("fscod is reserved"));
    assert!(describe_ac3(&[0x10], &mut sound()).is_err());
}

#[test]
fn joint_object_coding_names_its_complexity() {
    let mut found = sound();
    // 768 kbit/s, one independent substream: 48 kHz, bsid 16, acmod 7, lfeon; objects: 16.
    describe_eac3(&[0x18, 0x00, 0x20, 0x0f, 0x00, 0x01, 0x10], &mut found).unwrap();
    assert_eq!((found.channels, found.joc_complexity), (6, Some(16)));
    assert_eq!((found.rfc6381.as_str(), found.channel_configuration), ("ec-3", Some(6)));

    let mut plain = sound();
    describe_eac3(&[0x18, 0x00, 0x20, 0x0f, 0x00], &mut plain).unwrap();
    assert_eq!(plain.joc_complexity, None);
}

#[test]
fn dependent_substreams_add_their_loudspeakers() {
    let mut found = sound();
    // As above with one dependent substream whose chan_loc is Lrs/Rrs: 7.1.
    describe_eac3(&[0x18, 0x00, 0x20, 0x0f, 0x02, 0x02], &mut found).unwrap();
    assert_eq!((found.channels, found.channel_configuration), (8, Some(12)));
}
