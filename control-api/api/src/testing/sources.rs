//! Rules that the compiler doesn't know, read from the sources of a domain.

use std::path::{Path, PathBuf};

use crate::problem::Registry;

/// Every breach: a code that is not registered or has another status, and a route that would not
/// be in the document.
///
/// # Panics
/// When the folder can't be read.
pub fn faults(folder: &Path, registry: &Registry) -> Vec<String> {
    let mut faults = Vec::new();
    for file in files(folder) {
        let text = std::fs::read_to_string(&file).expect("a source is text");
        // What stands behind the first `#[cfg(test)]` of a file is a test.
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let name = file.display();
        faults.extend(codes(code, registry).into_iter().map(|fault| format!("{name}: {fault}")));
        if code.contains(".route(") || code.contains(".route_service(") {
            faults.push(format!("{name}: a route outside of the document; use `routes!`"));
        }
    }
    faults
}

const KINDS: [(&str, u16); 14] = [
    ("bad_request", 400),
    ("unauthorized", 401),
    ("forbidden", 403),
    ("not_found", 404),
    ("conflict", 409),
    ("gone", 410),
    ("precondition", 412),
    ("too_large", 413),
    ("unsupported_media_type", 415),
    ("unprocessable", 422),
    ("precondition_required", 428),
    ("too_many", 429),
    ("internal", 500),
    ("unavailable", 503),
];

fn codes(text: &str, registry: &Registry) -> Vec<String> {
    let mut faults = Vec::new();
    for (kind, status) in KINDS {
        for owner in ["ApiError::", "Self::"] {
            for (_, rest) in text
                .match_indices(&format!("{owner}{kind}("))
                .map(|(at, m)| (at, &text[at + m.len()..]))
            {
                // Only a literal can be checked; other arguments are forwarded from one.
                let Some(code) =
                    rest.trim_start().strip_prefix('"').and_then(|r| r.split('"').next())
                else {
                    continue;
                };
                match registry.find(code) {
                    None => faults.push(format!("the code `{code}` is not registered")),
                    Some(entry) if entry.status != status => faults.push(format!(
                        "`{code}` is registered with {} and used with {status}",
                        entry.status
                    )),
                    Some(_) => {}
                }
            }
        }
    }
    for call in ["FieldError::new(", "Invalid::new(", ".require("] {
        for (at, found) in text.match_indices(call) {
            let arguments = literals(&text[at + found.len()..]);
            let code = match call {
                "Invalid::new(" => arguments.first(),
                // Pointer first, when it is a literal; a code is always in snake_case.
                _ => arguments.iter().take(2).find(|text| is_code(text)),
            };
            if let Some(code) = code.filter(|code| registry.find_field(code).is_none()) {
                faults.push(format!("the field code `{code}` is not registered"));
            }
        }
    }
    faults
}

fn is_code(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// The string literals of a call's arguments.
fn literals(text: &str) -> Vec<String> {
    let end = text.find([';', '}']).unwrap_or(text.len());
    text[..end].split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else if path.extension().is_some_and(|kind| kind == "rs") && !path.ends_with("tests.rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}
