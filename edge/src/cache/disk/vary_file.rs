//! What each URL varies by, so that variants on disk are found after a restart.
//!
//! ```text
//! u8 × 8   magic       "STRMVAR1"
//! u32      rows        n
//! n ×      u8 × 16     the URL's key
//!          u8          names
//!          names ×     u8 of length, and the name
//!          u16         variants
//!          variants ×  u8 × 16, oldest first
//! u32      checksum    CRC-32C of all before it
//! ```

use http::header::HeaderName;

use crate::cache::key::KeyHash;
use crate::cache::policy::VaryNames;

const MAGIC: &[u8; 8] = b"STRMVAR1";
/// As of the table that it fills; a file with more is none of ours.
const ROWS_MAX: u32 = 65_536;
const NAMES_MAX: u8 = 8;
const VARIANTS_MAX: u16 = 1_024;

/// One URL.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VaryRow {
    pub key: KeyHash,
    pub names: VaryNames,
    pub variants: Vec<KeyHash>,
}

/// Rows that don't fit the format are left out.
pub fn encode_vary(rows: &[VaryRow]) -> Vec<u8> {
    let fits = |row: &&VaryRow| {
        row.names.0.len() <= usize::from(NAMES_MAX)
            && row.names.0.iter().all(|name| u8::try_from(name.as_str().len()).is_ok())
            && row.variants.len() <= usize::from(VARIANTS_MAX)
    };
    let rows: Vec<_> = rows.iter().filter(fits).take(ROWS_MAX as usize).collect();
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&(rows.len() as u32).to_le_bytes());
    for row in rows {
        out.extend_from_slice(&row.key.0);
        out.push(row.names.0.len() as u8);
        for name in &row.names.0 {
            out.push(name.as_str().len() as u8);
            out.extend_from_slice(name.as_str().as_bytes());
        }
        out.extend_from_slice(&(row.variants.len() as u16).to_le_bytes());
        row.variants.iter().for_each(|variant| out.extend_from_slice(&variant.0));
    }
    out.extend_from_slice(&crc32c::crc32c(&out).to_le_bytes());
    out
}

/// `None` for anything but a whole file.
pub fn decode_vary(bytes: &[u8]) -> Option<Vec<VaryRow>> {
    let (body, checksum) = bytes.split_last_chunk::<4>()?;
    if crc32c::crc32c(body) != u32::from_le_bytes(*checksum) {
        return None;
    }
    let mut rest = body.strip_prefix(MAGIC)?;
    let count = u32::from_le_bytes(take(&mut rest)?);
    if count > ROWS_MAX {
        return None;
    }
    let rows: Option<Vec<_>> = (0..count).map(|_| row(&mut rest)).collect();
    rows.filter(|_| rest.is_empty())
}

fn row(rest: &mut &[u8]) -> Option<VaryRow> {
    let key = KeyHash(take(rest)?);
    let [names] = take(rest)?;
    if names > NAMES_MAX {
        return None;
    }
    let mut found = Vec::new();
    for _ in 0..names {
        let [len] = take(rest)?;
        let (name, after) = rest.split_at_checked(usize::from(len))?;
        *rest = after;
        found.push(HeaderName::from_bytes(name).ok()?);
    }
    let variants = u16::from_le_bytes(take(rest)?);
    if variants > VARIANTS_MAX {
        return None;
    }
    let variants: Option<Vec<_>> = (0..variants).map(|_| take(rest).map(KeyHash)).collect();
    Some(VaryRow { key, names: VaryNames(found), variants: variants? })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk()?;
    *rest = tail;
    Some(*head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_read_back_whole_or_not_at_all() {
        let hash = |number: u128| KeyHash(number.to_be_bytes());
        let names = |text: &str| VaryNames(text.split(',').map(|n| n.parse().unwrap()).collect());
        let rows = vec![
            VaryRow { key: hash(1), names: names("accept,x"), variants: vec![hash(2), hash(3)] },
            VaryRow { key: hash(4), names: VaryNames(Vec::new()), variants: Vec::new() },
        ];
        let bytes = encode_vary(&rows);
        assert_eq!(decode_vary(&bytes).unwrap(), rows);
        for cut in 0..bytes.len() {
            assert!(decode_vary(&bytes[..cut]).is_none(), "{cut}");
        }
        let many = names("a,b,c,d,e,f,g,h,i");
        let large = VaryRow { key: hash(5), names: many, variants: Vec::new() };
        assert_eq!(decode_vary(&encode_vary(&[large])).unwrap(), [], "it fits no file");
    }
}
