//! A PostgreSQL server for tests.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use tokio_postgres::{Client, NoTls};

const CURE: &str = "install it with `apt-get install postgresql`, or run `make test`, which does";

/// How long the server may take to answer for the first time.
const START_MAX: Duration = Duration::from_secs(60);

/// Starts the server, waits until the pipe from the test ends, which it does when the test's
/// process does, whatever the reason, and cleans up.
const SUPERVISOR: &str = r#"
postgres=$1 folder=$2
shift 2
"$postgres" -D "$folder/data" "$@" >"$folder/log" 2>&1 </dev/null &
echo $! >"$folder/pid"
read -r _
kill -QUIT "$(cat "$folder/pid")"
wait
rm -rf "$folder"
"#;

/// How a server is to be.
#[derive(Clone, Debug, Default)]
pub struct ServerOptions {
    /// Whether a commit is on the disk when it is answered.
    pub is_durable: bool,
    /// A port of 127.0.0.1, beside the socket.
    pub port: Option<u16>,
    /// Further settings, as `name=value`.
    pub settings: Vec<String>,
}

/// A running server. It ends when this is dropped, and with the process at the latest.
#[derive(Debug)]
pub struct Server {
    folder: PathBuf,
    programs: PathBuf,
    arguments: Vec<String>,
    user: Option<(u32, u32)>,
    supervisor: Option<(Child, ChildStdin)>,
}

impl Server {
    /// # Errors
    /// With the cause and the cure.
    pub async fn start(options: &ServerOptions) -> Result<Self, String> {
        let programs = programs()?;
        let user = server_user()?;
        let folder = tempfile::Builder::new()
            .prefix("streamverse-pg-")
            .tempdir()
            .map_err(|error| format!("cannot make a folder for PostgreSQL: {error}"))?
            .keep();
        let mut server =
            Self { folder, programs, arguments: arguments(options), user, supervisor: None };
        server.fill().map_err(|error| format!("cannot lay out PostgreSQL's files: {error}"))?;
        server.run()?;
        let admin = server.wait().await?;
        let role = "CREATE ROLE tester LOGIN CREATEDB NOSUPERUSER NOBYPASSRLS PASSWORD 'tester'";
        admin.batch_execute(role).await.map_err(|error| format!("cannot make a role: {error}"))?;
        Ok(server)
    }

    /// Of the server's socket, for a role that policies hold.
    pub fn url(&self, database: &str) -> String {
        let folder = self.folder.display().to_string().replace('/', "%2F");
        format!("postgres://tester:tester@{folder}:5432/{database}")
    }

    /// A connection that may do everything.
    ///
    /// # Errors
    /// When the server doesn't answer.
    pub async fn admin(&self) -> Result<Client, tokio_postgres::Error> {
        let mut config = tokio_postgres::Config::new();
        config.host_path(&self.folder).user("admin").dbname("postgres");
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(async move { drop(connection.await) });
        Ok(client)
    }

    /// Ends the server as a crash would, leaving its files.
    ///
    /// # Panics
    /// When its process can't be found.
    pub fn kill(&mut self) {
        let pid = fs::read_to_string(self.folder.join("pid")).expect("the server's pid");
        let ended = Command::new("kill").args(["-9", pid.trim()]).status();
        assert!(ended.is_ok_and(|ended| ended.success()), "cannot kill PostgreSQL {pid}");
        // The supervisor goes with it, before it can clean up.
        if let Some((mut supervisor, pipe)) = self.supervisor.take() {
            drop(supervisor.kill());
            drop(supervisor.wait());
            drop(pipe);
        }
        // The other processes notice within moments, and have to be gone before the next start.
        let start = Instant::now();
        while self.has_processes() && start.elapsed() < START_MAX {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Starts it again after [`Self::kill`].
    ///
    /// # Errors
    /// When it doesn't come up.
    pub async fn restart(&mut self) -> Result<(), String> {
        self.run()?;
        self.wait().await.map(drop)
    }

    fn has_processes(&self) -> bool {
        let wanted = self.folder.join("data");
        let Ok(processes) = fs::read_dir("/proc") else {
            return false;
        };
        processes
            .filter_map(|process| fs::read_link(process.ok()?.path().join("cwd")).ok())
            .any(|folder| folder == wanted)
    }

    fn run(&mut self) -> Result<(), String> {
        let mut command = self.as_server(Path::new("/bin/sh"));
        command.args(["-c", SUPERVISOR, "sh"]).arg(self.programs.join("postgres"));
        command.arg(&self.folder).args(&self.arguments);
        command.arg("-k").arg(&self.folder);
        let spawned = command.stdin(Stdio::piped()).process_group(0).spawn();
        let mut child = spawned.map_err(|error| format!("cannot start PostgreSQL: {error}"))?;
        let pipe = child.stdin.take().ok_or("a pipe that was asked for")?;
        self.supervisor = Some((child, pipe));
        Ok(())
    }

    async fn wait(&mut self) -> Result<Client, String> {
        let start = Instant::now();
        loop {
            match self.admin().await {
                Ok(client) => return Ok(client),
                Err(error) if START_MAX < start.elapsed() => {
                    let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                    return Err(format!("PostgreSQL doesn't answer: {error}; it says: {log}"));
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// Puts fresh files in place: a copy of those that an earlier process has made, if any.
    fn fill(&self) -> std::io::Result<()> {
        fs::set_permissions(&self.folder, fs::Permissions::from_mode(0o755))?;
        if let Some((user, group)) = self.user {
            chown(&self.folder, Some(user), Some(group))?;
        }
        let data = self.folder.join("data");
        let version = done(Command::new(self.programs.join("postgres")).arg("--version"))?;
        let version: String = version.chars().filter(char::is_ascii_alphanumeric).collect();
        let cached = target_folder().map(|target| target.join(format!("{version}-files")));
        if let Some(cached) = &cached
            && cached.exists()
        {
            copy(cached, &data)?;
        } else {
            let mut initdb = self.as_server(&self.programs.join("initdb"));
            initdb.args(["--auth=trust", "--username=admin", "--no-sync", "--encoding=UTF8"]);
            // The order of text is the columns' own matter, see the migrations.
            initdb.args(["--locale=C", "--wal-segsize=1", "-D"]).arg(&data);
            done(&mut initdb)?;
            if let Some(cached) = cached {
                // Made aside and moved, as another process may do the same.
                let aside = cached.with_extension(std::process::id().to_string());
                copy(&data, &aside)?;
                if fs::rename(&aside, &cached).is_err() {
                    fs::remove_dir_all(&aside)?;
                }
            }
        }
        if let Some((user, group)) = self.user {
            let owner = format!("{user}:{group}");
            done(Command::new("chown").arg("-R").arg(owner).arg(&data))?;
        }
        Ok(())
    }

    fn as_server(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir("/");
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some((mut supervisor, pipe)) = self.supervisor.take() {
            drop(pipe);
            drop(supervisor.wait());
        }
        // The supervisor has done it, unless it was killed.
        drop(fs::remove_dir_all(&self.folder));
    }
}

fn arguments(options: &ServerOptions) -> Vec<String> {
    let mut settings = vec![
        "max_connections=300".to_owned(),
        "shared_buffers=32MB".to_owned(),
        "jit=off".to_owned(),
        "deadlock_timeout=50ms".to_owned(),
    ];
    if !options.is_durable {
        settings.extend(
            ["fsync=off", "synchronous_commit=off", "full_page_writes=off"].map(Into::into),
        );
    }
    settings.push(match options.port {
        Some(port) => format!("port={port}"),
        None => "listen_addresses=".to_owned(),
    });
    if options.port.is_some() {
        settings.push("listen_addresses=127.0.0.1".to_owned());
    }
    settings.extend(options.settings.iter().cloned());
    settings.into_iter().flat_map(|setting| ["-c".to_owned(), setting]).collect()
}

/// The folder with `postgres` and `initdb`: what the search path names, else Debian's newest.
fn programs() -> Result<PathBuf, String> {
    let has_both =
        |folder: &Path| ["postgres", "initdb"].iter().all(|name| folder.join(name).is_file());
    let path = std::env::var_os("PATH").unwrap_or_default();
    if let Some(folder) = std::env::split_paths(&path).find(|folder| has_both(folder)) {
        return Ok(folder);
    }
    let version = |folder: &PathBuf| -> Option<u32> {
        folder.parent()?.file_name().and_then(OsStr::to_str)?.parse().ok()
    };
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let folders = versions.filter_map(|entry| Some(entry.ok()?.path().join("bin")));
    folders
        .filter(|folder| has_both(folder))
        .max_by_key(version)
        .ok_or_else(|| format!("PostgreSQL is not installed; {CURE}"))
}

/// Who the server is to be: PostgreSQL refuses to run as root.
fn server_user() -> Result<Option<(u32, u32)>, String> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let users =
        fs::read_to_string("/etc/passwd").map_err(|error| format!("/etc/passwd: {error}"))?;
    let find = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    find("postgres").or_else(|| find("nobody")).map(Some).ok_or_else(|| {
        format!("PostgreSQL doesn't run as root, and there is no user `postgres`; {CURE}")
    })
}

/// Cargo's, above the running test.
fn target_folder() -> Option<PathBuf> {
    let test = std::env::current_exe().ok()?;
    test.ancestors().find(|folder| folder.join("CACHEDIR.TAG").exists()).map(Path::to_owned)
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    done(Command::new("cp").args(["-a", "--reflink=auto"]).arg(from).arg(to)).map(drop)
}

fn done(command: &mut Command) -> std::io::Result<String> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(std::io::Error::other(format!("{command:?}: {said}")))
}
