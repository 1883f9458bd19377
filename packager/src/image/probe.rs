//! Width and height of a picture from its first bytes: JPEG (ITU-T T.81), PNG (W3C PNG 11.2.2),
//! WebP (RFC 9649).

use crate::PackageError;

/// Bytes that are looked at, at most. A JPEG may carry 64 KiB segments of metadata in front of its
/// frame header; colour profiles and previews fill a few.
pub const PICTURE_PREFIX_BYTES_MAX: usize = 1 << 20;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PictureFormat {
    Jpeg,
    Png,
    WebP,
}

impl PictureFormat {
    /// As files are named.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::WebP => "webp",
        }
    }

    pub fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::WebP => "image/webp",
        }
    }
}

/// What a picture's header says. Width and height are in pixels and never 0.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PictureSize {
    pub format: PictureFormat,
    pub width: u32,
    pub height: u32,
}

/// Reads the header of a picture from the file's first bytes.
///
/// `None` asks for more bytes; it is never the answer to [`PICTURE_PREFIX_BYTES_MAX`] bytes or
/// more. When the file has no more bytes, it is cut off.
///
/// Errors: another format, a broken header, a header beyond the bytes looked at.
pub fn probe_picture(prefix: &[u8]) -> Result<Option<PictureSize>, PackageError> {
    let seen = &prefix[..prefix.len().min(PICTURE_PREFIX_BYTES_MAX)];
    let mut reader = Reader { bytes: seen, at: 0 };
    match reader.read_picture() {
        Ok(size) => Ok(Some(size)),
        Err(Fault::Short) if seen.len() < PICTURE_PREFIX_BYTES_MAX => Ok(None),
        Err(Fault::Short) => Err(invalid(reader.at, "the size does not come in the first MiB")),
        Err(Fault::Invalid(reason)) => Err(invalid(reader.at, reason)),
    }
}

fn invalid(offset: usize, reason: &'static str) -> PackageError {
    PackageError::InvalidPicture { offset: offset as u64, reason }
}

enum Fault {
    Short,
    Invalid(&'static str),
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

const PNG_SIGNATURE: [u8; 8] = *b"\x89PNG\r\n\x1a\n";

impl Reader<'_> {
    fn read_picture(&mut self) -> Result<PictureSize, Fault> {
        match self.peek::<2>()? {
            [0xff, 0xd8] => self.read_jpeg(),
            [0x89, b'P'] => self.read_png(),
            [b'R', b'I'] => self.read_webp(),
            _ => Err(Fault::Invalid("neither JPEG nor PNG nor WebP")),
        }
    }

    /// Walks the marker segments up to the frame header (T.81 B.1.1, B.2.2).
    fn read_jpeg(&mut self) -> Result<PictureSize, Fault> {
        self.skip(2)?;
        // Ends: every turn takes two bytes or more.
        loop {
            let [prefix, marker] = self.peek()?;
            if prefix != 0xff {
                return Err(Fault::Invalid("no JPEG marker where one is due"));
            }
            match marker {
                // Fill bytes, of which any number may precede a marker.
                0xff => self.skip(1)?,
                // Markers without a segment: TEM, RST.
                0x01 | 0xd0..=0xd7 => self.skip(2)?,
                // SOF0 to SOF15 without DHT, JPG and DAC, which lie between them.
                0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                    self.skip(2)?;
                    let [_, _, _, y0, y1, x0, x1] = self.peek()?;
                    return self.size(PictureFormat::Jpeg, u16_of(x0, x1), u16_of(y0, y1));
                }
                0xd8..=0xda => return Err(Fault::Invalid("the JPEG has no frame header")),
                _ => {
                    let [_, _, high, low] = self.peek()?;
                    let length = u16_of(high, low) as usize;
                    if length < 2 {
                        return Err(Fault::Invalid("a JPEG segment is shorter than its length"));
                    }
                    self.skip(2 + length)?;
                }
            }
        }
    }

    /// The signature, then `IHDR` as the first chunk.
    fn read_png(&mut self) -> Result<PictureSize, Fault> {
        if self.peek()? != PNG_SIGNATURE {
            return Err(Fault::Invalid("the PNG signature is damaged"));
        }
        self.skip(PNG_SIGNATURE.len())?;
        let header: [u8; 16] = self.peek()?;
        if header[..8] != *b"\0\0\0\x0dIHDR" {
            return Err(Fault::Invalid("the PNG does not start with IHDR"));
        }
        let [.., w0, w1, w2, w3, h0, h1, h2, h3] = header;
        let width = u32::from_be_bytes([w0, w1, w2, w3]);
        let height = u32::from_be_bytes([h0, h1, h2, h3]);
        self.size(PictureFormat::Png, width, height)
    }

    /// RIFF header, then the first chunk: `VP8 ` (lossy), `VP8L` (lossless) or `VP8X` (both, with
    /// the canvas in front).
    fn read_webp(&mut self) -> Result<PictureSize, Fault> {
        let [r, i, f0, f1, _, _, _, _, w, e, b, p] = self.peek()?;
        if [r, i, f0, f1, w, e, b, p] != *b"RIFFWEBP" {
            return Err(Fault::Invalid("neither JPEG nor PNG nor WebP"));
        }
        self.skip(12)?;
        let kind: [u8; 4] = self.peek()?;
        self.skip(8)?;
        match &kind {
            b"VP8X" => {
                let [_, _, _, _, w0, w1, w2, h0, h1, h2] = self.peek()?;
                let width = u32::from_le_bytes([w0, w1, w2, 0]) + 1;
                let height = u32::from_le_bytes([h0, h1, h2, 0]) + 1;
                self.size(PictureFormat::WebP, width, height)
            }
            b"VP8L" => {
                let [signature, fields @ ..]: [u8; 5] = self.peek()?;
                if signature != 0x2f {
                    return Err(Fault::Invalid("the VP8L signature is damaged"));
                }
                let fields = u32::from_le_bytes(fields);
                let (width, height) = ((fields & 0x3fff) + 1, (fields >> 14 & 0x3fff) + 1);
                self.size(PictureFormat::WebP, width, height)
            }
            // RFC 6386 9.1: a key frame's tag, start code, two sizes with 2 bits of scaling each.
            b"VP8 " => {
                let [tag, _, _, s0, s1, s2, w0, w1, h0, h1] = self.peek()?;
                if tag & 1 != 0 || [s0, s1, s2] != [0x9d, 0x01, 0x2a] {
                    return Err(Fault::Invalid("the VP8 picture is no key frame"));
                }
                let width = u16_of(w1, w0) & 0x3fff;
                let height = u16_of(h1, h0) & 0x3fff;
                self.size(PictureFormat::WebP, width, height)
            }
            _ => Err(Fault::Invalid("the WebP does not start with a picture")),
        }
    }

    fn size(&self, format: PictureFormat, width: u32, height: u32) -> Result<PictureSize, Fault> {
        if width == 0 || height == 0 {
            return Err(Fault::Invalid("the picture has no width or no height"));
        }
        Ok(PictureSize { format, width, height })
    }

    fn peek<const N: usize>(&self) -> Result<[u8; N], Fault> {
        let rest = self.bytes.get(self.at..).unwrap_or(&[]);
        rest.first_chunk().copied().ok_or(Fault::Short)
    }

    /// Moves on, beyond the end too: the next look then asks for more bytes.
    fn skip(&mut self, bytes: usize) -> Result<(), Fault> {
        self.at = self.at.checked_add(bytes).ok_or(Fault::Short)?;
        Ok(())
    }
}

fn u16_of(high: u8, low: u8) -> u32 {
    u32::from(u16::from_be_bytes([high, low]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(prefix: &[u8], expected: Option<(PictureFormat, u32, u32)>) {
        let size = probe_picture(prefix).unwrap();
        assert_eq!(size.map(|size| (size.format, size.width, size.height)), expected);
        // Less than the header asks for more, never guesses.
        if expected.is_some() {
            for cut in 0..prefix.len() {
                let size = probe_picture(&prefix[..cut]).unwrap();
                assert!(size.is_none());
            }
        }
    }

    fn check_error(prefix: &[u8], expected: &str) {
        assert_eq!(probe_picture(prefix).unwrap_err().to_string(), expected);
    }

    #[test]
    fn sizes_are_read() {
        use PictureFormat::{Jpeg, Png, WebP};
        // APP0, fill bytes, a quantization table, then a progressive frame of 1600 x 900.
        check(
            b"\xff\xd8\xff\xe0\0\x04JF\xff\xff\xdb\0\x03x\xff\xc2\0\x11\x08\x03\x84\x06\x40",
            Some((Jpeg, 1600, 900)),
        );
        check(b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x02\x80\0\0\x01\x68", Some((Png, 640, 360)));
        check(
            b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x7f\x02\0\x67\x01\0",
            Some((WebP, 640, 360)),
        );
        check(b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f\x7f\xc2\x59\0", Some((WebP, 640, 360)));
        check(
            b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\x01\x2a\x80\x42\x68\x81",
            Some((WebP, 640, 360)),
        );
    }

    #[test]
    fn broken_headers_are_refused() {
        check_error(b"GIF89a", "picture, at byte 0: neither JPEG nor PNG nor WebP");
        check_error(b"RIFF\0\0\0\0WAVEfmt ", "picture, at byte 0: neither JPEG nor PNG nor WebP");
        check_error(b"\xff\xd8\0\0", "picture, at byte 2: no JPEG marker where one is due");
        check_error(b"\xff\xd8\xff\xda", "picture, at byte 2: the JPEG has no frame header");
        check_error(
            b"\xff\xd8\xff\xe0\0\x01",
            "picture, at byte 2: a JPEG segment is shorter than its length",
        );
        check_error(
            b"\xff\xd8\xff\xc0\0\x11\x08\0\0\x06\x40",
            "picture, at byte 4: the picture has no width or no height",
        );
        check_error(
            b"\x89PNG\r\n\x1a\n\0\0\0\x0dIDAT\0\0\0\0\0\0\0\0",
            "picture, at byte 8: the PNG does not start with IHDR",
        );
    }

    #[test]
    fn metadata_without_end_is_refused() {
        let segments = b"\xff\xe2\xff\xff".iter().copied().chain([0; 65_533]);
        let mut jpeg = vec![0xff, 0xd8];
        jpeg.extend(segments.collect::<Vec<u8>>().repeat(20));
        assert_eq!(probe_picture(&jpeg[..500_000]), Ok(None));
        let error = probe_picture(&jpeg).unwrap_err().to_string();
        assert!(error.ends_with("the size does not come in the first MiB"), "{error}");
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(
            head in prop::sample::select(vec![
                &b""[..], b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBPVP8X",
                b"RIFF\0\0\0\0WEBPVP8L", b"RIFF\0\0\0\0WEBPVP8 ",
            ]),
            tail in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            if let Ok(Some(size)) = probe_picture(&[head, &tail].concat()) {
                prop_assert!(size.width > 0 && size.height > 0);
            }
        }
    }
}
