//! A small S3 server over a folder, for tests and trials.
//!
//! `s3_server FOLDER ACCESS_KEY SECRET_KEY` listens on a free port of 127.0.0.1, prints the address
//! as its first line, and serves until its standard input ends. Buckets are folders.
#![allow(clippy::print_stdout, reason = "the address is this program's output")]

use std::error::Error;
use std::path::PathBuf;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().ok_or("usage: s3_server FOLDER ACCESS_KEY SECRET_KEY");
    let folder = PathBuf::from(next()?);
    let auth = SimpleAuth::from_single(next()?, next()?);
    let files = s3s_fs::FileSystem::new(&folder).map_err(|error| format!("{error:?}"))?;
    let mut builder = S3ServiceBuilder::new(files);
    builder.set_auth(auth);
    let service = builder.build();

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let (ended, mut end) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        // A broken standard input has ended as well.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _ = ended.send(());
    });
    loop {
        tokio::select! {
            _ = &mut end => return Ok(()),
            accepted = listener.accept() => {
                let io = TokioIo::new(accepted?.0);
                let service = service.clone();
                tokio::spawn(async move {
                    // A client that goes away is no failure of the server.
                    let _ = Builder::new(TokioExecutor::new()).serve_connection(io, service).await;
                });
            }
        }
    }
}
