//! Databases on this process's PostgreSQL, made and dropped by one thread.
//!
//! The thread outlives the runtime of any single test, and keeps the one connection that makes
//! databases. Migrations run once per set of schemas; every database is a copy of the result.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

use tokio::sync::{mpsc, oneshot};
use tokio_postgres::Client;

use super::server::{Server, ServerOptions};
use crate::db::{Schema, Settings, migrate};

enum Order {
    Make { schemas: Vec<Schema>, reply: oneshot::Sender<Result<(String, String), String>> },
    Drop { name: String },
}

static ORDERS: LazyLock<mpsc::UnboundedSender<Order>> = LazyLock::new(|| {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || serve(receiver));
    sender
});

/// The address and the name of a new database.
pub(super) async fn make_database(schemas: &[Schema]) -> (String, String) {
    let (reply, answer) = oneshot::channel();
    let order = Order::Make { schemas: schemas.to_vec(), reply };
    let is_sent = ORDERS.send(order).is_ok();
    assert!(is_sent, "the thread that makes databases has ended; see the first failure");
    match answer.await {
        Ok(Ok(made)) => made,
        Ok(Err(error)) => panic!("cannot make a database for a test: {error}"),
        Err(_) => panic!("the thread that makes databases has ended; see its message"),
    }
}

pub(super) fn drop_database(name: String) {
    // At the end of the process the whole server goes.
    drop(ORDERS.send(Order::Drop { name }));
}

fn serve(mut orders: mpsc::UnboundedReceiver<Order>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime for the thread that makes databases");
    runtime.block_on(async move {
        let server = match Server::start(&ServerOptions::default()).await {
            Ok(server) => server,
            // Every test is told, so that none of them hangs.
            Err(error) => {
                while let Some(order) = orders.recv().await {
                    if let Order::Make { reply, .. } = order {
                        drop(reply.send(Err(error.clone())));
                    }
                }
                return;
            }
        };
        let client = server.admin().await.expect("the server that was just started answers");
        let mut maker = Maker { server, client, templates: HashSet::new(), made: 0 };
        while let Some(order) = orders.recv().await {
            match order {
                Order::Make { schemas, reply } => drop(reply.send(maker.make(&schemas).await)),
                Order::Drop { name } => {
                    let sql = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
                    drop(maker.client.batch_execute(&sql).await);
                }
            }
        }
    });
}

struct Maker {
    server: Server,
    client: Client,
    templates: HashSet<String>,
    made: usize,
}

impl Maker {
    async fn make(&mut self, schemas: &[Schema]) -> Result<(String, String), String> {
        let template = self.template(schemas).await?;
        self.made += 1;
        let name = format!("test_{}", self.made);
        self.create(&name, &template).await?;
        Ok((self.server.url(&name), name))
    }

    async fn template(&mut self, schemas: &[Schema]) -> Result<String, String> {
        let mut hasher = DefaultHasher::new();
        for schema in schemas {
            schema.name.hash(&mut hasher);
            for migration in schema.migrations {
                (migration.version, migration.name, migration.sql).hash(&mut hasher);
            }
        }
        let name = format!("template_{:016x}", hasher.finish());
        if self.templates.contains(&name) {
            return Ok(name);
        }
        let drop_it = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
        self.client.batch_execute(&drop_it).await.map_err(|error| error.to_string())?;
        self.create(&name, "template0").await?;
        let settings = Settings::new(self.server.url(&name));
        migrate(&settings, schemas, false).await.map_err(|error| error.to_string())?;
        self.templates.insert(name.clone());
        Ok(name)
    }

    async fn create(&self, name: &str, template: &str) -> Result<(), String> {
        let sql = format!("CREATE DATABASE {name} OWNER tester TEMPLATE {template}");
        self.client.batch_execute(&sql).await.map_err(|error| crate::db::postgres::full(&error))
    }
}
