//! The init segment: `ftyp` and a `moov` without samples (ISO/IEC 23000-19 7.3.1).

use super::box_writer::BoxWriter;
use super::boxes::dinf::write_dinf;
use super::boxes::ftyp::write_ftyp;
use super::boxes::hdlr::write_hdlr;
use super::boxes::mdhd::{write_elng, write_mdhd};
use super::boxes::media_header::{write_nmhd, write_smhd, write_sthd, write_vmhd};
use super::boxes::mvex::write_mvex;
use super::boxes::mvhd::write_mvhd;
use super::boxes::stbl::write_stbl;
use super::boxes::tkhd::write_tkhd;
use super::boxes::wvtt::wvtt_sample_entry;
use super::brands::init_brands;
use super::language::{PackedLanguage, extended_tag};
use crate::index::TrackFacts;
use crate::track::{MediaParams, TextCodec, TrackInfo};
use crate::{FourCc, MediaTime, Timescale};

/// Writes the init segment of a track.
///
/// Sample entries go in as the source has them. A WebVTT track without one gets the plain entry,
/// and counts milliseconds whatever `info.timescale` says, as
/// [`wvtt_segment`](super::wvtt_segment()) does. `duration`, when known, is that of the whole
/// title and becomes `mehd`; a live track has none. Equal arguments give equal bytes.
pub fn init_segment(info: &TrackInfo, facts: &TrackFacts, duration: Option<MediaTime>) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    let mut w = BoxWriter::new(&mut out);
    let brands = init_brands(info, facts);
    write_ftyp(&mut w, brands[0], &brands);
    write_moov(&mut w, info, duration);
    out
}

/// The clock of a track as its segments count.
pub(super) fn output_timescale(info: &TrackInfo) -> Timescale {
    if is_webvtt(info) { Timescale::MILLIS } else { info.timescale }
}

fn write_moov(w: &mut BoxWriter, info: &TrackInfo, duration: Option<MediaTime>) {
    let timescale = output_timescale(info);
    let duration = duration.and_then(|duration| duration.rescale_ceil(timescale));
    w.write_box(b"moov", |w| {
        write_mvhd(w, timescale);
        write_trak(w, info, timescale);
        write_mvex(w, duration.map(|duration| duration.ticks));
    });
}

fn write_trak(w: &mut BoxWriter, info: &TrackInfo, timescale: Timescale) {
    w.write_box(b"trak", |w| {
        write_tkhd(w, info);
        w.write_box(b"mdia", |w| {
            write_mdhd(w, timescale, PackedLanguage::of_tag(&info.language));
            write_hdlr(w, handler(&info.media), &info.name);
            if let Some(tag) = extended_tag(&info.language) {
                write_elng(w, tag);
            }
            w.write_box(b"minf", |w| {
                write_media_header(w, &info.media);
                write_dinf(w);
                write_sample_table(w, info);
            });
        });
    });
}

fn handler(media: &MediaParams) -> FourCc {
    match media {
        MediaParams::Video(_) => FourCc::new(b"vide"),
        MediaParams::Audio(_) => FourCc::new(b"soun"),
        MediaParams::Text(text) => match text.codec {
            TextCodec::WebVtt => FourCc::new(b"text"),
            TextCodec::Ttml => FourCc::new(b"subt"),
        },
    }
}

fn write_media_header(w: &mut BoxWriter, media: &MediaParams) {
    match media {
        MediaParams::Video(_) => write_vmhd(w),
        MediaParams::Audio(_) => write_smhd(w),
        MediaParams::Text(text) => match text.codec {
            TextCodec::WebVtt => write_nmhd(w),
            TextCodec::Ttml => write_sthd(w),
        },
    }
}

fn write_sample_table(w: &mut BoxWriter, info: &TrackInfo) {
    if info.sample_entries.is_empty() && is_webvtt(info) {
        write_stbl(w, [wvtt_sample_entry("").as_slice()].into_iter());
    } else {
        write_stbl(w, info.sample_entries.iter().map(Vec::as_slice));
    }
}

fn is_webvtt(info: &TrackInfo) -> bool {
    matches!(&info.media, MediaParams::Text(text) if text.codec == TextCodec::WebVtt)
}
