//! nginx, which sends the same bytes as static files: one worker, `sendfile on`, no access log.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bench::client::{self, Protocol};
use bench::process;

use crate::spawn::{Running, on_core};
use crate::{SERVER_CORE, Settings};

const START_MAX: Duration = Duration::from_secs(5);

pub(crate) struct Nginx {
    /// The worker, which does all that is measured.
    pub(crate) pid: u32,
    pub(crate) http1: SocketAddr,
    /// HTTP/2 with prior knowledge.
    pub(crate) h2c: SocketAddr,
    _master: Running,
}

impl Nginx {
    /// Serves the files under `root`.
    pub(crate) fn start(settings: &Settings, root: &Path) -> Result<Self> {
        let folder = settings.work.join("nginx");
        fs::create_dir_all(&folder)?;
        let (http1, h2c) = (free_port()?, free_port()?);
        let configuration = folder.join("nginx.conf");
        fs::write(&configuration, configure(&folder, root, http1, h2c))?;

        let mut command = on_core(SERVER_CORE, &program());
        command.arg("-e").arg("/dev/null").arg("-c").arg(&configuration).stderr(Stdio::null());
        let mut master = Running::start(&mut command)?;
        let began = Instant::now();
        while TcpStream::connect(http1).is_err() || TcpStream::connect(h2c).is_err() {
            if began.elapsed() > START_MAX || master.child().try_wait()?.is_some() {
                bail!("nginx does not start: try `nginx -t -c {}`", configuration.display());
            }
            thread::sleep(Duration::from_millis(20));
        }
        let pid = process::child(master.pid())?.context("nginx has no worker")?;
        Ok(Self { pid, http1, h2c, _master: master })
    }
}

impl Nginx {
    /// Answers that are not finished, as the worker counts them.
    pub(crate) fn answers_under_way(&self) -> Result<f64> {
        let status = client::fetch(Protocol::Http1, self.http1, "/status")?;
        let status = String::from_utf8(status)?;
        let writing = status.split_once("Writing: ").and_then(|(_, rest)| rest.split(' ').next());
        let writing: f64 = writing.context("nginx's status has no `Writing`")?.parse()?;
        // One is the answer to this question.
        Ok(writing - 1.0)
    }
}

/// `nginx version`, for the head of the table.
pub(crate) fn version() -> Result<String> {
    let output = Command::new(program()).arg("-v").output().context("cannot run nginx")?;
    let said = String::from_utf8_lossy(&output.stderr);
    Ok(said.trim().trim_start_matches("nginx version: ").to_owned())
}

/// Debian has it in a folder that a user's `PATH` may lack.
fn program() -> PathBuf {
    let debian = Path::new("/usr/sbin/nginx");
    if debian.exists() { debian.to_owned() } else { "nginx".into() }
}

/// A port that was free a moment ago: nginx can't say which one it took.
fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

fn configure(folder: &Path, root: &Path, http1: SocketAddr, h2c: SocketAddr) -> String {
    let (folder, root) = (folder.display(), root.display());
    // Started by root, the worker would be `nobody`, whom a home directory may shut out.
    let user = if rustix::process::getuid().is_root() { "user root;" } else { "" };
    format!(
        "daemon off; {user} worker_processes 1; pid {folder}/pid; error_log /dev/null;
events {{ worker_connections 1024; }}
http {{
  access_log off; sendfile on; tcp_nopush on;
  keepalive_requests 1000000000; open_file_cache max=10000;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{ listen {http1}; listen {h2c} http2; root {root};
    location = /status {{ stub_status; }} }}
}}
"
    )
}
