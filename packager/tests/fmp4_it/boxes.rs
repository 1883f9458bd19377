//! A box walker for tests: finds boxes and dumps them in a form people can review.

use std::fmt::Write as _;

/// A box inside some bytes: type, offset of its header, and body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found<'a> {
    pub(crate) kind: [u8; 4],
    pub(crate) whole: &'a [u8],
    pub(crate) body: &'a [u8],
}

const CONTAINERS: [&[u8; 4]; 10] =
    [b"moov", b"trak", b"mdia", b"minf", b"dinf", b"stbl", b"mvex", b"moof", b"traf", b"vttc"];

pub(crate) fn is_container(kind: [u8; 4]) -> bool {
    CONTAINERS.iter().any(|container| **container == kind)
}

/// The boxes of one level. An `mdat` may be cut off, as it is when only a header was written.
pub(crate) fn boxes(mut bytes: &[u8]) -> Vec<Found<'_>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let kind: [u8; 4] = bytes[4..8].try_into().unwrap();
        let (header, size) = match u32_at(bytes, 0) {
            1 => (16, u64::from(u32_at(bytes, 8)) << 32 | u64::from(u32_at(bytes, 12))),
            size => (8, u64::from(size)),
        };
        let size = if &kind == b"mdat" { size.min(bytes.len() as u64) } else { size } as usize;
        let (whole, rest) = bytes.split_at(size);
        found.push(Found { kind, whole, body: &whole[header..] });
        bytes = rest;
    }
    found
}

/// All boxes without children, in order.
pub(crate) fn leaves(bytes: &[u8]) -> Vec<Found<'_>> {
    boxes(bytes)
        .into_iter()
        .flat_map(|found| if is_container(found.kind) { leaves(found.body) } else { vec![found] })
        .collect()
}

/// The body of the first box at `path`.
pub(crate) fn child<'a>(bytes: &'a [u8], path: &[&[u8; 4]]) -> &'a [u8] {
    path.iter().fold(bytes, |bytes, kind| {
        let found = boxes(bytes).into_iter().find(|found| found.kind == **kind);
        found.unwrap_or_else(|| panic!("no {}", String::from_utf8_lossy(*kind))).body
    })
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// A tree of boxes, each leaf with its fields by name, or as bytes where the layout is not listed.
pub(crate) fn dump(bytes: &[u8]) -> String {
    let mut out = String::new();
    dump_level(&mut out, bytes, 0);
    out
}

fn dump_level(out: &mut String, bytes: &[u8], depth: usize) {
    for found in boxes(bytes) {
        let indent = "  ".repeat(depth);
        let kind = String::from_utf8_lossy(&found.kind);
        writeln!(out, "{indent}{kind} ({} bytes)", found.whole.len()).unwrap();
        if is_container(found.kind) {
            dump_level(out, found.body, depth + 1);
        } else {
            dump_fields(out, &found, &format!("{indent}  "));
        }
    }
}

/// Name and width of each field in bytes; the last entries repeat when `repeat` is not 0.
struct Layout {
    fields: &'static [(&'static str, usize)],
    repeat: usize,
}

fn layout(kind: &[u8; 4]) -> Layout {
    let fields: &[(&str, usize)] = match kind {
        b"ftyp" | b"styp" => &[("major_brand", 4), ("minor_version", 4), ("brand", 4)],
        b"mvhd" => &[
            ("version_flags", 4),
            ("creation_time", 4),
            ("modification_time", 4),
            ("timescale", 4),
            ("duration", 4),
            ("rate", 4),
            ("volume", 2),
            ("reserved", 10),
            ("matrix", 36),
            ("pre_defined", 24),
            ("next_track_ID", 4),
        ],
        b"tkhd" => &[
            ("version_flags", 4),
            ("creation_time", 4),
            ("modification_time", 4),
            ("track_ID", 4),
            ("reserved", 4),
            ("duration", 4),
            ("reserved", 8),
            ("layer", 2),
            ("alternate_group", 2),
            ("volume", 2),
            ("reserved", 2),
            ("matrix", 36),
            ("width", 4),
            ("height", 4),
        ],
        b"mdhd" => &[
            ("version_flags", 4),
            ("creation_time", 4),
            ("modification_time", 4),
            ("timescale", 4),
            ("duration", 4),
            ("language", 2),
            ("pre_defined", 2),
        ],
        b"mehd" => &[("version_flags", 4), ("fragment_duration", 8)],
        b"trex" => &[
            ("version_flags", 4),
            ("track_ID", 4),
            ("default_sample_description_index", 4),
            ("default_sample_duration", 4),
            ("default_sample_size", 4),
            ("default_sample_flags", 4),
        ],
        b"sidx" => &[
            ("version_flags", 4),
            ("reference_ID", 4),
            ("timescale", 4),
            ("earliest_presentation_time", 8),
            ("first_offset", 8),
            ("reserved", 2),
            ("reference_count", 2),
            ("referenced_size", 4),
            ("subsegment_duration", 4),
            ("SAP", 4),
        ],
        b"mfhd" => &[("version_flags", 4), ("sequence_number", 4)],
        b"tfhd" => &[("version_flags", 4), ("track_ID", 4), ("sample_description_index", 4)],
        b"tfdt" => &[("version_flags", 4), ("base_media_decode_time", 8)],
        b"trun" => &[
            ("version_flags", 4),
            ("sample_count", 4),
            ("data_offset", 4),
            ("sample_duration", 4),
            ("sample_size", 4),
            ("sample_flags", 4),
            ("composition_offset", 4),
        ],
        _ => &[],
    };
    let repeat = match kind {
        b"ftyp" | b"styp" => 1,
        b"sidx" => 3,
        b"trun" => 4,
        _ => 0,
    };
    Layout { fields, repeat }
}

fn dump_fields(out: &mut String, found: &Found, indent: &str) {
    let Layout { fields, repeat } = layout(&found.kind);
    let mut rest = found.body;
    let mut next = fields.iter();
    while let Some((name, width)) = next.next() {
        let (value, after) = rest.split_at(*width);
        writeln!(out, "{indent}{name} = {}", show(value)).unwrap();
        rest = after;
        if next.len() == 0 && !rest.is_empty() {
            next = fields[fields.len() - repeat..].iter();
        }
    }
    for row in rest.chunks(16) {
        writeln!(out, "{indent}{}", show(row)).unwrap();
    }
}

fn show(bytes: &[u8]) -> String {
    let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let is_text = bytes.len() >= 4 && bytes.iter().all(|byte| byte.is_ascii_graphic());
    match (is_text, bytes.len()) {
        (true, _) => format!("'{}'", String::from_utf8_lossy(bytes)),
        (false, 1..=8) => {
            let number = bytes.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
            format!("{} ({number})", hex.concat())
        }
        _ => hex.join(" "),
    }
}
