//! The authorisation matrix: every operation of a document, asked as everybody.
//!
//! | who | public | open to guests, too | secured |
//! | --- | --- | --- | --- |
//! | nobody | passes | passes | 401 |
//! | forged, expired, of another tenant | passes | 401 | 401 |
//! | of another realm | passes | 401 | 401 |
//! | of the realm, without the permission | – | 403 | 403 |
//! | of the realm, with it | – | passes | passes |
//!
//! "Passes" is any documented answer but 401 and 403: the requests have no sensible bodies. A route
//! that the document lists and the server lacks fails, and so does an answer that isn't documented.

use axum::Router;
use axum::body::{Body, to_bytes};
use futures_util::future::BoxFuture;
use http::{Request, StatusCode, header};
use serde_json::Value;
use tower::ServiceExt;

use crate::openapi::{Document, Operation, Realm};

/// Who asks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Who {
    Nobody,
    /// A token that nobody issued.
    Forged,
    /// A viewer's token that was good once.
    Expired,
    Viewer,
    /// A viewer of another tenant, whose token is good there.
    OtherTenantsViewer,
    /// With these permissions alone.
    Staff(Vec<String>),
    /// With these scopes alone.
    Machine(Vec<String>),
}

/// Makes credentials. Asked anew for each request, since some operations end what they are called
/// with.
pub trait Tokens: Sync {
    /// The token of `Authorization: Bearer`.
    fn token<'a>(&'a self, who: &'a Who) -> BoxFuture<'a, String>;
}

/// What the document promises.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Expected {
    Passes,
    Unauthorized,
    Forbidden,
}

/// What `who` is to get from `operation`.
pub fn expected(operation: &Operation, who: &Who) -> Expected {
    let (realm, held): (_, &[String]) = match who {
        Who::Nobody if operation.is_public() => return Expected::Passes,
        // Credentials are not looked at.
        _ if operation.security.is_empty() => return Expected::Passes,
        Who::Nobody | Who::Forged | Who::Expired | Who::OtherTenantsViewer => {
            return Expected::Unauthorized;
        }
        Who::Viewer => (Realm::Viewer, &[]),
        Who::Staff(held) => (Realm::Staff, held),
        Who::Machine(held) => (Realm::Machine, held),
    };
    let mut ways = operation.security.iter().filter(|way| way.realm == realm).peekable();
    if ways.peek().is_none() {
        return Expected::Unauthorized;
    }
    if ways.any(|way| way.scopes.iter().all(|scope| held.contains(scope))) {
        Expected::Passes
    } else {
        Expected::Forbidden
    }
}

/// Everybody that is worth asking as.
fn everybody(operation: &Operation) -> Vec<Who> {
    let needed = |realm| {
        let ways = operation.security.iter().filter(|way| way.realm == realm);
        ways.flat_map(|way| way.scopes.clone()).collect::<Vec<_>>()
    };
    let mut all = vec![
        Who::Nobody,
        Who::Forged,
        Who::Expired,
        Who::Viewer,
        Who::OtherTenantsViewer,
        Who::Staff(Vec::new()),
        Who::Machine(Vec::new()),
    ];
    for (needed, who) in [
        (needed(Realm::Staff), Who::Staff as fn(_) -> _),
        (needed(Realm::Machine), Who::Machine as fn(_) -> _),
    ] {
        if !needed.is_empty() {
            all.push(who(needed));
        }
    }
    all
}

/// How many questions were asked, and each answer that is not as the document promises.
#[derive(Debug, Default)]
pub struct Report {
    pub asked: usize,
    pub faults: Vec<String>,
}

/// Asks every operation as everybody. `host` names the tenant of [`Who::Viewer`].
pub async fn run(router: &Router, document: &Document, tokens: &dyn Tokens, host: &str) -> Report {
    let mut report = Report::default();
    for operation in document.operations() {
        for who in everybody(&operation) {
            report.asked += 1;
            let (status, code) = ask(router, &operation, &who, tokens, host).await;
            if let Err(why) = judge(&operation, &who, status, &code) {
                let Operation { method, path, .. } = &operation;
                report.faults.push(format!("{method} {path} as {who:?}: {status} `{code}`: {why}"));
            }
        }
    }
    report
}

fn judge(operation: &Operation, who: &Who, status: StatusCode, code: &str) -> Result<(), String> {
    if ["no_such_route", "method_not_allowed"].contains(&code) {
        return Err("the server has no such route".to_owned());
    }
    if status.is_server_error() {
        return Err("a server's fault".to_owned());
    }
    let documented = status.as_str();
    if !operation.statuses.iter().any(|s| s == documented || s == "default") {
        return Err(format!("the document lists {:?} alone", operation.statuses));
    }
    let expected = expected(operation, who);
    let got = match status {
        StatusCode::UNAUTHORIZED => Expected::Unauthorized,
        StatusCode::FORBIDDEN => Expected::Forbidden,
        _ => Expected::Passes,
    };
    if got == expected { Ok(()) } else { Err(format!("expected {expected:?}")) }
}

/// Asks every operation on one thing for things of another tenant (`ids`), as whoever may ask it:
/// each answer is that for a thing that never was, and none is a success.
pub async fn isolation(
    router: &Router,
    document: &Document,
    tokens: &dyn Tokens,
    host: &str,
    ids: &[String],
) -> Report {
    let mut report = Report::default();
    let on_one = |operation: &Operation| operation.path.contains('{');
    for operation in document.operations().iter().filter(|operation| on_one(operation)) {
        let may = |who: &Who| expected(operation, who) == Expected::Passes;
        for who in everybody(operation).iter().filter(|who| may(who)) {
            let never = ask_for(router, operation, who, tokens, host, NEVER).await;
            for id in ids {
                report.asked += 1;
                let answer = ask_for(router, operation, who, tokens, host, id).await;
                if answer != never || answer.0.is_success() {
                    let Operation { method, path, .. } = operation;
                    report.faults.push(format!(
                        "{method} {path} as {who:?} for `{id}`: {answer:?}, but {never:?} for none"
                    ));
                }
            }
        }
    }
    report
}

/// An id that nothing has.
const NEVER: &str = "00000000-0000-7000-8000-000000000000";

async fn ask(
    router: &Router,
    operation: &Operation,
    who: &Who,
    tokens: &dyn Tokens,
    host: &str,
) -> (StatusCode, String) {
    ask_for(router, operation, who, tokens, host, NEVER).await
}

async fn ask_for(
    router: &Router,
    operation: &Operation,
    who: &Who,
    tokens: &dyn Tokens,
    host: &str,
    id: &str,
) -> (StatusCode, String) {
    let target = operation.target(|_| id.to_owned());
    let mut request = Request::builder()
        .method(operation.method.as_str())
        .uri(target)
        .header(header::HOST, host)
        .header(header::IF_MATCH, "\"v0\"")
        .header("idempotency-key", uuid::Uuid::now_v7().to_string());
    if *who != Who::Nobody {
        let token = tokens.token(who).await;
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let body = if operation.has_body { "{}" } else { "" };
    if operation.has_body {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    let request = request.body(Body::from(body)).expect("a plain request");
    let response = router.clone().oneshot(request).await.expect("routers don't fail");
    let status = response.status();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap_or_default();
    let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
    (status, problem["code"].as_str().unwrap_or_default().to_owned())
}
