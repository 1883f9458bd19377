//! A WebVTT cue (W3C WebVTT 3.1), as every text writer takes it.

#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Cue {
    pub start_ms: u64,
    pub end_ms: u64,
    pub id: Option<String>,
    pub settings: String,
    pub payload: String,
}
