//! The example domain of the tests as a server, for clients in other languages:
//!
//! ```text
//! things_server DATABASE_FILE DOCUMENT_FILE
//! ```
//!
//! writes the OpenAPI document and prints `ready ADDRESS`. Tokens are those of `api::testing`.

#[path = "../tests/it/things/mod.rs"]
mod things;

use std::io::Write;

use platform::db::Db;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut argument =
        || arguments.next().ok_or("usage: things_server DATABASE_FILE DOCUMENT_FILE");
    let (database, document) = (argument()?, argument()?);
    let db = Db::open(&format!("sqlite:{database}"), &[api::SCHEMA, things::SCHEMA]).await?;
    std::fs::write(document, things::document(db.clone()).to_text())?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    writeln!(std::io::stdout(), "ready http://{}", listener.local_addr()?)?;
    axum::serve(listener, things::app(db)).await?;
    Ok(())
}
