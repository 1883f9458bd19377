//! Values that go into statements, and rows that come out of them.

use std::borrow::Cow;

use super::error::DbError;
use super::tenant::TenantId;

/// What a column holds. The five types of the migrations, and none.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Boolean(bool),
    Integer(i64),
    Real(f64),
    Text(String),
    Bytes(Vec<u8>),
}

impl Value {
    fn kind(&self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Boolean(_) => "a boolean",
            Self::Integer(_) => "an integer",
            Self::Real(_) => "a real number",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
        }
    }
}

/// What can be bound to a parameter of a statement.
pub trait Param {
    fn into_value(self) -> Value;
}

/// The parameters of a statement, in order: `params![email, now_ms]`.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        ::std::vec![$($crate::db::Param::into_value($value)),*]
    };
}

macro_rules! param {
    ($($kind:ty: $from:ident => $value:expr;)*) => {
        $(impl Param for $kind {
            fn into_value(self) -> Value {
                let $from = self;
                $value
            }
        })*
    };
}

param! {
    Value: value => value;
    &Value: value => value.clone();
    bool: flag => Value::Boolean(flag);
    &bool: flag => Value::Boolean(*flag);
    i64: number => Value::Integer(number);
    &i64: number => Value::Integer(*number);
    i32: number => Value::Integer(number.into());
    i16: number => Value::Integer(number.into());
    u32: number => Value::Integer(number.into());
    &u32: number => Value::Integer((*number).into());
    u16: number => Value::Integer(number.into());
    u8: number => Value::Integer(number.into());
    f64: number => Value::Real(number);
    &f64: number => Value::Real(*number);
    String: text => Value::Text(text);
    &String: text => Value::Text(text.clone());
    &&String: text => Value::Text((*text).clone());
    &str: text => Value::Text(text.to_owned());
    &&str: text => Value::Text((*text).to_owned());
    Cow<'_, str>: text => Value::Text(text.into_owned());
    &Box<str>: text => Value::Text(text.to_string());
    Vec<u8>: bytes => Value::Bytes(bytes);
    &Vec<u8>: bytes => Value::Bytes(bytes.clone());
    &[u8]: bytes => Value::Bytes(bytes.to_vec());
    &TenantId: id => Value::Text(id.as_str().to_owned());
    TenantId: id => Value::Text(id.as_str().to_owned());
    serde_json::Value: json => Value::Text(json.to_string());
    &serde_json::Value: json => Value::Text(json.to_string());
    uuid::Uuid: id => Value::Text(id.to_string());
    &uuid::Uuid: id => Value::Text(id.to_string());
}

impl<const N: usize> Param for [u8; N] {
    fn into_value(self) -> Value {
        Value::Bytes(self.to_vec())
    }
}

impl<const N: usize> Param for &[u8; N] {
    fn into_value(self) -> Value {
        Value::Bytes(self.to_vec())
    }
}

impl<T: Param> Param for Option<T> {
    fn into_value(self) -> Value {
        self.map_or(Value::Null, Param::into_value)
    }
}

impl<'a, T> Param for &'a Option<T>
where
    &'a T: Param,
{
    fn into_value(self) -> Value {
        self.as_ref().map_or(Value::Null, Param::into_value)
    }
}

/// One row of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    values: Box<[Value]>,
}

impl Row {
    pub(super) fn new(values: Vec<Value>) -> Self {
        Self { values: values.into() }
    }

    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// All columns at once, by position.
    ///
    /// # Errors
    /// When there are more or fewer columns, or one is of another type.
    pub fn decode<T: Decode>(&self) -> Result<T, DbError> {
        T::decode(self)
    }

    /// # Errors
    /// When there is no such column, or it is of another type.
    pub fn get<T: FromValue>(&self, index: usize) -> Result<T, DbError> {
        let value = self.values.get(index).ok_or_else(|| DbError::Decode {
            reason: format!("column {index} is wanted, there are {}", self.values.len()),
        })?;
        T::from_value(value).ok_or_else(|| DbError::Decode {
            reason: format!(
                "column {index} holds {}, which is no {}",
                value.kind(),
                std::any::type_name::<T>()
            ),
        })
    }
}

/// What a column can be read as.
pub trait FromValue: Sized {
    /// None when the value is of another type or out of range.
    fn from_value(value: &Value) -> Option<Self>;
}

/// What a whole row can be read as: a tuple.
pub trait Decode: Sized {
    /// # Errors
    /// As [`Row::decode`].
    fn decode(row: &Row) -> Result<Self, DbError>;
}

macro_rules! from_value {
    ($($kind:ty: $($pattern:pat => $value:expr),+;)*) => {
        $(impl FromValue for $kind {
            fn from_value(value: &Value) -> Option<Self> {
                match value {
                    $($pattern => $value,)+
                    _ => None,
                }
            }
        })*
    };
}

from_value! {
    // SQLite keeps booleans as 0 and 1.
    bool: Value::Boolean(flag) => Some(*flag), Value::Integer(0) => Some(false), Value::Integer(1) => Some(true);
    i64: Value::Integer(number) => Some(*number);
    i32: Value::Integer(number) => Self::try_from(*number).ok();
    i16: Value::Integer(number) => Self::try_from(*number).ok();
    u64: Value::Integer(number) => Self::try_from(*number).ok();
    u32: Value::Integer(number) => Self::try_from(*number).ok();
    u16: Value::Integer(number) => Self::try_from(*number).ok();
    u8: Value::Integer(number) => Self::try_from(*number).ok();
    usize: Value::Integer(number) => Self::try_from(*number).ok();
    f64: Value::Real(number) => Some(*number);
    String: Value::Text(text) => Some(text.clone());
    Vec<u8>: Value::Bytes(bytes) => Some(bytes.clone());
    TenantId: Value::Text(text) => Self::new(text).ok();
    serde_json::Value: Value::Text(text) => serde_json::from_str(text).ok();
    uuid::Uuid: Value::Text(text) => Self::try_parse(text).ok();
}

impl FromValue for Value {
    fn from_value(value: &Value) -> Option<Self> {
        Some(value.clone())
    }
}

impl<const N: usize> FromValue for [u8; N] {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Bytes(bytes) => Self::try_from(bytes.as_slice()).ok(),
            _ => None,
        }
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            _ => T::from_value(value).map(Some),
        }
    }
}

macro_rules! decode {
    ($($count:literal: $($index:literal $kind:ident)+;)*) => {
        $(impl<$($kind: FromValue),+> Decode for ($($kind,)+) {
            fn decode(row: &Row) -> Result<Self, DbError> {
                if row.values.len() != $count {
                    let reason = format!("{} columns came, {} are wanted", row.values.len(), $count);
                    return Err(DbError::Decode { reason });
                }
                Ok(($(row.get::<$kind>($index)?,)+))
            }
        })*
    };
}

decode! {
    1: 0 A;
    2: 0 A 1 B;
    3: 0 A 1 B 2 C;
    4: 0 A 1 B 2 C 3 D;
    5: 0 A 1 B 2 C 3 D 4 E;
    6: 0 A 1 B 2 C 3 D 4 E 5 F;
    7: 0 A 1 B 2 C 3 D 4 E 5 F 6 G;
    8: 0 A 1 B 2 C 3 D 4 E 5 F 6 G 7 H;
    9: 0 A 1 B 2 C 3 D 4 E 5 F 6 G 7 H 8 I;
    10: 0 A 1 B 2 C 3 D 4 E 5 F 6 G 7 H 8 I 9 J;
    11: 0 A 1 B 2 C 3 D 4 E 5 F 6 G 7 H 8 I 9 J 10 K;
    12: 0 A 1 B 2 C 3 D 4 E 5 F 6 G 7 H 8 I 9 J 10 K 11 L;
    13: 0 A 1 B 2 C 3 D 4 E 5 F 6 G 7 H 8 I 9 J 10 K 11 L 12 M;
    14: 0 A 1 B 2 C 3 D 4 E 5 F 6 G 7 H 8 I 9 J 10 K 11 L 12 M 13 N;
    15: 0 A 1 B 2 C 3 D 4 E 5 F 6 G 7 H 8 I 9 J 10 K 11 L 12 M 13 N 14 O;
    16: 0 A 1 B 2 C 3 D 4 E 5 F 6 G 7 H 8 I 9 J 10 K 11 L 12 M 13 N 14 O 15 P;
    17: 0 A 1 B 2 C 3 D 4 E 5 F 6 G 7 H 8 I 9 J 10 K 11 L 12 M 13 N 14 O 15 P 16 Q;
    18: 0 A 1 B 2 C 3 D 4 E 5 F 6 G 7 H 8 I 9 J 10 K 11 L 12 M 13 N 14 O 15 P 16 Q 17 R;
    19: 0 A 1 B 2 C 3 D 4 E 5 F 6 G 7 H 8 I 9 J 10 K 11 L 12 M 13 N 14 O 15 P 16 Q 17 R 18 S;
    20: 0 A 1 B 2 C 3 D 4 E 5 F 6 G 7 H 8 I 9 J 10 K 11 L 12 M 13 N 14 O 15 P 16 Q 17 R 18 S 19 T;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_decoded_by_position() {
        let values = params!["a", 7_i64, None::<String>, true, vec![1_u8, 2]];
        let row = Row::new(values);
        let (text, number, none, flag, bytes) =
            row.decode::<(String, i64, Option<String>, bool, Vec<u8>)>().unwrap();
        assert_eq!((text.as_str(), number, none, flag), ("a", 7, None, true));
        assert_eq!(bytes, [1, 2]);
        assert_eq!(row.get::<u8>(1).unwrap(), 7);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let row = Row::new(params![-1_i64, "x"]);
        assert!(row.decode::<(i64,)>().is_err());
        assert!(row.get::<u32>(0).is_err());
        assert!(row.get::<i64>(1).is_err());
        assert!(row.get::<i64>(2).is_err());
        assert!(row.get::<bool>(0).is_err());
    }
}
