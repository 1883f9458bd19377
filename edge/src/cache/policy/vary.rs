//! `Vary`: which requests one stored answer is for (RFC 9111 4.1).

use http::HeaderMap;
use http::header::{HeaderName, VARY};

/// Fields that one answer may vary by, and bytes of them; an answer with more is not stored.
const NAMES_MAX: usize = 8;
const VALUES_BYTES_MAX: usize = 4096;

/// What `Vary` names, in lower case, sorted, each once.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct VaryNames(pub Vec<HeaderName>);

/// Fields with what the request had in them; `None` where it had none.
pub type SelectingValues = Vec<(HeaderName, Option<Vec<u8>>)>;

/// The names of an answer. `None` when nothing can match it: `*`, no field name, or too many.
pub fn vary_names(headers: &HeaderMap) -> Option<VaryNames> {
    let mut names = Vec::new();
    for line in headers.get_all(VARY) {
        for name in line.to_str().ok()?.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            if name == "*" {
                return None;
            }
            names.push(name.parse::<HeaderName>().ok()?);
        }
    }
    names.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    names.dedup();
    (names.len() <= NAMES_MAX).then_some(VaryNames(names))
}

/// What a request has in the named fields, written one way: lines joined by commas, spaces around
/// them gone, as RFC 9111 4.1 lets two requests be compared. `None` when it is too long to keep.
pub fn selecting_values(names: &VaryNames, request: &HeaderMap) -> Option<SelectingValues> {
    let mut total_bytes = 0;
    let mut values = Vec::with_capacity(names.0.len());
    for name in &names.0 {
        let mut joined: Option<Vec<u8>> = None;
        for line in request.get_all(name) {
            let joined = joined.get_or_insert_with(Vec::new);
            for member in line.as_bytes().split(|byte| *byte == b',') {
                if !joined.is_empty() {
                    joined.push(b',');
                }
                joined.extend_from_slice(member.trim_ascii());
            }
        }
        total_bytes += joined.as_ref().map_or(0, Vec::len);
        values.push((name.clone(), joined));
    }
    (total_bytes <= VALUES_BYTES_MAX).then_some(values)
}
