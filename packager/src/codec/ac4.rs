//! AC-4 (`dac4`, ETSI TS 103 190-2 annex E): its codec string.

use super::audio::Sound;
use super::bits::{BitReader, Parsed};

/// `ac-4.BB.PP.CC` (E.13): bitstream version, presentation version and `mdcompat` of the first
/// presentation, each as two hexadecimal digits. Rate and channels stay those of the sample entry,
/// which the same annex fixes to 48 or 44.1 kHz and to the channels of the first presentation.
pub(super) fn describe(dac4: &[u8], sound: &mut Sound) -> Parsed<()> {
    let bits = &mut BitReader::new(dac4);
    let dsi_version = bits.bits(3)?;
    let bitstream_version = bits.bits(7)?;
    let is_48_khz = bits.bit()?; // fs_index
    bits.skip(4)?; // frame_rate_index
    let presentations = bits.bits(9)?;
    sound.sample_rate = if is_48_khz { 48_000 } else { 44_100 };
    let (mut presentation_version, mut compatibility) = (0, 0);
    if dsi_version >= 1 {
        if bitstream_version > 1 && bits.bit()? {
            bits.skip(16)?; // short_program_id
            if bits.bit()? {
                bits.skip(128)?; // program_uuid
            }
        }
        bits.skip(2 + 32 + 32)?; // ac4_bitrate_dsi
        bits.align()?;
        if presentations > 0 {
            presentation_version = bits.bits(8)?;
            if bits.bits(8)? == 255 {
                bits.skip(16)?; // add_pres_bytes
            }
            // presentation_config 6 is a list of substreams to add, without a compatibility.
            if bits.bits(5)? != 6 {
                compatibility = bits.bits(3)?;
            }
        }
    }
    sound.rfc6381 =
        format!("ac-4.{bitstream_version:02x}.{presentation_version:02x}.{compatibility:02x}");
    Ok(())
}
