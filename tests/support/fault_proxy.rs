//! A TCP proxy between a client and a server, with faults that a test switches on and off.
//!
//! A frozen or killed *server* is [`RedisServer`](crate::RedisServer)'s job; this is the network.
//!
//! ```no_run
//! # async fn example() {
//! use cache_tests::{FaultProxy, Mode, RedisServer};
//!
//! let redis = RedisServer::start();
//! let proxy = FaultProxy::start(redis.port()).await;
//! let url = redis.url_through(proxy.port()); // give this one to the client
//! proxy.set(Mode::Blackhole).await;
//! # }
//! ```

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinSet};

use crate::ports::{free_port, local};
use crate::proxy_link::{self, Rule};

/// What happens to the bytes. A mode applies to open connections and to new ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Everything passes.
    Pass,
    /// What the server sends arrives this much later; order and throughput stay.
    Delay(Duration),
    /// Nothing passes now, nothing is lost: it goes on with the next mode.
    Hold,
    /// Connections are accepted and what is sent is swallowed, both ways.
    ///
    /// A connection that lost bytes, or was made meanwhile, stays a black hole in every later
    /// mode: TCP never delivers a stream with a hole in it.
    Blackhole,
    /// The port is closed, open connections are reset.
    Refuse,
    /// Of what the server sends on each connection from now on, so many bytes pass; then it ends.
    CutAfter(u64),
    /// Of what the server sends on each connection from now on, the byte with this index (from 0)
    /// arrives with its lowest bit flipped.
    FlipBit(u64),
    /// Of the replies of Redis that the server sends on each connection from now on, the one with this
    /// index (from 0) arrives twice: every later one answers the question before.
    RepeatReply(u64),
    /// Of those replies, the one with this index never arrives: every later one answers the question
    /// before its own.
    LoseReply(u64),
}

/// A running proxy; dropping it closes its port and resets every connection.
#[derive(Debug)]
pub struct FaultProxy {
    port: u16,
    orders: mpsc::UnboundedSender<Order>,
    shared: Arc<Shared>,
    task: AbortHandle,
}

#[derive(Debug)]
struct Shared {
    target: AtomicU16,
    accepted: AtomicUsize,
    open: AtomicUsize,
}

#[derive(Debug)]
enum Order {
    Set(Mode, oneshot::Sender<()>),
    CutAll(oneshot::Sender<()>),
}

impl FaultProxy {
    /// Listens on a free port and passes everything to `target_port` on 127.0.0.1.
    ///
    /// When the target refuses a connection, the client's is reset.
    pub async fn start(target_port: u16) -> Self {
        let (port, listener) = loop {
            let port = free_port();
            if let Ok(listener) = TcpListener::bind(local(port)).await {
                break (port, listener);
            }
        };
        let (orders, inbox) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            target: AtomicU16::new(target_port),
            accepted: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
        });
        let task = tokio::spawn(run(listener, port, inbox, Arc::clone(&shared))).abort_handle();
        Self { port, orders, shared, task }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Changes the mode; returns once it is in force.
    pub async fn set(&self, mode: Mode) {
        self.order(|done| Order::Set(mode, done)).await;
    }

    /// Resets the connections that are open now; returns once they are gone.
    pub async fn cut_all(&self) {
        self.order(Order::CutAll).await;
    }

    /// Sends new connections to another port, as after a failover.
    pub fn retarget(&self, target_port: u16) {
        self.shared.target.store(target_port, Ordering::Release);
    }

    /// How many connections it has accepted so far.
    pub fn connections(&self) -> usize {
        self.shared.accepted.load(Ordering::Acquire)
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::Acquire)
    }

    async fn order(&self, order: impl FnOnce(oneshot::Sender<()>) -> Order) {
        let (done, carried_out) = oneshot::channel();
        self.orders.send(order(done)).expect("the proxy runs");
        carried_out.await.expect("the proxy runs");
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(
    listener: TcpListener,
    port: u16,
    mut inbox: mpsc::UnboundedReceiver<Order>,
    shared: Arc<Shared>,
) {
    let mut listener = Some(listener);
    let rules = watch::Sender::new(Rule { turn: 0, mode: Mode::Pass });
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            order = inbox.recv() => match order {
                Some(Order::Set(mode, done)) => {
                    rules.send_modify(|rule| *rule = Rule { turn: rule.turn + 1, mode });
                    if mode == Mode::Refuse {
                        listener = None;
                        connections.shutdown().await;
                    } else if listener.is_none() {
                        let again = TcpListener::bind(local(port)).await;
                        listener = Some(again.expect("nobody else took the port"));
                    }
                    let _ = done.send(());
                }
                Some(Order::CutAll(done)) => {
                    connections.shutdown().await;
                    let _ = done.send(());
                }
                None => return,
            },
            accepted = accept(listener.as_ref()) => if let Ok(stream) = accepted {
                shared.accepted.fetch_add(1, Ordering::AcqRel);
                let (open, rules) = (Open::enter(&shared), rules.subscribe());
                let target = shared.target.load(Ordering::Acquire);
                connections.spawn(async move {
                    proxy_link::carry(stream, target, rules).await;
                    drop(open);
                });
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<TcpStream> {
    match listener {
        Some(listener) => Ok(listener.accept().await?.0),
        None => pending().await,
    }
}

/// Counts an open connection, also one that is aborted.
struct Open(Arc<Shared>);

impl Open {
    fn enter(shared: &Arc<Shared>) -> Self {
        shared.open.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(shared))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::AcqRel);
    }
}
