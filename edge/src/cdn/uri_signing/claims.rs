//! The claims of a URI Signing token (RFC 9246 2.1), in the order in which they were written.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::Value;

use super::super::refusal::Refusal;

/// Claims in one token.
const CLAIMS_MAX: usize = 64;
/// The claims that are acted upon; `cdnicrit` may list no others.
const UNDERSTOOD: [&str; 14] = [
    "iss", "sub", "aud", "exp", "nbf", "iat", "jti", "cdniv", "cdnicrit", "cdniip", "cdniuc",
    "cdniets", "cdnistt", "cdnistd",
];

/// A JSON object whose members keep their order, so that a renewed token differs in `exp` alone.
/// A member that stands twice could be read in two ways, so it is an error.
#[derive(Clone, Debug, Default)]
pub(super) struct Claims(pub(super) Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Claims;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Claims, A::Error> {
                let mut claims: Vec<(String, Value)> = Vec::new();
                while let Some((name, value)) = map.next_entry()? {
                    if claims.len() == CLAIMS_MAX || claims.iter().any(|(known, _)| *known == name)
                    {
                        return Err(A::Error::custom("too many members, or one twice"));
                    }
                    claims.push((name, value));
                }
                Ok(Claims(claims))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

impl Claims {
    pub(super) fn parse(payload: &[u8]) -> Result<Self, Refusal> {
        serde_json::from_slice(payload)
            .map_err(|_| Refusal::malformed("the JWT", "has claims that can't be read"))
    }

    pub(super) fn to_json(&self) -> String {
        let member =
            |(name, value): &(String, Value)| format!("{}:{value}", Value::from(name.as_str()));
        format!("{{{}}}", self.0.iter().map(member).collect::<Vec<_>>().join(","))
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    pub(super) fn text(&self, name: &'static str) -> Result<Option<&str>, Refusal> {
        let text = |value: &'_ Value| value.as_str().is_some();
        match self.get(name) {
            Some(value) if !text(value) => Err(Refusal::malformed(name, "is no text")),
            value => Ok(value.and_then(Value::as_str)),
        }
    }

    /// A number that is not negative. `NumericDate` may have a fraction (RFC 7519 2); it is dropped.
    pub(super) fn number(&self, name: &'static str) -> Result<Option<u64>, Refusal> {
        // Far in the future, and exact in a double.
        const MAX: f64 = 1e12;
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let fraction = value.as_f64().filter(|number| (0.0..=MAX).contains(number));
        let number = value.as_u64().or_else(|| fraction.map(|number| number as u64));
        let number = number.filter(|&number| number <= MAX as u64);
        number.map(Some).ok_or_else(|| Refusal::malformed(name, "is no number in range"))
    }

    /// Whether `aud`, a text or a list of them, names us (RFC 7519 4.1.3).
    pub(super) fn is_for(&self, audience: Option<&str>) -> Result<bool, Refusal> {
        match (self.get("aud"), audience) {
            (None, _) => Ok(true),
            (Some(Value::String(_) | Value::Array(_)), None) => Ok(false),
            (Some(Value::String(text)), Some(audience)) => Ok(text == audience),
            (Some(Value::Array(list)), Some(audience)) => {
                Ok(list.iter().any(|one| one == audience))
            }
            _ => Err(Refusal::malformed("aud", "is no text and no list")),
        }
    }

    /// RFC 9246 2.1.8 and 2.1.9: one version, and no critical claim that is not understood.
    pub(super) fn check_version(&self) -> Result<(), Refusal> {
        if !matches!(self.number("cdniv")?, None | Some(1)) {
            return Err(Refusal::Unsupported("cdniv".to_owned()));
        }
        let critical = self.text("cdnicrit")?.into_iter().flat_map(|list| list.split(','));
        for name in critical.map(str::trim) {
            if !UNDERSTOOD.contains(&name) {
                return Err(Refusal::Unsupported(name.chars().take(64).collect()));
            }
        }
        Ok(())
    }

    pub(super) fn set(&mut self, name: &str, value: Value) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }
}
