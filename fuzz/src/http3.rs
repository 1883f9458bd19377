//! What a client of HTTP/3 sends.

use edge::http3::fuzzing;

/// Decoded size that a field section is allowed, by [`fuzzing::field_section`].
const SECTION_BYTES_MAX: usize = 16 << 10;

/// Field sections: what is accepted keeps its limit, whatever its coded size.
pub fn http3_field_section(data: &[u8]) {
    if let Some(size_bytes) = fuzzing::field_section(data) {
        assert!(size_bytes <= SECTION_BYTES_MAX);
    }
}

/// Frames: how a stream is cut into pieces changes nothing, and no payload is made up.
pub fn http3_frames(data: &[u8]) {
    let whole = fuzzing::frames(data, data.len());
    assert!(whole.0 <= data.len() as u64);
    for piece_bytes in [1, 2, 7] {
        assert_eq!(fuzzing::frames(data, piece_bytes), whole);
    }
}
