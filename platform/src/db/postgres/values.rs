//! Values as PostgreSQL writes them.

use std::error::Error;

use bytes::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::db::value::Value;

type Boxed = Box<dyn Error + Sync + Send>;

impl ToSql for Value {
    /// As the type that the server has worked out for the parameter.
    fn to_sql(&self, wanted: &Type, out: &mut BytesMut) -> Result<IsNull, Boxed> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Boolean(flag) => flag.to_sql(wanted, out),
            Self::Integer(number) => match *wanted {
                Type::INT2 => i16::try_from(*number)?.to_sql(wanted, out),
                Type::INT4 => i32::try_from(*number)?.to_sql(wanted, out),
                Type::INT8 => number.to_sql(wanted, out),
                _ => Err(mismatch("an integer", wanted)),
            },
            Self::Real(number) => match *wanted {
                Type::FLOAT8 => number.to_sql(wanted, out),
                _ => Err(mismatch("a real number", wanted)),
            },
            Self::Text(text) if text.contains('\0') => Err("text holds a NUL".into()),
            Self::Text(text) => match *wanted {
                Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN => {
                    text.to_sql(wanted, out)
                }
                Type::JSON => {
                    out.extend_from_slice(text.as_bytes());
                    Ok(IsNull::No)
                }
                _ => Err(mismatch("text", wanted)),
            },
            Self::Bytes(bytes) => match *wanted {
                Type::BYTEA => bytes.as_slice().to_sql(wanted, out),
                _ => Err(mismatch("bytes", wanted)),
            },
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

fn mismatch(given: &str, wanted: &Type) -> Boxed {
    format!("the parameter is {wanted}, {given} was given").into()
}

impl<'a> FromSql<'a> for Value {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, Boxed> {
        Ok(match *kind {
            Type::BOOL => Self::Boolean(bool::from_sql(kind, raw)?),
            Type::INT2 => Self::Integer(i16::from_sql(kind, raw)?.into()),
            Type::INT4 => Self::Integer(i32::from_sql(kind, raw)?.into()),
            Type::INT8 => Self::Integer(i64::from_sql(kind, raw)?),
            Type::FLOAT8 => Self::Real(f64::from_sql(kind, raw)?),
            Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::JSON => {
                Self::Text(std::str::from_utf8(raw)?.to_owned())
            }
            Type::BYTEA => Self::Bytes(raw.to_vec()),
            _ => {
                let advice = "CAST it to BIGINT, DOUBLE PRECISION or TEXT";
                return Err(format!("a column is of type {kind}; {advice}").into());
            }
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, Boxed> {
        Ok(Self::Null)
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// The type that a parameter is declared as when the server isn't asked first.
pub(super) fn declared(value: &Value) -> Type {
    match value {
        // The server works it out.
        Value::Null => Type::UNKNOWN,
        Value::Boolean(_) => Type::BOOL,
        Value::Integer(_) => Type::INT8,
        Value::Real(_) => Type::FLOAT8,
        Value::Text(_) => Type::TEXT,
        Value::Bytes(_) => Type::BYTEA,
    }
}
