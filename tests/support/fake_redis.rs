//! A Redis that answers as a test says: by itself, or before a real one, to which everything goes that
//! the test says nothing about.
//!
//! ```
//! use cache_tests::fake_redis::{Answer, FakeRedis};
//! use cache_tests::RedisServer;
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let redis = RedisServer::start();
//! let fake = FakeRedis::before(&redis, |call| match call.name() {
//!     "SET" => Answer::error("OOM command not allowed when used memory > 'maxmemory'."),
//!     _ => Answer::Pass,
//! })
//! .await;
//! let url = fake.url(); // give this one to the client
//! fake.script(|_| Answer::Pass); // and from now on all is well
//! # });
//! ```

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;

use crate::RedisServer;
use crate::acceptor::Acceptor;
use crate::ports::local;
use crate::resp::Reply;
use crate::resp_frame::{command, is_push, length, render};

/// A command as it came.
#[derive(Debug, Clone)]
pub struct Call {
    /// The number of its connection, from 0.
    pub connection: usize,
    /// Its words, the command first.
    pub words: Vec<Vec<u8>>,
    name: String,
}

impl Call {
    /// The command, in capitals.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A word behind it as text, from 1; empty: there is none.
    pub fn word(&self, index: usize) -> String {
        String::from_utf8_lossy(self.words.get(index).map_or(&[], Vec::as_slice)).into_owned()
    }

    /// Whether it belongs to connecting: what a client says and asks before its first command.
    pub fn is_greeting(&self) -> bool {
        matches!(self.name(), "HELLO" | "AUTH" | "CLIENT" | "SELECT" | "TIME" | "INFO" | "ROLE")
    }
}

/// What the client gets.
#[derive(Debug, Clone)]
pub enum Answer {
    /// What the real server answers; without one, that there is no such command.
    Pass,
    /// This.
    Reply(Reply),
    /// These bytes.
    Raw(Vec<u8>),
    /// That, so much later; as is what comes behind it.
    After(Duration, Box<Answer>),
    /// Nothing; what comes behind it is answered.
    Silence,
    /// The end of the connection.
    Close,
}

impl Answer {
    /// An error, its code first.
    pub fn error(text: &str) -> Self {
        Self::Reply(Reply::Error(text.to_owned()))
    }

    /// `OK`.
    pub fn ok() -> Self {
        Self::Reply(Reply::Simple("OK".to_owned()))
    }
}

type Script = Arc<dyn Fn(&Call) -> Answer + Send + Sync>;

struct Shared {
    target: Option<u16>,
    script: Mutex<Script>,
    calls: Mutex<Vec<String>>,
    open: AtomicUsize,
}

/// A server that answers by a script; dropping it closes its port and every connection.
pub struct FakeRedis {
    acceptor: Acceptor,
    shared: Arc<Shared>,
}

impl FakeRedis {
    /// Before a real one.
    pub async fn before(
        redis: &RedisServer,
        script: impl Fn(&Call) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::start(Some(redis.port()), Arc::new(script)).await
    }

    /// By itself.
    pub async fn alone(script: impl Fn(&Call) -> Answer + Send + Sync + 'static) -> Self {
        Self::start(None, Arc::new(script)).await
    }

    async fn start(target: Option<u16>, script: Script) -> Self {
        let (script, calls) = (Mutex::new(script), Mutex::default());
        let shared = Arc::new(Shared { target, script, calls, open: AtomicUsize::new(0) });
        let serving = Arc::clone(&shared);
        let acceptor = Acceptor::start(move |stream, number| {
            let shared = Arc::clone(&serving);
            async move {
                shared.open.fetch_add(1, Ordering::AcqRel);
                let _open = Open(Arc::clone(&shared));
                // A connection that breaks is the client's business.
                let _ = serve(stream, number, &shared).await;
            }
        })
        .await;
        Self { acceptor, shared }
    }

    /// From the next command on it answers by this one.
    pub fn script(&self, script: impl Fn(&Call) -> Answer + Send + Sync + 'static) {
        *lock(&self.shared.script) = Arc::new(script);
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.acceptor.addr()
    }

    /// `redis://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("redis://{}", self.addr())
    }

    /// How many connections it has accepted so far.
    pub fn connections(&self) -> usize {
        self.acceptor.accepted()
    }

    /// How many are open.
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::Acquire)
    }

    /// How often this command came so far, its name in capitals.
    pub fn calls(&self, name: &str) -> usize {
        lock(&self.shared.calls).iter().filter(|call| *call == name).count()
    }
}

impl fmt::Debug for FakeRedis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeRedis").field("addr", &self.addr()).finish_non_exhaustive()
    }
}

struct Open(Arc<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::AcqRel);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

type Writer = Arc<tokio::sync::Mutex<OwnedWriteHalf>>;

/// The way to the real server.
struct Upstream {
    commands: OwnedWriteHalf,
    replies: mpsc::UnboundedReceiver<Vec<u8>>,
    /// From now on everything that comes is passed on at once.
    is_subscribed: Arc<AtomicBool>,
    reader: tokio::task::AbortHandle,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Upstream {
    async fn connect(port: u16, client: Writer) -> io::Result<Self> {
        let (from, commands) = TcpStream::connect(local(port)).await?.into_split();
        let (sender, replies) = mpsc::unbounded_channel();
        let is_subscribed = Arc::<AtomicBool>::default();
        let reader = tokio::spawn(relay(from, client, sender, Arc::clone(&is_subscribed)));
        Ok(Self { commands, replies, is_subscribed, reader: reader.abort_handle() })
    }

    /// Passes a command on; its reply, if there is to be one.
    async fn pass(&mut self, call: &Call, bytes: &[u8]) -> io::Result<Vec<u8>> {
        if matches!(call.name(), "SUBSCRIBE" | "PSUBSCRIBE" | "MONITOR") {
            self.is_subscribed.store(true, Ordering::Release);
        }
        self.commands.write_all(bytes).await?;
        if self.is_subscribed.load(Ordering::Acquire) {
            return Ok(Vec::new());
        }
        self.replies.recv().await.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

/// Passes on what comes unasked, and hands over what was asked for.
async fn relay(
    mut from: OwnedReadHalf,
    client: Writer,
    replied: mpsc::UnboundedSender<Vec<u8>>,
    is_subscribed: Arc<AtomicBool>,
) {
    let mut bytes = Vec::new();
    while matches!(from.read_buf(&mut bytes).await, Ok(1..)) {
        while let Some(end) = length(&bytes) {
            let reply: Vec<u8> = bytes.drain(..end).collect();
            if is_push(&reply) || is_subscribed.load(Ordering::Acquire) {
                if client.lock().await.write_all(&reply).await.is_err() {
                    return;
                }
            } else if replied.send(reply).is_err() {
                return;
            }
        }
    }
}

async fn serve(stream: TcpStream, connection: usize, shared: &Shared) -> io::Result<()> {
    let (mut from, to) = stream.into_split();
    let client: Writer = Arc::new(tokio::sync::Mutex::new(to));
    let mut upstream = match shared.target {
        Some(port) => Some(Upstream::connect(port, Arc::clone(&client)).await?),
        None => None,
    };
    let mut bytes = Vec::new();
    while from.read_buf(&mut bytes).await? > 0 {
        while let Some((words, end)) = command(&bytes) {
            let raw: Vec<u8> = bytes.drain(..end).collect();
            let name = String::from_utf8_lossy(words.first().map_or(&[], Vec::as_slice));
            let call = Call { connection, name: name.to_ascii_uppercase(), words };
            lock(&shared.calls).push(call.name.clone());
            let script = Arc::clone(&lock(&shared.script));
            let mut answer = script(&call);
            while let Answer::After(delay, then) = answer {
                tokio::time::sleep(delay).await;
                answer = *then;
            }
            let answer = match (answer, &mut upstream) {
                (Answer::Pass, Some(upstream)) => upstream.pass(&call, &raw).await?,
                (Answer::Pass, None) => {
                    render(&Reply::Error(format!("ERR unknown command '{}'", call.name())))
                }
                (Answer::Reply(reply), _) => render(&reply),
                (Answer::Raw(raw), _) => raw,
                (Answer::Silence | Answer::After(..), _) => continue,
                (Answer::Close, _) => return Ok(()),
            };
            client.lock().await.write_all(&answer).await?;
        }
    }
    Ok(())
}
