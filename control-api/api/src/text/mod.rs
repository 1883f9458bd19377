//! Texts with rules that several domains share: bounded, NFC (Unicode TR 15), without invisible
//! characters. A value of such a type has passed its rules; serde makes none without them.

mod email;
mod locale;
mod plain;

pub use email::Email;
pub use locale::{Country, Locale};
pub use plain::{DisplayName, LongText, Title};

use crate::field::Invalid;

/// serde and utoipa for a text type with `parse` and `as_str`.
macro_rules! text_type {
    ($name:ident, min $min:expr, max $max:expr, $format:expr, $about:literal, $example:literal) => {
        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }

            pub fn into_string(self) -> String {
                self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::field::Invalid;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::parse(text)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                let format: Option<&str> = $format;
                let mut schema = utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .min_length(Some($min))
                    .max_length(Some($max))
                    .description(Some($about))
                    .examples([$example]);
                if let Some(format) = format {
                    let custom = utoipa::openapi::schema::SchemaFormat::Custom(format.to_owned());
                    schema = schema.format(Some(custom));
                }
                schema.into()
            }
        }

        impl utoipa::ToSchema for $name {}
    };
}
pub(crate) use text_type;

/// Whether a character can't be seen and changes how others are shown: controls, and what reorders,
/// joins or hides text (Unicode TR 36 2.5). U+200C and U+200D are left, since Persian, Hindi and
/// emoji are written with them.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{00ad}' | '\u{061c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
        )
}

/// Counted as people do, roughly: code points after NFC.
fn check_length(text: &str, min: usize, max: usize) -> Result<(), Invalid> {
    match text.chars().count() {
        0 if 0 < min => Err(Invalid::new("empty", "Write something.")),
        count if count < min => {
            Err(Invalid::new("too_short", format!("At least {min} characters.")))
        }
        count if max < count => Err(Invalid::new("too_long", format!("At most {max} characters."))),
        _ => Ok(()),
    }
}
