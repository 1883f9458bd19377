//! Datagrams from one process to another: where they came from, then what they hold.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, OwnedFd};

use quinn::udp::{EcnCodepoint, RecvMeta};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendFlags,
    SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

/// Kinds of addresses and ECN bits, the sender's address, port and scope, ours, the stride.
const HEADER_BYTES: usize = 1 + 16 + 2 + 4 + 16 + 4;

const ECN_MASK: u8 = 0b11;
const SENDER_IS_V6: u8 = 1 << 2;
const HAS_OURS: u8 = 1 << 3;
const OURS_IS_V6: u8 = 1 << 4;

/// What the kernel may hold of packets on their way; it caps this at `net.core.wmem_max`.
const BUFFER_BYTES: usize = 4 << 20;

/// Two ends of a way for packets: to write to, to read from. Each message is kept whole, and
/// unlike `SOCK_DGRAM` (10 messages by `net.unix.max_dgram_qlen`) bytes alone bound the queue.
pub(super) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (writer, reader) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    // Less holds fewer.
    let _ = rustix::net::sockopt::set_socket_send_buffer_size(&writer, BUFFER_BYTES);
    Ok((writer, reader))
}

/// Passes on what came by one address, one or several datagrams.
pub(super) fn send(to: impl AsFd, meta: &RecvMeta, datagrams: &[u8]) -> io::Result<()> {
    let header = header(meta);
    let slices = [IoSlice::new(&header), IoSlice::new(datagrams)];
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    sendmsg(to, &slices, &mut SendAncillaryBuffer::default(), flags)?;
    Ok(())
}

/// Whether nobody reads at the other end any more. Nothing ever comes from there but the end.
pub(super) fn is_left(to: impl AsFd) -> bool {
    let mut slices = [IoSliceMut::new(&mut [])];
    let mut control = RecvAncillaryBuffer::default();
    match recvmsg(to, &mut slices, &mut control, RecvFlags::DONTWAIT) {
        Ok(_) => true,
        Err(error) => io::Error::from(error).kind() != io::ErrorKind::WouldBlock,
    }
}

/// Takes what was passed on, or none when nobody is left who could. What is no packet is left out:
/// its `len` is 0.
pub(super) fn receive(from: impl AsFd, buffer: &mut [u8]) -> io::Result<Option<RecvMeta>> {
    let mut header = [0; HEADER_BYTES];
    let mut slices = [IoSliceMut::new(&mut header), IoSliceMut::new(buffer)];
    let mut space: [MaybeUninit<u8>; 0] = [];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(from, &mut slices, &mut control, RecvFlags::DONTWAIT)?;
    if received.bytes == 0 {
        return Ok(None);
    }
    let is_cut = received.flags.contains(ReturnFlags::TRUNC);
    let len = received.bytes.saturating_sub(HEADER_BYTES);
    let meta = if is_cut || len == 0 { None } else { parse(&header, len) };
    Ok(Some(meta.unwrap_or_default()))
}

fn header(meta: &RecvMeta) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    let mut flags = meta.ecn.map_or(0, |ecn| ecn as u8);
    let (rest, scope) = match meta.addr {
        SocketAddr::V4(_) => (meta.addr.ip(), 0),
        SocketAddr::V6(address) => {
            flags |= SENDER_IS_V6;
            (IpAddr::V6(*address.ip()), address.scope_id())
        }
    };
    write_ip(rest, &mut header[1..17]);
    header[17..19].copy_from_slice(&meta.addr.port().to_be_bytes());
    header[19..23].copy_from_slice(&scope.to_be_bytes());
    if let Some(ours) = meta.dst_ip {
        flags |= HAS_OURS | if ours.is_ipv6() { OURS_IS_V6 } else { 0 };
        write_ip(ours, &mut header[23..39]);
    }
    let stride = u32::try_from(meta.stride).unwrap_or(u32::MAX);
    header[39..43].copy_from_slice(&stride.to_be_bytes());
    header[0] = flags;
    header
}

fn parse(header: &[u8; HEADER_BYTES], len: usize) -> Option<RecvMeta> {
    let flags = header[0];
    let number = |bytes: &[u8]| bytes.iter().fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte));
    let port = u16::try_from(number(&header[17..19])).ok()?;
    let addr = match read_ip(&header[1..17], flags & SENDER_IS_V6 != 0)? {
        IpAddr::V4(ip) => SocketAddr::V4(SocketAddrV4::new(ip, port)),
        IpAddr::V6(ip) => SocketAddr::V6(SocketAddrV6::new(ip, port, 0, number(&header[19..23]))),
    };
    let stride = number(&header[39..43]) as usize;
    let dst_ip = match flags & HAS_OURS {
        0 => None,
        _ => Some(read_ip(&header[23..39], flags & OURS_IS_V6 != 0)?),
    };
    Some(RecvMeta {
        addr,
        len,
        stride: if stride == 0 { len } else { stride },
        ecn: EcnCodepoint::from_bits(flags & ECN_MASK),
        dst_ip,
    })
}

fn write_ip(ip: IpAddr, bytes: &mut [u8]) {
    match ip {
        IpAddr::V4(ip) => bytes[..4].copy_from_slice(&ip.octets()),
        IpAddr::V6(ip) => bytes.copy_from_slice(&ip.octets()),
    }
}

fn read_ip(bytes: &[u8], is_v6: bool) -> Option<IpAddr> {
    if is_v6 {
        return Some(Ipv6Addr::from(*bytes.first_chunk::<16>()?).into());
    }
    Some(Ipv4Addr::from(*bytes.first_chunk::<4>()?).into())
}
