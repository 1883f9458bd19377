//! The keys that are of use here, by their types.

use super::item::{Value, members, unescape};
use super::{ID_BYTES_MAX, NEXT_BYTES_MAX};

/// What one request or one report says. Whatever was not said, or not well, is absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cmcd {
    /// `v`; absent in version 1, which then is meant.
    pub version: Option<u8>,
    /// `sid`: a playback session.
    pub session: Option<Box<str>>,
    /// `cid`: the content.
    pub content: Option<Box<str>>,
    pub format: Option<StreamFormat>,
    /// `st`: live or on demand.
    pub is_live: Option<bool>,
    pub object: Option<ObjectType>,
    /// `br`: of the encoded media, in kbit/s; of several the highest.
    pub bit_rate_kbps: Option<u32>,
    /// `tb`: the highest there is.
    pub top_bit_rate_kbps: Option<u32>,
    /// `bl`; of several the shortest, which runs dry first.
    pub buffer_ms: Option<u32>,
    /// `mtp`: measured throughput; of several the lowest.
    pub throughput_kbps: Option<u32>,
    /// `rtp`: requested maximum throughput.
    pub requested_kbps: Option<u32>,
    /// `d`: of the object.
    pub duration_ms: Option<u32>,
    /// `dl`: how soon the first sample is needed.
    pub deadline_ms: Option<u32>,
    /// `pr`: playback rate, in thousandths.
    pub rate_milli: Option<u32>,
    /// `su`: needed at once, to start, to seek or to recover.
    pub is_startup: bool,
    /// `bs`: the buffer ran dry since the last request.
    pub is_starved: bool,
    /// `bsd`: for how long (version 2).
    pub starved_ms: Option<u32>,
    /// `ltc`: behind live (version 2).
    pub latency_ms: Option<u32>,
    /// `msd`: from the wish to play to the first picture (version 2), told once a session.
    pub start_delay_ms: Option<u32>,
    /// `sta` (version 2).
    pub state: Option<PlayerState>,
    /// `nor`: the next object, relative to this one, decoded.
    pub next: Option<Box<str>>,
    /// `e`: why a report was sent (version 2).
    pub event: Option<Box<str>>,
    /// `ts`: when, in milliseconds since 1970 (version 2).
    pub time_ms: Option<u64>,
    /// `rc`: the status of an answer that is reported (version 2).
    pub answer_status: Option<u16>,
    /// `ttfb` and `ttlb` of that answer (version 2).
    pub first_byte_ms: Option<u32>,
    pub last_byte_ms: Option<u32>,
    /// Values of known keys that could not be read.
    pub invalid: u32,
}

macro_rules! word_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum $name { $($(#[$variant_doc])* $variant),* }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// As CMCD writes it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }

            pub(super) fn of(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

word_enum! {
    /// `sf`.
    StreamFormat { Dash = "d", Hls = "h", Smooth = "s", Other = "o" }
}

word_enum! {
    /// `ot`.
    ObjectType {
        Manifest = "m",
        Audio = "a",
        Video = "v",
        Muxed = "av",
        Initialisation = "i",
        Caption = "c",
        TimedText = "tt",
        Key = "k",
        Other = "o",
    }
}

word_enum! {
    /// `sta`.
    PlayerState {
        Starting = "s",
        Playing = "p",
        Seeking = "k",
        Rebuffering = "r",
        Paused = "a",
        Waiting = "w",
        Ended = "e",
        Failed = "f",
        Quit = "q",
        Preloading = "d",
    }
}

impl Cmcd {
    /// Whether nothing was said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Takes in one key. Unknown ones, and those of makers, are no error.
    pub(super) fn set(&mut self, key: &str, value: Option<Value<'_>>) {
        // Slice patterns become a decision by length and letters; texts would be compared one by one.
        let is_read = match key.as_bytes() {
            [b'v'] => put(&mut self.version, number(value).and_then(|v| u8::try_from(v).ok())),
            [b's', b'i', b'd'] => put(&mut self.session, text(value, ID_BYTES_MAX)),
            [b'c', b'i', b'd'] => put(&mut self.content, text(value, ID_BYTES_MAX)),
            [b's', b'f'] => put(&mut self.format, word(value).and_then(StreamFormat::of)),
            [b's', b't'] => put(&mut self.is_live, live(value)),
            [b'o', b't'] => put(&mut self.object, word(value).and_then(ObjectType::of)),
            [b'b', b'r'] => put(&mut self.bit_rate_kbps, of_list(value, u32::max)),
            [b't', b'b'] => put(&mut self.top_bit_rate_kbps, of_list(value, u32::max)),
            [b'b', b'l'] => put(&mut self.buffer_ms, of_list(value, u32::min)),
            [b'm', b't', b'p'] => put(&mut self.throughput_kbps, of_list(value, u32::min)),
            [b'r', b't', b'p'] => put(&mut self.requested_kbps, number(value)),
            [b'd'] => put(&mut self.duration_ms, number(value)),
            [b'd', b'l'] => put(&mut self.deadline_ms, number(value)),
            [b'p', b'r'] => put(&mut self.rate_milli, thousandths(value)),
            [b's', b'u'] => flag(&mut self.is_startup, value),
            [b'b', b's'] => flag(&mut self.is_starved, value),
            [b'b', b's', b'd'] => put(&mut self.starved_ms, of_list(value, u32::max)),
            [b'l', b't', b'c'] => put(&mut self.latency_ms, number(value)),
            [b'm', b's', b'd'] => put(&mut self.start_delay_ms, number(value)),
            [b's', b't', b'a'] => put(&mut self.state, word(value).and_then(PlayerState::of)),
            [b'n', b'o', b'r'] => put(&mut self.next, next(value)),
            [b'e'] => {
                put(&mut self.event, word(value).filter(|word| word.len() <= 8).map(Into::into))
            }
            [b't', b's'] => put(&mut self.time_ms, large(value)),
            [b'r', b'c'] => {
                put(&mut self.answer_status, number(value).and_then(|v| u16::try_from(v).ok()))
            }
            [b't', b't', b'f', b'b'] => put(&mut self.first_byte_ms, number(value)),
            [b't', b't', b'l', b'b'] => put(&mut self.last_byte_ms, number(value)),
            _ => true,
        };
        self.invalid += u32::from(!is_read);
    }
}

fn put<T>(field: &mut Option<T>, value: Option<T>) -> bool {
    let is_read = value.is_some();
    if is_read {
        *field = value;
    }
    is_read
}

fn flag(field: &mut bool, value: Option<Value<'_>>) -> bool {
    let Some(Value::Flag(value)) = value else { return false };
    *field = value;
    true
}

fn text(value: Option<Value<'_>>, bytes_max: usize) -> Option<Box<str>> {
    match value? {
        Value::Text(text) if !text.is_empty() => unescape(text, bytes_max),
        // Ids without quotes are common, and clear enough.
        Value::Token(token) => unescape(token, bytes_max),
        Value::Number(number) => Some(number.to_string().into()),
        _ => None,
    }
}

fn word(value: Option<Value<'_>>) -> Option<&str> {
    match value? {
        // Some quote what should be a token.
        Value::Token(word) | Value::Text(word) => Some(word),
        _ => None,
    }
}

fn live(value: Option<Value<'_>>) -> Option<bool> {
    match word(value)? {
        "l" | "ll" => Some(true),
        "v" => Some(false),
        _ => None,
    }
}

/// A whole number that is not negative; decimals are rounded.
fn number(value: Option<Value<'_>>) -> Option<u32> {
    match value? {
        Value::Number(number) if (0.0..=f64::from(u32::MAX)).contains(&number) => {
            Some(number.round() as u32)
        }
        // Version 2 has lists where version 1 has numbers; the first then says most.
        Value::List(list) => members(list).find_map(|(value, _)| number(Some(value))),
        _ => None,
    }
}

fn large(value: Option<Value<'_>>) -> Option<u64> {
    /// Whole numbers up to here are exact (RFC 9651 3.3.1 allows as many).
    const MAX: f64 = 999_999_999_999_999.0;
    match value? {
        Value::Number(number) if (0.0..=MAX).contains(&number) => Some(number as u64),
        _ => None,
    }
}

/// A number, or of version 2's numbers per object type the one that `choose` prefers.
fn of_list(value: Option<Value<'_>>, choose: fn(u32, u32) -> u32) -> Option<u32> {
    match value? {
        Value::List(list) => {
            members(list).filter_map(|(value, _)| number(Some(value))).reduce(choose)
        }
        other => number(Some(other)),
    }
}

fn thousandths(value: Option<Value<'_>>) -> Option<u32> {
    match value? {
        Value::Number(rate) if (0.0..=1_000.0).contains(&rate) => Some((rate * 1e3).round() as u32),
        _ => None,
    }
}

/// Of version 2's list the first, which is asked for next.
fn next(value: Option<Value<'_>>) -> Option<Box<str>> {
    match value? {
        Value::Text(text) if !text.is_empty() => unescape(text, NEXT_BYTES_MAX),
        Value::List(list) => next(members(list).next().map(|(value, _)| value)),
        _ => None,
    }
}
