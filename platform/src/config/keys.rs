//! Which keys there are, what kind of value each takes, and which one was probably meant.

use serde_json::{Map, Value};

use super::model::Config;
use super::tree::dotted;

/// Sections that are part of the product and not built yet.
const NOT_BUILT: &[&str] = &["database", "events", "state", "search"];

/// Keys, likewise.
const KEYS_NOT_BUILT: [&str; 1] = ["delivery.weight"];

/// The shape of a configuration, taken from one in which every key is set.
#[derive(Default)]
pub(super) struct Schema {
    root: Map<String, Value>,
}

/// A key or a text that a source may not set.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) key: String,
    pub(super) cause: String,
    pub(super) cure: String,
}

impl Schema {
    pub(super) fn new() -> Self {
        match serde_json::to_value(Config::example()) {
            Ok(Value::Object(root)) => Self { root },
            other => unreachable!("a configuration serialises to an object, not {other:?}"),
        }
    }

    /// The keys of `values` that are unknown or not built yet.
    pub(super) fn unknown_keys(&self, values: &Map<String, Value>) -> Vec<Refused> {
        let mut unknown = Vec::new();
        self.walk(&self.root, values, "", &mut unknown);
        unknown
    }

    fn walk(
        &self,
        known: &Map<String, Value>,
        values: &Map<String, Value>,
        prefix: &str,
        unknown: &mut Vec<Refused>,
    ) {
        for (key, value) in values {
            let path = dotted(prefix, key);
            match (known.get(key), value) {
                (None, _) => unknown.push(self.refuse(&path)),
                (Some(Value::Object(known)), Value::Object(values)) => {
                    self.walk(known, values, &path, unknown);
                }
                (Some(Value::Array(known)), Value::Array(entries)) => {
                    let Some(Value::Object(known)) = known.first() else { continue };
                    for (index, entry) in entries.iter().enumerate() {
                        if let Value::Object(values) = entry {
                            self.walk(known, values, &format!("{path}[{index}]"), unknown);
                        }
                    }
                }
                // Wrong kinds are found when the values are read into the configuration.
                _ => {}
            }
        }
    }

    /// Reads `text` as the kind of value that the dotted `key` takes.
    pub(super) fn read_text(&self, key: &str, text: &str) -> Result<Value, Refused> {
        let Some(known) = self.find(key) else { return Err(self.refuse(key)) };
        let refuse = |cause: String, cure: &str| {
            Err(Refused { key: key.to_owned(), cause, cure: cure.to_owned() })
        };
        match known {
            Value::String(_) => Ok(Value::String(text.to_owned())),
            Value::Bool(_) => match text {
                "true" | "1" => Ok(Value::Bool(true)),
                "false" | "0" => Ok(Value::Bool(false)),
                _ => refuse(format!("`{text}` is no boolean"), "write true or false"),
            },
            Value::Number(_) => match text.parse::<Value>() {
                Ok(Value::Number(number)) => Ok(Value::Number(number)),
                _ => refuse(format!("`{text}` is no number"), "write a number such as 6 or 0.5"),
            },
            Value::Array(list) if list.first().is_some_and(Value::is_object) => {
                refuse("is a list of tables".to_owned(), "set it in the configuration file")
            }
            Value::Array(_) => {
                let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
                Ok(entries.map(|entry| Value::String(entry.to_owned())).collect())
            }
            Value::Object(_) | Value::Null => {
                refuse("is a section, not a key".to_owned(), "name one of its keys")
            }
        }
    }

    fn find(&self, key: &str) -> Option<&Value> {
        let mut parts = key.split('.');
        let mut value = self.root.get(parts.next()?)?;
        for part in parts {
            value = value.as_object()?.get(part)?;
        }
        Some(value)
    }

    fn refuse(&self, key: &str) -> Refused {
        let section = key.split(['.', '[']).next().unwrap_or_default();
        if NOT_BUILT.contains(&section) {
            return Refused {
                key: key.to_owned(),
                cause: format!("`{section}` is not built yet"),
                cure: "remove it".to_owned(),
            };
        }
        let plain = without_positions(key);
        if KEYS_NOT_BUILT.contains(&plain.as_str()) {
            return Refused {
                key: key.to_owned(),
                cause: format!("`{plain}` is not built yet"),
                cure: "remove it".to_owned(),
            };
        }
        Refused {
            key: key.to_owned(),
            cause: "no such key".to_owned(),
            cure: format!("did you mean `{}`?", self.nearest(key)),
        }
    }

    /// The known key that resembles `key` most. List positions are left out of the comparison.
    fn nearest(&self, key: &str) -> String {
        let key = without_positions(key);
        let nearest = self
            .all_keys()
            .into_iter()
            .map(|known| (likeness(&key, &known), known))
            .max_by(|left, right| left.0.total_cmp(&right.0));
        nearest.map(|(_, known)| known).unwrap_or_default()
    }

    /// Every dotted key, sections included.
    pub(super) fn all_keys(&self) -> Vec<String> {
        let mut keys = Vec::new();
        collect_keys(&self.root, "", &mut keys);
        keys
    }
}

fn collect_keys(known: &Map<String, Value>, prefix: &str, keys: &mut Vec<String>) {
    for (key, value) in known {
        let path = dotted(prefix, key);
        let below = match value {
            Value::Array(list) => list.first().and_then(Value::as_object),
            value => value.as_object(),
        };
        if let Some(below) = below {
            collect_keys(below, &path, keys);
        }
        keys.push(path);
    }
}

/// How much `key` resembles `known`, from 0 to 2.
///
/// The last parts count as much as the whole, so that a right key in a wrong section finds its
/// section, and a misspelt key in a right section finds its neighbour.
fn likeness(key: &str, known: &str) -> f64 {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    strsim::normalized_damerau_levenshtein(key, known)
        + strsim::normalized_damerau_levenshtein(&last(key), &last(known))
}

/// `preset[3].name` as `preset.name`.
fn without_positions(key: &str) -> String {
    let mut plain = String::with_capacity(key.len());
    let mut inside = false;
    for character in key.chars() {
        match character {
            '[' => inside = true,
            ']' => inside = false,
            character if !inside => plain.push(character),
            _ => {}
        }
    }
    plain
}
