//! The peers: nginx, Varnish and Caddy as Debian has them, each with one core and its access log on.
//!
//! nginx and Varnish are caches in front of the same origin. Caddy, which has no cache of its own,
//! sends the same bodies as files from the page cache, which is less work.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bench::process;

use super::Server;
use crate::spawn::{Running, on_core};
use crate::{SERVER_CORE, Settings};

const START_MAX: Duration = Duration::from_secs(20);

/// A program, in the folders that a user's `PATH` may lack, too.
pub(super) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/bin".into()]);
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// A port that was free a moment ago, over TCP and UDP.
fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// Waits until a server takes connections.
fn wait(name: &str, process: &mut Running, addresses: &[SocketAddr]) -> Result<()> {
    let began = Instant::now();
    while addresses.iter().any(|address| TcpStream::connect(address).is_err()) {
        if began.elapsed() > START_MAX || process.child().try_wait()?.is_some() {
            bail!("{name} does not start");
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn quiet(command: &mut Command) -> &mut Command {
    command.stdout(Stdio::null()).stderr(Stdio::null())
}

/// nginx with `proxy_cache`, one worker; HTTP/1.1, and TLS 1.3 with HTTP/2.
pub(super) fn nginx(
    settings: &Settings,
    program: &Path,
    upstream: SocketAddr,
    tls: &Path,
) -> Result<Server> {
    let folder = settings.work.join("edge-nginx");
    fs::create_dir_all(&folder)?;
    let (http, https) = (free_port()?, free_port()?);
    let configuration = folder.join("nginx.conf");
    let user = if rustix::process::getuid().is_root() { "user root;" } else { "" };
    let (at, tls) = (folder.display(), tls.display());
    let text = format!(
        "daemon off; {user} worker_processes 1; pid {at}/pid; error_log /dev/null;
events {{ worker_connections 4096; }}
http {{
  access_log /dev/null combined buffer=32k; sendfile on; tcp_nopush on;
  keepalive_requests 1000000000; open_file_cache max=10000; http2_max_concurrent_streams 128;
  client_body_temp_path {at}/body; proxy_temp_path {at}/proxy;
  fastcgi_temp_path {at}/fastcgi; uwsgi_temp_path {at}/uwsgi; scgi_temp_path {at}/scgi;
  proxy_cache_path {at}/cache keys_zone=media:32m levels=1:2 max_size=8g inactive=1d use_temp_path=off;
  upstream origin {{ server {upstream}; keepalive 64; }}
  server {{
    listen {http}; listen {https} ssl http2;
    ssl_certificate {tls}/development.pem; ssl_certificate_key {tls}/development.key;
    ssl_protocols TLSv1.3;
    location / {{
      proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection \"\";
      proxy_cache media; proxy_cache_key $uri; proxy_cache_lock on;
      add_header Cache-Status $upstream_cache_status;
    }}
  }}
}}
"
    );
    fs::write(&configuration, text)?;
    let mut command = on_core(SERVER_CORE, program);
    command.arg("-e").arg("/dev/null").arg("-c").arg(&configuration);
    let mut master = Running::start(quiet(&mut command))?;
    wait("nginx", &mut master, &[http, https])?;
    let pid = process::child(master.pid())?.context("nginx has no worker")?;
    Ok(Server { name: "nginx", pid, http, https: Some(https), _process: master })
}

/// Varnish with storage in memory. It logs every request to shared memory, as it always does.
pub(super) fn varnish(settings: &Settings, program: &Path, upstream: SocketAddr) -> Result<Server> {
    let folder = settings.work.join("edge-varnish");
    fs::create_dir_all(&folder)?;
    let http = free_port()?;
    let rules = folder.join("bench.vcl");
    let text = format!(
        "vcl 4.1;
backend origin {{ .host = \"{}\"; .port = \"{}\"; }}
sub vcl_recv {{ set req.url = regsub(req.url, \"\\?.*$\", \"\"); }}
",
        upstream.ip(),
        upstream.port()
    );
    fs::write(&rules, text)?;
    let mut command = on_core(SERVER_CORE, program);
    command.args(["-F", "-j", "none", "-s", "malloc,1g", "-a", &http.to_string()]);
    command.arg("-n").arg(folder.join("state")).arg("-f").arg(&rules);
    let mut manager = Running::start(quiet(&mut command))?;
    wait("Varnish", &mut manager, &[http])?;
    let pid = process::child(manager.pid())?.context("Varnish has no worker")?;
    Ok(Server { name: "Varnish", pid, http, https: None, _process: manager })
}

/// Caddy as a server of files: HTTP/1.1, and TLS with HTTP/2 and HTTP/3.
pub(super) fn caddy(
    settings: &Settings,
    program: &Path,
    files: &Path,
    tls: &Path,
) -> Result<Server> {
    let folder = settings.work.join("edge-caddy");
    fs::create_dir_all(&folder)?;
    let (http, https) = (free_port()?, free_port()?);
    let configuration = folder.join("Caddyfile");
    let (files, tls) = (files.display(), tls.display());
    let site = format!("root * {files}\n file_server\n log {{\n output discard\n }}\n");
    let text = format!(
        "{{\n admin off\n auto_https off\n servers {{\n protocols h1 h2 h3\n }}\n}}\n\
         http://localhost:{} {{\n bind 127.0.0.1\n {site}}}\n\
         https://localhost:{} {{\n bind 127.0.0.1\n tls {tls}/development.pem {tls}/development.key\n {site}}}\n",
        http.port(),
        https.port()
    );
    fs::write(&configuration, text)?;
    let mut command = on_core(SERVER_CORE, program);
    command.arg("run").arg("--adapter").arg("caddyfile").arg("--config").arg(&configuration);
    command.env("XDG_DATA_HOME", &folder).env("XDG_CONFIG_HOME", &folder).env("HOME", &folder);
    let mut process = Running::start(quiet(&mut command))?;
    wait("Caddy", &mut process, &[http, https])?;
    Ok(Server { name: "Caddy", pid: process.pid(), http, https: Some(https), _process: process })
}

/// What a program says of its version, in a few words.
pub(super) fn version(program: &Path, argument: &str) -> String {
    let output = Command::new(program).arg(argument).output();
    let said = output.map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let line = said.lines().next().unwrap_or_default();
    line.trim_start_matches("nginx version: ").trim_start_matches("varnishd ").trim().to_owned()
}
