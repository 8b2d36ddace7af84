//! A proxy before a Redis that answers some commands itself: a server of another version, or another
//! client that is quicker.
//!
//! It speaks RESP2 only, and takes one command after the other: `HELLO` should be among those that it
//! answers.
//!
//! ```
//! use cache_tests::{CommandFilter, RedisServer};
//!
//! let redis = RedisServer::start();
//! let old = CommandFilter::start(redis.port(), |command| {
//!     command.is("GETEX").then(|| "-ERR unknown command `GETEX`".to_owned())
//! });
//! assert!(old.command(&["GETEX", "k"]).is_error());
//! assert_eq!(old.command(&["SET", "k", "v"]).text(), "OK");
//! assert_eq!(old.count("GETEX"), 1);
//! ```

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::ports::local;
use crate::resp::{Connection, Reply};

/// A command as a client has sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command(Vec<Vec<u8>>);

impl Command {
    /// Whether it is this one, in any case.
    pub fn is(&self, name: &str) -> bool {
        self.0.first().is_some_and(|word| word.eq_ignore_ascii_case(name.as_bytes()))
    }

    /// Whether this word, in any case, is one of its arguments.
    pub fn has(&self, word: &str) -> bool {
        self.0.iter().skip(1).any(|arg| arg.eq_ignore_ascii_case(word.as_bytes()))
    }

    /// One of its words; the first is its name.
    pub fn word(&self, index: usize) -> Option<&[u8]> {
        self.0.get(index).map(Vec::as_slice)
    }

    /// How many words it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Never.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A running filter; ends when dropped.
#[derive(Debug)]
pub struct CommandFilter {
    port: u16,
    shared: Arc<Shared>,
}

type Rule = Box<dyn Fn(&Command) -> Option<String> + Send + Sync>;

struct Shared {
    target: u16,
    rule: Rule,
    seen: Mutex<Vec<Command>>,
    ended: AtomicBool,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("target", &self.target).finish_non_exhaustive()
    }
}

impl CommandFilter {
    /// Listens on a free port. `rule` is asked about each command, before it is passed on: what it
    /// gives is the answer, without the end of the line; `None` passes the command on. It may take its
    /// time, and do something else with the server meanwhile.
    pub fn start(
        target: u16,
        rule: impl Fn(&Command) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(local(0)).expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let (rule, seen) = (Box::new(rule), Mutex::default());
        let shared = Arc::new(Shared { target, rule, seen, ended: AtomicBool::new(false) });
        thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared)
        });
        Self { port, shared }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How often this command has come, answered here or not.
    pub fn count(&self, name: &str) -> usize {
        self.commands().iter().filter(|command| command.is(name)).count()
    }

    /// All that has come.
    pub fn commands(&self) -> Vec<Command> {
        self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Runs one command through it, on a connection of its own.
    #[track_caller]
    pub fn command(&self, args: &[&str]) -> Reply {
        let args: Vec<&[u8]> = args.iter().map(|arg| arg.as_bytes()).collect();
        let reply = Connection::open(local(self.port)).and_then(|mut c| c.command(&args));
        reply.expect("the filter answers")
    }
}

impl Drop for CommandFilter {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // So that it notices.
        drop(TcpStream::connect(local(self.port)));
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for client in listener.incoming() {
        if shared.ended.load(Ordering::SeqCst) {
            return;
        }
        let (Ok(client), shared) = (client, Arc::clone(shared)) else { return };
        // Its end is that of the client.
        thread::spawn(move || {
            if let Ok(server) = TcpStream::connect(local(shared.target)) {
                drop(serve(&client, &server, &shared));
                drop(server.shutdown(Shutdown::Both));
            }
            drop(client.shutdown(Shutdown::Both));
        });
    }
}

fn serve(mut client: &TcpStream, mut server: &TcpStream, shared: &Shared) -> io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from_client, mut from_server) = (BufReader::new(client), BufReader::new(server));
    loop {
        let mut sent = Vec::new();
        let command = Command(copy(&mut from_client, &mut sent)?);
        shared.seen.lock().unwrap_or_else(PoisonError::into_inner).push(command.clone());
        let mut answer = Vec::new();
        if let Some(text) = (shared.rule)(&command) {
            answer = [text.as_bytes(), b"\r\n"].concat();
        } else {
            server.write_all(&sent)?;
            copy(&mut from_server, &mut answer)?;
        }
        client.write_all(&answer)?;
    }
}

/// Reads one value as it is, and the strings that it consists of.
fn copy(from: &mut impl BufRead, to: &mut Vec<u8>) -> io::Result<Vec<Vec<u8>>> {
    let start = to.len();
    if from.read_until(b'\n', to)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let line = String::from_utf8_lossy(&to[start..]).trim_end().to_owned();
    let count = || line[1..].parse::<i64>().ok().and_then(|count| usize::try_from(count).ok());
    match line.as_bytes().first() {
        Some(b'*') => {
            let mut strings = Vec::new();
            for _ in 0..count().unwrap_or(0) {
                strings.extend(copy(from, to)?);
            }
            Ok(strings)
        }
        Some(b'$') => {
            let Some(count) = count() else { return Ok(Vec::new()) };
            let mut bytes = vec![0; count + 2];
            from.read_exact(&mut bytes)?;
            to.extend_from_slice(&bytes);
            bytes.truncate(count);
            Ok(vec![bytes])
        }
        Some(b'+' | b'-' | b':') => Ok(Vec::new()),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}
