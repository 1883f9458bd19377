//! The target of a player's next object.

use crate::target::Target;

/// What `next` names, relative to the canonical path `of` (RFC 3986 5.2), as a canonical target.
///
/// It is said by a player, so it may leave neither the server nor the title: only paths are taken,
/// and only below the first two parts of `of`. A query is dropped: none changes a segment but one
/// that no player asks for ahead.
pub fn next_target(of: &str, next: &str) -> Option<Target> {
    let path = next.split(['?', '#']).next()?;
    // A scheme or a host would be another server; a token would be another viewer's.
    if path.is_empty() || path.starts_with("//") || path.contains([':', '\\', '~']) {
        return None;
    }
    let folder = of.rsplit_once('/')?.0;
    let joined = match path.strip_prefix('/') {
        Some(path) => resolve("", path)?,
        // Most are the file next to this one.
        None if !path.contains('/') && !path.starts_with('.') => format!("{folder}/{path}"),
        None => resolve(folder, path)?,
    };
    let target = Target::parse(&joined).ok()?;
    let root = title_root(of)?;
    (target.path() != of && target.path().starts_with(root)).then_some(target)
}

/// `base` without its end for each `..` that `path` begins with, and the rest of `path` behind it.
fn resolve(base: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = base.split('/').skip(1).collect();
    for part in path.split('/') {
        match part {
            "." => {}
            // Above the root there is nothing, whatever RFC 3986 makes of it.
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(format!("/{}", parts.join("/")))
}

/// `/vod/film/` of `/vod/film/cmaf/sd/1.m4s`.
fn title_root(path: &str) -> Option<&str> {
    let mut slashes = path.match_indices('/').map(|(at, _)| at);
    slashes.nth(2).map(|end| &path[..=end])
}
