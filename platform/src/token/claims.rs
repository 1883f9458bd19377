//! What an access token says (RFC 9068 2.2).

use serde_json::{Map, Value, json};

use super::{LIFE_SECONDS, Refusal};

/// Longest text of one claim.
const TEXT_BYTES_MAX: usize = 512;
/// Audiences of one token.
const AUDIENCES_MAX: usize = 8;
/// Scopes of one token.
const SCOPES_MAX: usize = 64;
/// Last second of year 9999: no time of a token lies behind it.
const SECONDS_MAX: i64 = 253_402_300_799;

/// The claims of a token whose signature was verified. Times are seconds since 1970.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Claims {
    pub issuer: String,
    /// The user, the staff member or the machine.
    pub subject: String,
    pub audiences: Vec<String>,
    pub expires_s: i64,
    pub issued_s: i64,
    pub not_before_s: Option<i64>,
    /// `jti`.
    pub id: String,
    pub client_id: String,
    pub scopes: Vec<String>,
    /// `tid`.
    pub tenant: String,
    /// `sid`.
    pub session: Option<String>,
    /// `prf`.
    pub profile: Option<String>,
    pub tier: Option<String>,
    /// `ep`: how often all tokens of the subject had been withdrawn when this one was made.
    pub epoch: u64,
}

/// What a token is to say. [`Default`] lets it live a quarter of an hour.
#[derive(Clone, Debug)]
pub struct NewToken<'a> {
    pub subject: &'a str,
    pub audience: &'a str,
    pub client_id: &'a str,
    pub scopes: &'a [&'a str],
    pub tenant: &'a str,
    pub session: Option<&'a str>,
    pub profile: Option<&'a str>,
    pub tier: Option<&'a str>,
    pub epoch: u64,
    pub life_seconds: i64,
}

impl Default for NewToken<'_> {
    fn default() -> Self {
        Self {
            subject: "",
            audience: "",
            client_id: "",
            scopes: &[],
            tenant: "",
            session: None,
            profile: None,
            tier: None,
            epoch: 0,
            life_seconds: LIFE_SECONDS,
        }
    }
}

impl Claims {
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes.iter().any(|held| held == scope)
    }

    pub(super) fn read(members: &Map<String, Value>) -> Result<Self, Refusal> {
        let text = |name: &str| -> Result<Option<String>, Refusal> {
            match members.get(name) {
                None => Ok(None),
                Some(Value::String(text)) if (1..=TEXT_BYTES_MAX).contains(&text.len()) => {
                    Ok(Some(text.clone()))
                }
                Some(_) => Err(Refusal::Claims("a text is missing, empty or too long")),
            }
        };
        let needed = |name| text(name)?.ok_or(Refusal::Claims("a text is missing"));
        let seconds = |name: &str| match members.get(name) {
            None => Ok(None),
            Some(value) => seconds(value).map(Some),
        };
        let needed_seconds = |name| seconds(name)?.ok_or(Refusal::Claims("a time is missing"));
        Ok(Self {
            issuer: needed("iss")?,
            subject: needed("sub")?,
            audiences: audiences(members.get("aud"))?,
            expires_s: needed_seconds("exp")?,
            issued_s: needed_seconds("iat")?,
            not_before_s: seconds("nbf")?,
            id: needed("jti")?,
            client_id: needed("client_id")?,
            scopes: scopes(members.get("scope"))?,
            tenant: needed("tid")?,
            session: text("sid")?,
            profile: text("prf")?,
            tier: text("tier")?,
            epoch: match members.get("ep") {
                None => 0,
                Some(epoch) => epoch.as_u64().ok_or(Refusal::Claims("`ep` is no count"))?,
            },
        })
    }

    pub(super) fn write(&self) -> Value {
        let mut value = json!({
            "iss": self.issuer,
            "sub": self.subject,
            "exp": self.expires_s,
            "iat": self.issued_s,
            "jti": self.id,
            "client_id": self.client_id,
            "tid": self.tenant,
        });
        value["aud"] = match &*self.audiences {
            [audience] => json!(audience),
            audiences => json!(audiences),
        };
        let texts = [("sid", &self.session), ("prf", &self.profile), ("tier", &self.tier)];
        for (name, text) in texts {
            if let Some(text) = text {
                value[name] = json!(text);
            }
        }
        if !self.scopes.is_empty() {
            value["scope"] = json!(self.scopes.join(" "));
        }
        if self.epoch != 0 {
            value["ep"] = json!(self.epoch);
        }
        value
    }
}

/// A `NumericDate` (RFC 7519 2), which may have a fraction.
fn seconds(value: &Value) -> Result<i64, Refusal> {
    let seconds = value.as_i64().or_else(|| {
        let number = value.as_f64().filter(|number| number.is_finite())?;
        Some(number.floor() as i64)
    });
    let in_range = |seconds: &i64| (0..=SECONDS_MAX).contains(seconds);
    seconds.filter(in_range).ok_or(Refusal::Claims("a time is no number, or out of range"))
}

fn audiences(value: Option<&Value>) -> Result<Vec<String>, Refusal> {
    let fail = || Refusal::Claims("`aud` is no text and no list of texts");
    let text = |value: &Value| {
        let text = value.as_str().filter(|text| (1..=TEXT_BYTES_MAX).contains(&text.len()));
        text.map(str::to_owned).ok_or_else(fail)
    };
    match value {
        Some(Value::Array(list)) if (1..=AUDIENCES_MAX).contains(&list.len()) => {
            list.iter().map(text).collect()
        }
        Some(value) => Ok(vec![text(value)?]),
        None => Err(fail()),
    }
}

/// Separated by spaces (RFC 6749 3.3).
fn scopes(value: Option<&Value>) -> Result<Vec<String>, Refusal> {
    let Some(value) = value else { return Ok(Vec::new()) };
    let text = value.as_str().ok_or(Refusal::Claims("`scope` is no text"))?;
    let scopes: Vec<_> = text.split(' ').filter(|scope| !scope.is_empty()).collect();
    if SCOPES_MAX < scopes.len() || 4 * TEXT_BYTES_MAX < text.len() {
        return Err(Refusal::Claims("`scope` is too long"));
    }
    Ok(scopes.into_iter().map(str::to_owned).collect())
}
