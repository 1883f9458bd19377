//! BCP 47 tags as the three letters of the ISO 639 descriptor (ISO/IEC 13818-1 2.6.18).

/// The ISO 639-2 code (its terminological form) of a tag's primary language; `None` when the tag
/// says nothing, or names a language that has no such code.
pub(super) fn iso_639_2(tag: &str) -> Option<[u8; 3]> {
    let primary = tag.split('-').next().unwrap_or_default().to_ascii_lowercase();
    match *primary.as_bytes() {
        [a, b] => {
            let at = TWO_LETTERS.binary_search_by_key(&[a, b], |(two, _)| **two).ok()?;
            Some(*TWO_LETTERS[at].1)
        }
        [b'u', b'n', b'd'] => None,
        [a, b, c] => [a, b, c].iter().all(u8::is_ascii_lowercase).then_some([a, b, c]),
        _ => None,
    }
}

/// ISO 639-1 codes in order, each with its ISO 639-2/T code.
#[rustfmt::skip]
const TWO_LETTERS: [(&[u8; 2], &[u8; 3]); 184] = [
    (b"aa", b"aar"), (b"ab", b"abk"), (b"ae", b"ave"), (b"af", b"afr"), (b"ak", b"aka"),
    (b"am", b"amh"), (b"an", b"arg"), (b"ar", b"ara"), (b"as", b"asm"), (b"av", b"ava"),
    (b"ay", b"aym"), (b"az", b"aze"), (b"ba", b"bak"), (b"be", b"bel"), (b"bg", b"bul"),
    (b"bh", b"bih"), (b"bi", b"bis"), (b"bm", b"bam"), (b"bn", b"ben"), (b"bo", b"bod"),
    (b"br", b"bre"), (b"bs", b"bos"), (b"ca", b"cat"), (b"ce", b"che"), (b"ch", b"cha"),
    (b"co", b"cos"), (b"cr", b"cre"), (b"cs", b"ces"), (b"cu", b"chu"), (b"cv", b"chv"),
    (b"cy", b"cym"), (b"da", b"dan"), (b"de", b"deu"), (b"dv", b"div"), (b"dz", b"dzo"),
    (b"ee", b"ewe"), (b"el", b"ell"), (b"en", b"eng"), (b"eo", b"epo"), (b"es", b"spa"),
    (b"et", b"est"), (b"eu", b"eus"), (b"fa", b"fas"), (b"ff", b"ful"), (b"fi", b"fin"),
    (b"fj", b"fij"), (b"fo", b"fao"), (b"fr", b"fra"), (b"fy", b"fry"), (b"ga", b"gle"),
    (b"gd", b"gla"), (b"gl", b"glg"), (b"gn", b"grn"), (b"gu", b"guj"), (b"gv", b"glv"),
    (b"ha", b"hau"), (b"he", b"heb"), (b"hi", b"hin"), (b"ho", b"hmo"), (b"hr", b"hrv"),
    (b"ht", b"hat"), (b"hu", b"hun"), (b"hy", b"hye"), (b"hz", b"her"), (b"ia", b"ina"),
    (b"id", b"ind"), (b"ie", b"ile"), (b"ig", b"ibo"), (b"ii", b"iii"), (b"ik", b"ipk"),
    (b"io", b"ido"), (b"is", b"isl"), (b"it", b"ita"), (b"iu", b"iku"), (b"ja", b"jpn"),
    (b"jv", b"jav"), (b"ka", b"kat"), (b"kg", b"kon"), (b"ki", b"kik"), (b"kj", b"kua"),
    (b"kk", b"kaz"), (b"kl", b"kal"), (b"km", b"khm"), (b"kn", b"kan"), (b"ko", b"kor"),
    (b"kr", b"kau"), (b"ks", b"kas"), (b"ku", b"kur"), (b"kv", b"kom"), (b"kw", b"cor"),
    (b"ky", b"kir"), (b"la", b"lat"), (b"lb", b"ltz"), (b"lg", b"lug"), (b"li", b"lim"),
    (b"ln", b"lin"), (b"lo", b"lao"), (b"lt", b"lit"), (b"lu", b"lub"), (b"lv", b"lav"),
    (b"mg", b"mlg"), (b"mh", b"mah"), (b"mi", b"mri"), (b"mk", b"mkd"), (b"ml", b"mal"),
    (b"mn", b"mon"), (b"mr", b"mar"), (b"ms", b"msa"), (b"mt", b"mlt"), (b"my", b"mya"),
    (b"na", b"nau"), (b"nb", b"nob"), (b"nd", b"nde"), (b"ne", b"nep"), (b"ng", b"ndo"),
    (b"nl", b"nld"), (b"nn", b"nno"), (b"no", b"nor"), (b"nr", b"nbl"), (b"nv", b"nav"),
    (b"ny", b"nya"), (b"oc", b"oci"), (b"oj", b"oji"), (b"om", b"orm"), (b"or", b"ori"),
    (b"os", b"oss"), (b"pa", b"pan"), (b"pi", b"pli"), (b"pl", b"pol"), (b"ps", b"pus"),
    (b"pt", b"por"), (b"qu", b"que"), (b"rm", b"roh"), (b"rn", b"run"), (b"ro", b"ron"),
    (b"ru", b"rus"), (b"rw", b"kin"), (b"sa", b"san"), (b"sc", b"srd"), (b"sd", b"snd"),
    (b"se", b"sme"), (b"sg", b"sag"), (b"si", b"sin"), (b"sk", b"slk"), (b"sl", b"slv"),
    (b"sm", b"smo"), (b"sn", b"sna"), (b"so", b"som"), (b"sq", b"sqi"), (b"sr", b"srp"),
    (b"ss", b"ssw"), (b"st", b"sot"), (b"su", b"sun"), (b"sv", b"swe"), (b"sw", b"swa"),
    (b"ta", b"tam"), (b"te", b"tel"), (b"tg", b"tgk"), (b"th", b"tha"), (b"ti", b"tir"),
    (b"tk", b"tuk"), (b"tl", b"tgl"), (b"tn", b"tsn"), (b"to", b"ton"), (b"tr", b"tur"),
    (b"ts", b"tso"), (b"tt", b"tat"), (b"tw", b"twi"), (b"ty", b"tah"), (b"ug", b"uig"),
    (b"uk", b"ukr"), (b"ur", b"urd"), (b"uz", b"uzb"), (b"ve", b"ven"), (b"vi", b"vie"),
    (b"vo", b"vol"), (b"wa", b"wln"), (b"wo", b"wol"), (b"xh", b"xho"), (b"yi", b"yid"),
    (b"yo", b"yor"), (b"za", b"zha"), (b"zh", b"zho"), (b"zu", b"zul"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_reduced_to_three_letters() {
        assert!(TWO_LETTERS.is_sorted());
        for (tag, expected) in [
            ("en", Some(b"eng")),
            ("de-CH", Some(b"deu")),
            ("EN-us", Some(b"eng")),
            ("gsw", Some(b"gsw")),
        ] {
            assert_eq!(iso_639_2(tag), expected.copied(), "{tag}");
        }
        for tag in ["und", "", "xx", "e1g", "english", "-", "\u{e9}a"] {
            assert_eq!(iso_639_2(tag), None, "{tag}");
        }
    }
}
