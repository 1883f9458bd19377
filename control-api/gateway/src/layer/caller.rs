//! Who asks, and how often they may: the credentials decide which budget is spent.
//!
//! A request without credentials spends its address's budget; one with good credentials that of the
//! principal. Credentials that are nothing spend another budget of the address, and when that is
//! gone no more of them are looked at, since each look costs a signature's check. Those that were
//! good a moment ago are looked at all the same: their holder may share the address with somebody
//! who guesses.
//!
//! What a caller may do is decided by the handler's arguments ([`api::caller`]); here nobody is
//! turned away for who they are.

use std::hash::{DefaultHasher, Hash, Hasher};

use api::caller::{self, Caller};
use axum::body::Body;
use http::Request;
use http::header::AUTHORIZATION;
use http_body_util::BodyExt;
use serde_json::Value;

use super::rates::{Network, Policy, Quota, Rates};
use crate::domain::{LoginField, RouteClass};
use crate::exchange::Exchange;
use crate::metrics::Metrics;
use crate::refusal::{Dialect, Refusal};

/// Longest name of an account that is told apart.
const ACCOUNT_BYTES_MAX: usize = 320;

/// Finds out who asks, and takes the request from their budget.
///
/// # Errors
/// 429 when it is spent.
pub(crate) async fn admit(
    rates: &Rates,
    metrics: &Metrics,
    exchange: &Exchange,
    request: Request<Body>,
) -> Result<(Request<Body>, Option<Quota>), Refusal> {
    let settings = &exchange.settings.rates;
    let network = settings.network(exchange.client);
    let (mut parts, body) = request.into_parts();
    let tenant = exchange.tenant.as_ref().map(|tenant| tenant.as_str().to_owned());
    let by_network = |network: Network| (tenant.as_deref(), network);
    let Some(offered) = parts.headers.get(AUTHORIZATION).map(|value| hash(value.as_bytes())) else {
        let quota = match network {
            Some(network) => {
                rates.take(settings, Policy::Anonymous, by_network(network), metrics)?
            }
            None => None,
        };
        return Ok((Request::from_parts(parts, body), quota));
    };
    let was_good = rates.was_good((tenant.as_deref(), offered));
    if let Some(network) = network.filter(|_| !was_good) {
        rates.look(settings, Policy::Refused, by_network(network), metrics)?;
    }
    let found = caller::identify(&mut parts, "api").await;
    let quota = match (found, network) {
        (Ok(Some(caller)), network) => {
            rates.note_good((tenant.as_deref(), offered));
            // An exempt network is exempt whoever asks from there.
            match network {
                Some(_) => {
                    let key = (tenant.as_deref(), principal(&caller));
                    rates.take(settings, Policy::SignedIn, key, metrics)?
                }
                None => None,
            }
        }
        // The handler says why, if it wants anybody at all.
        (Ok(None) | Err(_), Some(network)) => {
            rates.take(settings, Policy::Refused, by_network(network), metrics)?
        }
        (Ok(None) | Err(_), None) => None,
    };
    Ok((Request::from_parts(parts, body), quota))
}

fn principal(caller: &Caller) -> String {
    caller.principal()
}

fn hash(bytes: &[u8]) -> u64 {
    // The table hashes again with a secret of its own; this only shortens.
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

/// Counts an attempt to sign in: of the address, and of the address to that account.
///
/// # Errors
/// 429 when either is spent.
pub(crate) async fn attempt(
    rates: &Rates,
    metrics: &Metrics,
    exchange: &Exchange,
    class: RouteClass,
    request: Request<Body>,
) -> Result<(Request<Body>, Option<Quota>), Refusal> {
    let settings = &exchange.settings.rates;
    let RouteClass::Login(field) = class else { return Ok((request, None)) };
    let Some(network) = settings.network(exchange.client) else { return Ok((request, None)) };
    let tenant = exchange.tenant.as_ref().map(|tenant| tenant.as_str());
    let of_address = rates.take(settings, Policy::Login, (tenant, network), metrics)?;
    // Of protobuf nobody here knows the members: the address alone counts.
    if exchange.dialect == Dialect::Grpc {
        return Ok((request, of_address));
    }
    let (parts, body) = request.into_parts();
    let content = body.collect().await.map_err(|_| super::unreadable())?.to_bytes();
    let mut quota = of_address;
    if let Some(account) = account_in(&content, field) {
        let key = (tenant, network, account);
        let of_account = rates.take(settings, Policy::LoginAccount, key, metrics)?;
        quota = Quota::tighter(of_address, of_account);
    }
    Ok((Request::from_parts(parts, Body::from(content)), quota))
}

/// The account as it counts, however it is written.
fn account_in(content: &[u8], field: LoginField) -> Option<String> {
    let content: Value = serde_json::from_slice(content).ok()?;
    let account = content.get(field.0)?.as_str()?.trim();
    let end = account.floor_char_boundary(ACCOUNT_BYTES_MAX);
    Some(account[..end].to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_one_however_it_is_written() {
        let of = |text: &str| account_in(text.as_bytes(), LoginField("email"));
        assert_eq!(of(r#"{"email":" Ada@Example.org "}"#), of(r#"{"email":"ada@example.org"}"#));
        for none in ["", "{", r#"{"email":1}"#, r#"["email"]"#, r#"{"name":"ada"}"#] {
            assert_eq!(of(none), None, "{none}");
        }
        let long = format!(r#"{{"email":"{}"}}"#, "é".repeat(1_000));
        assert!(of(&long).is_some_and(|account| account.len() <= ACCOUNT_BYTES_MAX));
    }
}
