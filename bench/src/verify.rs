//! Compares every body with the file of its name, byte by byte.
//!
//! Timing runs look at lengths only, since looking at the bytes would cost the client more than
//! the server spends. This pass comes before them, over the same paths of the same process.

use std::fs::File;
use std::io::{BufReader, Read, Result};
use std::net::SocketAddr;
use std::path::Path;

use crate::client::{Body, Connection, Protocol, wrong};

/// What was compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    pub bodies: usize,
    pub bytes: u64,
}

/// Asks for each path once. The first body that differs from `root`/path is an error that names
/// the path and the byte.
pub fn verify(
    address: SocketAddr,
    protocol: Protocol,
    paths: &[String],
    root: &Path,
) -> Result<Verified> {
    let mut connection = protocol.connect(address)?;
    let mut verified = Verified::default();
    for path in paths {
        let bytes = verify_one(connection.as_mut(), path, root)
            .map_err(|source| wrong(format!("{path}: {source}")))?;
        verified.bodies += 1;
        verified.bytes += bytes;
    }
    Ok(verified)
}

fn verify_one(connection: &mut dyn Connection, path: &str, root: &Path) -> Result<u64> {
    let file = File::open(root.join(path.trim_start_matches('/')))?;
    let file_bytes = file.metadata()?.len();
    let mut file = BufReader::with_capacity(1 << 20, file);
    let mut expected = Vec::new();
    let mut offset = 0;
    let mut compare = |piece: &[u8]| {
        expected.resize(piece.len(), 0);
        file.read_exact(&mut expected).map_err(|_| {
            wrong(format!("the body is longer than its file of {file_bytes} bytes"))
        })?;
        if let Some(at) = piece.iter().zip(&expected).position(|(body, file)| body != file) {
            return Err(wrong(format!("byte {} differs from the file's", offset + at as u64)));
        }
        offset += piece.len() as u64;
        Ok(())
    };
    let answer = connection.get(path, Body::Hand(&mut compare))?;
    if answer.body_bytes != file_bytes {
        let body_bytes = answer.body_bytes;
        return Err(wrong(format!("the body has {body_bytes} bytes, its file {file_bytes}")));
    }
    Ok(file_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_server;

    /// Verifies `/a/b`, whose file holds `file`, against a server that answers `body`.
    fn check(file: &'static [u8], body: &'static [u8]) -> Result<Verified> {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("a")).unwrap();
        std::fs::write(root.path().join("a/b"), file).unwrap();
        let address = test_server::start(move |_| Some(body.to_vec()));
        verify(address, Protocol::Http1, &["/a/b".to_owned()], root.path())
    }

    #[test]
    fn equal_bodies_pass() {
        assert_eq!(check(b"12345", b"12345").unwrap(), Verified { bodies: 1, bytes: 5 });
        assert_eq!(check(b"", b"").unwrap(), Verified { bodies: 1, bytes: 0 });
    }

    #[test]
    fn a_body_that_differs_is_named_with_the_byte() {
        let error = check(b"12345", b"12x45").unwrap_err().to_string();
        assert_eq!(error, "/a/b: byte 2 differs from the file's");
    }

    #[test]
    fn a_body_of_another_length_fails() {
        assert!(check(b"12345", b"1234").unwrap_err().to_string().contains("has 4 bytes"));
        assert!(check(b"1234", b"12345").unwrap_err().to_string().contains("longer"));
    }
}
