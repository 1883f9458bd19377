//! A network between one client and the server that loses, delays and reorders datagrams.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// What happens to datagrams, each way.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    pub(crate) delay: Duration,
    pub(crate) loss_percent: u64,
    /// These come later than what was sent after them.
    pub(crate) reorder_percent: u64,
    /// Nothing that the server sends arrives.
    pub(crate) is_server_mute: bool,
}

/// How late a datagram is that others overtake.
const OVERTAKEN: Duration = Duration::from_millis(5);

pub(crate) struct Network {
    address: SocketAddr,
    shared: Arc<Shared>,
    tasks: [JoinHandle<()>; 2],
}

struct Shared {
    /// Faces the client, and the server.
    near: UdpSocket,
    far: UdpSocket,
    client: Mutex<Option<SocketAddr>>,
    weather: Mutex<Weather>,
    random: AtomicU64,
    /// What the client sent, while it is recorded.
    recorded: Mutex<Option<Vec<Vec<u8>>>>,
}

impl Network {
    pub(crate) async fn start(server: SocketAddr) -> Self {
        let near = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let far = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        far.connect(server).await.unwrap();
        let address = near.local_addr().unwrap();
        let shared = Arc::new(Shared {
            near,
            far,
            client: Mutex::default(),
            weather: Mutex::default(),
            random: AtomicU64::new(0x9e37_79b9_7f4a_7c15),
            recorded: Mutex::default(),
        });
        let (up, down) = (Arc::clone(&shared), Arc::clone(&shared));
        let tasks = [tokio::spawn(up.carry_up()), tokio::spawn(down.carry_down())];
        Self { address, shared, tasks }
    }

    /// Where the client finds the server.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn set(&self, weather: Weather) {
        *self.shared.weather.lock().unwrap() = weather;
    }

    /// Keeps what the client sends from now on.
    pub(crate) fn record(&self) {
        *self.shared.recorded.lock().unwrap() = Some(Vec::new());
    }

    /// What was recorded.
    pub(crate) fn recorded(&self) -> Vec<Vec<u8>> {
        self.shared.recorded.lock().unwrap().take().unwrap_or_default()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Shared {
    async fn carry_up(self: Arc<Self>) {
        let shared = Arc::clone(&self);
        let line = Line::new(move |datagram| {
            let shared = Arc::clone(&shared);
            async move {
                let _ = shared.far.send(&datagram).await;
            }
        });
        let mut buffer = vec![0; 1 << 16];
        loop {
            let Ok((len, from)) = self.near.recv_from(&mut buffer).await else { continue };
            *self.client.lock().unwrap() = Some(from);
            if let Some(recorded) = &mut *self.recorded.lock().unwrap() {
                recorded.push(buffer[..len].to_vec());
            }
            self.carry(&line, buffer[..len].to_vec());
        }
    }

    async fn carry_down(self: Arc<Self>) {
        let shared = Arc::clone(&self);
        let line = Line::new(move |datagram| {
            let shared = Arc::clone(&shared);
            async move {
                let client = *shared.client.lock().unwrap();
                let _ = shared.near.send_to(&datagram, client.unwrap()).await;
            }
        });
        let mut buffer = vec![0; 1 << 16];
        loop {
            let Ok(len) = self.far.recv(&mut buffer).await else { continue };
            if !self.weather.lock().unwrap().is_server_mute {
                self.carry(&line, buffer[..len].to_vec());
            }
        }
    }

    fn carry(&self, line: &Line, datagram: Vec<u8>) {
        let weather = *self.weather.lock().unwrap();
        if self.draw() < weather.loss_percent {
            return;
        }
        let due = Instant::now() + weather.delay;
        if self.draw() < weather.reorder_percent {
            let queue = line.0.clone();
            tokio::spawn(async move {
                tokio::time::sleep(OVERTAKEN).await;
                let _ = queue.send((due, datagram));
            });
        } else {
            let _ = line.0.send((due, datagram));
        }
    }

    /// 0 to 99 (splitmix64).
    fn draw(&self) -> u64 {
        let mut z = self.random.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % 100
    }
}

/// Datagrams one after the other, each at its time.
struct Line(UnboundedSender<(Instant, Vec<u8>)>);

impl Line {
    fn new<F: Future<Output = ()> + Send>(send: impl Fn(Vec<u8>) -> F + Send + 'static) -> Self {
        let (sender, mut queue) = unbounded_channel::<(Instant, Vec<u8>)>();
        tokio::spawn(async move {
            while let Some((due, datagram)) = queue.recv().await {
                tokio::time::sleep_until(due).await;
                send(datagram).await;
            }
        });
        Self(sender)
    }
}
