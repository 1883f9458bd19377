//! The locales that may be chosen, and their parents.

/// Sorted. A locale without messages of its own is served by its chain, in the end in English, and
/// takes its own as soon as a domain has them.
pub const LOCALES: [&str; 56] = [
    "ar", "bg", "bn", "ca", "cs", "da", "de", "el", "en", "en-GB", "es", "es-419", "et", "eu",
    "fa", "fi", "fil", "fr", "fr-CA", "gl", "gu", "he", "hi", "hr", "hu", "hy", "id", "is", "it",
    "ja", "ka", "kk", "ko", "lt", "lv", "mk", "mr", "ms", "nb", "nl", "pl", "pt-BR", "pt-PT", "ro",
    "ru", "sk", "sl", "sr", "sv", "ta", "th", "tr", "uk", "vi", "zh-Hans", "zh-Hant",
];

/// Where the last message is found.
pub(super) const LAST: &str = "en";

/// What is asked for under another name: macrolanguages, withdrawn codes, and what a bare language
/// or a region most likely means (CLDR likelySubtags). The longest match in front counts.
pub(super) const ALIASES: [(&str, &str); 22] = [
    ("zh-TW", "zh-Hant"),
    ("zh-HK", "zh-Hant"),
    ("zh-MO", "zh-Hant"),
    ("zh", "zh-Hans"),
    ("pt-AO", "pt-PT"),
    ("pt-MZ", "pt-PT"),
    ("pt-CV", "pt-PT"),
    ("pt-GW", "pt-PT"),
    ("pt-ST", "pt-PT"),
    ("pt-TL", "pt-PT"),
    ("pt", "pt-BR"),
    ("no", "nb"),
    ("nn", "nb"),
    ("iw", "he"),
    ("in", "id"),
    ("tl", "fil"),
    ("sh", "sr"),
    ("bs", "hr"),
    ("en-AU", "en-GB"),
    ("en-NZ", "en-GB"),
    ("en-IE", "en-GB"),
    ("en-IN", "en-GB"),
];

/// Regions whose Spanish is that of Latin America (CLDR parentLocales, `es-419`).
pub(super) const LATIN_AMERICA: &str =
    "AR BO BR BZ CL CO CR CU DO EC GT HN MX NI PA PE PR PY SV US UY VE";

/// Parents that aren't found by leaving out the last part (CLDR parentLocales, and what people who
/// read the one mostly read, too).
pub(super) const PARENTS: [(&str, &str); 4] =
    [("pt-PT", "pt-BR"), ("ca", "es"), ("gl", "es"), ("eu", "es")];
