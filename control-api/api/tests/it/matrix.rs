//! The matrix of the example, and that it finds what is wrong.

use api::testing::matrix::{self, Tokens, Who};
use axum::routing::get;
use futures_util::future::BoxFuture;
use platform::db::testing;

use crate::things;

struct Plain;

impl Tokens for Plain {
    fn token<'a>(&'a self, who: &'a Who) -> BoxFuture<'a, String> {
        let token = match who {
            Who::Nobody => String::new(),
            Who::Forged => "x.y.z".to_owned(),
            Who::Expired => "expired".to_owned(),
            Who::Viewer => "v.a.ada".to_owned(),
            Who::OtherTenantsViewer => "v.b.bob".to_owned(),
            Who::Staff(held) => format!("s.a.eve.{}", held.join("+").replace(':', "/")),
            Who::Machine(held) => format!("svk_a.key.{}", held.join("+").replace(':', "/")),
        };
        Box::pin(std::future::ready(token))
    }
}

#[tokio::test]
async fn everybody_gets_what_the_document_promises() {
    for engine in testing::engines(&[api::SCHEMA, things::SCHEMA]).await {
        let document = things::document(engine.db.clone());
        let report = matrix::run(&things::app(engine.db.clone()), &document, &Plain, "a").await;
        assert_eq!(report.faults, Vec::<String>::new(), "{}", engine.name);
        // Nine operations as seven callers, and three with the permission that is needed.
        assert_eq!(report.asked, 9 * 7 + 3);
    }
}

#[tokio::test]
async fn things_of_another_tenant_are_as_things_that_never_were() {
    for engine in testing::engines(&[api::SCHEMA, things::SCHEMA]).await {
        let (app, document) = (things::app(engine.db.clone()), things::document(engine.db.clone()));
        let theirs = things::make(&app, "b", "v.b.bob").await;
        let report = matrix::isolation(&app, &document, &Plain, "a", &[theirs]).await;
        assert_eq!(report.faults, Vec::<String>::new(), "{}", engine.name);
        assert_eq!(report.asked, 4);
        // One of the own tenant is told from none, so the comparison does find something.
        let ours = things::make(&app, "a", "v.a.ada").await;
        let report = matrix::isolation(&app, &document, &Plain, "a", &[ours]).await;
        assert!(!report.faults.is_empty());
    }
}

/// A matrix that finds nothing anywhere would be worth nothing.
#[tokio::test]
async fn what_is_wrong_is_found() {
    let engine = testing::sqlite(&[api::SCHEMA, things::SCHEMA]).await;
    let document = things::document(engine.db.clone());
    // A server that lets everybody in, and lacks most routes.
    let open = axum::Router::new().route("/v1/export", get(|| async { "{}" }));
    let report = matrix::run(&open, &document, &Plain, "a").await;
    let found = |path: &str, who: &str| {
        report.faults.iter().any(|fault| fault.contains(path) && fault.contains(who))
    };
    assert!(found("/v1/export", "as Nobody"));
    assert!(found("/v1/export", "as OtherTenantsViewer"));
    assert!(!found("/v1/export", "as Machine([\"things:export\"])"));
    assert!(found("/v1/things", "as Viewer"));
}
