//! What the name of a side file says about it: `movie.pt-BR.forced.srt`.

use crate::language::{canonical_tag, find, from_iso639_2, from_name};

/// A side file by its name.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SideFile {
    /// BCP 47.
    pub language: Option<String>,
    /// Translations of signs and foreign speech, shown to viewers who want no subtitles.
    pub is_forced: bool,
    /// For the deaf and hard of hearing: tells sounds and speakers.
    pub is_hearing_impaired: bool,
    pub is_default: bool,
}

/// Words looked at between the media file's name and the extension.
const WORDS_MAX: usize = 8;

/// Reads language and flags off a file name, from the right: flags and one language, separated by
/// dots, in any order, in front of the extension.
///
/// `media_stem` is the name of the media file without its extension, when it is known: what is
/// part of it says nothing (`Dr.No.srt` beside `Dr.No.mp4` is not Norwegian).
pub fn parse_side_file_name(name: &str, media_stem: Option<&str>) -> SideFile {
    let name = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let own = media_stem.and_then(|media| stem.strip_prefix(media));
    // Without a media file the first word is its name.
    let words = own.or_else(|| Some(stem.split_once('.')?.1)).unwrap_or("");
    let words: Vec<&str> =
        words.rsplit('.').filter(|word| !word.is_empty()).take(WORDS_MAX).collect();

    let mut file = SideFile::default();
    for (index, word) in words.iter().enumerate() {
        let before = words.get(index + 1).copied();
        if !file.take_flag(word, before) && !file.take_language(word) {
            break;
        }
    }
    file
}

impl SideFile {
    fn take_flag(&mut self, word: &str, before: Option<&str>) -> bool {
        match word.to_ascii_lowercase().as_str() {
            "forced" | "foreign" => self.is_forced = true,
            "sdh" | "cc" => self.is_hearing_impaired = true,
            // Hindi too: hearing impaired only where the language stands elsewhere.
            "hi" if self.language.is_some() || before.and_then(language_of).is_some() => {
                self.is_hearing_impaired = true;
            }
            "default" => self.is_default = true,
            _ => return false,
        }
        true
    }

    fn take_language(&mut self, word: &str) -> bool {
        if self.language.is_some() {
            return false;
        }
        self.language = language_of(word);
        self.language.is_some()
    }
}

/// A tag whose language is known, or a language's name.
fn language_of(word: &str) -> Option<String> {
    if let Some(tag) = canonical_tag(word) {
        let primary = tag.split('-').next().unwrap_or("");
        let known = find(primary).is_some() || from_iso639_2(primary).is_some();
        if known || OTHER_LANGUAGES.contains(&primary) {
            return Some(tag);
        }
    }
    from_name(word).map(str::to_owned)
}

/// Codes of three letters that files have. A list, since any three letters have the form of one:
/// `the` and `web` are languages too.
const OTHER_LANGUAGES: [&str; 16] = [
    "ast", "ceb", "ckb", "cmn", "fil", "gsw", "haw", "hmn", "hsb", "jam", "mul", "nds", "sco",
    "scn", "und", "yue",
];

#[cfg(test)]
mod tests;
