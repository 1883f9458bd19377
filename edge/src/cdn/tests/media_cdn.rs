//! Media CDN, by the vectors of Google's samples (`media_cdn/snippets_test.py`).

use super::*;

const SEED: &str = "BxwXXNjeGaoWqjr7GHEymRJkP4SaOC12dTGixk7Yr8I=";
const PUBLIC: &str = "g9u90RZv3ddq7pRAEsLaiT6ju1AGNVb2uXdPz0UGwPE=";
const END: u64 = 1_650_848_400;

fn key() -> SigningKey {
    signing_key_file("my-key", SEED.as_bytes()).unwrap()
}

fn keys() -> KeySet {
    KeySet::new(vec![verifying_key_file("my-key", PUBLIC.as_bytes()).unwrap()])
}

fn verify(ask: &Ask) -> Result<Grant, Refusal> {
    ask.verify(&scheme("media-cdn"), &keys())
}

const EXACT: &str = "http://35.186.234.33/index.html?Expires=1650848400&KeyName=my-key&Signature=16-oE9GZ5U9S_LYrW8RplZhvMfI7RGtGRY0C-Ahh6YAwiJ0UaEi6rQuPxfm6R-cBPfs8MwRGiu2fAoS1JOoKCA==";
const PREFIX: &str = "URLPrefix=aHR0cDovL3d3dy5leGFtcGxlLmNvbS9zb21lLw==&Expires=1650848400&KeyName=my-key&Signature=pVN8HKc6Be-PDczd9NjqSui3HHaoCLUN5iDv6JhQ77uKigsCih6z_cMTGjeXhgGASh1zr-ZPrOnxWJxxGWxsBg==";
const COOKIE: &str = "URLPrefix=aHR0cDovL3d3dy5leGFtcGxlLmNvbS9mb28v:Expires=1650848400:KeyName=my-key:Signature=I0BnupL1tKbXklf1rK50nlC9JMh4HBLogTKByatOFRvALofT159BegB26Z2WmrI-ZAgAp8Q-1__bWtFdMAqCAA";

#[test]
fn one_url() {
    let ask = Ask::new(EXACT, END - 1);
    let grant = verify(&ask).unwrap();
    assert_eq!(grant.target, "/index.html");
    assert_eq!(grant.space, UrlSpace::Url("http://35.186.234.33/index.html".to_owned()));
    assert_eq!(code(verify(&Ask { now: END, ..ask.clone() })), "token_expired");
    let with_cmcd = ask.clone().target(&format!("{}&CMCD=bl%3D1", ask.target));
    assert_eq!(verify(&with_cmcd).unwrap().target, "/index.html");
    let more = ask.clone().target(&format!("{}&a=1", ask.target));
    assert_eq!(code(verify(&more)), "token_invalid");
    let in_front = ask.clone().target(&ask.target.replace("?Expires", "?a=1&Expires"));
    assert_eq!(verify(&in_front), Err(Refusal::Signature));
    let post = Ask { method: Method::POST, ..ask.clone() };
    assert_eq!(code(verify(&post)), "token_out_of_scope");
    assert_eq!(code(verify(&Ask { method: Method::HEAD, ..ask })), "granted");
    let sign =
        scheme("media-cdn").sign(&SignRequest::new("http://35.186.234.33/index.html", END), &key());
    assert_eq!(sign.unwrap().url, EXACT.trim_end_matches('='));
}

#[test]
fn a_prefix_in_the_query() {
    let ask =
        Ask::new(&format!("http://www.example.com/some/a.m3u8?b=1&{PREFIX}&c=2&CMCD=x"), END - 1);
    let grant = verify(&ask).unwrap();
    assert_eq!(grant.target, "/some/a.m3u8?b=1&c=2");
    assert_eq!(grant.space, UrlSpace::Prefix("http://www.example.com/some/".to_owned()));
    for (url, expected) in [
        ("http://www.example.com/some/", "granted"),
        ("http://www.example.com/som", "token_out_of_scope"),
        ("https://www.example.com/some/a", "token_out_of_scope"),
        ("http://other.example.com/some/a", "token_out_of_scope"),
    ] {
        assert_eq!(code(verify(&Ask::new(&format!("{url}?{PREFIX}"), 0))), expected, "{url}");
    }
    let twice = Ask::new(&format!("http://www.example.com/some/a?{PREFIX}&KeyName=my-key"), 0);
    assert_eq!(verify(&twice), Err(Refusal::Duplicate("KeyName")));
    let request = SignRequest {
        space: SignedSpace::Prefix("http://www.example.com/some/"),
        ..SignRequest::new("http://www.example.com/some/a", END)
    };
    let signed = scheme("media-cdn").sign(&request, &key()).unwrap();
    assert_eq!(code(verify(&Ask::signed(&signed, 0))), "granted");
}

#[test]
fn a_prefix_in_a_cookie() {
    let ask = Ask::new("http://www.example.com/foo/a.m3u8?CMCD=x", END - 1)
        .cookie("Edge-Cache-Cookie", COOKIE);
    let grant = verify(&ask).unwrap();
    assert_eq!(
        (grant.target.as_str(), grant.cookies),
        ("/foo/a.m3u8", vec!["Edge-Cache-Cookie".to_owned()])
    );
    assert_eq!(code(verify(&ask.clone().target("/fo"))), "token_out_of_scope");
    let request = SignRequest {
        space: SignedSpace::Prefix("http://www.example.com/foo/"),
        carrier: Carrier::Cookie,
        ..SignRequest::new("http://www.example.com/foo/a", END)
    };
    let signed = scheme("media-cdn").sign(&request, &key()).unwrap();
    assert_eq!(signed.cookies, [("Edge-Cache-Cookie".to_owned(), COOKIE.to_owned())]);
}

/// The form has no published vector; the signed text is what the samples sign:
/// `{url_prefix}edge-cache-token=Expires={expires}&KeyName={key_name}`.
#[test]
fn a_component_of_the_path() {
    let message =
        format!("https://m.example.com/video/edge-cache-token=Expires={END}&KeyName=my-key");
    let signature = key().sign(Algorithm::Ed25519, message.as_bytes()).unwrap();
    let expected =
        format!("{message}&Signature={}/a.m3u8?q=1", crate::cdn::base64::encode_url(&signature));
    let request = SignRequest {
        space: SignedSpace::Prefix("https://m.example.com/video/"),
        carrier: Carrier::Path,
        ..SignRequest::new("https://m.example.com/video/a.m3u8?q=1", END)
    };
    let signed = scheme("media-cdn").sign(&request, &key()).unwrap();
    assert_eq!(signed.url, expected);
    let ask = Ask::signed(&signed, END - 1);
    let grant = verify(&ask).unwrap();
    assert_eq!(grant.target, "/video/a.m3u8?q=1");
    assert_eq!(grant.space, UrlSpace::Prefix("https://m.example.com/video/".to_owned()));
    // What is relative to it inherits the token.
    let (folder, _) = ask.target.rsplit_once('/').unwrap();
    let relative = ask.clone().target(&format!("{folder}/hd/seg-1.m4s"));
    assert_eq!(verify(&relative).unwrap().target, "/video/hd/seg-1.m4s");
    let moved = ask.clone().target(&ask.target.replace("/video/", "/other/"));
    assert_eq!(verify(&moved), Err(Refusal::Signature));
    let token = folder.strip_prefix("/video").unwrap();
    let twice = ask.clone().target(&format!("/video{token}{token}/a"));
    assert_eq!(verify(&twice), Err(Refusal::Duplicate("edge-cache-token")));
}

#[test]
fn keys_of_one_name_rotate() {
    let (old, new) = (key(), SigningKey::ed25519_seed("my-key", &[7; 32]).unwrap());
    let rotating = KeySet::new(vec![
        new.verifying().unwrap().valid(Some(50), None),
        old.verifying().unwrap().valid(None, Some(150)),
    ]);
    for (key, now, expected) in [
        (&old, 0, "granted"),
        (&old, 149, "granted"),
        (&old, 150, "token_invalid"),
        (&new, 49, "token_invalid"),
        (&new, 50, "granted"),
    ] {
        let signed = scheme("media-cdn").sign(&SignRequest::new("https://h/a", 1000), key).unwrap();
        let ask = Ask::signed(&signed, now);
        // Twice: what is remembered says the same.
        for _ in 0..2 {
            assert_eq!(code(ask.verify(&scheme("media-cdn"), &rotating)), expected, "{now}");
        }
    }
}
