//! `streamverse sign`: its options, and an example for each scheme.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{ConfigArgs, seconds, timestamp};

pub(super) const EXAMPLES: &str = "\
Examples:
  Our own token, for a day:
    streamverse sign /vod/film/cmaf/master.m3u8 --ttl 1d
  For a live channel: manifests hand out a new token each hour, for a week:
    streamverse sign /live/one/cmaf/master.m3u8 --ttl 1h --renew 1h --renew-for 7d
  Amazon CloudFront, cookies for the whole title (RSA or P-256 key, id as the console shows it):
    streamverse sign /vod/film/cmaf/master.m3u8 --scheme cloudfront --carry cookie \\
      --base https://d111111abcdef8.cloudfront.net --key K2JCJMDEHXQW5F --key-file private.pem
  Akamai Auth Token 2.0, an ACL for the whole title (secret in hexadecimal):
    streamverse sign /vod/film/cmaf/master.m3u8 --scheme akamai --base https://a.example.org \\
      --key a1 --key-file secret.hex
  Google Media CDN, inside the path, so that segments inherit it (Ed25519 key):
    streamverse sign /vod/film/cmaf/master.m3u8 --scheme media-cdn --carry path \\
      --base https://m.example.org --key keyset-1 --key-file seed.base64
  RFC 9246, a cookie that each answer renews for five minutes (ES256, HS256, EdDSA, RS256):
    streamverse sign /live/one/cmaf/master.m3u8 --scheme uri-signing --carry cookie --ttl 5m \\
      --renew 5m --base https://e.example.org --key k1 --key-file key.jwk
  CTA-5007, in a header, for one request:
    streamverse sign /vod/film/cmaf/master.m3u8 --scheme cat --carry header --once \\
      --base https://e.example.org --key k1 --key-file key.jwk

Exit status: 0 done, 1 failed (the message names cause and cure), 2 wrong usage.";

#[derive(Args, Debug)]
pub struct Sign {
    /// Path of a manifest or a file, such as /vod/film/cmaf/master.m3u8.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<String>,
    /// How long the URLs work: a number and `s`, `m`, `h` or `d`; at most 30 days.
    #[arg(long, value_name = "TIME", default_value = "12h", value_parser = seconds)]
    pub ttl: u64,
    /// When the URLs stop to work, instead of `--ttl`: 2026-01-31T23:59:59Z.
    #[arg(long, value_name = "WHEN", conflicts_with = "ttl", value_parser = timestamp)]
    pub expires: Option<u64>,
    /// When the URLs begin to work [default: now].
    #[arg(long, value_name = "WHEN", value_parser = timestamp)]
    pub not_before: Option<u64>,
    /// Open what lies under this path instead of the title; begins and ends with `/`. Repeatable.
    #[arg(long, value_name = "PREFIX")]
    pub prefix: Vec<String>,
    /// Open segments of these classes alone, separated by commas: audio, sd, hd, uhd, text, image.
    #[arg(long, value_delimiter = ',', value_name = "CLASSES")]
    pub class: Vec<String>,
    /// Session by which the URLs can be revoked [default: a random one].
    #[arg(long, value_name = "ID")]
    pub session: Option<String>,
    /// Network that the client has to be in, such as 203.0.113.0/24 or 2001:db8::/48.
    #[arg(long, value_name = "NETWORK")]
    pub ip: Option<String>,
    /// Policy that the token carries. `max_height` and `max_bitrate` cap the manifests. Repeatable.
    #[arg(long, value_name = "NAME=VALUE")]
    pub claim: Vec<String>,
    /// Key to sign with [default: the active one]. With `--key-file`, the id that the CDN gave it.
    #[arg(long, value_name = "ID")]
    pub key: Option<String>,
    /// How long a renewed token lives: a number and `s`, `m`, `h` or `d`. Without it a token ends
    /// for good. Our own, `uri-signing` and `cat` can be renewed.
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    pub renew: Option<u64>,
    /// For how long our own token may be renewed, from now.
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = seconds, requires = "renew")]
    pub renew_for: u64,
    /// Form of the signature.
    #[arg(long, value_enum, default_value_t = Scheme::Native)]
    pub scheme: Scheme,
    #[command(flatten)]
    pub cdn: SignCdn,
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Print one JSON document.
    #[arg(long)]
    pub json: bool,
}

/// What the schemes of CDNs take besides.
#[derive(Args, Debug)]
#[command(next_help_heading = "Options of the CDNs' schemes")]
pub struct SignCdn {
    /// Scheme and host of the URLs [default: of the `[[delivery]]` with this scheme, or
    /// `media.public_url`].
    #[arg(long, value_name = "URL")]
    pub base: Option<String>,
    /// File of the key: PEM, JSON Web Key, hexadecimal or base64; `-` is standard input.
    #[arg(long, value_name = "FILE", requires = "key")]
    pub key_file: Option<PathBuf>,
    /// How the token travels [default: as the `[[delivery]]` says, or `query`].
    #[arg(long, value_enum)]
    pub carry: Option<CarryForm>,
    /// Open this one URL instead of the title.
    #[arg(long, conflicts_with_all = ["prefix", "pattern"])]
    pub exact: bool,
    /// Open what looks like this path instead: `*` stands for any characters, `?` for one.
    /// cloudfront, akamai, uri-signing.
    #[arg(long, value_name = "PATTERN", conflicts_with = "prefix")]
    pub pattern: Option<String>,
    /// Renew from this long before the end. cat.
    #[arg(long, value_name = "TIME", value_parser = seconds, requires = "renew")]
    pub renew_before: Option<u64>,
    /// Who signs. uri-signing, cat.
    #[arg(long, value_name = "NAME")]
    pub issuer: Option<String>,
    /// Whom the token is for. uri-signing, cat.
    #[arg(long, value_name = "NAME")]
    pub audience: Option<String>,
    /// Open one request and no second one. cat.
    #[arg(long)]
    pub once: bool,
    /// Sign with SHA-1, as CloudFront takes it by default, and old Akamai tokens have it.
    #[arg(long)]
    pub sha1: bool,
}

/// See `--scheme`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Scheme {
    /// Our own: a token as the first part of the path.
    Native,
    /// Amazon CloudFront signed URLs and cookies.
    Cloudfront,
    /// Akamai Auth Token 2.0.
    Akamai,
    /// Google Media CDN signed requests.
    MediaCdn,
    /// RFC 9246, URI Signing.
    UriSigning,
    /// CTA-5007, Common Access Token.
    Cat,
}

/// See `--carry`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum CarryForm {
    /// Parameters of the URL.
    Query,
    /// A part of the path, which relative URIs inherit: media-cdn, uri-signing.
    Path,
    /// A cookie.
    Cookie,
    /// A header: akamai where one is configured, cat.
    Header,
}
