//! Where segments lie and when they play: `SegmentTemplate` with `SegmentTimeline` (ISO/IEC
//! 23009-1 5.3.9.4 and 5.3.9.6), and `SegmentBase` (5.3.9.2).

use std::ops::Range;

use super::grouping::MeasuredTrack;
use super::xml::XmlWriter;
use super::{SingleFileHead, offset_ticks};
use crate::presentation::{PresentedTrack, durations};
use crate::{MediaTime, Timescale};

/// Numbered files of one track, each lasting until the next.
#[derive(Clone, Copy)]
pub(super) struct Timeline<'p> {
    track: &'p PresentedTrack<'p>,
    files: Files,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Files {
    Segments,
    IFrames,
}

impl<'p> Timeline<'p> {
    pub(super) fn of_segments(track: &'p PresentedTrack<'p>) -> Self {
        Self { track, files: Files::Segments }
    }

    pub(super) fn of_iframes(track: &'p PresentedTrack<'p>) -> Self {
        Self { track, files: Files::IFrames }
    }

    fn timescale(&self) -> Timescale {
        self.track.index.timescale()
    }

    fn first_number(&self) -> u64 {
        match self.files {
            Files::Segments => self.track.first_number(),
            Files::IFrames => self.track.iframes().0,
        }
    }

    /// Number of the first file, and how many there are.
    pub(super) fn numbers(&self) -> (u64, usize) {
        (self.first_number(), self.count())
    }

    fn count(&self) -> usize {
        match self.files {
            Files::Segments => self.track.entries().len(),
            Files::IFrames => self.track.iframes().1.len(),
        }
    }

    fn start_ticks(&self) -> u64 {
        match self.files {
            Files::Segments => self.track.start_time().ticks,
            Files::IFrames => self.track.iframes().1.first().map_or(0, |frame| frame.time),
        }
    }

    /// Ticks that each file lasts, handed to `each` in order.
    fn for_each_duration(&self, mut each: impl FnMut(u64)) {
        match self.files {
            Files::Segments => durations(self.track).for_each(each),
            Files::IFrames => {
                let (_, frames) = self.track.iframes();
                for pair in frames.windows(2) {
                    each(pair[1].time.saturating_sub(pair[0].time));
                }
                if let Some(last) = frames.last() {
                    each(self.track.end_time().ticks.saturating_sub(last.time));
                }
            }
        }
    }

    /// Whether both are described by the same template.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let outline = |it: &Self| (it.files, it.timescale(), it.numbers(), it.start_ticks());
        if outline(self) != outline(other) || self.track.end_time() != other.track.end_time() {
            return false;
        }
        match self.files {
            Files::Segments => durations(self.track).eq(durations(other.track)),
            Files::IFrames => {
                let (mine, theirs) = (self.track.iframes().1, other.track.iframes().1);
                mine.iter().map(|frame| frame.time).eq(theirs.iter().map(|frame| frame.time))
            }
        }
    }

    /// `SegmentTemplate`: file names are relative to the `BaseURL` of the Representation.
    pub(super) fn write(&self, xml: &mut XmlWriter, period_start: MediaTime) {
        let media = match self.files {
            Files::Segments => "$Number$.m4s",
            Files::IFrames => "i$Number$.m4s",
        };
        let mut template = xml.element("SegmentTemplate");
        template.number("timescale", u64::from(self.timescale().get()));
        let offset = offset_ticks(period_start, self.timescale());
        if offset > 0 {
            template.number("presentationTimeOffset", offset);
        }
        template
            .text("initialization", "init.mp4")
            .text("media", media)
            .number("startNumber", self.first_number())
            .children(|xml| {
                xml.element("SegmentTimeline").children(|xml| self.write_runs(xml));
            });
    }

    /// One `S` for each run of equal durations; the first alone states its time, because the
    /// others follow without a gap.
    fn write_runs(&self, xml: &mut XmlWriter) {
        let mut start = Some(self.start_ticks());
        let mut run: Option<(u64, u64)> = None;
        let mut write = |(duration, repeats): (u64, u64)| {
            let mut element = xml.element("S");
            if let Some(start) = start.take() {
                element.number("t", start);
            }
            element.number("d", duration);
            if repeats > 0 {
                element.number("r", repeats);
            }
            element.empty();
        };
        self.for_each_duration(|duration| match &mut run {
            Some((of_run, repeats)) if *of_run == duration => *repeats += 1,
            _ => {
                if let Some(ended) = run.replace((duration, 0)) {
                    write(ended);
                }
            }
        });
        if let Some(last) = run {
            write(last);
        }
    }
}

/// `SegmentBase` of a track in one file.
pub(super) fn write_segment_base(
    xml: &mut XmlWriter,
    track: &MeasuredTrack<'_>,
    head: &SingleFileHead,
    period_start: MediaTime,
) {
    let timescale = track.index.timescale();
    let mut base = xml.element("SegmentBase");
    base.number("timescale", u64::from(timescale.get()));
    let offset = offset_ticks(period_start, timescale);
    if offset > 0 {
        base.number("presentationTimeOffset", offset);
    }
    base.pair("indexRange", inclusive(&head.index), '-').text("indexRangeExact", "true").children(
        |xml| xml.element("Initialization").pair("range", inclusive(&head.init), '-').empty(),
    );
}

/// Byte ranges of RFC 9110 14.1.2 name their last byte.
fn inclusive(range: &Range<u64>) -> (u64, u64) {
    (range.start, range.end.saturating_sub(1))
}
