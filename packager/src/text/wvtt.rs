//! WebVTT in MP4 samples (ISO/IEC 14496-30 7).
//!
//! ```text
//! sample  = vtte                     nothing is shown
//!         | (vttc | vtta)+           a cue each; text between cues, which is never shown
//! vttc    = vsid?  32-bit number: the same in every sample that shows the same cue
//!           iden?  cue id            sttg?  settings          payl?  cue text
//!           ctim?  the cue's clock at the start of the sample, when the text has timestamps
//! ```

use crate::{FourCc, PackageError};

use super::boxes::{InnerBox, boxes};
use super::limits;
use super::sample::ShownCue;
use super::timestamp::parse_timestamp;
use super::webvtt::parse_webvtt;

/// Bytes before the children of a `wvtt` sample entry: header, reserved, data_reference_index.
const ENTRY_FIELDS_BYTES: usize = 16;

/// Cues on screen at once. Nobody reads more than a few.
const CUES_PER_SAMPLE_MAX: usize = 1_000;

/// `STYLE` and `REGION` blocks of the configuration (`vttC`) in a `wvtt` sample entry.
pub(super) fn parse_header(sample_entry: &[u8]) -> Result<String, PackageError> {
    let children = sample_entry.get(ENTRY_FIELDS_BYTES..).unwrap_or(&[]);
    for child in boxes(children) {
        let child = child.map_err(|broken| PackageError::InvalidBox {
            kind: FourCc::new(b"wvtt"),
            offset: (ENTRY_FIELDS_BYTES + broken.offset_bytes) as u64,
            reason: broken.reason,
        })?;
        if child.kind == *b"vttC" {
            limits::check_header_bytes(child.body.len())?;
            let text = child.body.strip_suffix(b"\0").unwrap_or(child.body);
            // Some writers leave even the signature out; a header that says nothing is no fault.
            return Ok(parse_webvtt(text, 0).map_or_else(|_| String::new(), |p| p.track.header));
        }
    }
    Ok(String::new())
}

/// The cues a sample shows. Errors are the reason alone.
pub(super) fn decode(data: &[u8]) -> Result<Vec<ShownCue>, &'static str> {
    let mut shown = Vec::new();
    for child in boxes(data) {
        let child = child.map_err(|broken| broken.reason)?;
        if child.kind == *b"vttc" {
            let cue = decode_cue(child)?;
            if cue.identity.payload.is_empty() {
                continue;
            }
            if shown.len() == CUES_PER_SAMPLE_MAX {
                return Err("the sample shows more than 1,000 cues");
            }
            shown.push(cue);
        }
    }
    Ok(shown)
}

fn decode_cue(cue: InnerBox<'_>) -> Result<ShownCue, &'static str> {
    let mut shown = ShownCue::default();
    for child in boxes(cue.body) {
        let child = child.map_err(|broken| broken.reason)?;
        let text = || String::from_utf8_lossy(child.body).trim_end_matches('\0').to_owned();
        match &child.kind {
            b"vsid" => {
                let number = child.body.first_chunk().ok_or("a `vsid` box is cut off")?;
                shown.identity.source_id = Some(u32::from_be_bytes(*number));
            }
            b"iden" => shown.identity.id = Some(text()),
            b"sttg" => shown.identity.settings = text(),
            b"payl" => shown.identity.payload = text().trim_matches(['\r', '\n']).to_owned(),
            b"ctim" => shown.clock_ms = parse_timestamp(text().trim()).map(|(ms, _)| ms),
            _ => {}
        }
    }
    Ok(shown)
}
