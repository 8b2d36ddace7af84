//! A real `redis-server`, with the faults a server can have: killed, restarted empty, frozen.
//!
//! All methods block; on 127.0.0.1 that is microseconds. A frozen or dead server makes the
//! methods that ask it something panic.
//!
//! ```
//! use cache_tests::RedisServer;
//!
//! let redis = RedisServer::start();
//! redis.command(&["SET", "prefix:key", "value"]);
//! assert_eq!(redis.keys("prefix:*"), ["prefix:key"]);
//! redis.restart();
//! assert_eq!(redis.get("prefix:key"), None);
//! ```

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::ports::{free_port, local};
use crate::process::Process;
use crate::resp::{Connection, Reply, show};
use crate::wait::poll_blocking;

const READY: Duration = Duration::from_secs(10);
const BINARY: &str = "redis-server";

/// How to start a [`RedisServer`].
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Builder {
    args: Vec<String>,
    password: Option<String>,
    login: Option<(String, String)>,
    /// The names that commands have, and those that they had.
    renamed: Vec<(String, String)>,
}

impl Builder {
    /// One more argument for redis-server. Later ones win: `.arg("--save").arg("1 1")`.
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Requires a password; [`RedisServer::url`] and the helpers use it.
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// Whom the helpers log in as, where the default user may not do what they need.
    pub fn login(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.login = Some((user.into(), password.into()));
        self
    }

    /// Gives commands names that nobody but the helpers knows.
    pub fn rename_away(mut self, commands: &[&str]) -> Self {
        for command in commands {
            let name = format!("{command}-RENAMED");
            self = self.arg("--rename-command").arg(*command).arg(&name);
            self.renamed.push((name, (*command).to_owned()));
        }
        self
    }

    fn as_named_there<'a>(&'a self, args: &[&'a [u8]]) -> Vec<&'a [u8]> {
        let mut args = args.to_vec();
        if let Some(first) = args.first_mut() {
            let is_it = |was: &str| first.eq_ignore_ascii_case(was.as_bytes());
            if let Some((name, _)) = self.renamed.iter().find(|(_, was)| is_it(was)) {
                *first = name.as_bytes();
            }
        }
        args
    }

    /// Starts the server on a free port and waits until it answers.
    #[track_caller]
    pub fn start(self) -> RedisServer {
        let dir = tempfile::Builder::new().prefix("cache-redis-").tempdir().expect("a directory");
        let mut server = RedisServer { port: 0, settings: self, process: Mutex::new(None), dir };
        let mut last = String::new();
        for _ in 0..5 {
            server.port = free_port();
            match server.launch() {
                Ok(()) => return server,
                Err(log) => last = log,
            }
        }
        panic!("redis-server doesn't start: {last}");
    }
}

/// A running server; ends when dropped.
#[derive(Debug)]
pub struct RedisServer {
    port: u16,
    settings: Builder,
    process: Mutex<Option<Process>>, // ends before its directory goes
    dir: TempDir,
}

impl RedisServer {
    /// Starts a server without persistence.
    #[track_caller]
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// To start a server with settings.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// `redis://127.0.0.1:PORT`, with the password if there is one.
    pub fn url(&self) -> String {
        self.url_through(self.port)
    }

    /// [`url`](Self::url) by way of another port, such as that of a fault proxy.
    pub fn url_through(&self, port: u16) -> String {
        match &self.settings.password {
            Some(password) => format!("redis://:{password}@127.0.0.1:{port}"),
            None => format!("redis://127.0.0.1:{port}"),
        }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its working directory, where snapshots would lie.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// SIGKILL; returns once it is gone.
    pub fn kill(&self) {
        *self.process() = None;
    }

    /// Kills it if it runs, and starts it anew on the same port: empty, unless arguments turn
    /// persistence on.
    #[track_caller]
    pub fn restart(&self) {
        self.kill();
        if let Err(log) = self.launch() {
            panic!("redis-server doesn't restart on port {}: {log}", self.port);
        }
    }

    /// SIGSTOP: connections stay open, nothing is answered.
    pub fn stop(&self) {
        self.process().as_mut().expect("redis-server runs").freeze();
    }

    /// SIGCONT, after [`stop`](Self::stop).
    pub fn resume(&self) {
        self.process().as_mut().expect("redis-server runs").signal(Signal::CONT);
    }

    /// A connection for several commands, logged in.
    pub fn connect(&self) -> io::Result<Connection> {
        let mut connection = Connection::open(local(self.port))?;
        if let Some((user, password)) = &self.settings.login {
            connection.command(&[b"AUTH", user.as_bytes(), password.as_bytes()])?;
        } else if let Some(password) = &self.settings.password {
            connection.command(&[b"AUTH", password.as_bytes()])?;
        }
        Ok(connection)
    }

    /// Runs one command on a connection of its own; an error reply is a [`Reply::Error`].
    #[track_caller]
    pub fn command(&self, args: &[&str]) -> Reply {
        self.command_bytes(&args.iter().map(|arg| arg.as_bytes()).collect::<Vec<_>>())
    }

    /// [`command`](Self::command) with any bytes.
    #[track_caller]
    pub fn command_bytes(&self, args: &[&[u8]]) -> Reply {
        self.connect()
            .and_then(|mut connection| connection.command(&self.settings.as_named_there(args)))
            .unwrap_or_else(|error| panic!("`{}` on redis-server: {error}", show(args)))
    }

    /// The keys that match a glob, sorted.
    #[track_caller]
    pub fn keys(&self, pattern: &str) -> Vec<String> {
        let mut keys: Vec<_> =
            self.expect(&["KEYS", pattern]).items().iter().map(Reply::text).collect();
        keys.sort();
        keys
    }

    /// The value of a string key.
    #[track_caller]
    pub fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.expect(&["GET", key]).bytes().map(<[u8]>::to_vec)
    }

    /// How often a command ran since the server started or [`reset_stats`](Self::reset_stats).
    ///
    /// `cmd` in any case; a subcommand is `client|tracking`. What scripts call counts too, and so
    /// do the calls of these helpers.
    #[track_caller]
    pub fn calls(&self, cmd: &str) -> u64 {
        let line = self.info("commandstats", &format!("cmdstat_{}", cmd.to_ascii_lowercase()));
        let calls = line.as_deref().and_then(|line| {
            line.split(',').find_map(|field| field.strip_prefix("calls=")?.parse().ok())
        });
        calls.unwrap_or(0)
    }

    /// One field of a section of `INFO`.
    #[track_caller]
    pub fn info(&self, section: &str, field: &str) -> Option<String> {
        let text = self.expect(&["INFO", section]).text();
        text.lines().find_map(|line| Some(line.strip_prefix(field)?.strip_prefix(':')?.to_owned()))
    }

    /// Sets the counters behind [`calls`](Self::calls) to zero.
    #[track_caller]
    pub fn reset_stats(&self) {
        self.expect(&["CONFIG", "RESETSTAT"]);
    }

    /// Removes every key.
    #[track_caller]
    pub fn flushall(&self) {
        self.expect(&["FLUSHALL"]);
    }

    /// `CONFIG SET`, such as `("maxmemory", "2mb")`.
    #[track_caller]
    pub fn config_set(&self, name: &str, value: &str) {
        self.expect(&["CONFIG", "SET", name, value]);
    }

    #[track_caller]
    fn expect(&self, args: &[&str]) -> Reply {
        let reply = self.command(args);
        assert!(!reply.is_error(), "`{}` on redis-server: {}", args.join(" "), reply.text());
        reply
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the process and waits until it answers; the end of its log if it doesn't.
    #[track_caller]
    fn launch(&self) -> Result<(), String> {
        let log = self.dir.path().join("redis.log");
        let output = File::create(&log).expect("a log file");
        let mut command = Command::new(BINARY);
        command
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(self.dir.path())
            .stdin(Stdio::null())
            .stderr(output.try_clone().expect("a log file"))
            .stdout(output);
        if has_debug_switch() {
            command.args(["--enable-debug-command", "yes"]);
        }
        if let Some(password) = &self.settings.password {
            command.args(["--requirepass", password]);
        }
        let mut process = Process::spawn(command.args(&self.settings.args));
        let up = poll_blocking(READY, || {
            if process.ended().is_some() { Some(false) } else { self.answers(process.id()) }
        });
        if up == Some(true) {
            *self.process() = Some(process);
            return Ok(());
        }
        drop(process);
        let log = fs::read_to_string(&log).unwrap_or_default();
        Err(log.lines().rev().take(5).collect::<Vec<_>>().join(" / "))
    }

    /// `Some(true)` once our process answers, `Some(false)` if another one does.
    fn answers(&self, id: u32) -> Option<bool> {
        let question = self.settings.as_named_there(&[b"INFO", b"server"]);
        let reply = self.connect().ok()?.command(&question).ok()?;
        match &reply {
            Reply::Bulk(_) => Some(reply.text().contains(&format!("process_id:{id}\r\n"))),
            Reply::Error(error) => {
                (error.starts_with("NOAUTH") || error.starts_with("NOPERM")).then_some(true)
            }
            _ => None,
        }
    }
}

/// Servers before 7 allow `DEBUG` always and refuse to start with a switch they don't know.
fn has_debug_switch() -> bool {
    static MAJOR: OnceLock<Option<u32>> = OnceLock::new();
    let major = MAJOR.get_or_init(|| {
        let output = Command::new(BINARY).arg("--version").output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.split("v=").nth(1)?.split('.').next()?.parse().ok()
    });
    major.is_none_or(|major| major >= 7)
}
