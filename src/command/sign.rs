//! `streamverse sign`: signed URLs from the command line.

mod cdn;

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Context, bail};
use edge::target::Target;
use platform::config::Config;
use platform::keyring::Keys;
use platform::url_token::grant::{GrantParts, RENEWAL_CLAIMS};
use platform::url_token::{Classes, Grant, SigningKey, new_session};
use serde::Serialize;

use super::load_config;
use crate::access::keyring;
use crate::cli::Sign;
use crate::{clock, output};

/// What was signed, for `--json`.
#[derive(Debug, Serialize)]
struct Signed {
    scheme: &'static str,
    key: String,
    /// Of an Ed25519 key: what an edge that checks alone is given.
    public_key: Option<String>,
    session: Option<String>,
    expires: String,
    prefixes: Vec<String>,
    classes: Vec<&'static str>,
    token: String,
    urls: Vec<String>,
}

pub fn run(arguments: &Sign) -> anyhow::Result<ExitCode> {
    let loaded = load_config(&arguments.config, Vec::new())?;
    let targets = arguments.paths.iter().map(|path| read_path(path));
    let targets = targets.collect::<anyhow::Result<Vec<_>>>()?;
    let config = &loaded.config;
    if let Some(scheme) = cdn::scheme(arguments.scheme) {
        return cdn::run(arguments, config, scheme, &targets);
    }
    cdn::refuse_options(&arguments.cdn)?;
    let signed = sign_native(arguments, config, &targets)?;
    if arguments.json {
        output::json(&signed);
    } else {
        for url in &signed.urls {
            output::line(url);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn read_path(path: &str) -> anyhow::Result<Target> {
    Target::parse(path).with_context(|| {
        format!("`{path}` can't be signed; write a path such as /vod/film/cmaf/master.m3u8")
    })
}

fn sign_native(arguments: &Sign, config: &Config, targets: &[Target]) -> anyhow::Result<Signed> {
    let now = clock::now_s();
    let grant = Grant::new(grant_parts(arguments, targets, now)?)?;
    // A URL that can't work is an error now rather than a riddle later.
    for target in targets {
        let class = target.class().with_context(|| format!("`{}`", target.path()))?;
        grant.check_path(target.path(), class).with_context(|| {
            format!("`{}` would not be opened; see --prefix and --class", target.path())
        })?;
    }
    if config.signing_key.is_empty() && !config.data.dir.is_dir() {
        bail!(
            "there is no data directory {} that could hold a key; name it with --data, or configure \
             a [[signing_key]]",
            config.data.dir.display()
        );
    }
    let keys = keyring(config, &Keys::from_config(config, &config.data.dir)?)?;
    let token = keys.sign(&grant, arguments.key.as_deref(), now)?;
    let key = match &arguments.key {
        Some(id) => keys.keys().iter().find(|key| key.id() == id),
        None => keys.active(),
    };
    let base = config.media.public_url.as_deref().unwrap_or_default();
    let parts = grant.parts();
    Ok(Signed {
        scheme: "native",
        key: key.map(|key| key.id().to_owned()).unwrap_or_default(),
        public_key: key.and_then(SigningKey::public),
        session: parts.session.clone(),
        expires: clock::rfc3339(parts.expires),
        prefixes: parts.prefixes.clone(),
        classes: parts.classes.iter().map(|class| class.as_str()).collect(),
        urls: targets.iter().map(|target| format!("{base}/~{token}{}", target.key())).collect(),
        token,
    })
}

fn grant_parts(arguments: &Sign, targets: &[Target], now: u64) -> anyhow::Result<GrantParts> {
    let prefixes = match arguments.prefix.is_empty() {
        false => arguments.prefix.clone(),
        true => targets.iter().map(default_prefix).collect::<anyhow::Result<_>>()?,
    };
    let classes = match arguments.class.is_empty() {
        true => Classes::ALL,
        false => {
            let classes = arguments.class.iter().map(|class| class.parse());
            let classes = classes.collect::<Result<Vec<_>, _>>()?;
            Classes::of(classes).context("name at least one class")?
        }
    };
    let mut claims = BTreeMap::new();
    for claim in &arguments.claim {
        let (name, value) = claim.split_once('=').with_context(|| {
            format!("`{claim}` is no claim; write NAME=VALUE, such as max_height=720")
        })?;
        if claims.insert(name.to_owned(), value.to_owned()).is_some() {
            bail!("the claim `{name}` is there twice");
        }
    }
    if let Some(seconds) = arguments.renew {
        let until = now.saturating_add(arguments.renew_for);
        for (name, value) in RENEWAL_CLAIMS.into_iter().zip([seconds, until]) {
            if claims.insert(name.to_owned(), value.to_string()).is_some() {
                bail!("the claim `{name}` is set by --renew; leave it out of --claim");
            }
        }
    }
    let network = arguments.ip.as_ref().map(|network| network.parse());
    Ok(GrantParts {
        expires: arguments.expires.unwrap_or_else(|| now.saturating_add(arguments.ttl)),
        not_before: arguments.not_before.unwrap_or(0),
        prefixes: without_nested(prefixes),
        classes,
        network: network.transpose().map_err(anyhow::Error::msg)?,
        session: Some(arguments.session.clone().map_or_else(new_session, Ok)?),
        claims,
    })
}

/// What a path needs to be played: the whole title, channel or session; all ads, all keys.
fn default_prefix(target: &Target) -> anyhow::Result<String> {
    let mut parts = target.path().split('/').skip(1);
    match (parts.next(), parts.next(), parts.next()) {
        (Some(kind @ ("vod" | "live" | "ssai")), Some(name), Some(_)) => {
            Ok(format!("/{kind}/{name}/"))
        }
        (Some(kind @ ("ad" | "key")), Some(_), _) => Ok(format!("/{kind}/")),
        _ => bail!("`{}` is of no known kind; say with --prefix what to open", target.path()),
    }
}

/// The prefixes as a token lists them: sorted, and without what lies within another.
fn without_nested(mut prefixes: Vec<String>) -> Vec<String> {
    prefixes.sort();
    prefixes.dedup_by(|inner, outer| inner.starts_with(outer.as_str()));
    prefixes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_opens_its_title() {
        let prefix = |path: &str| default_prefix(&Target::parse(path).unwrap()).ok();
        let of = |prefix: &str| Some(prefix.to_owned());
        assert_eq!(prefix("/vod/film/cmaf/master.m3u8"), of("/vod/film/"));
        assert_eq!(prefix("/ssai/abc/master.m3u8"), of("/ssai/abc/"));
        assert_eq!(prefix("/ad/x/cmaf/v1.m3u8"), of("/ad/"));
        assert_eq!(prefix("/vod/film"), None);
        assert_eq!(prefix("/other/x/y"), None);
    }

    #[test]
    fn prefixes_are_listed_once() {
        let list =
            |prefixes: &[&str]| without_nested(prefixes.iter().map(|p| (*p).into()).collect());
        assert_eq!(list(&["/vod/b/", "/vod/a/", "/vod/b/"]), ["/vod/a/", "/vod/b/"]);
        assert_eq!(list(&["/vod/b/c/", "/vod/b/", "/vod/b/d/"]), ["/vod/b/"]);
        assert_eq!(list(&["/vod/", "/"]), ["/"]);
    }
}
