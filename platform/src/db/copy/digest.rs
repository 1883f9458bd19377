//! A digest of rows that doesn't depend on their order.

use aws_lc_rs::digest::{Context, SHA256};
use data_encoding::HEXLOWER;

use crate::db::value::Value;

/// The sum of the SHA-256 of each row, in four numbers that wrap: PostgreSQL gives rows in no
/// order, and sorting them costs more than comparing them. Against accidents, not against people.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Digest {
    pub(super) rows: u64,
    sum: [u64; 4],
}

impl Digest {
    pub(super) fn add(&mut self, row: &[Value]) {
        let mut context = Context::new(&SHA256);
        for value in row {
            let (kind, bytes): (u8, &[u8]) = match value {
                Value::Null => (0, &[]),
                // As SQLite keeps them.
                Value::Boolean(flag) => (1, &i64::from(*flag).to_be_bytes()),
                Value::Integer(number) => (1, &number.to_be_bytes()),
                Value::Real(number) => (2, &number.to_be_bytes()),
                Value::Text(text) => (3, text.as_bytes()),
                Value::Bytes(bytes) => (4, bytes),
            };
            context.update(&[kind]);
            context.update(&(bytes.len() as u64).to_be_bytes());
            context.update(bytes);
        }
        let digest = context.finish();
        let (parts, _) = digest.as_ref().as_chunks::<8>();
        for (sum, part) in self.sum.iter_mut().zip(parts) {
            *sum = sum.wrapping_add(u64::from_be_bytes(*part));
        }
        self.rows += 1;
    }

    pub(super) fn text(&self) -> String {
        HEXLOWER.encode(self.sum.map(u64::to_be_bytes).as_flattened())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::params;

    fn digest(rows: &[Vec<Value>]) -> String {
        let mut digest = Digest::default();
        rows.iter().for_each(|row| digest.add(row));
        digest.text()
    }

    #[test]
    fn rows_count_and_their_order_does_not() {
        let (one, two) = (params!["a", true], params!["b", None::<i64>]);
        let both = digest(&[one.clone(), two.clone()]);
        assert_eq!(both, digest(&[two.clone(), one.clone()]));
        assert_eq!(both, digest(&[params!["a", 1_i64], two.clone()]), "SQLite's booleans");
        assert_ne!(both, digest(&[one.clone(), params!["b", ""]]));
        assert_ne!(digest(&[params!["ab", "c"]]), digest(&[params!["a", "bc"]]));
        assert_ne!(digest(&[one.clone(), one]), digest(&[two.clone(), two]));
    }
}
