//! The shape of a JSON text, before any type reads it: depth, count, and no key twice.
//!
//! RFC 8259 4 leaves open what two equal keys mean. A proxy or a log may take the first one and we
//! the last, so they are refused, wherever they are.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Deepest nesting of objects and arrays.
pub const DEPTH_MAX: usize = 16;
/// Most values of a document, those of containers and keys included.
pub const VALUES_MAX: usize = 20_000;

/// # Errors
/// Says what is wrong and where, when the text is no JSON or breaks a bound.
pub fn check_shape(text: &[u8]) -> Result<(), serde_json::Error> {
    let mut left = VALUES_MAX;
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    Shape { depth: 0, left: &mut left }.deserialize(&mut deserializer)?;
    deserializer.end()
}

struct Shape<'a> {
    depth: usize,
    left: &'a mut usize,
}

impl Shape<'_> {
    fn count<E: Error>(&mut self) -> Result<(), E> {
        let counted = self.left.checked_sub(1);
        *self.left = counted.ok_or_else(|| E::custom(format!("more than {VALUES_MAX} values")))?;
        Ok(())
    }

    fn inner<E: Error>(&mut self) -> Result<Shape<'_>, E> {
        if self.depth == DEPTH_MAX {
            return Err(E::custom(format!("nested deeper than {DEPTH_MAX}")));
        }
        Ok(Shape { depth: self.depth + 1, left: self.left })
    }
}

impl<'de> DeserializeSeed<'de> for Shape<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(mut self, deserializer: D) -> Result<(), D::Error> {
        self.count()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Shape<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        let mut inner = self.inner()?;
        while items.next_element_seed(Shape { depth: inner.depth, left: inner.left })?.is_some() {
            inner = Shape { depth: inner.depth, left: inner.left };
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<(), A::Error> {
        let inner = self.inner()?;
        let mut keys = HashSet::new();
        while let Some(key) = entries.next_key::<String>()? {
            if keys.contains(&key) {
                let start: String = key.chars().take(40).collect();
                return Err(A::Error::custom(format!("the key {start:?} stands twice")));
            }
            keys.insert(key);
            entries.next_value_seed(Shape { depth: inner.depth, left: inner.left })?;
        }
        Ok(())
    }
}
