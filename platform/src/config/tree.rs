//! A configuration file as a tree of values, and where each key stands in it.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Deepest nesting that is read. The configuration itself needs four levels.
const DEPTH_MAX: usize = 16;

/// Values by section and key, and the line of each dotted key, counted from 1.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub(super) values: Map<String, Value>,
    pub(super) lines: BTreeMap<String, u64>,
}

/// Why a file could not be read as a tree.
#[derive(Debug)]
pub(super) struct TreeError {
    pub(super) line: Option<u64>,
    pub(super) reason: String,
}

impl Tree {
    pub(super) fn parse_toml(text: &str) -> Result<Self, TreeError> {
        let table = DeTable::parse(text).map_err(|error| TreeError {
            line: error.span().map(|span| line_of(text, span.start)),
            reason: error.message().to_owned(),
        })?;
        let mut tree = Self::default();
        let mut reader = TomlReader { text, lines: &mut tree.lines };
        tree.values = reader.table(table.get_ref(), "", 0)?;
        Ok(tree)
    }

    pub(super) fn parse_yaml(text: &str) -> Result<Self, TreeError> {
        // An empty document is null, which sets nothing.
        let node: Option<serde_saphyr::Spanned<YamlNode>> =
            serde_saphyr::from_str(text).map_err(|error| TreeError {
                line: error.location().map(|location| location.line()),
                reason: first_line(&error.to_string()),
            })?;
        let mut tree = Self::default();
        let Some(node) = node else { return Ok(tree) };
        match yaml_value(node, "", 0, &mut tree.lines)? {
            Value::Object(values) => tree.values = values,
            Value::Null => {}
            _ => {
                let reason = "the document is no mapping of sections".to_owned();
                return Err(TreeError { line: Some(1), reason });
            }
        }
        Ok(tree)
    }
}

/// `section.key`, or `key` at the top.
pub(super) fn dotted(prefix: &str, key: &str) -> String {
    if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") }
}

fn line_of(text: &str, offset_bytes: usize) -> u64 {
    let before = text.as_bytes().get(..offset_bytes).unwrap_or(text.as_bytes());
    1 + before.iter().filter(|byte| **byte == b'\n').count() as u64
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

struct TomlReader<'a> {
    text: &'a str,
    lines: &'a mut BTreeMap<String, u64>,
}

impl TomlReader<'_> {
    fn table(
        &mut self,
        table: &DeTable<'_>,
        prefix: &str,
        depth: usize,
    ) -> Result<Map<String, Value>, TreeError> {
        let mut values = Map::new();
        for (key, value) in table {
            let path = dotted(prefix, key.get_ref());
            let line = line_of(self.text, key.span().start);
            self.lines.insert(path.clone(), line);
            let value = self.value(value, &path, depth + 1)?;
            values.insert(key.get_ref().to_string(), value);
        }
        Ok(values)
    }

    fn value(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        path: &str,
        depth: usize,
    ) -> Result<Value, TreeError> {
        let fail = |reason: &str| TreeError {
            line: Some(line_of(self.text, value.span().start)),
            reason: format!("`{path}` {reason}"),
        };
        if DEPTH_MAX < depth {
            return Err(fail("is nested too deeply"));
        }
        Ok(match value.get_ref() {
            DeValue::String(text) => Value::String(text.to_string()),
            DeValue::Integer(number) => {
                let number = i64::from_str_radix(number.as_str(), number.radix());
                Value::from(number.map_err(|_| fail("exceeds 64 bits"))?)
            }
            DeValue::Float(number) => {
                let number: f64 = number.as_str().parse().map_err(|_| fail("is no number"))?;
                serde_json::Number::from_f64(number).ok_or_else(|| fail("is not finite"))?.into()
            }
            DeValue::Boolean(boolean) => Value::Bool(*boolean),
            DeValue::Datetime(date) => Value::String(date.to_string()),
            DeValue::Table(table) => Value::Object(self.table(table, path, depth)?),
            DeValue::Array(array) => {
                let mut values = Vec::new();
                for (index, value) in array.iter().enumerate() {
                    values.push(self.value(value, &format!("{path}[{index}]"), depth + 1)?);
                }
                Value::Array(values)
            }
        })
    }
}

/// A YAML value that remembers where its parts stand.
enum YamlNode {
    Scalar(Value),
    List(Vec<serde_saphyr::Spanned<Self>>),
    Mapping(Vec<(serde_saphyr::Spanned<String>, serde_saphyr::Spanned<Self>)>),
}

impl<'de> Deserialize<'de> for YamlNode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NodeVisitor;

        impl<'de> Visitor<'de> for NodeVisitor {
            type Value = YamlNode;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a mapping, a list, text, a number or a boolean")
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<YamlNode, E> {
                Ok(YamlNode::Scalar(Value::Bool(value)))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<YamlNode, E> {
                Ok(YamlNode::Scalar(Value::from(value)))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<YamlNode, E> {
                Ok(YamlNode::Scalar(Value::from(value)))
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<YamlNode, E> {
                let number = serde_json::Number::from_f64(value);
                let number = number.ok_or_else(|| E::custom("the number is not finite"))?;
                Ok(YamlNode::Scalar(number.into()))
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<YamlNode, E> {
                Ok(YamlNode::Scalar(Value::String(value.to_owned())))
            }

            fn visit_unit<E: de::Error>(self) -> Result<YamlNode, E> {
                Ok(YamlNode::Scalar(Value::Null))
            }

            fn visit_none<E: de::Error>(self) -> Result<YamlNode, E> {
                Ok(YamlNode::Scalar(Value::Null))
            }

            fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<YamlNode, D::Error> {
                YamlNode::deserialize(inner)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<YamlNode, A::Error> {
                let mut nodes = Vec::new();
                while let Some(node) = list.next_element()? {
                    nodes.push(node);
                }
                Ok(YamlNode::List(nodes))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut mapping: A) -> Result<YamlNode, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = mapping.next_entry()? {
                    entries.push(entry);
                }
                Ok(YamlNode::Mapping(entries))
            }
        }

        deserializer.deserialize_any(NodeVisitor)
    }
}

fn yaml_value(
    node: serde_saphyr::Spanned<YamlNode>,
    path: &str,
    depth: usize,
    lines: &mut BTreeMap<String, u64>,
) -> Result<Value, TreeError> {
    let line = node.referenced.line();
    if DEPTH_MAX < depth {
        let reason = format!("`{path}` is nested too deeply");
        return Err(TreeError { line: Some(line), reason });
    }
    match node.value {
        YamlNode::Scalar(value) => Ok(value),
        YamlNode::List(nodes) => {
            let mut values = Vec::with_capacity(nodes.len());
            for (index, node) in nodes.into_iter().enumerate() {
                values.push(yaml_value(node, &format!("{path}[{index}]"), depth + 1, lines)?);
            }
            Ok(Value::Array(values))
        }
        YamlNode::Mapping(entries) => {
            let mut values = Map::new();
            for (key, node) in entries {
                let path = dotted(path, &key.value);
                if lines.insert(path.clone(), key.referenced.line()).is_some() {
                    let reason = format!("`{path}` is set twice");
                    return Err(TreeError { line: Some(key.referenced.line()), reason });
                }
                let value = yaml_value(node, &path, depth + 1, lines)?;
                // A section without keys is null and sets nothing.
                if !value.is_null() {
                    values.insert(key.value, value);
                }
            }
            Ok(Value::Object(values))
        }
    }
}
