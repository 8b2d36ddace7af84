//! A real Prometheus over a configuration, unprivileged and in a directory of its own.
//!
//! ```no_run
//! use cache_tests::Prometheus;
//!
//! let config = "scrape_configs: [{job_name: self, static_configs: [{targets: ['127.0.0.1:9090']}]}]";
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let prometheus = Prometheus::start(config, &[]);
//! assert_eq!(prometheus.query("1 + 1").await.unwrap()[0]["value"][1], "2");
//! # });
//! ```

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::http_client;
use crate::ports::{free_port, local};
use crate::process::Process;
use crate::wait::poll_blocking;

const READY: Duration = Duration::from_secs(30);

/// A running Prometheus; ends when dropped.
#[derive(Debug)]
pub struct Prometheus {
    addr: SocketAddr,
    _process: Process, // ends before its directory goes
    _dir: TempDir,
}

impl Prometheus {
    /// Starts one with this configuration; `files` (name, content) lie beside it.
    #[track_caller]
    pub fn start(config: &str, files: &[(&str, &str)]) -> Self {
        let mut last = String::new();
        for _ in 0..5 {
            match Self::launch(free_port(), config, files) {
                Ok(prometheus) => return prometheus,
                Err(log) => last = log,
            }
        }
        panic!("Prometheus doesn't start: {last}");
    }

    #[track_caller]
    fn launch(port: u16, config: &str, files: &[(&str, &str)]) -> Result<Self, String> {
        let dir = tempfile::Builder::new().prefix("cache-prom-").tempdir().expect("a directory");
        for (name, content) in files.iter().chain(&[("prometheus.yml", config)]) {
            fs::write(dir.path().join(name), content).expect("a file");
        }
        let log = dir.path().join("log");
        let mut process = Process::spawn(
            Command::new("prometheus")
                .current_dir(dir.path())
                .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
                .arg(format!("--web.listen-address={}", local(port)))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(File::create(&log).expect("a log file")),
        );
        let up = poll_blocking(READY, || {
            if process.ended().is_some() {
                return Some(false);
            }
            // It listens at once, and says in its log when it is ready.
            let ready = || fs::read_to_string(&log).unwrap_or_default().contains("is ready");
            (TcpStream::connect(local(port)).is_ok() && ready()).then_some(true)
        });
        if up == Some(true) {
            return Ok(Self { addr: local(port), _process: process, _dir: dir });
        }
        drop(process);
        let log = fs::read_to_string(&log).unwrap_or_default();
        Err(log.lines().rev().take(5).collect::<Vec<_>>().join(" / "))
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What an instant query finds: one value for each series. An error is Prometheus' own.
    pub async fn query(&self, query: &str) -> Result<Vec<Value>, String> {
        let found = self.api(&format!("query?query={}", escaped(query))).await?;
        Ok(found["result"].as_array().cloned().unwrap_or_default())
    }

    /// What `GET /api/v1/{path}` answers, such as `rules` and `targets`.
    pub async fn api(&self, path: &str) -> Result<Value, String> {
        let response = http_client::get(self.addr, &format!("/api/v1/{path}"), &[]).await;
        let mut answer: Value = serde_json::from_slice(&response.body)
            .map_err(|error| format!("{error}: {}", response.text()))?;
        if answer["status"] == "success" {
            Ok(answer["data"].take())
        } else {
            Err(answer.to_string())
        }
    }
}

/// Runs `promtool` with these arguments: whether all is well, and what it says.
pub fn promtool(args: &[&str]) -> (bool, String) {
    promtool_on(args, "")
}

/// As [`promtool`], with something to read.
pub fn promtool_on(args: &[&str], input: &str) -> (bool, String) {
    let mut command = Command::new("promtool");
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut tool = command.spawn().unwrap_or_else(|error| {
        panic!("promtool can't be started ({error}): run ./tests/run, which installs it")
    });
    // One that has enough does not read to the end.
    let _ = tool.stdin.take().expect("piped").write_all(input.as_bytes());
    let output = tool.wait_with_output().expect("promtool ends");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

/// `text` as part of a query string.
fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() {
            escaped.push(byte.into());
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
        escaped
    })
}
