//! The keys and the settings of `[cdn]`, read.

use anyhow::{Context, bail};
use edge::cdn::{
    AkamaiOptions, CatOptions, CloudFrontOptions, KeySet, MediaCdnOptions, Scheme, SigningKey,
    UriSigningOptions, VerifyingKey, decrypting_key_file, signing_key_file, verifying_key_file,
};
use http::HeaderName;
use platform::config::{CdnKey, CdnScheme, Config};

/// The keys of a scheme that check, with the one that renews.
pub(super) fn key_set(config: &Config, scheme: CdnScheme) -> anyhow::Result<KeySet> {
    let configured: Vec<_> = keys_of(config, scheme).collect();
    let mut keys = Vec::with_capacity(configured.len());
    for (index, key) in &configured {
        let read = read_verifying(key);
        keys.push(read.with_context(|| format!("`cdn.key[{index}]` (`{}`)", key.id))?);
    }
    let mut set = KeySet::new(keys);
    if let Some((index, key)) = signing(&configured) {
        let name = || format!("`cdn.key[{index}]` (`{}`)", key.id);
        let (not_before, not_after) = validity(key)?;
        set = set.renewing_within(read_signing(key).with_context(name)?, not_before, not_after);
    }
    if scheme == CdnScheme::UriSigning
        && let Some(secret) = &config.cdn.uri_signing.decryption_key
    {
        let read = decrypting_key_file("", secret.expose().as_bytes());
        let (id, key) = read.context("`cdn.uri_signing.decryption_key`")?;
        set = set.decrypting_with(&id, key);
    }
    Ok(set)
}

/// The key that signs for a scheme: that of `id`, or the active one.
///
/// # Errors
/// When there is none, or it can't sign at `now`.
pub fn signing_key(
    config: &Config,
    scheme: CdnScheme,
    id: Option<&str>,
    now: u64,
) -> anyhow::Result<SigningKey> {
    let configured: Vec<_> = keys_of(config, scheme).collect();
    let name = scheme.as_str();
    let found = match id {
        Some(id) => {
            configured.iter().find(|(_, key)| key.id == id && key.secret.is_some()).copied()
        }
        None => signing(&configured),
    };
    let Some((index, key)) = found else {
        let known: Vec<_> = configured.iter().map(|(_, key)| key.id.as_str()).collect();
        bail!(
            "no key of `{name}`{} can sign here; configure a [[cdn.key]] with `scheme = \
             \"{name}\"` and `secret`, or name a file with --key-file (known: {})",
            id.map(|id| format!(" called `{id}`")).unwrap_or_default(),
            if known.is_empty() { "none".to_owned() } else { known.join(", ") },
        );
    };
    let (not_before, not_after) = validity(key)?;
    if not_before.is_some_and(|start| now < start) || not_after.is_some_and(|end| end <= now) {
        bail!("the key `{}` is not valid now; name another with --key, or make it active", key.id);
    }
    read_signing(key).with_context(|| format!("`cdn.key[{index}]` (`{}`)", key.id))
}

/// A scheme as the configuration has it.
///
/// # Errors
/// When the name of a header is none.
pub fn scheme_of(config: &Config, scheme: CdnScheme) -> anyhow::Result<Scheme> {
    let cdn = &config.cdn;
    Ok(match scheme {
        CdnScheme::Cloudfront => {
            Scheme::CloudFront(CloudFrontOptions { sha1: cdn.cloudfront.sha1 })
        }
        CdnScheme::Akamai => {
            let header = cdn.akamai.header.as_ref();
            let header = header.map(|name| HeaderName::from_bytes(name.as_bytes())).transpose();
            Scheme::Akamai(AkamaiOptions {
                header: header.context("`cdn.akamai.header`")?,
                salt: cdn.akamai.salt.as_ref().map(|salt| salt.expose().to_owned()),
                escape_early: cdn.akamai.escape_early,
                sha1: cdn.akamai.sha1,
                ..AkamaiOptions::default()
            })
        }
        CdnScheme::MediaCdn => Scheme::MediaCdn(MediaCdnOptions::default()),
        CdnScheme::UriSigning => Scheme::UriSigning(UriSigningOptions {
            issuer: cdn.uri_signing.issuer.clone(),
            audience: cdn.uri_signing.audience.clone(),
        }),
        CdnScheme::Cat => Scheme::Cat(CatOptions {
            issuer: cdn.cat.issuer.clone(),
            audience: cdn.cat.audience.clone(),
            ignored: cdn.cat.ignored_claims.clone(),
            ..CatOptions::default()
        }),
    })
}

fn keys_of(config: &Config, scheme: CdnScheme) -> impl Iterator<Item = (usize, &CdnKey)> {
    config.cdn.key.iter().enumerate().filter(move |(_, key)| key.scheme == scheme)
}

/// The active one, or the only one that can.
fn signing<'a>(keys: &[(usize, &'a CdnKey)]) -> Option<(usize, &'a CdnKey)> {
    let able = || keys.iter().filter(|(_, key)| key.secret.is_some()).copied();
    able().find(|(_, key)| key.active).or_else(|| able().next().filter(|_| able().count() == 1))
}

fn validity(key: &CdnKey) -> anyhow::Result<(Option<u64>, Option<u64>)> {
    key.validity().map_err(|name| anyhow::anyhow!("`{name}` of key `{}` is no time", key.id))
}

fn read_signing(key: &CdnKey) -> anyhow::Result<SigningKey> {
    let secret = key.secret.as_ref().context("the key has no `secret`")?;
    let read = signing_key_file(&key.id, secret.expose().as_bytes())?;
    check_kind(key.scheme, &read)?;
    Ok(read)
}

fn read_verifying(key: &CdnKey) -> anyhow::Result<VerifyingKey> {
    let (not_before, not_after) = validity(key)?;
    let read = match (&key.public, &key.secret) {
        (Some(public), _) => {
            let read = verifying_key_file(&key.id, public.expose().as_bytes())?;
            if read.kind() == "secret" {
                bail!("a shared secret is no public key; write it as `secret`");
            }
            if !takes(key.scheme, read.kind()) {
                bail!("{}", wrong_kind(key.scheme, read.kind()));
            }
            read
        }
        (None, _) => read_signing(key)?.verifying()?,
    };
    Ok(read.valid(not_before, not_after))
}

fn check_kind(scheme: CdnScheme, key: &SigningKey) -> anyhow::Result<()> {
    if !takes(scheme, key.kind()) {
        bail!("{}", wrong_kind(scheme, key.kind()));
    }
    Ok(())
}

/// Which kinds of keys the tokens of a scheme are signed with.
fn takes(scheme: CdnScheme, kind: &str) -> bool {
    match scheme {
        CdnScheme::Cloudfront => matches!(kind, "RSA" | "P-256"),
        CdnScheme::Akamai => kind == "secret",
        CdnScheme::MediaCdn => kind == "Ed25519",
        CdnScheme::UriSigning | CdnScheme::Cat => true,
    }
}

fn wrong_kind(scheme: CdnScheme, kind: &str) -> String {
    let wanted = match scheme {
        CdnScheme::Cloudfront => "an RSA key of 2048 bits or more, or one of P-256",
        CdnScheme::Akamai => "a secret, in hexadecimal as Akamai's Property Manager shows it",
        CdnScheme::MediaCdn => "an Ed25519 key",
        CdnScheme::UriSigning | CdnScheme::Cat => "any key",
    };
    format!("`{}` takes {wanted}, and this is of the kind {kind}", scheme.as_str())
}
