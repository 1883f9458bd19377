//! Who may fetch media from an origin behind edges: whoever shows the secret of `[shield]`, or a
//! certificate where `tls.client_auth` asks for one, or both where both are configured.
//!
//! An origin behind edges answers them alone, so that nobody walks around tokens and caches. An
//! edge shows the secret in a header that no client's request gets past it with.

use http::{HeaderMap, Request};
use platform::config::{ClientAuth, Config, Secret};
use platform::http::Connection;

/// The header that bears the secret; the edge's upstream client sends it.
const SHIELD: &str = "streamverse-shield";

/// What is asked of an edge.
#[derive(Clone, Debug)]
pub struct Shield {
    /// The secrets that are taken, as hashes: comparing those takes the same time wherever they
    /// differ. None: a secret is not asked for.
    secrets: Vec<blake3::Hash>,
    /// Whether it must have shown a certificate when it connected.
    needs_certificate: bool,
}

impl Shield {
    /// `None` when neither secret nor certificate is asked for.
    pub fn new(config: &Config) -> Option<Self> {
        let hash = |secret: &Secret| blake3::hash(secret.expose().as_bytes());
        let secrets = [&config.shield.secret, &config.shield.previous_secret];
        let secrets: Vec<_> = secrets.into_iter().flatten().map(hash).collect();
        let needs_certificate = config.tls.client_auth == ClientAuth::Require;
        let is_open = secrets.is_empty() && !needs_certificate;
        (!is_open).then_some(Self { secrets, needs_certificate })
    }

    /// Whether a request comes from an edge.
    pub fn admits<B>(&self, request: &Request<B>) -> bool {
        let connection = request.extensions().get::<Connection>();
        let is_certified = connection.is_some_and(|connection| connection.is_certified);
        (is_certified || !self.needs_certificate)
            && (self.secrets.is_empty() || self.is_told(request.headers()))
    }

    /// Whether the headers bear one secret that is taken, and no second one.
    fn is_told(&self, headers: &HeaderMap) -> bool {
        let mut shown = headers.get_all(SHIELD).iter();
        let (Some(value), None) = (shown.next(), shown.next()) else { return false };
        let shown = blake3::hash(value.as_bytes());
        // Without a shortcut: which of the secrets it was is nobody's business either.
        self.secrets.iter().fold(false, |found, secret| found | (*secret == shown))
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use platform::config::Sources;
    use platform::http::Peer;

    use super::*;

    fn shield(keys: &[(&str, &str)]) -> Option<Shield> {
        let flags = keys.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let sources = Sources { flags: flags.collect(), ..Sources::default() };
        Shield::new(&Config::load(&sources).expect("the keys are right").config)
    }

    #[test]
    fn one_right_secret_is_needed() {
        let keys = [
            ("shield.secret", "the-present-secret"),
            ("shield.previous_secret", "the-former-secret"),
        ];
        let shield = shield(&keys).expect("secrets are set");
        let admits = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(SHIELD, value.parse().expect("a value"));
            }
            let mut request = Request::new(());
            *request.headers_mut() = headers;
            shield.admits(&request)
        };
        assert!(admits(&["the-present-secret"]));
        assert!(admits(&["the-former-secret"]));
        for values in [
            &[][..],
            &[""],
            &["the-present-secre"],
            &["the-present-secret-"],
            &["The-Present-Secret"],
            &["a guess", "the-present-secret"],
            &["the-present-secret", "the-present-secret"],
        ] {
            assert!(!admits(values), "{values:?}");
        }
    }

    /// A certificate is asked for by the handshake; what counts here is which listener it was.
    #[test]
    fn a_certificate_counts_alone_and_beside_a_secret() {
        let certificate = [("tls.client_auth", "require"), ("tls.client_ca", "edges.pem")];
        let secret = ("shield.secret", "the-present-secret");
        let alone = shield(&certificate).expect("a certificate is asked for");
        let both = shield(&[certificate[0], certificate[1], secret]).expect("both are asked for");
        for (is_certified, is_told, by_alone, by_both) in [
            (false, false, false, false),
            (false, true, false, false),
            (true, false, true, false),
            (true, true, true, true),
        ] {
            let mut request = Request::new(());
            if is_told {
                let value = HeaderValue::from_static("the-present-secret");
                request.headers_mut().insert(SHIELD, value);
            }
            request.extensions_mut().insert(Connection {
                peer: Peer::Tcp(([127, 0, 0, 1], 1).into()),
                listener: "media",
                number: 1,
                is_encrypted: is_certified,
                is_certified,
            });
            assert_eq!(alone.admits(&request), by_alone, "{is_certified} {is_told}");
            assert_eq!(both.admits(&request), by_both, "{is_certified} {is_told}");
        }
    }

    #[test]
    fn without_secret_and_certificate_there_is_no_shield() {
        assert!(shield(&[]).is_none());
    }
}
