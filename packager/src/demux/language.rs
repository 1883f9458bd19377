//! Languages as `mdhd` packs them (ISO/IEC 14496-12 8.4.2.3), as BCP 47 tags.

/// Three letters of five bits, each minus 0x60; values below 0x400 are Macintosh language codes in
/// QuickTime files and mean nothing in MP4.
///
/// BCP 47 wants the shortest code (RFC 5646 2.2.1), so `eng` becomes `en`.
pub(super) fn language_from_packed(packed: u16, is_quicktime: bool) -> String {
    if packed < FIRST_PACKED {
        let macintosh = MACINTOSH.get(usize::from(packed)).filter(|_| is_quicktime);
        return macintosh.map_or("und", |tag| tag).to_owned();
    }
    let letter = |shift: u16| (packed >> shift & 0x1f) as u8 + 0x60;
    let code = [letter(10), letter(5), letter(0)];
    if !code.iter().all(u8::is_ascii_lowercase) {
        return "und".to_owned();
    }
    let code = code.map(char::from).into_iter().collect::<String>();
    match TWO_LETTER.binary_search_by_key(&code.as_str(), |&(three, _)| three) {
        Ok(index) => TWO_LETTER[index].1.to_owned(),
        Err(_) => code,
    }
}

/// Whether a string has the form of a BCP 47 tag: subtags of letters and digits (RFC 5646 2.1).
pub(super) fn is_language_tag(tag: &str) -> bool {
    let is_subtag = |subtag: &str| {
        (1..=8).contains(&subtag.len()) && subtag.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    tag.len() <= TAG_BYTES_MAX
        && tag.split('-').all(is_subtag)
        && tag.starts_with(|first: char| first.is_ascii_alphabetic())
}

const FIRST_PACKED: u16 = 0x400;
/// RFC 5646 4.4.1 advises 35 bytes for a tag without extensions.
const TAG_BYTES_MAX: usize = 64;

/// QuickTime File Format, "Language code values", from 0 on.
const MACINTOSH: [&str; 25] = [
    "en", "fr", "de", "it", "nl", "sv", "es", "da", "pt", "no", "he", "ja", "ar", "fi", "el", "is",
    "mt", "tr", "hr", "zh-Hant", "ur", "hi", "th", "ko", "lt",
];

/// ISO 639-2 codes, terminological and bibliographic, that have a two-letter one in ISO 639-1.
#[rustfmt::skip]
const TWO_LETTER: [(&str, &str); 204] = [
    ("aar", "aa"), ("abk", "ab"), ("afr", "af"), ("aka", "ak"), ("alb", "sq"), ("amh", "am"),
    ("ara", "ar"), ("arg", "an"), ("arm", "hy"), ("asm", "as"), ("ava", "av"), ("ave", "ae"),
    ("aym", "ay"), ("aze", "az"), ("bak", "ba"), ("bam", "bm"), ("baq", "eu"), ("bel", "be"),
    ("ben", "bn"), ("bis", "bi"), ("bod", "bo"), ("bos", "bs"), ("bre", "br"), ("bul", "bg"),
    ("bur", "my"), ("cat", "ca"), ("ces", "cs"), ("cha", "ch"), ("che", "ce"), ("chi", "zh"),
    ("chu", "cu"), ("chv", "cv"), ("cor", "kw"), ("cos", "co"), ("cre", "cr"), ("cym", "cy"),
    ("cze", "cs"), ("dan", "da"), ("deu", "de"), ("div", "dv"), ("dut", "nl"), ("dzo", "dz"),
    ("ell", "el"), ("eng", "en"), ("epo", "eo"), ("est", "et"), ("eus", "eu"), ("ewe", "ee"),
    ("fao", "fo"), ("fas", "fa"), ("fij", "fj"), ("fin", "fi"), ("fra", "fr"), ("fre", "fr"),
    ("fry", "fy"), ("ful", "ff"), ("geo", "ka"), ("ger", "de"), ("gla", "gd"), ("gle", "ga"),
    ("glg", "gl"), ("glv", "gv"), ("gre", "el"), ("grn", "gn"), ("guj", "gu"), ("hat", "ht"),
    ("hau", "ha"), ("hbs", "sh"), ("heb", "he"), ("her", "hz"), ("hin", "hi"), ("hmo", "ho"),
    ("hrv", "hr"), ("hun", "hu"), ("hye", "hy"), ("ibo", "ig"), ("ice", "is"), ("ido", "io"),
    ("iii", "ii"), ("iku", "iu"), ("ile", "ie"), ("ina", "ia"), ("ind", "id"), ("ipk", "ik"),
    ("isl", "is"), ("ita", "it"), ("jav", "jv"), ("jpn", "ja"), ("kal", "kl"), ("kan", "kn"),
    ("kas", "ks"), ("kat", "ka"), ("kau", "kr"), ("kaz", "kk"), ("khm", "km"), ("kik", "ki"),
    ("kin", "rw"), ("kir", "ky"), ("kom", "kv"), ("kon", "kg"), ("kor", "ko"), ("kua", "kj"),
    ("kur", "ku"), ("lao", "lo"), ("lat", "la"), ("lav", "lv"), ("lim", "li"), ("lin", "ln"),
    ("lit", "lt"), ("ltz", "lb"), ("lub", "lu"), ("lug", "lg"), ("mac", "mk"), ("mah", "mh"),
    ("mal", "ml"), ("mao", "mi"), ("mar", "mr"), ("may", "ms"), ("mkd", "mk"), ("mlg", "mg"),
    ("mlt", "mt"), ("mon", "mn"), ("mri", "mi"), ("msa", "ms"), ("mya", "my"), ("nau", "na"),
    ("nav", "nv"), ("nbl", "nr"), ("nde", "nd"), ("ndo", "ng"), ("nep", "ne"), ("nld", "nl"),
    ("nno", "nn"), ("nob", "nb"), ("nor", "no"), ("nya", "ny"), ("oci", "oc"), ("oji", "oj"),
    ("ori", "or"), ("orm", "om"), ("oss", "os"), ("pan", "pa"), ("per", "fa"), ("pli", "pi"),
    ("pol", "pl"), ("por", "pt"), ("pus", "ps"), ("que", "qu"), ("roh", "rm"), ("ron", "ro"),
    ("rum", "ro"), ("run", "rn"), ("rus", "ru"), ("sag", "sg"), ("san", "sa"), ("sin", "si"),
    ("slk", "sk"), ("slo", "sk"), ("slv", "sl"), ("sme", "se"), ("smo", "sm"), ("sna", "sn"),
    ("snd", "sd"), ("som", "so"), ("sot", "st"), ("spa", "es"), ("sqi", "sq"), ("srd", "sc"),
    ("srp", "sr"), ("ssw", "ss"), ("sun", "su"), ("swa", "sw"), ("swe", "sv"), ("tah", "ty"),
    ("tam", "ta"), ("tat", "tt"), ("tel", "te"), ("tgk", "tg"), ("tgl", "tl"), ("tha", "th"),
    ("tib", "bo"), ("tir", "ti"), ("ton", "to"), ("tsn", "tn"), ("tso", "ts"), ("tuk", "tk"),
    ("tur", "tr"), ("twi", "tw"), ("uig", "ug"), ("ukr", "uk"), ("urd", "ur"), ("uzb", "uz"),
    ("ven", "ve"), ("vie", "vi"), ("vol", "vo"), ("wel", "cy"), ("wln", "wa"), ("wol", "wo"),
    ("xho", "xh"), ("yid", "yi"), ("yor", "yo"), ("zha", "za"), ("zho", "zh"), ("zul", "zu"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(code: &[u8; 3], expected: &str) {
        let packed = code.iter().fold(0, |packed, letter| packed << 5 | u16::from(letter - 0x60));
        assert_eq!(language_from_packed(packed, false), expected);
    }

    #[test]
    fn codes_take_their_shortest_form() {
        check(b"eng", "en");
        check(b"deu", "de");
        check(b"ger", "de");
        check(b"zho", "zh");
        check(b"und", "und");
        check(b"fil", "fil");
        check(b"mul", "mul");
    }

    #[test]
    fn values_that_are_no_code_are_undetermined() {
        assert_eq!(language_from_packed(0x7fff, false), "und");
        assert_eq!(language_from_packed(0, false), "und");
        assert_eq!(language_from_packed(0, true), "en");
        assert_eq!(language_from_packed(0x3ff, true), "und");
    }

    #[test]
    fn the_table_is_in_order() {
        assert!(TWO_LETTER.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn tags_have_the_form_of_bcp_47() {
        assert!(["en", "pt-BR", "zh-Hant-TW", "x-klingon"].into_iter().all(is_language_tag));
        assert!(!["", "en_US", "-en", "en-", "9en", "überlang"].into_iter().any(is_language_tag));
    }
}
