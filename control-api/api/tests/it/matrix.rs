//! The matrix of the example, and that it finds what is wrong.

use api::testing::matrix::{self, Tokens, Who};
use axum::routing::get;
use futures_util::future::BoxFuture;
use platform::db::testing;

use crate::things;

pub struct Plain;

impl Tokens for Plain {
    fn token<'a>(&'a self, who: &'a Who) -> BoxFuture<'a, String> {
        let token = match who {
            Who::Nobody => String::new(),
            Who::Forged => "x.y.z".to_owned(),
            Who::Expired => "expired".to_owned(),
            Who::Viewer => "v.a.ada".to_owned(),
            Who::OtherTenantsViewer => "v.b.bob".to_owned(),
            Who::Staff(held) => format!("s.a.eve.{}", held.join("+")),
            Who::Machine(held) => format!("svk_a.key.{}", held.join("+")),
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
        assert!(70 <= report.asked, "{}", report.asked);
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
