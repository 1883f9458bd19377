//! The real event log and audit chain, in the transaction of the use case.

use std::sync::Arc;

use crate::accounts::OneTier;
use crate::testing::{World, world_with};

#[tokio::test]
async fn facts_and_records_are_kept_with_what_they_tell() {
    let schemas = [crate::SCHEMA, platform::events::SCHEMA, platform::audit::SCHEMA];
    for engine in platform::db::testing::engines(&schemas).await {
        let outbox = Arc::new(crate::PlatformOutbox);
        let world: World = world_with(engine, OneTier::default().0, outbox);
        let registration = crate::register::Registration {
            email: "ann@example.com".to_owned(),
            password: crate::testing::PASSWORD.to_owned(),
            ..Default::default()
        };
        let client = crate::testing::client();
        world.accounts.register(&world.tenant, &client, &registration).await.unwrap();
        assert!(world.mails_to("ann@example.com").is_empty(), "nothing went another way");
        let login = world.login("ann@example.com", "tv").await;
        assert_eq!(login.unwrap_err().code(), "email_unverified", "{}", world.name());
    }
}
