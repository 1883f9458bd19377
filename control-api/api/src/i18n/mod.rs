//! What is said to people, in their language: Project Fluent messages, embedded.
//!
//! * [`LOCALES`] lists what may be chosen; [`negotiate`] chooses, from `Accept-Language` (RFC 9110
//!   12.5.4) or the locale of a profile; [`chain`] says where a missing message is looked for next.
//! * [`Catalogue`] holds the messages: those of this crate (`control-api/api/locales`) and those
//!   that domains add. A message that a locale of the chain lacks is counted.
//! * Plurals are chosen by `PLURAL($count)`, with the rules of CLDR in `icu_plurals`. Fluent's own
//!   selection by number uses rules of 2020, which lack `many` in French, Spanish, Italian and
//!   Portuguese.
//!
//! # Bidirectional text
//!
//! Every value in a sentence stands between U+2068 and U+2069 (Unicode TR 9 2.4), in all locales: an
//! Arabic name would reorder an English sentence as an English one does an Arabic sentence. These
//! characters get into the clipboard with what they enclose, so whatever people copy or programs
//! read (links, codes) is never a value of a message; it stands on a line of its own.

mod catalogue;
mod locales;
mod negotiate;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderValue, header};

pub use catalogue::{Catalogue, Domain, Value};
pub use locales::LOCALES;
pub use negotiate::{chain, negotiate, negotiate_header};

use crate::{ApiError, context};

/// The language of an answer: a locale of [`LOCALES`] with the messages.
#[derive(Clone, Debug)]
pub struct Language {
    locale: &'static str,
    catalogue: Arc<Catalogue>,
}

impl Language {
    /// The language of a profile, a mail, a device. A tag that isn't known leads to the nearest.
    pub fn new(catalogue: Arc<Catalogue>, wanted: &str) -> Self {
        Self { locale: negotiate([wanted]), catalogue }
    }

    pub fn locale(&self) -> &'static str {
        self.locale
    }

    /// A message with its values. A message that nobody has is its own name, and is counted.
    pub fn text(&self, message: &str, values: &[(&str, Value<'_>)]) -> String {
        self.catalogue.text(self.locale, message, values)
    }

    /// `Content-Language`.
    pub fn header(&self) -> HeaderValue {
        HeaderValue::from_static(self.locale)
    }
}

/// From `Accept-Language`, with the `Arc<Catalogue>` of the request's extensions.
impl<S: Sync> FromRequestParts<S> for Language {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let catalogue = context::of::<Arc<Catalogue>>(&parts.extensions)?.clone();
        let wanted = parts.headers.get(header::ACCEPT_LANGUAGE);
        let wanted = wanted.and_then(|value| value.to_str().ok()).unwrap_or_default();
        Ok(Self { locale: negotiate_header(wanted), catalogue })
    }
}
