//! A small HTTP/1.1 client that shows everything the wire shows (RFC 9112).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longest time that a test waits for an answer.
const TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case, in the order of the wire.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Whether the connection ended before the announced body was complete.
    pub(crate) is_cut: bool,
}

impl Answer {
    /// The value of a header, or the empty string.
    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value)
    }

    #[track_caller]
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }

    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A connection that is kept between requests.
#[derive(Debug)]
pub(crate) struct Client {
    address: SocketAddr,
    connection: Option<BufReader<TcpStream>>,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, connection: None }
    }

    /// GET that has to be answered with 200.
    #[track_caller]
    pub(crate) fn get(&mut self, path: &str) -> Answer {
        let answer = self.send("GET", path, &[]);
        assert_eq!(answer.status, 200, "{path}: {}", String::from_utf8_lossy(&answer.body));
        assert!(!answer.is_cut, "{path} was cut off");
        answer
    }

    /// GET with headers, whatever the status.
    #[track_caller]
    pub(crate) fn get_with(&mut self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", path, headers)
    }

    #[track_caller]
    pub(crate) fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let request = request_text(method, path, self.address, headers);
        for attempt in 0..2 {
            let mut connection = match self.connection.take() {
                Some(connection) => connection,
                None => BufReader::new(connect(self.address)),
            };
            let is_sent = connection.get_mut().write_all(request.as_bytes()).is_ok();
            match read_answer(&mut connection, method) {
                Ok(answer) => {
                    if !answer.is_cut && answer.header("connection") != "close" {
                        self.connection = Some(connection);
                    }
                    return answer;
                }
                // A kept connection may have been closed meanwhile.
                Err(error) => assert!(attempt == 0, "{method} {path} ({is_sent}): {error}"),
            }
        }
        unreachable!("the second attempt returns or fails")
    }
}

#[track_caller]
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the server listens");
    stream.set_read_timeout(Some(TIMEOUT)).expect("a timeout can be set");
    stream.set_nodelay(true).expect("an option can be set");
    stream
}

pub(crate) fn request_text(
    method: &str,
    path: &str,
    address: SocketAddr,
    headers: &[(&str, &str)],
) -> String {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text + "\r\n"
}

/// Reads one answer to `method`.
pub(crate) fn read_answer(stream: &mut impl BufRead, method: &str) -> std::io::Result<Answer> {
    let status_line = read_line(stream)?;
    let status = status_line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status =
        status.ok_or_else(|| std::io::Error::other(format!("no status: {status_line:?}")))?;
    let mut headers = Vec::new();
    loop {
        let line = read_line(stream)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').expect("a header has a colon");
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut answer = Answer { status, headers, body: Vec::new(), is_cut: false };
    if method == "HEAD" || status == 204 || status == 304 {
        return Ok(answer);
    }
    if answer.header("transfer-encoding") == "chunked" {
        answer.is_cut = read_chunks(stream, &mut answer.body).is_err();
    } else if let Ok(len) = answer.header("content-length").parse::<u64>() {
        let end = stream.take(len).read_to_end(&mut answer.body);
        answer.is_cut = end.is_err() || answer.body.len() as u64 != len;
    } else {
        stream.read_to_end(&mut answer.body)?;
    }
    Ok(answer)
}

fn read_chunks(stream: &mut impl BufRead, body: &mut Vec<u8>) -> std::io::Result<()> {
    loop {
        let size = u64::from_str_radix(read_line(stream)?.trim(), 16);
        let size = size.map_err(std::io::Error::other)?;
        let read = stream.take(size).read_to_end(body)?;
        if read as u64 != size {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        read_line(stream)?;
        if size == 0 {
            return Ok(());
        }
    }
}

fn read_line(stream: &mut impl BufRead) -> std::io::Result<String> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
