//! What an attacker can try with a token, as one table.
//!
//! Each row changes a good token in one way and names the refusal. What is signed with the right
//! key on purpose shows that the signature alone is not enough.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA384, RSA_PSS_SHA256,
    RsaEncoding,
};

use super::*;

/// Everything a row needs to make its token.
struct Forge {
    ring: Ring,
    header: Value,
    claims: Value,
}

impl Forge {
    fn new() -> Self {
        let ring = rsa();
        let header = json!({ "alg": "RS256", "typ": "at+jwt", "kid": ring.keys()[0].id() });
        let claims = json!({
            "iss": ISSUER, "sub": "u1", "aud": "viewer", "exp": NOW_S + 900, "iat": NOW_S,
            "jti": "j1", "client_id": "web", "tid": "t1", "scope": "profile",
        });
        Self { ring, header, claims }
    }

    fn header(mut self, name: &str, value: Value) -> Self {
        self.header[name] = value;
        self
    }

    fn claim(mut self, name: &str, value: Value) -> Self {
        self.claims[name] = value;
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.claims.as_object_mut().unwrap().remove(name);
        self.header.as_object_mut().unwrap().remove(name);
        self
    }

    fn input(&self) -> String {
        jws::signing_input(self.header.to_string().as_bytes(), self.claims.to_string().as_bytes())
    }

    /// By the key that counts, whatever the header says.
    fn sign(self) -> String {
        let input = self.input();
        self.sign_raw(input)
    }

    fn sign_raw(&self, input: String) -> String {
        let signature = self.ring.keys()[0].material().unwrap().sign(input.as_bytes()).unwrap();
        jws::compact(input, &signature)
    }

    fn sign_parts(&self, header: &str, claims: &str) -> String {
        self.sign_raw(jws::signing_input(header.as_bytes(), claims.as_bytes()))
    }

    fn sign_rsa(self, encoding: &'static dyn RsaEncoding) -> String {
        let input = self.input();
        let Some(Material::Rsa { pair, .. }) = self.ring.keys()[0].material() else { panic!() };
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(encoding, &SystemRandom::new(), input.as_bytes(), &mut signature).unwrap();
        jws::compact(input, &signature)
    }

    /// By HMAC with what everybody knows: the public key.
    fn sign_hmac(self, secret: &[u8]) -> String {
        let input = self.input();
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let signature = hmac::sign(&key, input.as_bytes());
        jws::compact(input, signature.as_ref())
    }

    fn unsigned(self) -> String {
        jws::compact(self.input(), b"")
    }

    /// By a key of the attacker's own, of P-256.
    fn sign_ec(self) -> (String, Value) {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let point = pair.public_key().as_ref();
        let text = |bytes| URL_SAFE_NO_PAD.encode(bytes);
        let jwk = json!({
            "kty": "EC", "crv": "P-256", "x": text(&point[1..33]), "y": text(&point[33..]),
        });
        let forge =
            if self.header.get("jwk").is_some() { self.header("jwk", jwk.clone()) } else { self };
        let input = forge.input();
        let signature = pair.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
        (jws::compact(input, signature.as_ref()), jwk)
    }
}

/// The public key as PEM and DER, which libraries that were fooled took for a secret.
fn public_forms(ring: &Ring) -> Vec<Vec<u8>> {
    use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
    let Some(Material::Rsa { pair, .. }) = ring.keys()[0].material() else { panic!() };
    let der: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
    let base64 = data_encoding::BASE64.encode(der.as_ref());
    let lines: Vec<_> = base64.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----", lines.join("\n"));
    let jwk = ring.keys()[0].public().unwrap().jwk().to_json("x").to_string();
    vec![
        pem.clone().into_bytes(),
        format!("{pem}\n").into_bytes(),
        der.as_ref().to_vec(),
        pair.public_key().as_ref().to_vec(),
        jwk.into_bytes(),
        Vec::new(),
    ]
}

/// Name, token, and the word of the refusal; `ok` for what is taken.
pub(super) fn table() -> Vec<(String, String, &'static str)> {
    let mut rows = Vec::new();
    let mut row = |name: &str, token: String, word| rows.push((name.to_owned(), token, word));
    row("good", Forge::new().sign(), "ok");

    let spellings =
        ["none", "None", "NONE", "nOnE", "noNe", "none ", " none", "NoNe\u{0}", "", "null"];
    for alg in spellings {
        let forge = || Forge::new().header("alg", json!(alg));
        row(&format!("alg {alg:?}, unsigned"), forge().unsigned(), "algorithm");
        row(&format!("alg {alg:?}, signed"), forge().sign(), "algorithm");
    }
    for alg in [json!(null), json!(256), json!(["RS256"]), json!({ "RS256": 1 }), json!(true)] {
        row(&format!("alg {alg}"), Forge::new().header("alg", alg).sign(), "header");
    }
    row("no alg", Forge::new().without("alg").sign(), "header");
    for alg in ["RS384", "RS512", "PS256", "ES256", "EdDSA", "HS256", "rs256", "RS256 ", "RSA"] {
        row(
            &format!("{alg} by the right key"),
            Forge::new().header("alg", json!(alg)).sign(),
            "algorithm",
        );
    }
    for (index, secret) in public_forms(&rsa()).into_iter().enumerate() {
        let hs = Forge::new().header("alg", json!("HS256")).sign_hmac(&secret);
        row(&format!("HS256 with the public key, form {index}"), hs, "algorithm");
        row(
            &format!("the same as RS256, form {index}"),
            Forge::new().sign_hmac(&secret),
            "signature",
        );
    }
    row("PS256 signature as RS256", Forge::new().sign_rsa(&RSA_PSS_SHA256), "signature");
    let ps = Forge::new().header("alg", json!("PS256")).sign_rsa(&RSA_PSS_SHA256);
    row("PS256", ps, "algorithm");
    row("RS384 signature as RS256", Forge::new().sign_rsa(&RSA_PKCS1_SHA384), "signature");
    row("ES256 of a stranger", Forge::new().header("alg", json!("ES256")).sign_ec().0, "algorithm");
    row("ES256 signature as RS256", Forge::new().sign_ec().0, "signature");

    // Keys that the token brings along, or says where to find, are not looked at (RFC 8725 3.10).
    for name in ["jku", "x5u"] {
        let forge = || Forge::new().header(name, json!("https://evil.example.org/keys"));
        row(&format!("{name}, signed by a stranger"), forge().sign_ec().0, "signature");
        row(&format!("{name}, signed by us"), forge().sign(), "ok");
    }
    let stranger = Forge::new().header("jwk", json!({})).sign_ec().0;
    row("jwk of a stranger", stranger, "signature");
    let stranger = Forge::new().header("jwk", json!({})).header("alg", json!("ES256")).sign_ec().0;
    row("jwk of a stranger, ES256", stranger, "algorithm");
    row("x5c", Forge::new().header("x5c", json!(["MIIB"])).sign_ec().0, "signature");

    for crit in [json!(["exp"]), json!([]), json!("b64"), json!(null)] {
        row(&format!("crit {crit}"), Forge::new().header("crit", crit).sign(), "critical");
    }
    for kid in [
        "",
        "unknown",
        "../../keys/rings/access-tokens",
        "/dev/null",
        "..%2f",
        "x' OR '1'='1",
        "key\u{0}",
        "http://evil.example.org/",
        &"k".repeat(65),
        "ключ",
        "$(id)",
        "a b",
    ] {
        row(&format!("kid {kid:?}"), Forge::new().header("kid", json!(kid)).sign(), "unknown_key");
    }
    for kid in [json!(null), json!(0), json!(["k"]), json!({})] {
        row(&format!("kid {kid}"), Forge::new().header("kid", kid).sign(), "unknown_key");
    }
    row("no kid", Forge::new().without("kid").sign(), "unknown_key");
    let case = Forge::new().header["kid"].as_str().unwrap().to_uppercase();
    row("kid in capitals", Forge::new().header("kid", json!(case)).sign(), "unknown_key");

    for typ in ["JWT", "jwt", "at", "", "id+jwt", "logout+jwt", "at+jwt+x", " at+jwt", "dpop+jwt"] {
        row(&format!("typ {typ:?}"), Forge::new().header("typ", json!(typ)).sign(), "type");
    }
    row("no typ", Forge::new().without("typ").sign(), "type");
    row("typ as a list", Forge::new().header("typ", json!(["at+jwt"])).sign(), "type");
    row("typ in capitals", Forge::new().header("typ", json!("AT+JWT")).sign(), "ok");
    row("typ in full", Forge::new().header("typ", json!("application/at+jwt")).sign(), "ok");

    for iss in
        ["https://api.example.org/", "http://api.example.org", "https://API.example.org", "x"]
    {
        row(&format!("iss {iss}"), Forge::new().claim("iss", json!(iss)).sign(), "issuer");
    }
    let lists = [json!([ISSUER]), json!({}), json!(null), json!("")];
    for iss in lists {
        row(&format!("iss {iss}"), Forge::new().claim("iss", iss).sign(), "claims");
    }
    for aud in [json!("admin"), json!("Viewer"), json!(["admin", "machine"]), json!("viewer admin")]
    {
        row(&format!("aud {aud}"), Forge::new().claim("aud", aud).sign(), "audience");
    }
    row("aud in a list", Forge::new().claim("aud", json!(["admin", "viewer"])).sign(), "ok");
    for aud in [
        json!([]),
        json!(null),
        json!([1]),
        json!([["viewer"]]),
        json!(""),
        json!(vec!["viewer"; 9]),
    ] {
        row(&format!("aud {aud}"), Forge::new().claim("aud", aud).sign(), "claims");
    }

    let times =
        |iat: i64, exp: i64| Forge::new().claim("iat", json!(iat)).claim("exp", json!(exp)).sign();
    row("expired", times(NOW_S - 1_000, NOW_S - 100), "expired");
    row("expired within the leeway", times(NOW_S - 900, NOW_S - 29), "ok");
    row("expired at the leeway", times(NOW_S - 900, NOW_S - 30), "expired");
    row("made in the future", times(NOW_S + 31, NOW_S + 900), "not_yet");
    row("made in the leeway", times(NOW_S + 30, NOW_S + 900), "ok");
    row("lives an hour", times(NOW_S, NOW_S + 3_600), "ok");
    row("lives too long", times(NOW_S, NOW_S + 3_601), "life");
    row("lives for ever", times(NOW_S, 253_402_300_799), "life");
    row("ends before it begins", times(NOW_S + 10, NOW_S - 10), "ok");
    row("not before", Forge::new().claim("nbf", json!(NOW_S + 31)).sign(), "not_yet");
    row("not before, past", Forge::new().claim("nbf", json!(NOW_S)).sign(), "ok");
    row("a fraction", Forge::new().claim("exp", json!(NOW_S as f64 + 0.5)).sign(), "ok");
    for exp in [
        json!("1900000000"),
        json!(null),
        json!(-1),
        json!(1e300),
        json!([]),
        json!(true),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(253_402_300_800_i64),
    ] {
        for name in ["exp", "iat", "nbf"] {
            row(&format!("{name} {exp}"), Forge::new().claim(name, exp.clone()).sign(), "claims");
        }
    }
    for name in ["iss", "sub", "aud", "exp", "iat", "jti", "client_id", "tid"] {
        row(&format!("without {name}"), Forge::new().without(name).sign(), "claims");
    }
    for name in ["sub", "tid", "sid", "prf", "tier", "scope", "jti"] {
        row(&format!("{name} a number"), Forge::new().claim(name, json!(1)).sign(), "claims");
        row(
            &format!("{name} long"),
            Forge::new().claim(name, json!("x".repeat(2_100))).sign(),
            "claims",
        );
    }
    for ep in [json!(-1), json!(1.5), json!("1")] {
        row(&format!("ep {ep}"), Forge::new().claim("ep", ep).sign(), "claims");
    }
    form_rows(&mut row);
    rows
}

/// What is wrong with the text itself.
fn form_rows(row: &mut impl FnMut(&str, String, &'static str)) {
    let good = Forge::new().sign();
    let parts: Vec<&str> = good.split('.').collect();
    let (header, payload, signature) = (parts[0], parts[1], parts[2]);
    row("empty", String::new(), "form");
    for text in [".", "..", "...", "a", "a.b", "a.b.c.d", " ", "\0", "é.é.é"] {
        row(&format!("text {text:?}"), text.to_owned(), "form");
    }
    row("a space in front", format!(" {good}"), "form");
    row("a line end behind", format!("{good}\n"), "form");
    row("Bearer in front", format!("Bearer {good}"), "form");
    row("five parts, as of encryption", format!("{good}.{payload}.{signature}"), "form");
    row("no signature", format!("{header}.{payload}."), "signature");
    row("no signature and no dot", format!("{header}.{payload}"), "form");
    row("no payload", format!("{header}..{signature}"), "form");
    row("no header", format!(".{payload}.{signature}"), "form");
    row("padded header", format!("{header}=.{payload}.{signature}"), "form");
    row("padded signature", format!("{header}.{payload}.{signature}=="), "form");
    row("standard alphabet", format!("{header}.{payload}.+/{}", &signature[2..]), "form");
    row("garbage in the header", format!("!!!!.{payload}.{signature}"), "form");
    let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let shorter = jws::compact(format!("{header}.{payload}"), &bytes[..bytes.len() - 1]);
    row("truncated signature", shorter, "signature");
    row("truncated by a character", good[..good.len() - 1].to_owned(), "form");
    row("longer signature", format!("{good}AAAA"), "signature");
    // Of the last character of 256 bytes, four bits are left over (RFC 4648 3.5).
    let last = signature.chars().last().unwrap();
    let twin =
        (b'A'..=b'Z').map(char::from).find(|other| *other != last && !"AQgw".contains(*other));
    let spelled = format!("{}{}", &good[..good.len() - 1], twin.unwrap());
    row("another spelling of the signature", spelled, "form");
    row("header of another token", format!("{payload}.{payload}.{signature}"), "header");
    let other = Forge::new().claim("sub", json!("u2")).sign();
    let other = other.split('.').nth(1).unwrap().to_owned();
    row("payload of another token", format!("{header}.{other}.{signature}"), "signature");

    let forge = Forge::new();
    let (head, claims) = (forge.header.to_string(), forge.claims.to_string());
    let twice = claims.replacen('{', "{\"sub\":\"admin\",", 1);
    row("a claim twice", forge.sign_parts(&head, &twice), "claims");
    let escaped = claims.replacen('{', "{\"s\\u0075b\":\"admin\",", 1);
    row("a claim twice, once escaped", forge.sign_parts(&head, &escaped), "claims");
    let nested = claims.replacen('{', "{\"x\":{\"a\":1,\"a\":2},", 1);
    row("a member twice, further in", forge.sign_parts(&head, &nested), "claims");
    let head_twice = head.replacen('{', "{\"alg\":\"none\",", 1);
    row("a header member twice", forge.sign_parts(&head_twice, &claims), "header");
    row("something behind the claims", forge.sign_parts(&head, &format!("{claims}{{}}")), "claims");
    row("claims in a list", forge.sign_parts(&head, &format!("[{claims}]")), "claims");
    row("claims as text", forge.sign_parts(&head, "\"sub\""), "claims");
    row(
        "no UTF-8",
        {
            let input = jws::signing_input(head.as_bytes(), b"{\"sub\":\"\xff\"}");
            forge.sign_raw(input)
        },
        "claims",
    );
    row("NaN", forge.sign_parts(&head, &claims.replacen('{', "{\"x\":NaN,", 1)), "claims");
    for depth in [6, 8, 200, 2_000] {
        let deep = format!("{{\"x\":{}{},", "[".repeat(depth), "]".repeat(depth));
        let word = if depth < 8 { "ok" } else { "claims" };
        row(
            &format!("{depth} deep"),
            forge.sign_parts(&head, &claims.replacen('{', &deep, 1)),
            word,
        );
    }
    let many: String = (0..80).map(|index| format!("\"x{index}\":0,")).collect();
    let many = claims.replacen('{', &format!("{{{many}"), 1);
    row("many members", forge.sign_parts(&head, &many), "claims");
    let long_head = head.replacen('{', &format!("{{\"x\":\"{}\",", "x".repeat(1_000)), 1);
    row("a long header", forge.sign_parts(&long_head, &claims), "header");
    let huge = claims.replacen('{', &format!("{{\"x\":\"{}\",", "x".repeat(9_000)), 1);
    row("huge", forge.sign_parts(&head, &huge), "too_long");
    row("a megabyte of dots", ".".repeat(1 << 20), "too_long");
    row(
        "bits of gzip",
        forge.sign_parts(&head.replacen('{', "{\"zip\":\"DEF\",", 1), "\u{1f}x"),
        "claims",
    );
}

#[test]
fn attacks_are_refused_by_their_reason() {
    let ring = rsa();
    let mut wrong = Vec::new();
    for (name, token, expected) in table() {
        // Asked twice: what was refused is not remembered as good.
        let (verifier, ..) = verifier(&ring);
        for _ in 0..2 {
            let told = verifier.verify(&token, "viewer", NOW);
            let told = told.map_or_else(|refusal| refusal.as_str(), |_| "ok");
            if told != expected {
                wrong.push(format!("{name}: {told}, not {expected}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(180 < table().len());
}

/// The table for a library that others wrote: `tests/clients/tokens.py` reads it.
#[test]
fn the_table_is_written_where_it_is_asked_for() {
    let Some(path) = std::env::var_os("STREAMVERSE_TOKEN_TABLE") else {
        // Nobody asked: that it can be written is shown all the same.
        assert!(table_document().to_string().len() < 1 << 23);
        return;
    };
    std::fs::write(path, table_document().to_string()).unwrap();
}

fn table_document() -> Value {
    let rows: Vec<_> = table()
        .into_iter()
        .map(|(name, token, word)| json!({ "name": name, "token": token, "expected": word }))
        .collect();
    json!({
        "now": NOW_S, "issuer": ISSUER, "audience": "viewer", "leeway": LEEWAY_SECONDS,
        "jwks": rsa().jwks(NOW), "rows": rows,
    })
}
