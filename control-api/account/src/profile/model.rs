//! What a profile may be, without a database.

use serde_json::{Map, Value};

/// Characters of a name.
pub const NAME_CHARS_MAX: usize = 40;
/// Bytes of all preferences as JSON.
pub const PREFERENCES_BYTES_MAX: usize = 4 * 1024;
const PREFERENCES_DEPTH_MAX: usize = 4;
const WORD_BYTES_MAX: usize = 32;

/// What is wrong with which part; the pointer is that of the request's body.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{pointer}`: {detail}")]
pub struct ProfileError {
    pub pointer: &'static str,
    pub detail: &'static str,
}

/// A member of a change: left as it is, taken away, or set.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Change<T> {
    #[default]
    Keep,
    Clear,
    Set(T),
}

impl<T> Change<T> {
    pub fn apply(self, held: Option<T>) -> Option<T> {
        match self {
            Self::Keep => held,
            Self::Clear => None,
            Self::Set(value) => Some(value),
        }
    }
}

/// What somebody wants a profile to be.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Wish {
    pub name: Option<String>,
    pub avatar: Change<String>,
    pub is_kids: Option<bool>,
    /// A class of the tenant's rating system, such as `PG-13`.
    pub rating_max: Change<String>,
    /// BCP 47.
    pub language: Change<String>,
    /// Four to eight digits.
    pub pin: Change<String>,
}

impl Wish {
    /// # Errors
    /// The first part that can't be.
    pub fn check(&self) -> Result<(), ProfileError> {
        let fail = |pointer, detail| Err(ProfileError { pointer, detail });
        if let Some(name) = &self.name {
            let is_name = (1..=NAME_CHARS_MAX).contains(&name.chars().count())
                && name.trim() == name
                && !name.chars().any(char::is_control);
            if !is_name {
                return fail("/name", "Take 1 to 40 characters, without blanks around them.");
            }
        }
        for (pointer, word) in [("/avatar", &self.avatar), ("/rating_max", &self.rating_max)] {
            if let Change::Set(word) = word
                && !is_word(word)
            {
                return fail(pointer, "Take 1 to 32 letters, digits and `-_.+`.");
            }
        }
        if let Change::Set(pin) = &self.pin {
            let is_pin = (4..=8).contains(&pin.len()) && pin.bytes().all(|b| b.is_ascii_digit());
            if !is_pin {
                return fail("/pin", "Take 4 to 8 digits.");
            }
        }
        Ok(())
    }
}

fn is_word(word: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.+".contains(&byte);
    (1..=WORD_BYTES_MAX).contains(&word.len()) && word.bytes().all(is_plain)
}

/// What a client keeps with a profile: an object that we don't read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Preferences(Map<String, Value>);

impl Preferences {
    /// As kept; what can't be read is empty.
    pub(crate) fn kept(text: &str) -> Self {
        Self(serde_json::from_str(text).unwrap_or_default())
    }

    pub(crate) fn text(&self) -> String {
        Value::Object(self.0.clone()).to_string()
    }

    pub fn into_value(self) -> Value {
        Value::Object(self.0)
    }

    /// Applies a merge patch (RFC 7396).
    ///
    /// # Errors
    /// When the outcome would be too large or too deep, or the patch is no object.
    pub fn patched(self, patch: &Value) -> Result<Self, ProfileError> {
        let fail = |detail| Err(ProfileError { pointer: "", detail });
        if !patch.is_object() {
            return fail("A merge patch of preferences is an object.");
        }
        if depth(patch) > PREFERENCES_DEPTH_MAX {
            return fail("Preferences are nested at most four deep.");
        }
        let mut value = Value::Object(self.0);
        merge(&mut value, patch);
        if value.to_string().len() > PREFERENCES_BYTES_MAX {
            return fail("Preferences take at most 4 KiB.");
        }
        match value {
            Value::Object(members) => Ok(Self(members)),
            _ => fail("A merge patch of preferences is an object."),
        }
    }
}

/// RFC 7396 2. Recursion is bounded by the patch's depth, which is checked first.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else { return };
    for (name, value) in patch {
        if value.is_null() {
            target.remove(name);
        } else {
            merge(target.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// RFC 7396 appendix A, those cases whose target and outcome are objects.
    #[test]
    fn merge_patches_of_the_rfc() {
        for (target, patch, outcome) in [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
            (json!({"a":"b"}), json!({"a":null}), json!({})),
            (json!({"a":"b","b":"c"}), json!({"a":null}), json!({"b":"c"})),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"c"}), json!({"a":["b"]}), json!({"a":["b"]})),
            (json!({"a":{"b":"c"}}), json!({"a":{"b":"d","c":null}}), json!({"a":{"b":"d"}})),
            (json!({"a":[{"b":"c"}]}), json!({"a":[1]}), json!({"a":[1]})),
            (json!({"e":null}), json!({"a":1}), json!({"e":null,"a":1})),
            (json!({}), json!({"a":{"bb":{"ccc":null}}}), json!({"a":{"bb":{}}})),
        ] {
            let held = Preferences::kept(&target.to_string());
            assert_eq!(held.patched(&patch).unwrap().into_value(), outcome, "{target} {patch}");
        }
        assert!(Preferences::default().patched(&json!(["c"])).is_err());
        assert!(Preferences::default().patched(&json!({"a":"x".repeat(4_096)})).is_err());
        assert!(Preferences::default().patched(&json!({"a":{"b":{"c":{"d":{}}}}})).is_err());
    }

    #[test]
    fn wishes_are_checked() {
        let wish = |name: &str, pin: &str| Wish {
            name: Some(name.to_owned()),
            pin: Change::Set(pin.to_owned()),
            ..Wish::default()
        };
        assert_eq!(wish("Ann", "1234").check(), Ok(()));
        for (name, pin, pointer) in [
            ("", "1234", "/name"),
            (" Ann", "1234", "/name"),
            ("Ann", "123", "/pin"),
            ("Ann", "12a4", "/pin"),
        ] {
            assert_eq!(wish(name, pin).check().map_err(|error| error.pointer), Err(pointer));
        }
    }

    proptest! {
        /// Patching twice with one patch is the same as once.
        #[test]
        fn patches_are_idempotent(key in "[a-c]", other in "[a-c]", number in any::<i32>()) {
            let patch = json!({ key: number, other: null });
            let once = Preferences::kept(r#"{"a":{"b":1},"b":2}"#).patched(&patch).unwrap();
            prop_assert_eq!(once.clone().patched(&patch).unwrap(), once);
        }
    }
}
