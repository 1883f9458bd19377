//! A socket that notes what happens on it, leaves room for others, and lets the kernel send files.

use std::fs::File;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::Sleep;
use tokio_rustls::server::TlsStream;

use super::activity::Activity;
use super::request_filter::RequestFilter;
use crate::objects::file_of;

/// Bytes that a connection may write before it lets others run.
///
/// A socket buffer takes megabytes at a time on a fast link. Without a pause one answer is
/// produced whole before the next connection is looked at, which multiplies the time to the first
/// byte by the number of connections. A turn of this size takes a tenth of a millisecond by
/// `sendfile(2)`; a quarter of it costs a quarter more processor time for large answers.
const BYTES_PER_TURN: usize = 1 << 20;

/// Smallest piece of a mapped file that is sent by the kernel: below, one gathering write of many
/// pieces is cheaper than a call for each. Measured over loopback (Linux 6.18): 25 KiB pieces of a
/// muxed file take 0.26 to 0.35 CPU seconds per GB by `sendfile` and 0.20 by gathering writes,
/// contiguous megabytes 0.14 to 0.19 and 0.20.
const SEND_FILE_BYTES_MIN: usize = 256 * 1024;

/// How long a closed HTTP/1 connection is read on, and how many bytes, so that what the client still
/// sends doesn't reset the connection before it has read the last answer (RFC 9112 9.6).
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 1 << 20;
const LINGER_READ_BYTES: usize = 4 << 10;

/// A connected socket, and whether the kernel can send files on it as they are.
pub(super) trait Transport: AsyncRead + AsyncWrite + Send + Unpin + 'static {
    /// The socket itself, where what is written to it goes out unchanged.
    fn plain(&self) -> Option<&TcpStream>;
}

impl Transport for TcpStream {
    fn plain(&self) -> Option<&TcpStream> {
        Some(self)
    }
}

impl Transport for UnixStream {
    fn plain(&self) -> Option<&TcpStream> {
        None
    }
}

impl Transport for TlsStream<TlsSocket> {
    fn plain(&self) -> Option<&TcpStream> {
        None
    }
}

/// The socket below TLS. It notes when the client takes bytes: above, that shows only when a whole
/// buffer of ciphertext is gone.
pub(super) struct TlsSocket {
    pub(super) inner: TcpStream,
    pub(super) activity: Arc<Activity>,
}

impl AsyncRead for TlsSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl AsyncWrite for TlsSocket {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write_vectored(context, slices);
        if matches!(outcome, Poll::Ready(Ok(_))) {
            self.activity.write_progressed();
        }
        outcome
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

/// Wraps a connected socket.
pub(super) struct GuardedIo<T> {
    pub(super) inner: T,
    pub(super) activity: Arc<Activity>,
    filter: RequestFilter,
    /// A request was refused: this is read in place of whatever follows it.
    instead: Option<&'static [u8]>,
    bytes_this_turn: usize,
    /// The client has ended its side.
    is_at_end: bool,
    linger: Option<Linger>,
}

/// Our side of the connection is closed.
struct Linger {
    time: Pin<Box<Sleep>>,
    bytes_left: usize,
}

impl<T> GuardedIo<T> {
    pub(super) fn new(inner: T, activity: Arc<Activity>) -> Self {
        let filter = RequestFilter::new();
        Self {
            inner,
            activity,
            filter,
            instead: None,
            bytes_this_turn: 0,
            is_at_end: false,
            linger: None,
        }
    }

    /// Reads along with what came in. A refused request is cut off by a byte that is allowed in no
    /// head, then the end of a head, for which hyper waits: it answers 400 and closes.
    fn filter_requests(&mut self, buffer: &mut ReadBuf<'_>, filled_before: usize) {
        if self.activity.is_http2() {
            self.filter.turn_off();
        }
        let Err(refused) = self.filter.read(&buffer.filled()[filled_before..]) else { return };
        tracing::debug!(reason = refused.reason, "refused a request");
        self.instead = Some(b"\r\n\r\n");
        let cut = filled_before + refused.at;
        buffer.filled_mut()[cut] = 0;
        buffer.set_filled(cut + 1);
    }

    /// Pauses after a full turn: the task goes to the end of the queue.
    fn poll_turn(&mut self, context: &Context<'_>) -> Poll<()> {
        if self.bytes_this_turn < BYTES_PER_TURN {
            return Poll::Ready(());
        }
        self.bytes_this_turn = 0;
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn note_write(&mut self, outcome: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &outcome {
            Poll::Ready(Ok(bytes)) => {
                self.activity.write_progressed();
                self.bytes_this_turn += bytes;
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                self.activity.write_blocked();
                self.bytes_this_turn = 0;
            }
        }
        outcome
    }
}

impl<T: AsyncRead + Unpin> GuardedIo<T> {
    /// Passes over what an HTTP/1 client still sends, until it ends its side or the time is over.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.is_at_end || self.activity.is_http2() {
            return Poll::Ready(());
        }
        let linger = self.linger.get_or_insert_with(|| Linger {
            time: Box::pin(tokio::time::sleep(LINGER)),
            bytes_left: LINGER_BYTES,
        });
        let mut bytes = [0; LINGER_READ_BYTES];
        while 0 < linger.bytes_left {
            let mut buffer = ReadBuf::new(&mut bytes);
            match Pin::new(&mut self.inner).poll_read(context, &mut buffer) {
                Poll::Pending => return linger.time.as_mut().poll(context),
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    linger.bytes_left = linger.bytes_left.saturating_sub(buffer.filled().len());
                }
                Poll::Ready(_) => break,
            }
        }
        Poll::Ready(())
    }
}

impl<T: Transport> GuardedIo<T> {
    fn poll_slices(
        &mut self,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // HTTP/2 cuts bodies into frames too small for this.
        let socket = self.inner.plain().filter(|_| !self.activity.is_http2());
        let Some(socket) = socket else {
            return Pin::new(&mut self.inner).poll_write_vectored(context, slices);
        };
        let is_large = |slice: &IoSlice<'_>| SEND_FILE_BYTES_MIN <= slice.len();
        let mapped = slices.iter().enumerate().filter(|(_, slice)| is_large(slice));
        let mapped = mapped.filter_map(|(index, slice)| Some((index, file_of(slice)?))).next();
        match mapped {
            None => Pin::new(&mut self.inner).poll_write_vectored(context, slices),
            Some((0, (file, offset_bytes))) => {
                let len = slices[0].len();
                poll_io(socket, context, || send_file(socket, &file, offset_bytes, len))
            }
            // What comes before a file goes into the same packets.
            Some((index, _)) => poll_io(socket, context, || send_more(socket, &slices[..index])),
        }
    }
}

/// Calls `write` whenever the socket is writable until it is done.
fn poll_io(
    socket: &TcpStream,
    context: &mut Context<'_>,
    mut write: impl FnMut() -> io::Result<usize>,
) -> Poll<io::Result<usize>> {
    loop {
        ready!(socket.poll_write_ready(context))?;
        match socket.try_io(Interest::WRITABLE, &mut write) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return Poll::Ready(outcome),
        }
    }
}

fn send_file(
    socket: &TcpStream,
    file: &File,
    mut offset_bytes: u64,
    len: usize,
) -> io::Result<usize> {
    match rustix::fs::sendfile(socket, file, Some(&mut offset_bytes), len)? {
        0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file was cut short")),
        sent => Ok(sent),
    }
}

/// Writes with the promise that more follows at once (`MSG_MORE`, send(2)).
fn send_more(socket: &TcpStream, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    let mut control = SendAncillaryBuffer::default();
    Ok(sendmsg(socket, slices, &mut control, SendFlags::MORE | SendFlags::NOSIGNAL)?)
}

impl<T: AsyncRead + Unpin> AsyncRead for GuardedIo<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(rest) = &mut self.instead {
            let (part, after) = rest.split_at(rest.len().min(buffer.remaining()));
            buffer.put_slice(part);
            *rest = after;
            return Poll::Ready(Ok(()));
        }
        let filled_before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        match buffer.filled().get(filled_before..) {
            Some(bytes @ [_, ..]) => {
                self.activity.bytes_read(bytes);
                self.filter_requests(buffer, filled_before);
            }
            _ => self.is_at_end |= 0 < buffer.remaining(),
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: Transport> AsyncWrite for GuardedIo<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_turn(context));
        let outcome = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.note_write(outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_turn(context));
        let outcome = self.poll_slices(context, slices);
        self.note_write(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Under TLS a flush is where the last buffer waits for the client.
        let outcome = Pin::new(&mut self.inner).poll_flush(context);
        match &outcome {
            Poll::Pending => self.activity.write_blocked(),
            Poll::Ready(_) => self.activity.write_progressed(),
        }
        outcome
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.inner).poll_shutdown(context))?;
        self.poll_linger(context).map(Ok)
    }
}
