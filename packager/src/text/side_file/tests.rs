use proptest::prelude::*;

use super::*;

/// `language forced sdh default`, with `-` for no.
#[track_caller]
fn check_name(name: &str, stem: Option<&str>, expected: &str) {
    let file = parse_side_file_name(name, stem);
    let mut words = vec![file.language.as_deref().unwrap_or("-")];
    words.extend(file.is_forced.then_some("forced"));
    words.extend(file.is_hearing_impaired.then_some("sdh"));
    words.extend(file.is_default.then_some("default"));
    assert_eq!(words.join(" "), expected, "{name}");
}

#[test]
fn side_files_tell_their_language() {
    check_name("movie.en.vtt", None, "en");
    check_name("/a/b.fr/movie.pt-BR.forced.srt", None, "pt-BR forced");
    check_name("movie.de.sdh.vtt", None, "de sdh");
    check_name("movie.sdh.ger.default.vtt", None, "de sdh default");
    check_name("movie.German.srt", None, "de");
    check_name("movie.español.srt", None, "es");
    check_name("movie.zh_Hant.cc.srt", None, "zh-Hant sdh");
    check_name("movie.fil.srt", None, "fil");
    check_name("movie.hi.srt", None, "hi");
    check_name("movie.en.hi.srt", None, "en sdh");
    check_name("movie.hi.hi.srt", None, "hi sdh");
    check_name("movie.hi.en.srt", None, "en sdh");
    check_name("movie.2019.1080p.web.en.srt", None, "en");
    check_name("movie.en.1080p.srt", None, "-");
    check_name("the.end.srt", None, "-");
    check_name("movie.srt", None, "-");
    check_name("en.srt", None, "-");
    check_name("movie", None, "-");
    check_name("", None, "-");
}

#[test]
fn the_media_files_own_name_says_nothing() {
    check_name("Dr.No.srt", None, "no");
    check_name("Dr.No.srt", Some("Dr.No"), "-");
    check_name("Dr.No.en.srt", Some("Dr.No"), "en");
    check_name("Dr.No.en.srt", Some("Other"), "en");
}

proptest! {
    #[test]
    fn any_name_is_read(any in ".{0,40}", stem in ".{0,10}") {
        parse_side_file_name(&any, Some(&stem));
    }
}
