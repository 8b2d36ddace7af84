//! A real nginx over a document root, unprivileged and in a directory of its own.
//!
//! ```
//! use cache_tests::{Nginx, http_client};
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let nginx = Nginx::start("expires 60s;", &[("hello.txt", b"hello")]);
//! let response = http_client::get(nginx.addr(), "/hello.txt", &[]).await;
//! assert_eq!(response.header("cache-control"), Some("max-age=60"));
//! # });
//! ```

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::ports::{free_port, local};
use crate::process::Process;
use crate::wait::poll_blocking;

const READY: Duration = Duration::from_secs(10);
/// Where distributions put it outside the search path of an ordinary user.
const PLACES: [&str; 4] = ["/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/bin"];
const READY_PATH: &str = "/-/nginx-is-ready";

/// A running nginx; ends when dropped.
#[derive(Debug)]
pub struct Nginx {
    port: u16,
    process: Process, // ends before its directory goes
    dir: TempDir,
}

impl Nginx {
    /// Serves `files` (path below the root, content) in a `server` block to which `directives`
    /// are added, such as `expires 60s; etag on; location /x { … }`.
    #[track_caller]
    pub fn start(directives: &str, files: &[(&str, &[u8])]) -> Self {
        let mut last = String::new();
        for _ in 0..5 {
            match Self::launch(free_port(), directives, files) {
                Ok(nginx) => return nginx,
                Err(log) => last = log,
            }
        }
        panic!("nginx doesn't start: {last}");
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        local(self.port)
    }

    /// `http://ADDR` followed by `path`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr())
    }

    /// The directory it serves.
    pub fn root(&self) -> PathBuf {
        self.dir.path().join("www")
    }

    /// Writes a file below [`root`](Self::root), also one that exists.
    pub fn write(&self, path: &str, content: &[u8]) {
        write(&self.root(), path, content);
    }

    /// The requests so far as `METHOD TARGET STATUS`.
    ///
    /// nginx notes a request after it has answered: wait with [`eventually`](crate::eventually).
    pub fn requests(&self) -> Vec<String> {
        let log = fs::read_to_string(self.dir.path().join("access.log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    /// SIGSTOP: connections are still accepted by the system, nothing is answered.
    pub fn freeze(&mut self) {
        self.process.freeze();
    }

    /// SIGCONT, after [`freeze`](Self::freeze).
    pub fn resume(&mut self) {
        self.process.signal(Signal::CONT);
    }

    /// SIGKILL; returns once it is gone.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    #[track_caller]
    fn launch(port: u16, directives: &str, files: &[(&str, &[u8])]) -> Result<Self, String> {
        let dir = tempfile::Builder::new().prefix("cache-nginx-").tempdir().expect("a directory");
        let root = dir.path().join("www");
        fs::create_dir(&root).expect("a document root");
        for (path, content) in files {
            write(&root, path, content);
        }
        let token = format!("{}-{port}", std::process::id());
        fs::write(dir.path().join("nginx.conf"), config(dir.path(), port, &token, directives))
            .expect("a configuration");
        let log = dir.path().join("error.log");
        let mut process = Process::spawn(
            Command::new(binary())
                .arg("-p")
                .arg(dir.path())
                .args(["-c", "nginx.conf"])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(File::create(&log).expect("a log file")),
        );
        let up = poll_blocking(READY, || {
            if process.ended().is_some() { Some(false) } else { answers(port, &token).ok() }
        });
        if up == Some(true) {
            return Ok(Self { port, process, dir });
        }
        drop(process);
        let log = fs::read_to_string(&log).unwrap_or_default();
        Err(log.lines().rev().take(5).collect::<Vec<_>>().join(" / "))
    }
}

fn write(root: &Path, path: &str, content: &[u8]) {
    let file = root.join(path.trim_start_matches('/'));
    fs::create_dir_all(file.parent().expect("below the root")).expect("a directory");
    fs::write(file, content).expect("a file");
}

fn binary() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(PLACES.map(PathBuf::from))
        .map(|place| place.join("nginx"))
        .find(|file| file.is_file())
        .unwrap_or_else(|| "nginx".into())
}

/// Whether the server on `port` is ours, if there is one.
fn answers(port: u16, token: &str) -> io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&local(port), READY)?;
    stream.set_read_timeout(Some(READY))?;
    write!(stream, "GET {READY_PATH} HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.ends_with(token))
}

fn config(dir: &Path, port: u16, token: &str, directives: &str) -> String {
    let dir = dir.display();
    format!(
        r#"
daemon off;
master_process off;
pid "{dir}/nginx.pid";
error_log stderr;
events {{ worker_connections 512; }}
http {{
    log_format line "$request_method $request_uri $status";
    access_log "{dir}/access.log" line;
    client_body_temp_path "{dir}/body";
    proxy_temp_path "{dir}/proxy";
    fastcgi_temp_path "{dir}/fastcgi";
    uwsgi_temp_path "{dir}/uwsgi";
    scgi_temp_path "{dir}/scgi";
    types {{ text/html html; text/plain txt; text/css css; application/json json; }}
    default_type application/octet-stream;
    server {{
        listen 127.0.0.1:{port};
        root "{dir}/www";
        location = {READY_PATH} {{ access_log off; return 200 "{token}"; }}
        {directives}
    }}
}}
"#
    )
}
