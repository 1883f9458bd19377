//! Makes access tokens.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::claims::{Claims, NewToken};
use super::{LIFE_SECONDS_MAX, Refusal, TOKEN_BYTES_MAX, jws};
use crate::keyring::{KeyError, Purpose, Ring};

/// Bytes of a `jti`: nobody guesses one, or has had it.
const ID_BYTES: usize = 16;

/// Makes tokens in one name.
#[derive(Clone, Debug)]
pub struct Issuer {
    name: String,
}

/// Why no token was made.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    #[error("a token lives a second to an hour, not {seconds} s")]
    Life { seconds: i64 },

    #[error("the token would be refused: {0}")]
    Refused(#[from] Refusal),

    #[error(transparent)]
    Key(#[from] KeyError),
}

impl Issuer {
    /// `name` is the `iss` of its tokens: the public address of the control API.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned() }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The token that says `new`, signed by the active key of `ring`, and what it says.
    ///
    /// RS256 takes a quarter of a millisecond of processor time. That is cheap enough for an
    /// executor's thread as long as each token costs a login or a refresh first.
    ///
    /// # Errors
    /// When it would be refused, or no key signs.
    pub fn issue(
        &self,
        ring: &Ring,
        new: &NewToken<'_>,
        now_ms: i64,
    ) -> Result<(String, Claims), IssueError> {
        if !(1..=LIFE_SECONDS_MAX).contains(&new.life_seconds) {
            return Err(IssueError::Life { seconds: new.life_seconds });
        }
        let mut id = [0; ID_BYTES];
        crate::secret_file::fill_random(&mut id).map_err(KeyError::from)?;
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let issued_s = now_ms.div_euclid(1_000);
        let claims = Claims {
            issuer: self.name.clone(),
            subject: new.subject.to_owned(),
            audiences: vec![new.audience.to_owned()],
            expires_s: issued_s + new.life_seconds,
            issued_s,
            not_before_s: None,
            id: URL_SAFE_NO_PAD.encode(id),
            client_id: new.client_id.to_owned(),
            scopes: new.scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            tenant: new.tenant.to_owned(),
            session: owned(new.session),
            profile: owned(new.profile),
            tier: owned(new.tier),
            epoch: new.epoch,
        };
        let payload = claims.write();
        // What nobody could read is not signed.
        let members = payload.as_object().ok_or(Refusal::Claims("no object"))?;
        if Claims::read(members)? != claims {
            return Err(Refusal::Claims("a scope has a space in it").into());
        }
        Ok((sign(ring, &payload.to_string(), now_ms)?, claims))
    }
}

fn sign(ring: &Ring, payload: &str, now_ms: i64) -> Result<String, IssueError> {
    let key = ring.active(now_ms)?;
    let header = json!({ "alg": key.algorithm().as_str(), "kid": key.id(), "typ": "at+jwt" });
    let input = jws::signing_input(header.to_string().as_bytes(), payload.as_bytes());
    let signature = key.material().and_then(|material| material.sign(input.as_bytes()));
    let wrong = || KeyError::WrongKind { purpose: Purpose::AccessTokens };
    let token = jws::compact(input, &signature.ok_or_else(wrong)?);
    if TOKEN_BYTES_MAX < token.len() {
        return Err(Refusal::TooLong.into());
    }
    Ok(token)
}
