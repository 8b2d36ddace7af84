//! An example of this workspace as a process of its own, as a user would run it.
//!
//! ```no_run
//! use cache_tests::Example;
//!
//! let quickstart = Example::of("quickstart").args(["--listen", "127.0.0.1:0"]).start();
//! assert_ne!(quickstart.addr().port(), 0);
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::env;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::process::Process;
use crate::wait::poll_blocking;

const READY: Duration = Duration::from_secs(30);
const ANNOUNCEMENT: &str = "listening on ";
const KEPT_LINES: usize = 2_000;

/// How to start an [`Example`].
#[derive(Debug)]
#[must_use]
pub struct Builder {
    name: String,
    command_args: Vec<OsString>,
    envs: Vec<(OsString, Option<OsString>)>,
}

impl Builder {
    /// Adds arguments.
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.command_args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.envs.push((name.into(), Some(value.into())));
        self
    }

    /// Removes an environment variable the tests themselves may have.
    pub fn env_remove(mut self, name: &str) -> Self {
        self.envs.push((name.into(), None));
        self
    }

    /// Starts it and waits for its line `listening on ADDR`; panics with its output otherwise.
    #[track_caller]
    pub fn start(self) -> Example {
        let mut command = self.command();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Process::spawn(&mut command);
        let output = Output::default();
        output.follow(process.child().stdout.take().expect("piped"));
        output.follow(process.child().stderr.take().expect("piped"));
        let addr = poll_blocking(READY, || match output.announced() {
            Some(addr) => Some(Some(addr)),
            None => process.ended().map(|_| None),
        });
        match addr.flatten() {
            Some(addr) => Example { addr, process, output },
            None => panic!(
                "example {} doesn't announce `{ANNOUNCEMENT}ADDR` ({:?}):\n{}",
                self.name,
                process.ended(),
                output.lines().join("\n")
            ),
        }
    }

    /// Runs it to its end, for a start that fails: its exit status, and all it wrote, stdout first.
    ///
    /// Panics when it serves instead.
    #[track_caller]
    pub fn run(self) -> (ExitStatus, String) {
        let mut command = self.command();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Process::spawn(&mut command);
        let status = process.wait(READY).unwrap_or_else(|| panic!("{} still runs", self.name));
        let (mut text, child) = (String::new(), process.child());
        child.stdout.take().expect("piped").read_to_string(&mut text).expect("readable text");
        child.stderr.take().expect("piped").read_to_string(&mut text).expect("readable text");
        (status, text)
    }

    #[track_caller]
    fn command(&self) -> Command {
        let binary = binary(&self.name).unwrap_or_else(|error| panic!("{error}"));
        let mut command = Command::new(binary);
        command.args(&self.command_args);
        for (name, value) in &self.envs {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }
}

/// A running example; killed when dropped.
#[derive(Debug)]
pub struct Example {
    addr: SocketAddr,
    process: Process,
    output: Output,
}

impl Example {
    /// To start the example with this name.
    pub fn of(name: &str) -> Builder {
        Builder { name: name.to_owned(), command_args: Vec::new(), envs: Vec::new() }
    }

    /// The address it announced.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Sends SIGINT and waits for the end; `None` when it still runs after `limit`.
    pub fn interrupt(&mut self, limit: Duration) -> Option<ExitStatus> {
        self.process.signal(Signal::INT);
        self.process.wait(limit)
    }

    /// [`interrupt`](Self::interrupt) with SIGTERM.
    pub fn terminate(&mut self, limit: Duration) -> Option<ExitStatus> {
        self.process.signal(Signal::TERM);
        self.process.wait(limit)
    }

    /// SIGKILL; returns once it is gone.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Its resident memory in KiB; `None` where there is no `/proc`, or once it has ended.
    pub fn rss_kib(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.split_whitespace().next()?.parse().ok()
    }

    /// The last lines it wrote, to stdout and stderr alike (2,000 at most).
    pub fn output(&self) -> Vec<String> {
        self.output.lines()
    }
}

/// What a process writes, read by a thread for each pipe so that it never blocks.
#[derive(Debug, Clone, Default)]
struct Output(Arc<Mutex<VecDeque<String>>>);

impl Output {
    fn follow(&self, pipe: impl Read + Send + 'static) {
        let output = self.clone();
        thread::spawn(move || {
            for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
                let mut lines = output.lock();
                if lines.len() == KEPT_LINES {
                    lines.pop_front();
                }
                lines.push_back(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
        });
    }

    fn announced(&self) -> Option<SocketAddr> {
        self.lock().iter().find_map(|line| line.strip_prefix(ANNOUNCEMENT)?.parse().ok())
    }

    fn lines(&self) -> Vec<String> {
        self.lock().iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `target/PROFILE/examples/NAME`, beside the running test; built first, so that no test runs
/// against what the sources were yesterday: `cargo test` itself builds only their unit tests.
///
/// `./tests/run` has built it: then this costs a look at the sources, once in a test binary.
fn binary(name: &str) -> Result<PathBuf, String> {
    static BUILT: Mutex<BTreeMap<String, Result<(), String>>> = Mutex::new(BTreeMap::new());
    let profile_dir = profile_dir(&env::current_exe().map_err(|error| error.to_string())?)?;
    let binary = profile_dir.join("examples").join(format!("{name}{}", env::consts::EXE_SUFFIX));
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    built.entry(name.to_owned()).or_insert_with(|| build(name, &profile_dir)).clone()?;
    if binary.is_file() {
        return Ok(binary);
    }
    Err(format!("example {name} was built, but not as {}", binary.display()))
}

/// From `target/PROFILE/deps/TEST` to `target/PROFILE`.
fn profile_dir(test: &Path) -> Result<PathBuf, String> {
    test.ancestors()
        .find(|dir| dir.ends_with("deps"))
        .and_then(Path::parent)
        .map(Path::to_owned)
        .ok_or_else(|| format!("{} is not in a target directory", test.display()))
}

fn build(name: &str, profile_dir: &Path) -> Result<(), String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("in a workspace");
    let profile = match profile_dir.file_name().and_then(|profile| profile.to_str()) {
        Some("debug") | None => "dev",
        Some(other) => other,
    };
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        // The packages and features of `./tests/run`, or cargo would compile all of it twice.
        .args(["build", "--workspace", "--all-features", "--example", name])
        .args(["--profile", profile, "--target-dir"])
        .arg(profile_dir.parent().expect("in a target directory"))
        .current_dir(root)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("example {name}: cargo can't be started: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("example {name} can't be built:\n{}", String::from_utf8_lossy(&output.stderr)))
}
