//! BCP 47 tags in the fifteen bits of `mdhd` (ISO/IEC 14496-12 8.4.2.3).
//!
//! `mdhd` takes an ISO 639-2/T code: three letters, five bits each. A tag that says more than that
//! goes into `elng` beside it, and `mdhd` keeps what it can.

/// An ISO 639-2/T code as `mdhd` packs it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct PackedLanguage(u16);

impl PackedLanguage {
    const UNDETERMINED: Self = Self::pack(*b"und");

    /// The code of a tag's primary subtag, in any case; `und` when it has none of two or three
    /// letters. Two-letter codes are looked up, bibliographic ones (`ger`) become terminological
    /// ones (`deu`), other codes of three letters pass as they are.
    pub(super) fn of_tag(tag: &str) -> Self {
        let primary = tag.split('-').next().unwrap_or_default().to_ascii_lowercase();
        match primary.as_bytes() {
            letters if !letters.iter().all(u8::is_ascii_lowercase) => Self::UNDETERMINED,
            &[a, b] => find(&ALPHA_2, [a, b]).map_or(Self::UNDETERMINED, Self::pack),
            &[a, b, c] => Self::pack(find(&BIBLIOGRAPHIC, [a, b, c]).unwrap_or([a, b, c])),
            _ => Self::UNDETERMINED,
        }
    }

    pub(super) const fn bits(self) -> u16 {
        self.0
    }

    const fn pack(code: [u8; 3]) -> Self {
        let [a, b, c] = code;
        Self(((a - 0x60) as u16) << 10 | ((b - 0x60) as u16) << 5 | (c - 0x60) as u16)
    }
}

/// The tag that belongs into `elng`: one that `mdhd` can't carry in full, and that is a tag at all
/// (RFC 5646 2.1: letters, digits and hyphens).
pub(super) fn extended_tag(tag: &str) -> Option<&str> {
    let is_tag = tag.len() >= 2
        && tag.len() <= TAG_BYTES_MAX
        && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let fits_mdhd = tag.eq_ignore_ascii_case("und")
        || !tag.contains('-') && PackedLanguage::of_tag(tag) != PackedLanguage::UNDETERMINED;
    (is_tag && !fits_mdhd).then_some(tag)
}

fn find<const N: usize>(table: &[([u8; N], [u8; 3])], code: [u8; N]) -> Option<[u8; 3]> {
    let at = table.binary_search_by_key(&code, |row| row.0).ok()?;
    Some(table[at].1)
}

/// RFC 5646 4.4.1 reckons with 35; the rest is room for extensions.
const TAG_BYTES_MAX: usize = 255;

/// ISO 639-1 and the ISO 639-2/T code of the same language, with the withdrawn `in`, `iw`, `ji`,
/// `jw`, `mo` and `sh`; `hbs`, of ISO 639-3, is the only code there is for the last.
#[rustfmt::skip]
const ALPHA_2: [([u8; 2], [u8; 3]); 190] = [
    (*b"aa", *b"aar"), (*b"ab", *b"abk"), (*b"ae", *b"ave"), (*b"af", *b"afr"), (*b"ak", *b"aka"),
    (*b"am", *b"amh"), (*b"an", *b"arg"), (*b"ar", *b"ara"), (*b"as", *b"asm"), (*b"av", *b"ava"),
    (*b"ay", *b"aym"), (*b"az", *b"aze"), (*b"ba", *b"bak"), (*b"be", *b"bel"), (*b"bg", *b"bul"),
    (*b"bh", *b"bih"), (*b"bi", *b"bis"), (*b"bm", *b"bam"), (*b"bn", *b"ben"), (*b"bo", *b"bod"),
    (*b"br", *b"bre"), (*b"bs", *b"bos"), (*b"ca", *b"cat"), (*b"ce", *b"che"), (*b"ch", *b"cha"),
    (*b"co", *b"cos"), (*b"cr", *b"cre"), (*b"cs", *b"ces"), (*b"cu", *b"chu"), (*b"cv", *b"chv"),
    (*b"cy", *b"cym"), (*b"da", *b"dan"), (*b"de", *b"deu"), (*b"dv", *b"div"), (*b"dz", *b"dzo"),
    (*b"ee", *b"ewe"), (*b"el", *b"ell"), (*b"en", *b"eng"), (*b"eo", *b"epo"), (*b"es", *b"spa"),
    (*b"et", *b"est"), (*b"eu", *b"eus"), (*b"fa", *b"fas"), (*b"ff", *b"ful"), (*b"fi", *b"fin"),
    (*b"fj", *b"fij"), (*b"fo", *b"fao"), (*b"fr", *b"fra"), (*b"fy", *b"fry"), (*b"ga", *b"gle"),
    (*b"gd", *b"gla"), (*b"gl", *b"glg"), (*b"gn", *b"grn"), (*b"gu", *b"guj"), (*b"gv", *b"glv"),
    (*b"ha", *b"hau"), (*b"he", *b"heb"), (*b"hi", *b"hin"), (*b"ho", *b"hmo"), (*b"hr", *b"hrv"),
    (*b"ht", *b"hat"), (*b"hu", *b"hun"), (*b"hy", *b"hye"), (*b"hz", *b"her"), (*b"ia", *b"ina"),
    (*b"id", *b"ind"), (*b"ie", *b"ile"), (*b"ig", *b"ibo"), (*b"ii", *b"iii"), (*b"ik", *b"ipk"),
    (*b"in", *b"ind"), (*b"io", *b"ido"), (*b"is", *b"isl"), (*b"it", *b"ita"), (*b"iu", *b"iku"),
    (*b"iw", *b"heb"), (*b"ja", *b"jpn"), (*b"ji", *b"yid"), (*b"jv", *b"jav"), (*b"jw", *b"jav"),
    (*b"ka", *b"kat"), (*b"kg", *b"kon"), (*b"ki", *b"kik"), (*b"kj", *b"kua"), (*b"kk", *b"kaz"),
    (*b"kl", *b"kal"), (*b"km", *b"khm"), (*b"kn", *b"kan"), (*b"ko", *b"kor"), (*b"kr", *b"kau"),
    (*b"ks", *b"kas"), (*b"ku", *b"kur"), (*b"kv", *b"kom"), (*b"kw", *b"cor"), (*b"ky", *b"kir"),
    (*b"la", *b"lat"), (*b"lb", *b"ltz"), (*b"lg", *b"lug"), (*b"li", *b"lim"), (*b"ln", *b"lin"),
    (*b"lo", *b"lao"), (*b"lt", *b"lit"), (*b"lu", *b"lub"), (*b"lv", *b"lav"), (*b"mg", *b"mlg"),
    (*b"mh", *b"mah"), (*b"mi", *b"mri"), (*b"mk", *b"mkd"), (*b"ml", *b"mal"), (*b"mn", *b"mon"),
    (*b"mo", *b"ron"), (*b"mr", *b"mar"), (*b"ms", *b"msa"), (*b"mt", *b"mlt"), (*b"my", *b"mya"),
    (*b"na", *b"nau"), (*b"nb", *b"nob"), (*b"nd", *b"nde"), (*b"ne", *b"nep"), (*b"ng", *b"ndo"),
    (*b"nl", *b"nld"), (*b"nn", *b"nno"), (*b"no", *b"nor"), (*b"nr", *b"nbl"), (*b"nv", *b"nav"),
    (*b"ny", *b"nya"), (*b"oc", *b"oci"), (*b"oj", *b"oji"), (*b"om", *b"orm"), (*b"or", *b"ori"),
    (*b"os", *b"oss"), (*b"pa", *b"pan"), (*b"pi", *b"pli"), (*b"pl", *b"pol"), (*b"ps", *b"pus"),
    (*b"pt", *b"por"), (*b"qu", *b"que"), (*b"rm", *b"roh"), (*b"rn", *b"run"), (*b"ro", *b"ron"),
    (*b"ru", *b"rus"), (*b"rw", *b"kin"), (*b"sa", *b"san"), (*b"sc", *b"srd"), (*b"sd", *b"snd"),
    (*b"se", *b"sme"), (*b"sg", *b"sag"), (*b"sh", *b"hbs"), (*b"si", *b"sin"), (*b"sk", *b"slk"),
    (*b"sl", *b"slv"), (*b"sm", *b"smo"), (*b"sn", *b"sna"), (*b"so", *b"som"), (*b"sq", *b"sqi"),
    (*b"sr", *b"srp"), (*b"ss", *b"ssw"), (*b"st", *b"sot"), (*b"su", *b"sun"), (*b"sv", *b"swe"),
    (*b"sw", *b"swa"), (*b"ta", *b"tam"), (*b"te", *b"tel"), (*b"tg", *b"tgk"), (*b"th", *b"tha"),
    (*b"ti", *b"tir"), (*b"tk", *b"tuk"), (*b"tl", *b"tgl"), (*b"tn", *b"tsn"), (*b"to", *b"ton"),
    (*b"tr", *b"tur"), (*b"ts", *b"tso"), (*b"tt", *b"tat"), (*b"tw", *b"twi"), (*b"ty", *b"tah"),
    (*b"ug", *b"uig"), (*b"uk", *b"ukr"), (*b"ur", *b"urd"), (*b"uz", *b"uzb"), (*b"ve", *b"ven"),
    (*b"vi", *b"vie"), (*b"vo", *b"vol"), (*b"wa", *b"wln"), (*b"wo", *b"wol"), (*b"xh", *b"xho"),
    (*b"yi", *b"yid"), (*b"yo", *b"yor"), (*b"za", *b"zha"), (*b"zh", *b"zho"), (*b"zu", *b"zul"),
];

/// ISO 639-2: the twenty languages whose bibliographic code differs from the terminological one.
#[rustfmt::skip]
const BIBLIOGRAPHIC: [([u8; 3], [u8; 3]); 20] = [
    (*b"alb", *b"sqi"), (*b"arm", *b"hye"), (*b"baq", *b"eus"), (*b"bur", *b"mya"),
    (*b"chi", *b"zho"), (*b"cze", *b"ces"), (*b"dut", *b"nld"), (*b"fre", *b"fra"),
    (*b"geo", *b"kat"), (*b"ger", *b"deu"), (*b"gre", *b"ell"), (*b"ice", *b"isl"),
    (*b"mac", *b"mkd"), (*b"mao", *b"mri"), (*b"may", *b"msa"), (*b"per", *b"fas"),
    (*b"rum", *b"ron"), (*b"slo", *b"slk"), (*b"tib", *b"bod"), (*b"wel", *b"cym"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(tag: &str, code: &[u8; 3], extended: Option<&str>) {
        assert_eq!(PackedLanguage::of_tag(tag), PackedLanguage::pack(*code), "{tag}");
        assert_eq!(extended_tag(tag), extended, "{tag}");
    }

    #[test]
    fn tags_keep_what_fits() {
        check("en", b"eng", None);
        check("EN", b"eng", None);
        check("fra", b"fra", None);
        check("fre", b"fra", None);
        check("gsw", b"gsw", None);
        check("und", b"und", None);
        check("pt-BR", b"por", Some("pt-BR"));
        check("zh-Hant-TW", b"zho", Some("zh-Hant-TW"));
        check("xx", b"und", Some("xx"));
        check("x-klingon", b"und", Some("x-klingon"));
    }

    #[test]
    fn what_is_no_tag_is_undetermined() {
        for text in ["", "e", "deutsch!", "\u{e9}\u{e9}", "en_US\0", "{}`"] {
            check(text, b"und", None);
        }
    }

    #[test]
    fn english_packs_as_in_the_standard() {
        // 8.4.2.3: each letter minus 0x60, so that e, n, g are 5, 14, 7.
        assert_eq!(PackedLanguage::of_tag("en").bits(), 5 << 10 | 14 << 5 | 7);
        assert_eq!(PackedLanguage::of_tag("").bits(), 0x55c4);
    }

    #[test]
    fn tables_are_sorted_for_the_search() {
        assert!(ALPHA_2.is_sorted());
        assert!(BIBLIOGRAPHIC.is_sorted());
    }
}
