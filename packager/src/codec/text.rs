//! Timed text sample entries: `tx3g` (3GPP TS 26.245 5.16), QuickTime `text`, `wvtt` and `stpp`
//! (ISO/IEC 14496-30 6.2 and 5.3), and plain reasons for those that are not carried.

use super::boxes::children;
use super::sample_entry::{Entry, HEADER_SIZE};
use crate::track::{TextCodec, TextParams};
use crate::{FourCc, PackageError};

pub(super) fn describe(entry: Entry<'_>) -> Result<TextParams, PackageError> {
    let kind = match &entry.kind.0 {
        b"enct" | b"encs" => entry.clone().with_children(HEADER_SIZE)?.kind,
        _ => entry.kind,
    };
    match &kind.0 {
        b"tx3g" | b"text" | b"wvtt" => {
            Ok(TextParams { codec: TextCodec::WebVtt, rfc6381: "wvtt".to_owned() })
        }
        b"stpp" => Ok(TextParams { codec: TextCodec::Ttml, rfc6381: ttml(&entry)? }),
        _ => Err(refusal(&entry, FourCc::new(b"text"))),
    }
}

/// Why a track that is no video, audio or text is left out.
pub(super) fn refusal(entry: &Entry<'_>, handler: FourCc) -> PackageError {
    let kind = entry.kind;
    let reason = match (&handler.0, &kind.0) {
        (_, b"c608" | b"c708") => format!(
            "`{kind}` is a caption track of its own; captions are carried inside the video only"
        ),
        (b"subp", b"mp4s") | (_, b"mp4s") => {
            "VobSub subtitles are pictures, which no output format carries".to_owned()
        }
        (b"text", _) => format!("text coded as `{kind}` is not packaged"),
        _ => format!("handler `{handler}` with `{kind}` is neither video, audio nor text"),
    };
    PackageError::UnsupportedTrack { track: entry.track, reason }
}

/// `stpp.ttml.im1t` or `stpp.ttml.im1i` (W3C TTML Profile Registry): pictures where namespace,
/// schema, auxiliary types or the `mime` box name the image profile, text otherwise.
fn ttml(entry: &Entry<'_>) -> Result<String, PackageError> {
    /// Three strings that end in zero: namespaces, schema locations, auxiliary MIME types.
    const STRINGS: usize = 3;
    let mut rest = entry.bytes.get(HEADER_SIZE..).unwrap_or_default();
    let mut has_images = false;
    for _ in 0..STRINGS {
        let end = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
        let (string, after) = rest.split_at(end);
        has_images |= names_images(string);
        rest = after.get(1..).unwrap_or_default();
    }
    let rest_offset = entry.offset.saturating_add((entry.bytes.len() - rest.len()) as u64);
    // The strings are optional in files older than the standard, so that what follows need not be
    // a list of boxes; it only ever adds a hint.
    for child in children(rest, rest_offset).unwrap_or_default() {
        has_images |= child.kind.0 == *b"mime" && names_images(child.body);
    }
    Ok(if has_images { "stpp.ttml.im1i" } else { "stpp.ttml.im1t" }.to_owned())
}

fn names_images(string: &[u8]) -> bool {
    let string = string.to_ascii_lowercase();
    let holds = |needle: &[u8]| string.windows(needle.len()).any(|window| window == needle);
    holds(b"im1i") || holds(b"im2i") || holds(b"profile/imsc1/image") || holds(b"image/png")
}
