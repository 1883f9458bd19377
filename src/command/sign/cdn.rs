//! Signed URLs in the formats of CDNs.

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use edge::cdn::{
    Carrier, IpPrefix, KEY_FILE_BYTES_MAX, RenewalRequest, SignRequest, SignedSpace, SigningKey,
    signing_key_file,
};
use edge::target::Target;
use platform::config::{Carry, CdnScheme, Config, Delivery, web_origin};
use platform::url_token::new_session;
use serde::Serialize;

use super::default_prefix;
use crate::cdn::{scheme_of, signing_key};
use crate::cli::{CarryForm, Scheme, Sign, SignCdn};
use crate::{clock, output};

/// What was signed, for `--json`.
#[derive(Debug, Serialize)]
struct Signed {
    scheme: &'static str,
    key: String,
    /// By which the tokens can be revoked, where the scheme carries it.
    session: Option<String>,
    expires: String,
    urls: Vec<SignedUrl>,
}

#[derive(Debug, Serialize)]
struct SignedUrl {
    url: String,
    /// What it opens: one URL, or those like this.
    opens: String,
    cookies: Vec<Pair>,
    headers: Vec<Pair>,
}

#[derive(Debug, Serialize)]
struct Pair {
    name: String,
    value: String,
}

/// `None` for our own.
pub(super) fn scheme(scheme: Scheme) -> Option<CdnScheme> {
    Some(match scheme {
        Scheme::Native => return None,
        Scheme::Cloudfront => CdnScheme::Cloudfront,
        Scheme::Akamai => CdnScheme::Akamai,
        Scheme::MediaCdn => CdnScheme::MediaCdn,
        Scheme::UriSigning => CdnScheme::UriSigning,
        Scheme::Cat => CdnScheme::Cat,
    })
}

/// Options that would be without effect on our own tokens.
pub(super) fn refuse_options(options: &SignCdn) -> anyhow::Result<()> {
    let asked = [
        ("--base", options.base.is_some()),
        ("--key-file", options.key_file.is_some()),
        ("--carry", options.carry.is_some()),
        ("--exact", options.exact),
        ("--pattern", options.pattern.is_some()),
        ("--renew-before", options.renew_before.is_some()),
        ("--issuer", options.issuer.is_some()),
        ("--audience", options.audience.is_some()),
        ("--once", options.once),
        ("--sha1", options.sha1),
    ];
    if let Some((option, _)) = asked.iter().find(|(_, is_asked)| *is_asked) {
        bail!("{option} is for the schemes of CDNs; add --scheme, or leave it out");
    }
    Ok(())
}

pub(super) fn run(
    arguments: &Sign,
    config: &Config,
    scheme: CdnScheme,
    targets: &[Target],
) -> anyhow::Result<ExitCode> {
    let now = clock::now_s();
    let options = &arguments.cdn;
    refuse_native_options(arguments, scheme)?;
    let (base, delivery) = base(options, config, scheme)?;
    let carrier = carrier(options, delivery);
    if 1 < targets.len() && matches!(carrier, Carrier::Cookie | Carrier::Header) {
        bail!("cookies and headers open one title; sign one PATH at a time");
    }
    let key = read_key(arguments, config, scheme, delivery, now)?;
    let expires_at = arguments.expires.unwrap_or_else(|| now.saturating_add(arguments.ttl));
    check_life(config, now, expires_at)?;
    let session = session(arguments, scheme)?;
    let client = arguments.ip.as_ref().map(|network| {
        let parsed: Result<IpPrefix, _> = network.parse();
        parsed.map_err(|problem| anyhow::anyhow!("--ip {network} {problem}"))
    });
    let client = client.transpose()?;
    let signs = scheme_of(config, scheme)?;
    let mut urls = Vec::new();
    for target in targets {
        let url = format!("{base}{}", target.key());
        let (space, opens) = space(arguments, target, &base)?;
        let space = match (&space, &opens) {
            (Space::Url, _) => SignedSpace::ThisUrl,
            (Space::Prefix, prefix) => SignedSpace::Prefix(prefix),
            (Space::Pattern, pattern) => SignedSpace::Pattern(pattern),
        };
        let request = SignRequest {
            space,
            starts_at: arguments.not_before,
            client,
            carrier,
            token_id: session.as_deref(),
            issuer: options.issuer.as_deref(),
            audience: options.audience.as_deref(),
            sha1: options.sha1,
            renewal: arguments.renew.map(|seconds| RenewalRequest {
                seconds,
                before_end_seconds: options.renew_before,
            }),
            is_once: options.once,
            ..SignRequest::new(&url, expires_at)
        };
        let signed = signs.sign(&request, &key)?;
        let pairs = |pairs: Vec<(String, String)>| {
            pairs.into_iter().map(|(name, value)| Pair { name, value }).collect()
        };
        let star = if matches!(space, SignedSpace::Prefix(_)) { "*" } else { "" };
        urls.push(SignedUrl {
            opens: format!("{opens}{star}"),
            url: signed.url,
            cookies: pairs(signed.cookies),
            headers: pairs(signed.headers),
        });
    }
    print(
        arguments,
        &Signed {
            scheme: scheme.as_str(),
            key: key.id().to_owned(),
            session,
            expires: clock::rfc3339(expires_at),
            urls,
        },
    );
    Ok(ExitCode::SUCCESS)
}

fn print(arguments: &Sign, signed: &Signed) {
    if arguments.json {
        output::json(signed);
        return;
    }
    for signed in &signed.urls {
        output::line(&signed.url);
        if !signed.cookies.is_empty() {
            let pair = |pair: &Pair| format!("{}={}", pair.name, pair.value);
            let pairs: Vec<_> = signed.cookies.iter().map(pair).collect();
            output::line(&format!("Cookie: {}", pairs.join("; ")));
        }
        for header in &signed.headers {
            output::line(&format!("{}: {}", header.name, header.value));
        }
    }
}

/// What a CDN's token has no field for, in any scheme.
fn refuse_native_options(arguments: &Sign, scheme: CdnScheme) -> anyhow::Result<()> {
    let name = scheme.as_str();
    if !arguments.class.is_empty() {
        bail!("`{name}` knows no classes of segments; leave --class out, or sign natively");
    }
    if !arguments.claim.is_empty() {
        bail!("`{name}` carries no claims of ours; leave --claim out, or sign natively");
    }
    if 1 < arguments.prefix.len() {
        bail!("a token of `{name}` opens one prefix; sign each on its own");
    }
    Ok(())
}

/// Scheme and host, and the delivery that they are of.
fn base<'a>(
    options: &SignCdn,
    config: &'a Config,
    scheme: CdnScheme,
) -> anyhow::Result<(String, Option<&'a Delivery>)> {
    let ours = || config.delivery.iter().filter(|delivery| delivery.scheme == scheme);
    if let Some(base) = &options.base {
        let origin = web_origin(base.strip_suffix('/').unwrap_or(base)).with_context(|| {
            format!("`{base}` is no base address; write https:// and a host, without a path")
        })?;
        let delivery = ours().find(|known| web_origin(&known.base_url).as_ref() == Some(&origin));
        return Ok((origin, delivery));
    }
    let (first, second) = (ours().next(), ours().nth(1));
    if let (Some(first), Some(second)) = (first, second) {
        bail!(
            "several [[delivery]] have this scheme: say with --base which, such as {} or {}",
            first.base_url,
            second.base_url
        );
    }
    let url = first.map(|delivery| &delivery.base_url).or(config.media.public_url.as_ref());
    let origin = url.and_then(|url| web_origin(url));
    let origin = origin.context(
        "the URLs of a CDN name a host: give --base https://HOST, or configure a [[delivery]] \
         with this scheme, or `media.public_url` without a path",
    )?;
    Ok((origin, first))
}

fn carrier(options: &SignCdn, delivery: Option<&Delivery>) -> Carrier {
    match (options.carry, delivery.map(|delivery| delivery.carry)) {
        (Some(CarryForm::Query), _) | (None, Some(Carry::Query) | None) => Carrier::Query,
        (Some(CarryForm::Path), _) | (None, Some(Carry::Path)) => Carrier::Path,
        (Some(CarryForm::Cookie), _) | (None, Some(Carry::Cookie)) => Carrier::Cookie,
        (Some(CarryForm::Header), _) => Carrier::Header,
    }
}

fn read_key(
    arguments: &Sign,
    config: &Config,
    scheme: CdnScheme,
    delivery: Option<&Delivery>,
    now: u64,
) -> anyhow::Result<SigningKey> {
    let Some(path) = &arguments.cdn.key_file else {
        let of_delivery = delivery.and_then(|delivery| delivery.key.as_deref());
        return signing_key(config, scheme, arguments.key.as_deref().or(of_delivery), now);
    };
    let id = arguments.key.as_deref().unwrap_or_default();
    let bytes = read_file(path)?;
    signing_key_file(id, &bytes).with_context(|| format!("cannot sign with {}", path.display()))
}

fn read_file(path: &Path) -> anyhow::Result<Vec<u8>> {
    // One byte more than is taken, so that longer ones are refused and not cut.
    let limit = KEY_FILE_BYTES_MAX as u64 + 1;
    let mut bytes = Vec::new();
    let read = match path.as_os_str() == "-" {
        true => std::io::stdin().take(limit).read_to_end(&mut bytes),
        false => {
            std::fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes))
        }
    };
    read.with_context(|| {
        format!("cannot read the key file {}; check the path and its permissions", path.display())
    })?;
    Ok(bytes)
}

/// A URL that our own edge would refuse is an error now.
fn check_life(config: &Config, now: u64, expires_at: u64) -> anyhow::Result<()> {
    if expires_at <= now {
        bail!("the URL would have expired already; see --ttl and --expires");
    }
    let lifetime_max = config.cdn.lifetime_seconds_max;
    if lifetime_max < expires_at - now {
        bail!(
            "the URL would live longer than {lifetime_max} s, which `cdn.lifetime_seconds_max` \
             allows at the edge; sign for a shorter time, or raise it"
        );
    }
    Ok(())
}

/// An id, in the schemes that carry one.
fn session(arguments: &Sign, scheme: CdnScheme) -> anyhow::Result<Option<String>> {
    let has_field = matches!(scheme, CdnScheme::Akamai | CdnScheme::UriSigning | CdnScheme::Cat);
    match (&arguments.session, has_field) {
        (Some(session), _) => Ok(Some(session.clone())),
        (None, true) => Ok(Some(new_session()?)),
        (None, false) => Ok(None),
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Space {
    Url,
    Prefix,
    Pattern,
}

/// What is opened, as an absolute URL.
fn space(arguments: &Sign, target: &Target, base: &str) -> anyhow::Result<(Space, String)> {
    if arguments.cdn.exact {
        return Ok((Space::Url, format!("{base}{}", target.key())));
    }
    if let Some(pattern) = &arguments.cdn.pattern {
        if !pattern.starts_with('/') {
            bail!(
                "`{pattern}` is no pattern of paths: it begins with a slash, such as /vod/film/*"
            );
        }
        return Ok((Space::Pattern, format!("{base}{pattern}")));
    }
    let prefix = match arguments.prefix.first() {
        Some(prefix) if prefix.starts_with('/') && prefix.ends_with('/') => prefix.clone(),
        Some(prefix) => bail!("`{prefix}` is no prefix: it begins and ends with a slash"),
        None => default_prefix(target)?,
    };
    Ok((Space::Prefix, format!("{base}{prefix}")))
}
