//! The compact form of a signed token (RFC 7515 7.1), taken apart and put together.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::{Refusal, TOKEN_BYTES_MAX, json};

/// Longest header: ours have a hundred bytes, and others name certificates that are not looked at.
const HEADER_CHARS_MAX: usize = 1_024;
/// Longest id of a key.
const KEY_ID_CHARS_MAX: usize = 64;

/// A token in its parts. Nothing of it is believed yet.
#[derive(Debug)]
pub struct Jws<'a> {
    /// What the signature is over: header and payload as they stand there.
    pub signed: &'a str,
    pub header: Header,
    payload: &'a str,
    pub signature: Vec<u8>,
}

/// The header members that are heeded (RFC 7515 4.1). `jku`, `jwk`, `x5u`, `x5c` lead to keys that
/// the token itself chooses, and are not (RFC 8725 3.10).
#[derive(Debug)]
pub struct Header {
    pub alg: String,
    pub kid: String,
    pub typ: Option<String>,
}

impl<'a> Jws<'a> {
    /// # Errors
    /// When `token` is too long or has another form. Its payload is not looked at.
    pub fn read(token: &'a str) -> Result<Self, Refusal> {
        if TOKEN_BYTES_MAX < token.len() {
            return Err(Refusal::TooLong);
        }
        let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if !token.bytes().all(is_known) {
            return Err(Refusal::Form("it has other characters than those of base64url"));
        }
        let parts = || Refusal::Form("it has not three parts");
        let (signed, signature) = token.rsplit_once('.').ok_or_else(parts)?;
        let (header, payload) = signed.split_once('.').ok_or_else(parts)?;
        if payload.contains('.') {
            return Err(parts());
        }
        if header.is_empty() || payload.is_empty() {
            return Err(Refusal::Form("a part is empty"));
        }
        if HEADER_CHARS_MAX < header.len() {
            return Err(Refusal::Header("it is too long"));
        }
        let header = decode(header).ok_or(Refusal::Header("it is no base64url"))?;
        let header = Header::read(&json::object(&header).map_err(Refusal::Header)?)?;
        let signature = decode(signature).ok_or(Refusal::Form("no base64url"))?;
        Ok(Self { signed, header, payload, signature })
    }

    /// The claims. To be asked for when the signature has been verified.
    ///
    /// # Errors
    /// When they are no JSON object with unique members.
    pub fn claims(&self) -> Result<Map<String, Value>, Refusal> {
        let payload = decode(self.payload).ok_or(Refusal::Claims("no base64url"))?;
        json::object(&payload).map_err(Refusal::Claims)
    }
}

impl Header {
    fn read(members: &Map<String, Value>) -> Result<Self, Refusal> {
        // No extension is understood here (RFC 7515 4.1.11).
        if members.contains_key("crit") {
            return Err(Refusal::Critical);
        }
        let text = |name: &str| members.get(name).map(|value| value.as_str().map(str::to_owned));
        let alg = text("alg").flatten().ok_or(Refusal::Header("`alg` is no text"))?;
        let kid = text("kid").flatten().ok_or(Refusal::UnknownKey)?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if !(1..=KEY_ID_CHARS_MAX).contains(&kid.len()) || !kid.bytes().all(is_plain) {
            return Err(Refusal::UnknownKey);
        }
        let typ = match text("typ") {
            Some(None) => return Err(Refusal::Type),
            typ => typ.flatten(),
        };
        Ok(Self { alg, kid, typ })
    }

    /// Whether `typ` says that it is an access token (RFC 9068 4; media types know no case,
    /// RFC 7515 4.1.9).
    pub fn is_access_token(&self) -> bool {
        self.typ.as_deref().is_some_and(|typ| {
            typ.eq_ignore_ascii_case("at+jwt") || typ.eq_ignore_ascii_case("application/at+jwt")
        })
    }
}

/// Without padding, and with no bits left over: one text for the same bytes (RFC 7515 2).
fn decode(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
}

/// The signing input of `header` and `payload` (RFC 7515 5.1).
pub fn signing_input(header: &[u8], payload: &[u8]) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload))
}

/// The token of a signing input and its signature.
pub fn compact(signing_input: String, signature: &[u8]) -> String {
    let mut token = signing_input;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    token
}
