//! The effective configuration as TOML, with secrets redacted and the origin of each value.

use std::fmt::Write;

use serde_json::{Map, Value};

use super::tree::dotted;
use super::{Loaded, Origin};

/// Column at which origins begin, where the value leaves room.
const ORIGIN_COLUMN: usize = 48;

impl Loaded {
    /// The configuration as a TOML file that says where each value comes from.
    pub fn print(&self) -> String {
        let mut text = String::new();
        self.print_section(&self.as_object(), "", &mut text);
        text
    }

    /// The configuration as JSON, secrets redacted: what `/config` answers.
    pub fn to_json(&self) -> Value {
        Value::Object(self.as_object())
    }

    fn as_object(&self) -> Map<String, Value> {
        match serde_json::to_value(&self.config) {
            Ok(Value::Object(values)) => values,
            other => unreachable!("a configuration serialises to an object, not {other:?}"),
        }
    }

    /// Writes plain keys first and sections after them, as TOML demands.
    fn print_section(&self, section: &Map<String, Value>, path: &str, text: &mut String) {
        let is_plain = |value: &&Value| !value.is_object() && !is_table_list(value);
        if !path.is_empty() && section.values().any(|value| is_plain(&value)) {
            push_line(text, &format!("\n[{path}]"));
        }
        for (key, value) in section.iter().filter(|(_, value)| is_plain(value)) {
            self.print_key(&dotted(path, key), key, value, text);
        }
        for (key, value) in section {
            let path = dotted(path, key);
            match value {
                Value::Object(section) => self.print_section(section, &path, text),
                Value::Array(entries) if is_table_list(value) => {
                    for (index, entry) in entries.iter().filter_map(Value::as_object).enumerate() {
                        push_line(text, &format!("\n[[{path}]]"));
                        for (key, value) in entry {
                            self.print_key(&format!("{path}[{index}].{key}"), key, value, text);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn print_key(&self, path: &str, key: &str, value: &Value, text: &mut String) {
        let line = match value {
            Value::Null => format!("# {key} is unset"),
            value => format!("{key} = {}", toml_value(value)),
        };
        match self.origin(path) {
            Origin::Default => push_line(text, &line),
            origin => push_line(text, &format!("{line:ORIGIN_COLUMN$} # {origin}")),
        }
    }
}

fn is_table_list(value: &Value) -> bool {
    value.as_array().and_then(|list| list.first()).is_some_and(Value::is_object)
}

/// A plain value in TOML's notation, which for text is a basic string.
fn toml_value(value: &Value) -> String {
    match value {
        Value::String(text) => toml::Value::String(text.clone()).to_string(),
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(toml_value).collect();
            format!("[{}]", values.join(", "))
        }
        value => value.to_string(),
    }
}

fn push_line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("writing to a string can't fail");
}
