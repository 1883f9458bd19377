//! `PATH#FIELD`: the path as `vault kv get` takes it, mount first, and a field of what lies there.

const PATH_BYTES_MAX: usize = 512;
const FIELD_BYTES_MAX: usize = 128;

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Reference {
    pub(super) path: String,
    pub(super) field: String,
}

impl Reference {
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let form = "write vault:MOUNT/PATH#FIELD, such as vault:kv/streamverse#s3_key";
        let (path, field) = text.split_once('#').ok_or(form)?;
        // What would be another path to the server, or has to be escaped in an address.
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let is_part = |part: &str| !matches!(part, "" | "." | "..") && part.bytes().all(is_plain);
        if PATH_BYTES_MAX < path.len() || path.split('/').count() < 2 {
            return Err(form);
        }
        if !path.split('/').all(is_part) {
            return Err("a path has letters, digits, `-`, `_`, `.` and single slashes");
        }
        if !(1..=FIELD_BYTES_MAX).contains(&field.len()) || field.contains(char::is_control) {
            return Err(form);
        }
        Ok(Self { path: path.to_owned(), field: field.to_owned() })
    }
}
