//! How often something may be tried: wrong passwords, codes, mails.
//!
//! An attempt is charged before it is made, by one statement, so that attempts at the same moment
//! all count. Success forgives what was charged. Windows are fixed: the first attempt opens one.

use std::net::IpAddr;

use platform::db::{DbError, Scope, Tx};
use platform::params;

use crate::secret::SecretHash;

/// `attempts` within `window_ms`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limit {
    pub attempts: i64,
    pub window_ms: i64,
}

const MINUTE_MS: i64 = 60_000;

/// Passwords for one address from one network.
pub(crate) const LOGIN_HERE: Limit = Limit { attempts: 10, window_ms: 15 * MINUTE_MS };
/// Passwords for one address from everywhere.
pub(crate) const LOGIN_ANYWHERE: Limit = Limit { attempts: 100, window_ms: 15 * MINUTE_MS };
/// Mails to one address.
pub(crate) const MAIL: Limit = Limit { attempts: 5, window_ms: 15 * MINUTE_MS };
/// Codes from mails, for one address.
pub(crate) const MAIL_CODE: Limit = Limit { attempts: 10, window_ms: 15 * MINUTE_MS };
/// Wrong PINs of one account.
pub(crate) const PIN: Limit = Limit { attempts: 5, window_ms: 15 * MINUTE_MS };
/// Codes of televisions, typed by one person.
pub(crate) const USER_CODE: Limit = Limit { attempts: 10, window_ms: 15 * MINUTE_MS };
/// Codes for televisions, asked for from one network.
pub(crate) const DEVICE_START: Limit = Limit { attempts: 60, window_ms: 15 * MINUTE_MS };
/// Second factors of one person; locks as the notes of RFC 4226 7.3 ask for.
pub(crate) const SECOND_FACTOR: Limit = Limit { attempts: 5, window_ms: 15 * MINUTE_MS };

/// What is counted together. The text is hashed, so that no address stands in the table.
#[derive(Clone, Debug)]
pub(crate) struct Subject(String);

impl Subject {
    pub(crate) fn of(what: &'static str, parts: &[&str]) -> Self {
        let parts: Vec<&[u8]> = parts.iter().map(|part| part.as_bytes()).collect();
        Self(format!("{what}:{}", SecretHash::of(&parts).hex()))
    }
}

/// The network that attempts are counted for: an IPv4 address, or 64 bits of an IPv6 one, which is
/// what one customer has.
pub fn network_of(address: Option<IpAddr>) -> String {
    match address.map(|address| address.to_canonical()) {
        None => "unknown".to_owned(),
        Some(IpAddr::V4(address)) => address.to_string(),
        Some(IpAddr::V6(address)) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

/// Whether an attempt may be made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Charge {
    Allowed,
    Refused { retry_after_seconds: u32 },
}

platform::statements! {
    /// One more attempt, in the open window or in a new one.
    CHARGE: "INSERT INTO account_throttle (tenant_id, key, attempts, window_ends_ms)
        VALUES ($1, $2, 1, $4)
        ON CONFLICT (tenant_id, key) DO UPDATE SET
            attempts = CASE WHEN account_throttle.window_ends_ms <= $3 THEN 1
                ELSE account_throttle.attempts + 1 END,
            window_ends_ms = CASE WHEN account_throttle.window_ends_ms <= $3 THEN $4
                ELSE account_throttle.window_ends_ms END
        RETURNING attempts, window_ends_ms";
    FORGIVE: "DELETE FROM account_throttle WHERE tenant_id = $1 AND key = $2";
    system SWEEP: "DELETE FROM account_throttle WHERE window_ends_ms <= $1";
}

/// Charges one attempt.
pub(crate) async fn charge(
    tx: &mut Tx,
    subject: &Subject,
    limit: Limit,
    now_ms: i64,
) -> Result<Charge, DbError> {
    let ends_ms = now_ms + limit.window_ms;
    let row = tx.query_one(&CHARGE, params![&subject.0, now_ms, ends_ms]).await?;
    let (attempts, window_ends_ms) = row.decode::<(i64, i64)>()?;
    Ok(judge(limit, attempts, window_ends_ms, now_ms))
}

/// Forgets what was charged, after a success.
pub(crate) async fn forgive(tx: &mut Tx, subject: &Subject) -> Result<(), DbError> {
    tx.execute(&FORGIVE, params![&subject.0]).await.map(|_| ())
}

/// Charges several subjects in a transaction of its own; the strictest answer counts.
pub(crate) async fn charge_all(
    scope: &Scope,
    subjects: Vec<(Subject, Limit)>,
    now_ms: i64,
) -> Result<Charge, DbError> {
    scope
        .tx((subjects, now_ms), |tx, (subjects, now_ms)| {
            Box::pin(async move {
                let mut strictest = Charge::Allowed;
                for (subject, limit) in subjects {
                    let charge = charge(tx, subject, *limit, *now_ms).await?;
                    strictest = strictest.or(charge);
                }
                Ok::<_, DbError>(strictest)
            })
        })
        .await
}

impl Charge {
    /// The one that makes the caller wait longer.
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Allowed, other) => other,
            (this, Self::Allowed) => this,
            (
                Self::Refused { retry_after_seconds: a },
                Self::Refused { retry_after_seconds: b },
            ) => Self::Refused { retry_after_seconds: a.max(b) },
        }
    }
}

fn judge(limit: Limit, attempts: i64, window_ends_ms: i64, now_ms: i64) -> Charge {
    if attempts <= limit.attempts {
        return Charge::Allowed;
    }
    let seconds = (window_ends_ms - now_ms).max(0).div_euclid(1_000) + 1;
    Charge::Refused { retry_after_seconds: u32::try_from(seconds).unwrap_or(u32::MAX) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_what_one_customer_has() {
        let network = |text: &str| network_of(Some(text.parse().unwrap()));
        assert_eq!(network("192.0.2.7"), "192.0.2.7");
        assert_eq!(network("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(network("2001:db8:1:2:3::4"), "2001:db8:1:2::/64");
        assert_eq!(network("2001:db8:1:2::ffff"), network("2001:db8:1:2:9::1"));
        assert_eq!(network_of(None), "unknown");
    }

    #[test]
    fn the_last_allowed_attempt_and_the_first_refused() {
        let limit = Limit { attempts: 5, window_ms: 60_000 };
        assert_eq!(judge(limit, 5, 60_000, 0), Charge::Allowed);
        assert_eq!(judge(limit, 6, 60_000, 0), Charge::Refused { retry_after_seconds: 61 });
        assert_eq!(judge(limit, 6, 60_000, 59_500), Charge::Refused { retry_after_seconds: 1 });
    }
}
