//! An upstream that does as it is told, on the wire: a thread for each connection, and no HTTP library
//! that would keep it from misbehaving.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// One request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
}

impl Asked {
    /// The value of a header, or the empty string.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }
}

/// What a connection does after an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Then {
    Keep,
    Close,
}

/// A running upstream. Its threads end with the test's process.
pub(crate) struct Double {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Double {
    /// Answers health checks, and everything else by `script`, which learns how many requests for the
    /// same path came before.
    pub(crate) fn start(
        script: impl Fn(&Asked, usize, &mut TcpStream) -> Then + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (script, kept) = (Arc::new(script), asked.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (script, kept) = (script.clone(), kept.clone());
                std::thread::spawn(move || converse(stream, &*script, &kept));
            }
        });
        Self { address, asked }
    }

    /// Requests so far, health checks aside.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("nobody panics with it").clone()
    }

    pub(crate) fn count(&self, path: &str) -> usize {
        self.asked().iter().filter(|asked| asked.path == path).count()
    }
}

fn converse(
    mut stream: TcpStream,
    script: &(dyn Fn(&Asked, usize, &mut TcpStream) -> Then + Send + Sync),
    kept: &Mutex<Vec<Asked>>,
) {
    let mut reader = BufReader::new(stream.try_clone().expect("a socket can be shared"));
    while let Some(asked) = read_request(&mut reader) {
        if asked.path == "/ready" {
            reply(&mut stream, "200 OK", &[], b"ready\n");
            continue;
        }
        let earlier = {
            let mut kept = kept.lock().expect("nobody panics with it");
            kept.push(asked.clone());
            kept.iter().filter(|other| other.path == asked.path).count() - 1
        };
        if script(&asked, earlier, &mut stream) == Then::Close {
            return;
        }
    }
}

fn read_request(reader: &mut impl BufRead) -> Option<Asked> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|bytes| *bytes > 0)?;
    let mut words = line.split(' ');
    let path = words.nth(1)?.to_owned();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|bytes| *bytes > 0)?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => {
                headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
            None => return Some(Asked { path, headers }),
        }
    }
}

/// A good answer. A client that is gone is no business of the test's.
pub(crate) fn reply(stream: &mut TcpStream, status: &str, lines: &[&str], body: &[u8]) {
    head(stream, status, lines, body.len());
    let _ = stream.write_all(body);
}

/// The head of an answer that announces `len` bytes.
pub(crate) fn head(stream: &mut TcpStream, status: &str, lines: &[&str], len: usize) {
    let mut text = format!("HTTP/1.1 {status}\r\nContent-Length: {len}\r\n");
    for line in lines {
        text.push_str(line);
        text.push_str("\r\n");
    }
    let _ = stream.write_all((text + "\r\n").as_bytes());
}

/// Bytes that differ from place to place.
pub(crate) fn noise(count: usize) -> Vec<u8> {
    (0..count).map(|i| (i * 31 + i / 251) as u8).collect()
}
