//! Purges as operators write them, as they travel, and as the cache takes them.

use edge::cache::{Cache, Purge, Scope};
use edge::target::{SignedTarget, Target, TargetError};
use edge::upstream::Upstreams;
use platform::feed::PurgeScope;

use crate::backend::HOST;

/// Why nothing can be purged by a name.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ScopeError {
    #[error("`{text}` is no URL of ours: {error}")]
    Target { text: String, error: TargetError },

    #[error("`{text}` is no prefix: it has to be a path that begins with `/`, without a query")]
    Prefix { text: String },
}

/// How much of a name that is wrong is told.
const TOLD_CHARS_MAX: usize = 200;

fn told(text: &str) -> String {
    text.chars().take(TOLD_CHARS_MAX).collect()
}

/// The form in which a scope is the same on every node. A URL may have been copied from a viewer:
/// its scheme, host and token make no difference to what is cached.
///
/// # Errors
/// When the scope names nothing that could be cached.
pub fn canonical(scope: PurgeScope) -> Result<PurgeScope, ScopeError> {
    let parse = |text: &str| {
        let parsed = SignedTarget::parse(text).map(|signed| signed.target);
        parsed.map_err(|error| ScopeError::Target { text: told(text), error })
    };
    Ok(match scope {
        PurgeScope::Url(url) => PurgeScope::Url(parse(&url)?.key()),
        PurgeScope::Prefix(prefix) => {
            if prefix.contains('?') {
                return Err(ScopeError::Prefix { text: told(&prefix) });
            }
            PurgeScope::Prefix(parse(&prefix)?.path().to_owned())
        }
        PurgeScope::Tag(tag) => PurgeScope::Tag(tag),
    })
}

/// What `cache` has to do, where there is one.
///
/// # Errors
/// When the scope is not in its canonical form. Whoever sends such a thing is of another version,
/// or no node at all.
pub(super) fn purge(
    scope: &PurgeScope,
    is_soft: bool,
    cache: Option<&Cache<Upstreams>>,
) -> Result<Option<Purge>, ScopeError> {
    let parse = |text: &str| {
        let parsed = Target::parse(text);
        parsed.map_err(|error| ScopeError::Target { text: told(text), error })
    };
    let scope = match scope {
        PurgeScope::Url(url) => {
            let target = parse(url)?;
            let key = cache.map(|cache| cache.key(HOST.as_str(), &target.key()));
            match key {
                None => None,
                Some(Some(key)) => Some(Scope::Url(key)),
                Some(None) => {
                    let error = TargetError::Form;
                    return Err(ScopeError::Target { text: told(url), error });
                }
            }
        }
        PurgeScope::Prefix(prefix) => {
            if parse(prefix)?.key() != *prefix {
                return Err(ScopeError::Prefix { text: told(prefix) });
            }
            Some(Scope::Prefix(format!("{HOST}{prefix}")))
        }
        PurgeScope::Tag(tag) => Some(Scope::Tag(tag.clone())),
    };
    Ok(scope.filter(|_| cache.is_some()).map(|scope| Purge { scope, is_soft }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_have_one_form() {
        let url = |text: &str| canonical(PurgeScope::Url(text.to_owned()));
        let expected = Ok(PurgeScope::Url("/vod/film/cmaf/master.m3u8?max_height=480".to_owned()));
        for text in [
            "/vod/film/cmaf/master.m3u8?max_height=480",
            "/vod/fil%6d/cmaf/master.m3u8?CMCD=bl%3D1&max_height=480",
            "/~token/vod/film/cmaf/master.m3u8?max_height=480",
            "https://media.example/~token/vod/film/cmaf/master.m3u8?max_height=480",
        ] {
            assert_eq!(url(text), expected, "{text}");
        }
        let prefix = |text: &str| canonical(PurgeScope::Prefix(text.to_owned()));
        for text in ["/", "/vod/film/", "/vod/fil"] {
            assert_eq!(prefix(text), Ok(PurgeScope::Prefix(text.to_owned())));
            assert!(purge(&prefix(text).unwrap(), true, None).is_ok());
        }
        for text in ["", "vod/film/", "/vod/../film/", "/vod/film/?a", "/vod//"] {
            assert!(prefix(text).is_err(), "{text}");
        }
        assert!(url("/vod/%2e%2e/").is_err());
        // What another node sends is in that form already.
        for text in ["/vod/fil%6d/", "/~token/vod/", "/vod/film/?a"] {
            assert!(purge(&PurgeScope::Prefix(text.to_owned()), false, None).is_err(), "{text}");
        }
    }
}
