//! Puts a token into each URI of a manifest, as it passes.
//!
//! A token in the query is not inherited by relative URIs (RFC 3986 5.2.2), so that what a manifest
//! leads to would be asked for without one. HLS playlists and
//! indexes of thumbnails are read line by line, MPDs tag by tag;
//! nothing else of them changes, and no more is held than one line or one tag. URIs that name a host
//! or a scheme are left alone: the token is not theirs to know.

mod dash;
mod hls;
mod lines;

#[cfg(test)]
mod tests;

/// Longest line of a playlist, and longest tag or address of an MPD.
pub const PIECE_BYTES_MAX: usize = 64 << 10;

/// Why a manifest can't be passed on. Its beginning may have been sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CarryError {
    #[error("a line or a tag of the manifest is longer than {PIECE_BYTES_MAX} bytes")]
    TooLong,

    #[error("the manifest ends within a tag")]
    Unfinished,
}

/// One manifest on its way.
#[derive(Debug)]
pub struct Carrying {
    kind: Kind,
    /// Parameters, as they stand in a query.
    query: String,
    /// What is not whole yet.
    held: Vec<u8>,
}

#[derive(Debug)]
enum Kind {
    Hls,
    Dash(dash::State),
    /// An index of thumbnails.
    Vtt,
}

impl Carrying {
    /// For a body of the media type of an HLS playlist, of an MPD or of WebVTT; `None` for any other.
    pub fn of_media_type(media_type: &str, query: &str) -> Option<Self> {
        let essence = media_type.split(';').next().unwrap_or_default().trim();
        let kind = match essence.to_ascii_lowercase().as_str() {
            "application/vnd.apple.mpegurl" | "application/x-mpegurl" | "audio/mpegurl" => {
                Kind::Hls
            }
            "application/dash+xml" => Kind::Dash(dash::State::default()),
            "text/vtt" => Kind::Vtt,
            _ => return None,
        };
        Some(Self { kind, query: query.to_owned(), held: Vec::new() })
    }

    /// Takes the next bytes; appends to `out` what is ready.
    ///
    /// # Errors
    /// When a line or a tag is too long to be held.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), CarryError> {
        self.held.extend_from_slice(bytes);
        let taken = match &mut self.kind {
            Kind::Hls => lines::take(&self.held, &self.query, hls::line, out),
            Kind::Vtt => lines::take(&self.held, &self.query, vtt_line, out),
            Kind::Dash(state) => state.take(&self.held, &self.query, out),
        };
        self.held.drain(..taken);
        if PIECE_BYTES_MAX < self.held.len() {
            return Err(CarryError::TooLong);
        }
        Ok(())
    }

    /// The end of the manifest.
    ///
    /// # Errors
    /// When an MPD ends within a tag.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), CarryError> {
        let held = std::mem::take(&mut self.held);
        match &mut self.kind {
            Kind::Hls => lines::last(&held, &self.query, hls::line, out),
            Kind::Vtt => lines::last(&held, &self.query, vtt_line, out),
            Kind::Dash(_) if held.is_empty() => {}
            Kind::Dash(_) => return Err(CarryError::Unfinished),
        }
        Ok(())
    }
}

/// One line of an index of thumbnails: `sprite-1.jpg#xywh=0,0,160,90` (Media Fragments 4.2.2).
fn vtt_line(text: &str, query: &str, out: &mut Vec<u8>) {
    let carried = text.contains("#xywh=").then(|| with_query(text, query)).flatten();
    out.extend_from_slice(carried.as_deref().unwrap_or(text).as_bytes());
}

/// Whether a reference stays on the host that the manifest came from (RFC 3986 4.2): it has neither
/// a scheme nor an authority. Browsers read `\` as `/`, and pass over tabs, line ends, and whatever
/// is no letter in front (URL Standard 4.4), so `/\host/` names a host, too.
fn is_relative(reference: &str) -> bool {
    let before_path = reference.find(['/', '?', '#']).unwrap_or(reference.len());
    let has_scheme = reference[..before_path].contains(':');
    let seen = reference.trim_start_matches(|first| first <= ' ');
    let mut seen = seen.chars().filter(|next| !matches!(next, '\t' | '\r' | '\n'));
    let mut is_slash = || seen.next().is_some_and(|next| matches!(next, '/' | '\\'));
    let has_authority = is_slash() && is_slash();
    !reference.is_empty() && !has_scheme && !has_authority
}

/// The reference with `query` added, or `None` if it is to be left alone.
fn with_query(reference: &str, query: &str) -> Option<String> {
    if !is_relative(reference) {
        return None;
    }
    let end = reference.find('#').unwrap_or(reference.len());
    let (reference, fragment) = reference.split_at(end);
    let separator = if reference.contains('?') { '&' } else { '?' };
    Some(format!("{reference}{separator}{query}{fragment}"))
}
