//! Real servers behind real Sentinels, started by `examples/ops/redis/sentinel`.
//!
//! All methods block; those that ask a server panic where that does not answer.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::certificates::Certificates;
use crate::ports::{free_port, local};
use crate::process::Process;
use crate::resp::{Connection, Reply, show};
use crate::wait::poll_blocking;

const READY: &str = "ready";
/// For a failover, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(30);
const MASTER: &str = "mymaster";

/// How to start a [`SentinelSet`].
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Builder {
    password: Option<String>,
    sentinel_password: Option<String>,
    tls: Option<PathBuf>,
}

impl Builder {
    /// Requires a password of clients of the servers.
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// Requires a password of clients of the Sentinels.
    pub fn sentinel_password(mut self, password: &str) -> Self {
        self.sentinel_password = Some(password.to_owned());
        self
    }

    /// TLS everywhere, with `ca.pem`, `server.pem` and `server.key`. The methods that ask a server
    /// something can't.
    pub fn tls(mut self, certificates: &Certificates) -> Self {
        self.tls = Some(certificates.dir().to_owned());
        self
    }

    /// A primary, a replica and three Sentinels, which know each other.
    #[track_caller]
    pub fn start(self) -> SentinelSet {
        let mut last = String::new();
        for _ in 0..5 {
            match SentinelSet::launch(&self) {
                Ok(set) => return set,
                Err(log) => last = log,
            }
        }
        panic!("the Sentinels don't start: {last}");
    }
}

/// A primary, a replica and three Sentinels; end when dropped.
#[derive(Debug)]
pub struct SentinelSet {
    servers: Vec<u16>,
    sentinels: Vec<u16>,
    settings: Builder,
    restarted: Mutex<Vec<Process>>,
    _process: Process, // ends before its directory goes
    dir: TempDir,
}

impl SentinelSet {
    /// Starts them without passwords.
    #[track_caller]
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// To start them with settings.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// What the Sentinels call the primary.
    pub fn master(&self) -> &'static str {
        MASTER
    }

    /// The Sentinels, as `host:port`.
    pub fn hosts(&self) -> Vec<String> {
        self.sentinels.iter().map(|port| format!("127.0.0.1:{port}")).collect()
    }

    /// The ports of the Sentinels.
    pub fn sentinels(&self) -> &[u16] {
        &self.sentinels
    }

    /// The ports of the servers; the first was the primary when they were started.
    pub fn servers(&self) -> &[u16] {
        &self.servers
    }

    /// The port of the primary that all Sentinels that answer agree on.
    #[track_caller]
    pub fn primary(&self) -> u16 {
        poll_blocking(PATIENCE, || self.agreed()).expect("the Sentinels agree")
    }

    /// Waits until the primary is another one; its port.
    #[track_caller]
    pub fn failed_over(&self, from: u16) -> u16 {
        let another = || self.agreed().filter(|port| *port != from);
        let found = poll_blocking(PATIENCE, another).expect("a failover");
        let is_primary = || {
            let role = self.try_command(found, &["ROLE"]).ok()?;
            (role.items().first()?.text() == "master").then_some(())
        };
        poll_blocking(PATIENCE, is_primary).expect("the new primary knows that it is");
        found
    }

    /// Makes the Sentinels fail over while all is well, and waits for it; the new primary's port.
    #[track_caller]
    pub fn fail_over(&self) -> u16 {
        let from = self.primary();
        let ask = || {
            let asked = self.try_command(self.sentinels[0], &["SENTINEL", "FAILOVER", MASTER]);
            asked.is_ok_and(|reply| !reply.is_error()).then_some(())
        };
        // It refuses until it has heard from the replica.
        poll_blocking(PATIENCE, ask).expect("the Sentinel begins a failover");
        self.failed_over(from)
    }

    /// Runs one command on the server or the Sentinel at a port.
    #[track_caller]
    pub fn command(&self, port: u16, args: &[&str]) -> Reply {
        self.try_command(port, args).unwrap_or_else(|error| {
            let args: Vec<_> = args.iter().map(|arg| arg.as_bytes()).collect();
            panic!("`{}` at port {port}: {error}", show(&args))
        })
    }

    /// SIGKILL to the server or the Sentinel at a port; returns once nobody listens there.
    #[track_caller]
    pub fn kill(&self, port: u16) {
        self.signal(port, Signal::KILL);
        let gone = || Connection::open(local(port)).is_err().then_some(());
        poll_blocking(PATIENCE, gone).expect("it ends");
    }

    /// SIGSTOP: connections stay open, nothing is answered.
    pub fn freeze(&self, port: u16) {
        self.signal(port, Signal::STOP);
    }

    /// SIGCONT, after [`freeze`](Self::freeze).
    pub fn resume(&self, port: u16) {
        self.signal(port, Signal::CONT);
    }

    /// Starts a server that was killed anew, as what the Sentinels last made of it.
    pub fn restart(&self, port: u16) {
        let settings = self.dir.path().join(format!("server-{port}.conf"));
        let mut command = Command::new("redis-server");
        command.arg(settings).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = Process::spawn(&mut command);
        self.restarted.lock().unwrap().push(process);
        let up = || self.try_command(port, &["PING"]).ok();
        poll_blocking(PATIENCE, up).expect("it answers");
    }

    fn launch(settings: &Builder) -> Result<Self, String> {
        let dir =
            tempfile::Builder::new().prefix("cache-sentinel-").tempdir().expect("a directory");
        let servers = vec![free_port(), free_port()];
        let sentinels = vec![free_port(), free_port(), free_port()];
        let list = |ports: &[u16]| ports.iter().map(u16::to_string).collect::<Vec<_>>().join(",");
        let log = dir.path().join("script.log");
        let mut command = Command::new(script());
        command
            .arg(dir.path())
            .args(["--servers", &list(&servers), "--sentinels", &list(&sentinels)])
            .args(["--master", MASTER, "--down-after", "500"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).expect("a log file"));
        for (option, value) in [
            ("--password", &settings.password),
            ("--sentinel-password", &settings.sentinel_password),
        ] {
            if let Some(value) = value {
                command.args([option, value]);
            }
        }
        if let Some(tls) = &settings.tls {
            command.arg("--tls").arg(tls);
        }
        let mut process = Process::spawn_group(&mut command);
        let output = process.child().stdout.take().expect("a pipe");
        // The script ends if one of them does, and if it takes too long.
        let ready = BufReader::new(output).lines().map_while(Result::ok).any(|line| line == READY);
        if !ready {
            return Err(fs::read_to_string(&log).unwrap_or_default());
        }
        let settings = settings.clone();
        let restarted = Mutex::default();
        Ok(Self { servers, sentinels, settings, restarted, _process: process, dir })
    }

    /// What all that answer say.
    fn agreed(&self) -> Option<u16> {
        let mut found = None;
        for sentinel in &self.sentinels {
            let asked = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER];
            let Ok(reply) = self.try_command(*sentinel, &asked) else { continue };
            let port = reply.items().get(1)?.text().parse().ok()?;
            if *found.get_or_insert(port) != port {
                return None;
            }
        }
        found
    }

    fn try_command(&self, port: u16, args: &[&str]) -> io::Result<Reply> {
        let mut connection = Connection::open(local(port))?;
        let password = if self.sentinels.contains(&port) {
            &self.settings.sentinel_password
        } else {
            &self.settings.password
        };
        if let Some(password) = password {
            connection.command(&[b"AUTH", password.as_bytes()])?;
        }
        connection.command(&args.iter().map(|arg| arg.as_bytes()).collect::<Vec<_>>())
    }

    fn signal(&self, port: u16, signal: Signal) {
        let name = if self.sentinels.contains(&port) { "sentinel" } else { "server" };
        let file = self.dir.path().join(format!("{name}-{port}.pid"));
        let id = fs::read_to_string(file).expect("the script writes it").trim().parse();
        let id = Pid::from_raw(id.expect("a number")).expect("no zero");
        kill_process(id, signal).expect("a process of ours");
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/ops/redis/sentinel")
}
