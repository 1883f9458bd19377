//! Tokens of the CDNs. What stands behind a signature is signed here first, so that the readers of
//! claims and policies are reached by any bytes.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use edge::cdn::{
    Algorithm, Circumstances, Grant, KeySet, Policy, Refusal, RequestParts, Scheme, SigningKey,
    decrypting_key_file, rewrite_cbor, signing_key_file, verifying_key_file,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

const NAMES: [&str; 5] = ["cloudfront", "akamai", "media-cdn", "uri-signing", "cat"];
/// Of P-256; a private key that is no secret.
const P256: &str = r#"{"kty":"EC","kid":"k","crv":"P-256",
    "x":"be807S4O7dzB6I4hTiCUvmxCI6FuxWba1xYBlLSSsZ8",
    "y":"rOGC4vI69g-WF9AGEVI37sNNwbjIzBxSjLvIL7f3RBA",
    "d":"yaowezrCLTU6yIwUL5RQw67cHgvZeMTLVZXjUGb1A1M"}"#;

fn secret() -> SigningKey {
    SigningKey::secret("k", b"a secret of some length")
}

fn p256() -> SigningKey {
    signing_key_file("k", P256.as_bytes()).expect("a key")
}

fn ed25519() -> SigningKey {
    SigningKey::ed25519_seed("k", &[7; 32]).expect("32 bytes")
}

/// Keys of one kind each, as a format has it, with one that renews.
fn keys_of(key: &SigningKey) -> KeySet {
    KeySet::new(vec![key.verifying().expect("a key")]).renewing_with(secret())
}

static SECRET: LazyLock<KeySet> = LazyLock::new(|| keys_of(&secret()));
static ELLIPTIC: LazyLock<KeySet> = LazyLock::new(|| keys_of(&p256()));
static EDWARDS: LazyLock<KeySet> = LazyLock::new(|| keys_of(&ed25519()));

fn verify(name: &str, target: &str, headers: &HeaderMap, keys: &KeySet) -> Result<Grant, Refusal> {
    let request = RequestParts {
        method: &Method::GET,
        scheme: "https",
        authority: "h.example",
        target,
        headers,
        alpn: Some(b"h3"),
        country: Some("FR"),
    };
    let circumstances = Circumstances {
        now: 1_700_000_000,
        client_address: IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7)),
        policy: Policy::default(),
    };
    let verdict = Scheme::from_name(name).expect("known").verify(&request, keys, &circumstances);
    match &verdict {
        Ok(grant) => {
            assert!(grant.expires_at > circumstances.now);
            assert!(grant.target.starts_with('/') && grant.target.len() <= target.len());
        }
        Err(refusal) => assert!(refusal.code().starts_with("token_")),
    }
    verdict
}

/// A target, a `Cookie` line and a token header, each on a line of its own, to every format.
pub fn cdn_request(data: &[u8]) {
    let mut lines = data.split(|&byte| byte == b'\n');
    let Some(target) = lines.next().and_then(|line| std::str::from_utf8(line).ok()) else {
        return;
    };
    let mut headers = HeaderMap::new();
    for name in ["cookie", "cta-common-access-token"] {
        if let Some(value) = lines.next().and_then(|line| HeaderValue::from_bytes(line).ok()) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    for name in NAMES {
        for keys in [&SECRET, &ELLIPTIC, &EDWARDS] {
            // Nobody has signed it, unless a seed was made with these keys.
            let _ = verify(name, target, &headers, keys);
        }
    }
}

/// A CloudFront policy, signed.
pub fn cdn_cloudfront(data: &[u8]) {
    let encode =
        |bytes: &[u8]| STANDARD.encode(bytes).replace('+', "-").replace('=', "_").replace('/', "~");
    let signature = p256().sign(Algorithm::EcdsaP256Sha256Der, data).expect("a key of P-256");
    let target = format!(
        "/a/b.m3u8?q=1&Policy={}&Key-Pair-Id=k&Signature={}&Hash-Algorithm=SHA256",
        encode(data),
        encode(&signature)
    );
    if let Ok(grant) = verify("cloudfront", &target, &HeaderMap::new(), &ELLIPTIC) {
        assert_eq!(grant.target, "/a/b.m3u8?q=1");
        assert!(grant.space.contains("https://h.example", &grant.target));
    }
}

/// The fields of an Akamai token, signed.
pub fn cdn_akamai(data: &[u8]) {
    let Ok(fields) = std::str::from_utf8(data) else {
        return;
    };
    let mac = secret().sign(Algorithm::HmacSha256, data).expect("a secret");
    let mac: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
    let target = format!("/a/b.m3u8?q=1&hdnts={fields}~hmac={mac}");
    if let Ok(grant) = verify("akamai", &target, &HeaderMap::new(), &SECRET) {
        assert!(grant.space.contains("https://h.example", &grant.target));
    }
}

/// The fields of a Media CDN cookie, signed.
pub fn cdn_media_cdn(data: &[u8]) {
    let Ok(fields) = std::str::from_utf8(data) else {
        return;
    };
    let signature = ed25519().sign(Algorithm::Ed25519, data).expect("a key of Ed25519");
    let cookie =
        format!("Edge-Cache-Cookie={fields}:Signature={}", URL_SAFE_NO_PAD.encode(signature));
    let Ok(cookie) = HeaderValue::from_str(&cookie) else {
        return;
    };
    let headers = HeaderMap::from_iter([(http::header::COOKIE, cookie)]);
    if let Ok(grant) = verify("media-cdn", "/a/b.m3u8?q=1", &headers, &EDWARDS) {
        assert_eq!(grant.target, "/a/b.m3u8?q=1");
        assert!(grant.space.contains("https://h.example", &grant.target));
    }
}

/// The claims of a JSON Web Token, signed.
pub fn cdn_uri_signing(data: &[u8]) {
    let header = URL_SAFE_NO_PAD.encode(br#"{"alg":"HS256","kid":"k"}"#);
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(data));
    let mac = secret().sign(Algorithm::HmacSha256, signed.as_bytes()).expect("a secret");
    let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac));
    let target = format!("/a/b.m3u8?q=1&URISigningPackage={token}");
    if let Ok(grant) = verify("uri-signing", &target, &HeaderMap::new(), &SECRET) {
        assert_eq!(grant.target, "/a/b.m3u8?q=1");
    }
}

/// The claims of a Common Access Token, signed (RFC 9052 6.3).
pub fn cdn_cat(data: &[u8]) {
    let mut payload = vec![0x59];
    payload.extend(u16::try_from(data.len().min(0xffff)).expect("16 bits").to_be_bytes());
    payload.extend(&data[..data.len().min(0xffff)]);
    let message = [b"\x84\x64MAC0\x43\xa1\x01\x05\x40".as_slice(), &preferred(data)].concat();
    let mac = secret().sign(Algorithm::HmacSha256, &message).expect("a secret");
    let envelope = b"\xd8\x3d\xd1\x84\x43\xa1\x01\x05\xa1\x04\x41k".as_slice();
    let token = [envelope, &payload, b"\x58\x20", &mac].concat();
    let Ok(token) = HeaderValue::from_str(&URL_SAFE_NO_PAD.encode(token)) else {
        return;
    };
    let name = HeaderName::from_static("cta-common-access-token");
    let headers = HeaderMap::from_iter([(name, token)]);
    let verdict = verify("cat", "/a/b.m3u8?q=1", &headers, &SECRET);
    assert_ne!(verdict, Err(Refusal::Signature), "what is signed here is signed");
}

/// Bytes as CBOR with the shortest head.
fn preferred(data: &[u8]) -> Vec<u8> {
    let data = &data[..data.len().min(0xffff)];
    let len = u16::try_from(data.len()).expect("16 bits");
    let [high, low] = len.to_be_bytes();
    let mut out = match len {
        0..=23 => vec![0x40 | low],
        24..=255 => vec![0x58, low],
        _ => vec![0x59, high, low],
    };
    out.extend(data);
    out
}

/// CBOR: what was read is written in a form that reads alike.
pub fn cdn_cbor(data: &[u8]) {
    if let Some(written) = rewrite_cbor(data) {
        assert_eq!(rewrite_cbor(&written), Some(written));
    }
}

/// Key files: what is read as a signing key signs, or says why not.
pub fn cdn_key_file(data: &[u8]) {
    let _ = verifying_key_file("k", data);
    let _ = decrypting_key_file("", data);
    if let Ok(key) = signing_key_file("k", data) {
        let _ = key.verifying();
        let _ = key.sign(Algorithm::HmacSha256, b"message");
        let _ = key.sign(Algorithm::Ed25519, b"message");
    }
}
