//! Signed URLs and tokens in the CDNs' own formats: checking and making them.
//!
//! | name          | format                                   | keys                              |
//! |---------------|------------------------------------------|-----------------------------------|
//! | `cloudfront`  | Amazon CloudFront signed URLs, cookies   | RSA, P-256                        |
//! | `akamai`      | Akamai Auth Token 2.0                    | secret                            |
//! | `media-cdn`   | Google Media CDN signed requests         | Ed25519                           |
//! | `uri-signing` | RFC 9246, JSON Web Token                 | P-256, secret, Ed25519, RSA       |
//! | `cat`         | CTA-5007 Common Access Token             | secret, P-256, Ed25519, RSA       |
//!
//! All of it is computation: a request, keys, a time and a client address come in, a [`Grant`] or a
//! [`Refusal`] comes out. The signature is checked over the bytes as they were sent, before anything
//! inside is believed; what is not understood is refused. A grant says what has to be taken off the
//! URL, so that no token ever becomes part of a cache key or reaches an origin.

mod akamai;
mod base64;
mod cat;
mod cloudfront;
mod der;
mod grant;
mod key_file;
mod keys;
mod media_cdn;
mod memo;
mod pattern;
mod refusal;
mod request;
mod rsa_sha1;
mod sign;
mod signing_key;
mod uri_signing;

#[cfg(test)]
mod tests;

pub use akamai::AkamaiOptions;
pub use cat::{CatOptions, rewrite_cbor};
pub use cloudfront::CloudFrontOptions;
pub use grant::{Grant, Renewal, Replay, UrlSpace};
pub use key_file::{KEY_FILE_BYTES_MAX, decrypting_key_file, signing_key_file, verifying_key_file};
pub use keys::{Algorithm, KEYS_PER_ID_MAX, KeySet, VerifyingKey};
pub use media_cdn::MediaCdnOptions;
pub use memo::{EXPRESSIONS_MAX, SIGNATURES_MAX};
pub use pattern::{IpPrefix, PATTERN_BYTES_MAX, STARS_MAX};
pub use refusal::{KeyError, Refusal, SignError};
pub use request::{
    CMCD, COOKIE_BYTES_MAX, Circumstances, PARAMETERS_MAX, Policy, RequestParts, TARGET_BYTES_MAX,
    TOKEN_BYTES_MAX,
};
pub use sign::{Carrier, RenewalRequest, SignRequest, Signed, SignedSpace, sign_with_key_file};
pub use signing_key::SigningKey;
pub use uri_signing::UriSigningOptions;

/// A format, and how a deployment uses it.
#[derive(Clone, Debug)]
pub enum Scheme {
    CloudFront(CloudFrontOptions),
    Akamai(AkamaiOptions),
    MediaCdn(MediaCdnOptions),
    UriSigning(UriSigningOptions),
    Cat(CatOptions),
}

impl Scheme {
    /// A format by its name in the configuration and on the command line.
    pub fn from_name(name: &str) -> Result<Self, SignError> {
        Ok(match name {
            "cloudfront" => Self::CloudFront(CloudFrontOptions::default()),
            "akamai" => Self::Akamai(AkamaiOptions::default()),
            "media-cdn" => Self::MediaCdn(MediaCdnOptions::default()),
            "uri-signing" => Self::UriSigning(UriSigningOptions::default()),
            "cat" => Self::Cat(CatOptions::default()),
            other => return Err(SignError::UnknownScheme(other.to_owned())),
        })
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::CloudFront(_) => "cloudfront",
            Self::Akamai(_) => "akamai",
            Self::MediaCdn(_) => "media-cdn",
            Self::UriSigning(_) => "uri-signing",
            Self::Cat(_) => "cat",
        }
    }

    /// Names of the query parameters that carry a token.
    fn parameters(&self) -> Vec<&'static str> {
        match self {
            Self::CloudFront(_) => cloudfront::NAMES.to_vec(),
            Self::Akamai(options) => options.parameters.clone(),
            Self::MediaCdn(_) => media_cdn::NAMES.to_vec(),
            Self::UriSigning(_) => vec![uri_signing::PACKAGE],
            Self::Cat(options) => vec![options.parameter],
        }
    }

    /// What of a target's query is its token, as it was sent: what the URLs that a manifest leads to
    /// have to be given. `None` where the token came another way.
    pub fn token_query(&self, target: &str) -> Option<String> {
        let names = self.parameters();
        let (_, query) = target.split_once('?')?;
        let is_token = |piece: &&str| {
            let name = piece.split_once('=').map_or(*piece, |(name, _)| name);
            names.contains(&name)
        };
        let pieces: Vec<_> = query.split('&').filter(is_token).collect();
        (!pieces.is_empty()).then(|| pieces.join("&"))
    }

    /// Names by which a token's id may be revoked: as it is written, and where that is the
    /// hexadecimal form of a text, that text.
    pub fn session_names(&self, token_id: &str) -> Vec<String> {
        let mut names = vec![token_id.to_owned()];
        if matches!(self, Self::Cat(_)) {
            let text = base64::decode_hex(token_id).and_then(|bytes| String::from_utf8(bytes).ok());
            names.extend(text);
        }
        names
    }

    /// Whether a request may be answered.
    pub fn verify(
        &self,
        request: &RequestParts<'_>,
        keys: &KeySet,
        circumstances: &Circumstances,
    ) -> Result<Grant, Refusal> {
        request.check_origin()?;
        match self {
            Self::CloudFront(options) => cloudfront::verify(options, request, keys, circumstances),
            Self::Akamai(options) => akamai::verify(options, request, keys, circumstances),
            Self::MediaCdn(options) => media_cdn::verify(options, request, keys, circumstances),
            Self::UriSigning(options) => uri_signing::verify(options, request, keys, circumstances),
            Self::Cat(options) => cat::verify(options, request, keys, circumstances),
        }
    }

    /// Makes what a viewer has to send.
    pub fn sign(&self, request: &SignRequest<'_>, key: &SigningKey) -> Result<Signed, SignError> {
        match self {
            Self::CloudFront(_) => cloudfront::sign(request, key),
            Self::Akamai(options) => akamai::sign(options, request, key),
            Self::MediaCdn(_) => media_cdn::sign(request, key),
            Self::UriSigning(options) => uri_signing::sign(options, request, key),
            Self::Cat(options) => cat::sign(options, request, key),
        }
    }
}
