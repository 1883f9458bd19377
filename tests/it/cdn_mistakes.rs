//! What `sign` and `config check` say of CDN tokens that would not work.

use crate::cdn::{BASE, MASTER, SECRET, delivery, keys};
use crate::server::{streamverse, streamverse_fails, streamverse_ok};
use crate::tools;

/// What would not work is told when it is signed or configured, with its cure.
#[test]
fn mistakes_are_told() {
    let folder = tools::folder("cdn-mistakes");
    let keys = keys(&folder);
    let file = |name: &str| tools::text(&keys.join(name)).to_owned();
    let (rsa, public, ed25519, hex) =
        (file("rsa.pem"), file("rsa.pub"), file("ed25519.pem"), file("secret.hex"));
    let missing = file("none.pem");
    let base = ["--base", BASE, "--key", "k1", "--key-file"];
    let with = |scheme: &'static str, key: &str, more: &[&str]| {
        let all = [&["sign", MASTER, "--scheme", scheme][..], &base, &[key], more].concat();
        streamverse_fails(&all)
    };
    for (message, cause) in [
        (with("cloudfront", &missing, &[]), "cannot read the key file"),
        (with("cloudfront", &public, &[]), "a private key, to sign"),
        (with("cloudfront", &ed25519, &[]), "the key can't sign with"),
        (with("media-cdn", &rsa, &[]), "Ed25519"),
        (with("akamai", &hex, &["--carry", "path"]), "use query, cookie or header"),
        (with("akamai", &hex, &["--carry", "header"]), "configure a header's name"),
        (with("cloudfront", &rsa, &["--session", "x"]), "leave them out"),
        (with("cloudfront", &rsa, &["--class", "sd"]), "no classes"),
        (with("cloudfront", &rsa, &["--claim", "a=b"]), "no claims"),
        (with("cloudfront", &rsa, &["--renew", "5m"]), "sign anew"),
        (with("cloudfront", &rsa, &["--once"]), "use cat"),
        (with("cloudfront", &rsa, &["--ttl", "60d"]), "cdn.lifetime_seconds_max"),
        (with("cloudfront", &rsa, &["--ip", "here"]), "is no address"),
        (with("cloudfront", &rsa, &["--pattern", "vod/*"]), "begins with a slash"),
        (with("cat", &hex, &["--pattern", "/vod/*"]), "sign a prefix"),
        (with("cat", &hex, &["--prefix", "/vod/other/"]), "does not begin with the prefix"),
        (with("cat", &hex, &["--prefix", "/vod/a/", "--prefix", "/vod/b/"]), "opens one prefix"),
        (with("cat", &hex, &["/vod/ladder/cmaf/manifest.mpd", "--carry", "cookie"]), "one PATH"),
        (streamverse_fails(&["sign", MASTER, "--scheme", "cat"]), "--base"),
        (
            streamverse_fails(&["sign", MASTER, "--scheme", "cat", "--base", BASE]),
            "configure a [[cdn.key]]",
        ),
        (streamverse_fails(&["sign", MASTER, "--base", BASE]), "add --scheme"),
    ] {
        assert!(message.contains(cause), "{cause}: {message}");
    }

    let config = folder.join("c.toml");
    let check = |text: &str| {
        tools::write(&config, text.as_bytes());
        streamverse_fails(&["config", "check", "--config", tools::text(&config)])
    };
    let entry = |scheme: &str, kind: &str, value: &str| {
        format!("[[cdn.key]]\nscheme = \"{scheme}\"\nid = \"k\"\n{kind} = \"{value}\"\n")
    };
    let reference = |file: &str| format!("file:{file}");
    for (text, cause) in [
        (entry("cloudfront", "public", &reference(&rsa)), "its public half"),
        (entry("cloudfront", "public", &reference(&hex)), "no public key"),
        (entry("cloudfront", "public", &reference(&file("ed25519.pub"))), "RSA key of 2048"),
        (entry("cloudfront", "secret", "0011"), "too short"),
        (entry("akamai", "secret", &reference(&rsa)), "in hexadecimal"),
        (entry("media-cdn", "secret", &reference(&hex)), "an Ed25519 key"),
        (entry("cat", "secret", "what"), "neither PEM"),
        (entry("cat", "secret", "env:ABSENT_VARIABLE"), "not set"),
        ("[cdn.uri_signing]\nissuers = \"x\"\n".to_owned(), "cdn.uri_signing.issuer`?"),
        (
            entry("uri-signing", "secret", SECRET)
                + "[cdn.uri_signing]\ndecryption_key = \"00112233\"\n",
            "cdn.uri_signing.decryption_key",
        ),
    ] {
        let message = check(&text);
        assert!(message.contains(cause), "{cause}: {message}");
        assert!(!message.contains(SECRET) && !message.contains("00112233"), "{message}");
    }
    let good = entry("cat", "secret", SECRET) + &delivery("cat", "cookie");
    tools::write(&config, good.as_bytes());
    let place = ["--config", tools::text(&config)];
    assert!(streamverse_ok(&["config", "check", place[0], place[1]]).contains("is valid"));
    let data = folder.join("data");
    let doctor = ["doctor", "--json", "--data", tools::text(&data), place[0], place[1]];
    let said = streamverse(&doctor);
    assert!(String::from_utf8_lossy(&said.stdout).contains("1 can be read"), "{said:?}");
    // Address, key and carrier come from the configuration.
    let printed = streamverse_ok(&["sign", MASTER, "--scheme", "cat", place[0], place[1]]);
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(lines[0], format!("{BASE}{MASTER}"));
    assert!(lines[1].starts_with("Cookie: cta-common-access-token="), "{printed}");
    let help = streamverse_ok(&["sign", "--help"]);
    for scheme in ["cloudfront", "akamai", "media-cdn", "uri-signing", "cat"] {
        assert!(help.contains(&format!("--scheme {scheme}")), "{scheme}");
    }
}
