//! Languages and countries.

use unic_langid::LanguageIdentifier;

use super::text_type;
use crate::field::Invalid;

/// A language tag (BCP 47: language, script, region, variants) in canonical case: `pt-BR`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Locale(String);

impl Locale {
    /// # Errors
    /// `invalid_locale`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let invalid =
            || Invalid::new("invalid_locale", "Take a language tag such as `en` or `pt-BR`.");
        if 35 < text.len() || !text.is_ascii() {
            return Err(invalid());
        }
        let tag: LanguageIdentifier = text.parse().map_err(|_| invalid())?;
        if tag.language.is_empty() {
            return Err(invalid());
        }
        Ok(Self(tag.to_string()))
    }

    /// The tag in parts.
    pub fn tag(&self) -> LanguageIdentifier {
        self.0.parse().expect("`parse` took it")
    }
}

text_type!(Locale, min 2, max 35, Some("bcp47"), "A BCP 47 language tag.", "pt-BR");

/// A country or territory (ISO 3166-1 alpha-2), in capitals.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Country(String);

impl Country {
    /// # Errors
    /// `invalid_country`, also for letters that are no country's.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let code = text.to_ascii_uppercase();
        let is_code = code.len() == 2 && COUNTRIES.split(' ').any(|known| known == code);
        if is_code {
            Ok(Self(code))
        } else {
            Err(Invalid::new("invalid_country", "Take a code of two letters such as `DE`."))
        }
    }
}

text_type!(Country, min 2, max 2, Some("iso-3166-1-alpha-2"), "A country, ISO 3166-1.", "DE");

/// The officially assigned codes of ISO 3166-1, and XK, which the European Commission and CLDR use.
const COUNTRIES: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ \
BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ \
DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT \
GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY \
KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX \
MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS \
RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN \
TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_written_in_one_way() {
        let check = |text, expected: Result<&str, &str>| {
            let parsed = Locale::parse(text).map(Locale::into_string);
            assert_eq!(parsed.as_deref().map_err(|invalid| invalid.code), expected, "{text}");
        };
        check("PT-br", Ok("pt-BR"));
        check("zh_hans", Ok("zh-Hans"));
        check("sr-Latn-RS", Ok("sr-Latn-RS"));
        for bad in
            ["", "x", "und", "english-language", "de-", "é", "de-DE-de-de-de-de-de-de-de-de-de-de"]
        {
            check(bad, Err("invalid_locale"));
        }
    }

    #[test]
    fn countries_are_assigned() {
        assert_eq!(Country::parse("de").unwrap().as_str(), "DE");
        assert_eq!(COUNTRIES.split(' ').count(), 250);
        for bad in ["", "D", "DEU", "ZZ", "UK", "D ", "é"] {
            assert_eq!(Country::parse(bad).unwrap_err().code, "invalid_country", "{bad}");
        }
    }
}
