use std::io::IoSliceMut;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn::udp::{EcnCodepoint, RecvMeta};
use quinn::{AsyncUdpSocket, ConnectionIdGenerator, Runtime, TokioRuntime};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::handshakes::{Handshakes, IDS_MAX, REMEMBERED};
use super::ids::{ID_BYTES, destination};
use super::*;

#[test]
fn ids_tell_their_generation_to_the_family_alone() {
    let first = Lineage::first();
    let second = first.next();
    let (mut one, mut two) = (ConnectionIds::new(&first), ConnectionIds::new(&second));
    let stranger = ConnectionIds::new(&Lineage::first());
    let mut as_strangers_see = std::collections::HashSet::new();
    for _ in 0..100 {
        let (of_one, of_two) = (one.generate_cid(), two.generate_cid());
        assert_eq!(two.generation_of(&of_one), Some(0));
        assert_eq!(one.generation_of(&of_two), Some(1));
        as_strangers_see.insert(stranger.generation_of(&of_one));
    }
    assert!(50 < as_strangers_see.len());
    // What nobody of the family made is noise, and not worth an answer.
    let (of_one, of_two) = (one.generate_cid(), two.generate_cid());
    assert!(two.validate(&of_one).is_ok() && two.validate(&of_two).is_ok());
    let strange = (0..1_000).filter(|_| {
        let id = ConnectionIds::new(&Lineage::first()).generate_cid();
        one.validate(&id).is_ok()
    });
    assert!(strange.count() < 10);
    assert_eq!(one.generation_of(&[7; 20]), None);
    let last: Lineage = serde_json::from_value(serde_json::json!({
        "generation": 65_535, "key": vec![7; 32],
    }))
    .unwrap();
    assert_eq!(last.next().generation, 0);
}

#[test]
fn destinations_are_read_within_bounds() {
    let short: Vec<u8> = (0x40..0x80).collect();
    let to = destination(&short).unwrap();
    assert_eq!((to.id, to.is_early), (&short[1..=ID_BYTES], false));
    let initial = [0xc3, 0, 0, 0, 1, 3, 9, 8, 7, 0];
    let to = destination(&initial).unwrap();
    assert_eq!((to.id, to.is_early, to.is_initial), (&[9, 8, 7][..], true, true));
    let handshake = [0xe3, 0, 0, 0, 1, 3, 9, 8, 7, 0];
    assert!(!destination(&handshake).unwrap().is_initial);
    for bytes in [
        &initial[..0],
        &initial[..5],
        &initial[..8],
        &short[..ID_BYTES],
        &[0xc0, 0, 0, 0, 1, 21, 0],
    ] {
        assert_eq!(destination(bytes), None, "{bytes:?}");
    }
}

#[test]
fn handshakes_are_forgotten_by_age_and_number() {
    let mut handshakes = Handshakes::default();
    let begun = Instant::now();
    handshakes.note(1, begun);
    handshakes.note(2, begun + REMEMBERED);
    assert_eq!(handshakes.names(begun + REMEMBERED + Duration::from_millis(1)), [2]);
    for name in 0..2 * IDS_MAX as u64 {
        handshakes.note(name, begun + REMEMBERED);
    }
    assert_eq!(handshakes.names(begun + REMEMBERED).len(), IDS_MAX);
    assert!(handshakes.has(2 * IDS_MAX as u64 - 1) && !handshakes.has(3));
}

#[test]
fn packets_pass_with_all_that_is_known_of_them() {
    let (writer, reader) = packet::pair().unwrap();
    let mut buffer = [0; 2048];
    let mut meta = RecvMeta::default();
    for (sender, ours) in [
        ("127.0.0.1:4433", Some("127.0.0.2")),
        ("[fe80::1%3]:65535", Some("fe80::2")),
        ("[2001:db8::1]:1", None),
    ] {
        meta.addr = sender.parse().unwrap();
        meta.dst_ip = ours.map(|ours| ours.parse().unwrap());
        for ecn in
            [None, Some(EcnCodepoint::Ect0), Some(EcnCodepoint::Ect1), Some(EcnCodepoint::Ce)]
        {
            (meta.len, meta.stride, meta.ecn) = (5, 2, ecn);
            packet::send(writer.as_fd(), &meta, b"aabbc").unwrap();
            let got = packet::receive(reader.as_fd(), &mut buffer).unwrap().unwrap();
            assert_eq!((got.addr, got.dst_ip, got.len), (meta.addr, meta.dst_ip, 5));
            assert_eq!((got.stride, got.ecn), (2, ecn));
            assert_eq!(&buffer[..5], b"aabbc");
        }
    }
    // Noise is passed over, what doesn't fit too, and the end is told from it.
    rustix::net::send(&writer, b"noise", rustix::net::SendFlags::empty()).unwrap();
    assert_eq!(packet::receive(reader.as_fd(), &mut buffer).unwrap().unwrap().len, 0);
    packet::send(writer.as_fd(), &meta, &[7; 4096]).unwrap();
    assert_eq!(packet::receive(reader.as_fd(), &mut buffer).unwrap().unwrap().len, 0);
    let empty = packet::receive(reader.as_fd(), &mut buffer).unwrap_err();
    assert_eq!(empty.kind(), std::io::ErrorKind::WouldBlock);
    drop(writer);
    assert!(packet::receive(reader.as_fd(), &mut buffer).unwrap().is_none());
}

/// A process on a UDP socket, as far as packets go.
struct Process {
    socket: Arc<SharedSocket>,
    ids: ConnectionIds,
    std: std::net::UdpSocket,
    lineage: Lineage,
}

impl Process {
    fn first() -> Self {
        let std = platform::http::bind_udp("127.0.0.1:0".parse().unwrap()).unwrap();
        Self::new(std, Lineage::first(), Vec::new(), true)
    }

    fn new(std: std::net::UdpSocket, lineage: Lineage, elders: Vec<Elder>, reads: bool) -> Self {
        let ids = ConnectionIds::new(&lineage);
        let inner = TokioRuntime.wrap_udp_socket(std.try_clone().unwrap()).unwrap();
        let socket = Arc::new(SharedSocket::new(inner, ids.clone(), elders, reads));
        Self { socket, ids, std, lineage }
    }

    /// The process that takes over.
    fn successor(&self) -> Self {
        let elders = self.socket.ways().unwrap();
        let successor =
            Self::new(self.std.try_clone().unwrap(), self.lineage.next(), elders, false);
        successor.socket.begin(&self.socket.step_aside());
        self.socket.forget_elders();
        successor
    }

    fn address(&self) -> SocketAddr {
        self.std.local_addr().unwrap()
    }

    /// The datagrams that come next, each by its last byte.
    async fn receive(&self) -> Vec<u8> {
        let mut buffers: Vec<Vec<u8>> = vec![vec![0; 65_536]; 8];
        let mut metas = [RecvMeta::default(); 8];
        loop {
            let mut slices: Vec<_> = buffers.iter_mut().map(|b| IoSliceMut::new(b)).collect();
            let received = std::future::poll_fn(|context| {
                self.socket.poll_recv(context, &mut slices, &mut metas)
            });
            let count = timeout(Duration::from_secs(20), received).await.unwrap().unwrap();
            let mut last = Vec::new();
            for (buffer, meta) in buffers.iter().zip(&metas).take(count) {
                for datagram in buffer[..meta.len].chunks(meta.stride.max(1)) {
                    last.push(*datagram.last().unwrap());
                }
            }
            if !last.is_empty() {
                return last;
            }
        }
    }

    async fn take(&self, count: usize) -> Vec<u8> {
        let mut taken = Vec::new();
        while taken.len() < count {
            taken.extend(self.receive().await);
        }
        taken
    }

    async fn is_silent(&self) -> bool {
        timeout(Duration::from_millis(100), self.receive()).await.is_err()
    }
}

/// A packet of a connection with this id.
fn short(id: &[u8], last: u8) -> Vec<u8> {
    [&[0x41], id, &[0; 20], &[last]].concat()
}

fn initial(id: &[u8], last: u8) -> Vec<u8> {
    [&[0xc1, 0, 0, 0, 1, id.len() as u8], id, &[0; 20], &[last]].concat()
}

#[tokio::test]
async fn each_process_gets_its_own_packets() {
    let mut first = Process::first();
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client.connect(first.address()).await.unwrap();
    let of_first = first.ids.generate_cid();
    client.send(&initial(b"chosen by a client", 1)).await.unwrap();
    assert_eq!(first.receive().await, [1]);

    let mut second = first.successor();
    let of_second = second.ids.generate_cid();
    client.send(&short(&of_first, 2)).await.unwrap();
    client.send(&short(&of_second, 3)).await.unwrap();
    client.send(&initial(b"chosen by a client", 4)).await.unwrap();
    client.send(&initial(b"chosen by another", 5)).await.unwrap();
    let (old, new) = tokio::join!(first.take(2), second.take(2));
    assert_eq!(old, [2, 4]);
    assert_eq!(new, [3, 5]);

    // A third process passes on to both.
    let third = second.successor();
    for packet in [short(&of_first, 6), short(&of_second, 7), initial(b"chosen by another", 8)] {
        client.send(&packet).await.unwrap();
    }
    client.send(&initial(b"chosen by a client", 9)).await.unwrap();
    client.send(&short(b"of no-one.", 10)).await.unwrap();
    assert_eq!(third.receive().await, [10]);
    assert_eq!(first.take(2).await, [6, 9]);
    assert_eq!(second.take(2).await, [7, 8]);

    // The newest answers for those that are gone.
    drop(first);
    client.send(&short(&of_first, 11)).await.unwrap();
    client.send(&short(&of_first, 12)).await.unwrap();
    assert_eq!(third.receive().await, [12]);

    // And an older one reads again when the newest goes.
    drop(third);
    client.send(&short(&of_second, 13)).await.unwrap();
    assert_eq!(second.receive().await, [13]);
}

/// A server may be upgraded more often than descriptors go into one message.
#[tokio::test]
async fn processes_that_have_gone_are_not_handed_on() {
    let mut newest = Process::first();
    for _ in 0..100 {
        newest = newest.successor();
    }
    let second = newest.successor();
    let generations = |process: &Process| -> Vec<u16> {
        process.socket.ways().unwrap().iter().map(|elder| elder.generation).collect()
    };
    assert_eq!(generations(&second), [100, 101]);
    drop(newest);
    assert_eq!(generations(&second), [101]);
}

#[tokio::test]
async fn a_hand_over_that_fails_changes_nothing() {
    let first = Process::first();
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client.connect(first.address()).await.unwrap();
    let elders = first.socket.ways().unwrap();
    let failed = Process::new(first.std.try_clone().unwrap(), first.lineage.next(), elders, false);
    client.send(&initial(b"new", 1)).await.unwrap();
    assert!(failed.is_silent().await);
    assert_eq!(first.receive().await, [1]);
    first.socket.step_aside();
    assert!(first.is_silent().await);
    first.socket.step_back();
    drop(failed);
    client.send(&initial(b"new", 2)).await.unwrap();
    assert_eq!(first.receive().await, [2]);
}

#[tokio::test]
async fn mixed_batches_are_taken_apart() {
    // What GRO makes of datagrams of one sender, sorted without the kernel.
    let mut first = Process::first();
    let mut second = first.successor();
    let (of_first, of_second) = (first.ids.generate_cid(), second.ids.generate_cid());
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let owners = [1, 2, 2, 1, 1, 2];
    let mut batch = Vec::new();
    for (number, owner) in owners.iter().enumerate() {
        let id = if *owner == 1 { &of_first } else { &of_second };
        batch.extend(short(id, number as u8));
    }
    // A shorter last one.
    batch.extend([&[0x41][..], &of_first, &[9]].concat());
    let stride = short(&of_first, 0).len();
    let (addr, len) = (client.local_addr().unwrap(), batch.len());
    let mut meta = RecvMeta { addr, len, stride, ..RecvMeta::default() };
    second.socket.sort_for_test(&mut batch, &mut meta);
    assert_eq!(meta.len, 3 * stride);
    let kept: Vec<_> = batch[..meta.len].chunks(stride).map(|d| *d.last().unwrap()).collect();
    assert_eq!(kept, [1, 2, 5]);
    assert_eq!(first.take(4).await, [0, 3, 4, 9]);
}
