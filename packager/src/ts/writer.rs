//! Turns samples into PES packets: one piece of a sample at a time.

use super::annex_b::{HEAD_BYTES_MAX, Rewriter};
use super::media_segment::MuxTrack;
use super::packet::{ClockField, OpenPacket, PacketStream};
use super::pes::PesHeader;
use super::plan::{AudioPlace, Frame, Picture};
use super::stream::{ElementaryStream, Framing};

/// What a segment needs of one track while it is written.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) stream: ElementaryStream,
    pub(super) packets: PacketStream,
    pub(super) source: u32,
}

impl Lane {
    pub(super) fn new(track: &MuxTrack<'_>, pid: u16) -> Result<Self, &'static str> {
        let stream = ElementaryStream::new(track.info)
            .ok_or("the track's codec has no place in a transport stream")?;
        let packets = PacketStream::new(pid, track.packets_before);
        Ok(Self { stream, packets, source: track.source })
    }
}

/// The PES packet being written, and where it stands between two pieces.
#[derive(Debug, Default)]
pub(super) struct PesWriter {
    open: OpenPacket,
    rewriter: Rewriter,
    /// Audio bytes still to come in the open PES packet.
    audio_left: u32,
    /// Bytes of the open transport packet, between batches.
    partial: Vec<u8>,
}

impl PesWriter {
    /// Puts back what [`Self::suspend`] took.
    pub(super) fn resume(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.partial);
    }

    /// Takes the bytes of an unfinished packet off the end of `out`.
    pub(super) fn suspend(&mut self, out: &mut Vec<u8>) {
        self.partial = self.open.take_partial(out);
    }

    /// Writes the bytes of a picture's sample from `at_bytes` on. The first piece holds at least
    /// [`HEAD_BYTES_MAX`] of them, or all.
    pub(super) fn write_picture(
        &mut self,
        lane: &mut Lane,
        picture: &Picture,
        at_bytes: u32,
        bytes: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), &'static str> {
        let bytes = match at_bytes {
            0 => self.start_picture(lane, picture, bytes, out)?,
            _ => bytes,
        };
        self.feed(lane, bytes, out)?;
        if self.rewriter.sample_left() == 0 {
            self.rewriter.finish()?;
            self.open.finish_pes(out);
        }
        Ok(())
    }

    /// Writes what goes in front of a picture, and returns the bytes that follow it.
    fn start_picture<'a>(
        &mut self,
        lane: &mut Lane,
        picture: &Picture,
        bytes: &'a [u8],
        out: &mut Vec<u8>,
    ) -> Result<&'a [u8], &'static str> {
        let Framing::AnnexB(framing) = lane.stream.framing(picture.frame.description_index)? else {
            return Err("the track has no NAL units");
        };
        let preface = framing.preface(bytes, picture.is_sync);
        let is_whole = bytes.len() == picture.frame.size_bytes as usize;
        let stream_bytes = match is_whole && bytes.len() <= HEAD_BYTES_MAX {
            true => Some(framing.preface_bytes(&preface) + framing.stream_bytes(bytes)?),
            false => None,
        };
        let header = PesHeader::picture(lane.stream.stream_id, &picture.times, stream_bytes);
        let clock = ClockField { decode: picture.times.decode, is_random_access: picture.is_sync };
        let (own_delimiter, rest) = bytes
            .split_at_checked(preface.own_delimiter_bytes)
            .ok_or("the access unit delimiter is cut off")?;

        self.rewriter = framing.rewriter(picture.frame.size_bytes);
        let (open, packets) = (&mut self.open, &mut lane.packets);
        open.start_pes(out, packets, Some(clock));
        open.write(out, packets, header.as_bytes());
        open.write(out, packets, framing.delimiter(&preface));
        self.rewriter.feed(own_delimiter, |part| open.write(out, packets, part))?;
        for set in framing.parameter_sets(&preface) {
            open.write(out, packets, set);
        }
        Ok(rest)
    }

    fn feed(
        &mut self,
        lane: &mut Lane,
        bytes: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), &'static str> {
        let (open, packets) = (&mut self.open, &mut lane.packets);
        self.rewriter.feed(bytes, |part| open.write(out, packets, part))
    }

    /// Writes one audio frame, in front of it the PES header where `place` asks for one.
    pub(super) fn write_audio(
        &mut self,
        lane: &mut Lane,
        frame: &Frame,
        place: AudioPlace,
        bytes: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), &'static str> {
        let framing = lane.stream.framing(frame.description_index)?;
        let adts = framing.audio_header(frame.size_bytes);
        let (open, packets) = (&mut self.open, &mut lane.packets);
        if let AudioPlace::First { presentation, bytes } = place {
            let header = PesHeader::audio(lane.stream.stream_id, presentation, bytes);
            open.start_pes(out, packets, None);
            open.write(out, packets, header.as_bytes());
            self.audio_left = bytes;
        }
        let adts = adts.as_ref().map_or(&[][..], |header| header);
        open.write(out, packets, adts);
        open.write(out, packets, bytes);
        self.audio_left = self.audio_left.saturating_sub((adts.len() + bytes.len()) as u32);
        if self.audio_left == 0 {
            open.finish_pes(out);
        }
        Ok(())
    }
}
