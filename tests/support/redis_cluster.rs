//! A real Redis Cluster of three primaries and their replicas, with the faults a cluster can have:
//! nodes killed and frozen, slots on their way from one primary to another.
//!
//! It is started by `examples/ops/redis/cluster`, as anybody may start one. All methods block.
//!
//! ```
//! use cache_tests::RedisCluster;
//!
//! let cluster = RedisCluster::start();
//! cluster.command_at("key", &["SET", "key", "value"]);
//! let (from, slot) = (cluster.owner("key"), RedisCluster::slot("key"));
//! let to = cluster.primaries().into_iter().find(|port| *port != from).unwrap();
//! cluster.move_slot(slot, to);
//! assert_eq!(cluster.owner("key"), to);
//! assert_eq!(cluster.get("key").unwrap(), b"value");
//! ```

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::certificates::Certificates;
use crate::cluster_nodes::{Line, lines_of, owner_of};
use crate::ports::{free_port, local};
use crate::process::Process;
use crate::resp::{Connection, Reply};
use crate::wait::poll_blocking;

const NODES: usize = 6;
const READY: Duration = Duration::from_secs(30);
/// How long a failover or the word of a change may take to get around.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// How to start a [`RedisCluster`].
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Builder {
    args: Vec<String>,
    node_timeout: Option<Duration>,
    tls: Option<PathBuf>,
}

impl Builder {
    /// One more argument for each redis-server.
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// After how long a silent node counts as failed. Default: 15 s, so that a busy machine is none.
    pub fn node_timeout(mut self, timeout: Duration) -> Self {
        self.node_timeout = Some(timeout);
        self
    }

    /// TLS among the nodes, with `ca.pem`, `server.pem` and `server.key`, and for clients on ports of
    /// their own. Slots that hold something can't be moved then.
    pub fn tls(mut self, certificates: &Certificates) -> Self {
        self.tls = Some(certificates.dir().to_owned());
        self
    }

    /// Starts it on free ports and waits until all slots are served and all replicas are in step.
    #[track_caller]
    pub fn start(self) -> RedisCluster {
        let mut last = String::new();
        for _ in 0..3 {
            match self.launch() {
                Ok(cluster) => return cluster,
                Err(error) => last = error,
            }
        }
        panic!("no Redis Cluster: {last}");
    }

    fn launch(&self) -> Result<RedisCluster, String> {
        let dir = tempfile::Builder::new().prefix("cache-cluster-").tempdir().expect("a directory");
        let ports: Vec<u16> = (0..NODES).map(|_| free_port()).collect();
        let timeout = self.node_timeout.unwrap_or(Duration::from_secs(15));
        let errors = File::create(dir.path().join("errors")).expect("a file");
        let mut command = Command::new(script());
        let tls_ports: Vec<u16> =
            self.tls.iter().flat_map(|_| &ports).map(|_| free_port()).collect();
        let node = |number: usize| match (ports[number], free_port(), tls_ports.get(number)) {
            (port, bus, Some(tls)) => format!("{port}:{bus}:{tls}"),
            (port, bus, None) => format!("{port}:{bus}"),
        };
        command.arg(dir.path()).args((0..NODES).map(node));
        command.arg("--").args(&self.args).env("NODE_TIMEOUT", timeout.as_millis().to_string());
        command.envs(self.tls.iter().map(|dir| ("TLS", dir)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors);
        let mut process = Process::spawn_group(&mut command);
        let output = process.child().stdout.take().expect("piped");
        let (sender, ready) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut lines = BufReader::new(output).lines().map_while(Result::ok);
            // Disconnected: it has ended.
            if lines.any(|line| line.starts_with("cluster: ready")) {
                let _ = sender.send(());
            }
            lines.for_each(drop);
        });
        if ready.recv_timeout(READY).is_err() {
            drop(process);
            return Err(fs::read_to_string(dir.path().join("errors")).unwrap_or_default());
        }
        let revived = Mutex::default();
        let args = self.args.clone();
        Ok(RedisCluster { ports, tls_ports, args, revived, _process: process, dir })
    }
}

/// A running cluster; ends when dropped.
#[derive(Debug)]
pub struct RedisCluster {
    ports: Vec<u16>,
    tls_ports: Vec<u16>,
    args: Vec<String>,
    /// Those that were started again.
    revived: Mutex<BTreeMap<u16, Process>>,
    _process: Process, // ends before its directory goes
    dir: TempDir,
}

impl RedisCluster {
    /// Starts three primaries with a replica each, without persistence.
    #[track_caller]
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// To start a cluster with settings.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// `127.0.0.1:PORT` of each node.
    pub fn nodes(&self) -> Vec<String> {
        self.ports.iter().map(|port| format!("127.0.0.1:{port}")).collect()
    }

    /// `rediss://127.0.0.1:PORT` of each node, with [TLS](Builder::tls).
    pub fn tls_nodes(&self) -> Vec<String> {
        self.tls_ports.iter().map(|port| format!("rediss://127.0.0.1:{port}")).collect()
    }

    /// The ports of all nodes.
    pub fn ports(&self) -> &[u16] {
        &self.ports
    }

    /// The ports of the primaries that serve slots.
    #[track_caller]
    pub fn primaries(&self) -> Vec<u16> {
        let serves = |line: &&Line| line.is_primary && !line.has_failed && !line.slots.is_empty();
        self.lines().iter().filter(serves).map(|line| line.port).collect()
    }

    /// The port of the primary that serves a key.
    #[track_caller]
    pub fn owner(&self, key: &str) -> u16 {
        self.owner_of(Self::slot(key)).expect("the slot is served").port
    }

    /// The slot of a key without braces.
    pub fn slot(key: &str) -> u16 {
        let mut crc = 0_u16;
        for byte in key.bytes() {
            crc ^= u16::from(byte) << 8;
            for _ in 0..8 {
                crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
            }
        }
        crc % 16384
    }

    /// Runs a command on one node.
    #[track_caller]
    pub fn command(&self, port: u16, args: &[&str]) -> Reply {
        self.command_bytes(port, &args.iter().map(|arg| arg.as_bytes()).collect::<Vec<_>>())
    }

    /// Runs a command about a key where the key is.
    #[track_caller]
    pub fn command_at(&self, key: &str, args: &[&str]) -> Reply {
        self.command_bytes_at(key, &args.iter().map(|arg| arg.as_bytes()).collect::<Vec<_>>())
    }

    /// [`command_at`](Self::command_at) with any bytes. Follows redirections.
    #[track_caller]
    pub fn command_bytes_at(&self, key: &str, args: &[&[u8]]) -> Reply {
        let mut port = self.owner(key);
        for _ in 0..20 {
            let reply = self.command_bytes(port, args);
            let Reply::Error(error) = &reply else { return reply };
            let mut words = error.split(' ');
            let (word, to) = (words.next(), words.nth(1).and_then(|to| to.rsplit(':').next()));
            let to = to.and_then(|port| port.parse().ok());
            match (word, to) {
                (Some("MOVED"), Some(to)) => port = to,
                (Some("ASK"), Some(to)) => {
                    let mut connection = Connection::open(local(to)).expect("a connection");
                    connection.command(&[b"ASKING"]).expect("an answer");
                    return connection.command(args).expect("an answer");
                }
                _ => return reply,
            }
        }
        panic!("{key} is found nowhere");
    }

    /// The value of a string key.
    #[track_caller]
    pub fn get(&self, key: &str) -> Option<Vec<u8>> {
        let reply = self.command_at(key, &["GET", key]);
        assert!(!reply.is_error(), "{}", reply.text());
        reply.bytes().map(<[u8]>::to_vec)
    }

    /// The keys on all primaries that match a glob, sorted.
    #[track_caller]
    pub fn keys(&self, pattern: &str) -> Vec<String> {
        let on = |port| self.command(port, &["KEYS", pattern]).items().to_vec();
        let mut keys: Vec<String> =
            self.primaries().into_iter().flat_map(on).map(|key| key.text()).collect();
        keys.sort();
        keys
    }

    /// How often a command ran on all nodes that answer.
    pub fn calls(&self, cmd: &str) -> u64 {
        let name = format!("cmdstat_{}:calls=", cmd.to_ascii_lowercase());
        let on = |port: &u16| {
            let text = try_command(*port, &[b"INFO", b"commandstats"])?.text();
            let line = text.lines().find_map(|line| line.strip_prefix(&name))?.to_owned();
            line.split(',').next()?.parse::<u64>().ok()
        };
        self.ports.iter().filter_map(on).sum()
    }

    /// SIGKILL; returns once nobody listens there any more.
    pub fn kill(&self, port: u16) {
        self.signal(port, Signal::KILL);
        let gone = || Connection::open(local(port)).is_err().then_some(());
        poll_blocking(PATIENCE, gone).expect("it ends");
    }

    /// SIGSTOP: connections stay open, nothing is answered.
    pub fn stop(&self, port: u16) {
        self.signal(port, Signal::STOP);
    }

    /// SIGCONT, after [`stop`](Self::stop).
    pub fn resume(&self, port: u16) {
        self.signal(port, Signal::CONT);
    }

    /// Starts one again that was killed: empty, and as what the others say it is by now.
    #[track_caller]
    pub fn revive(&self, port: u16) {
        let own = self.dir.path().join(port.to_string());
        let mut command = Command::new("redis-server");
        command.arg(own.join("redis.conf")).args(&self.args);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = Process::spawn(&mut command);
        fs::write(own.join("redis.pid"), process.id().to_string()).expect("written");
        self.revived.lock().unwrap_or_else(PoisonError::into_inner).insert(port, process);
        let up = || try_command(port, &[b"PING"]).filter(|reply| !reply.is_error());
        poll_blocking(PATIENCE, up).expect("it answers");
    }

    /// Waits until all slots are served by primaries other than this one.
    #[track_caller]
    pub fn wait_for_failover_of(&self, port: u16) {
        let over = || {
            let lines = self.lines_of_others(port)?;
            let served = |line: &&Line| line.is_primary && !line.has_failed && line.port != port;
            let slots = lines.iter().filter(served).flat_map(|line| &line.slots);
            let count: u32 = slots.map(|(from, to)| u32::from(to - from) + 1).sum();
            (count == 16384).then_some(())
        };
        poll_blocking(PATIENCE, over).expect("a replica takes over");
    }

    #[track_caller]
    pub(crate) fn expect(&self, port: u16, args: &[&str]) {
        let reply = self.command(port, args);
        assert!(!reply.is_error(), "`{}` on {port}: {}", args.join(" "), reply.text());
    }

    #[track_caller]
    fn command_bytes(&self, port: u16, args: &[&[u8]]) -> Reply {
        assert!(self.ports.contains(&port), "{port} is no node of the cluster");
        let reply = try_command(port, args);
        reply.unwrap_or_else(|| panic!("{} of the cluster does not answer", local(port)))
    }

    #[track_caller]
    pub(crate) fn owner_of(&self, slot: u16) -> Option<Line> {
        owner_of(slot, &self.lines()).cloned()
    }

    #[track_caller]
    pub(crate) fn line(&self, port: u16) -> Line {
        self.lines().into_iter().find(|line| line.port == port).expect("a node of the cluster")
    }

    #[track_caller]
    fn lines(&self) -> Vec<Line> {
        self.lines_of_others(0).expect("a node that answers")
    }

    /// What the first that answers says of all.
    fn lines_of_others(&self, but: u16) -> Option<Vec<Line>> {
        let mut others = self.ports.iter().filter(|port| **port != but && !self.is_stopped(**port));
        others.find_map(|port| lines_of(*port))
    }

    fn is_stopped(&self, port: u16) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid(port))).unwrap_or_default();
        // Behind the name, which stands in brackets.
        stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T'))
    }

    fn signal(&self, port: u16, signal: Signal) {
        let pid = Pid::from_raw(self.pid(port)).expect("a process id");
        kill_process(pid, signal).expect("an own process can be signalled");
    }

    fn pid(&self, port: u16) -> i32 {
        let file = self.dir.path().join(port.to_string()).join("redis.pid");
        let text = fs::read_to_string(file).expect("each node has written its id");
        text.trim().parse().expect("a number")
    }
}

/// `None`: it does not answer.
pub(crate) fn try_command(port: u16, args: &[&[u8]]) -> Option<Reply> {
    Connection::open(local(port)).ok()?.command(args).ok()
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/ops/redis/cluster")
}
