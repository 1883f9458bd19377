//! `[[preset]]`: packagings beside the built-in ones.

use serde::{Deserialize, Serialize};

/// `[[preset]]`: a packaging that URLs can name, beside the built-in ones.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    pub name: String,
    pub packaging: Packaging,
    #[serde(default)]
    pub addressing: Addressing,
    #[serde(default)]
    pub protection: Protection,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Packaging {
    Cmaf,
    Ts,
}

/// How a preset's segments are found.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Addressing {
    /// A file a segment.
    #[default]
    Segments,
    /// Byte ranges of one file a track; cmaf only.
    SingleFile,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protection {
    #[default]
    None,
    Cenc,
    Cbcs,
    #[serde(rename = "aes-128")]
    Aes128,
    SampleAes,
}
