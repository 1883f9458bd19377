use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::json;

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

/// A pipe whose reading end is handed over, and what was written into it.
fn pipe() -> (OwnedFd, std::io::PipeWriter) {
    let (reader, writer) = std::io::pipe().unwrap();
    (reader.into(), writer)
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[tokio::test]
async fn descriptors_and_words_arrive() {
    let folder = folder();
    let path = socket_in(folder.path());
    let mut door = Door::open(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let data = folder.path().to_owned();
    let new = tokio::task::spawn_blocking(move || {
        let mut waited = Vec::new();
        let mut claim = ask(&data, |reason| waited.push(reason.to_owned())).unwrap();
        assert_eq!(waited, ["an ingest"]);
        assert_eq!(claim.state, json!({"generation": 3}));
        assert!(claim.take("nothing").is_none());
        let mut text = String::new();
        std::fs::File::from(claim.take("pipe").unwrap()).read_to_string(&mut text).unwrap();
        assert_eq!(text, "through the pipe");
        match claim.ready().unwrap() {
            Go::Told(state) => assert_eq!(state, json!("x".repeat(100_000))),
            Go::Alone => panic!("the other process is there"),
        }
    });
    let mut heir = door.next().await;
    assert_eq!(heir.process_id(), i32::try_from(std::process::id()).ok());
    heir.wait("an ingest").await.unwrap();
    let (reader, mut writer) = pipe();
    heir.offer(&[("pipe".to_owned(), reader)], json!({"generation": 3})).await.unwrap();
    writer.write_all(b"through the pipe").unwrap();
    drop(writer);
    heir.ready(PATIENCE).await.unwrap();
    heir.go(json!("x".repeat(100_000))).await.unwrap();
    new.await.unwrap();
    drop(door);
    assert!(!path.exists());
}

#[tokio::test]
async fn an_heir_that_dies_is_noticed_and_the_next_is_heard() {
    let folder = folder();
    let mut door = Door::open(&socket_in(folder.path())).unwrap();
    for _ in 0..2 {
        let data = folder.path().to_owned();
        let new = tokio::task::spawn_blocking(move || drop(ask(&data, |_| {}).unwrap()));
        let mut heir = door.next().await;
        heir.offer(&[], json!(null)).await.unwrap();
        assert!(matches!(heir.ready(PATIENCE).await, Err(HandoverError::Gone)));
        new.await.unwrap();
    }
}

#[tokio::test]
async fn giving_up_is_told_and_a_death_is_not() {
    let folder = folder();
    let mut door = Door::open(&socket_in(folder.path())).unwrap();
    for is_death in [false, true] {
        let data = folder.path().to_owned();
        let new = tokio::task::spawn_blocking(move || ask(&data, |_| {}).unwrap().ready());
        let mut heir = door.next().await;
        heir.offer(&[], json!(null)).await.unwrap();
        heir.ready(PATIENCE).await.unwrap();
        // What the kernel does with the sockets of a process that died.
        heir.is_told = is_death;
        drop(heir);
        match (is_death, new.await.unwrap()) {
            (true, Ok(Go::Alone)) | (false, Err(HandoverError::Refused { .. })) => {}
            (_, outcome) => panic!("{outcome:?}"),
        }
    }
}

#[tokio::test]
async fn noise_and_other_versions_are_refused() {
    let folder = folder();
    let path = socket_in(folder.path());
    let _door = Door::open(&path).unwrap();
    let ask = serde_json::to_vec(&Message::Ask { version: 99 }).unwrap();
    let framed = |text: &[u8]| [&(text.len() as u32).to_be_bytes(), text].concat();
    for (bytes, answer) in [
        (framed(&ask), "hands over by version"),
        (framed(b"{\"say\":\"ready\"}"), "given up"),
        (framed(b"no json"), "given up"),
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "given up"),
    ] {
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.write_all(&bytes).unwrap();
        let said = tokio::task::spawn_blocking(move || {
            let mut said = Vec::new();
            let _ = stream.read_to_end(&mut said);
            String::from_utf8_lossy(&said).into_owned()
        });
        let said = said.await.unwrap();
        assert!(said.contains(answer), "{said:?}");
    }
}

#[test]
fn nobody_there_is_named() {
    let folder = folder();
    let message = ask(folder.path(), |_| {}).unwrap_err().to_string();
    assert!(message.contains("handover.sock") && message.contains("without"), "{message}");
}
