//! One connection through the fault proxy.
//!
//! Each way is a line: one end receives and decides by the mode, the other delivers when due.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{Sleep, sleep};

use crate::fault_proxy::Mode;
use crate::ports::local;
use crate::resp_frame::{is_push, length};

/// The mode, and how often it has been set: counters of bytes start anew with each turn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    pub(crate) turn: u64,
    pub(crate) mode: Mode,
}

/// Carries bytes both ways until both sides have finished, one fails, or the mode cuts it.
pub(crate) async fn carry(client: TcpStream, target: u16, rules: watch::Receiver<Rule>) {
    let mut client = Socket::new(client);
    if rules.borrow().mode == Mode::Blackhole {
        return swallow(&mut client).await;
    }
    let Ok(server) = TcpStream::connect(local(target)).await else { return };
    let mut server = Socket::new(server);
    let holed = AtomicBool::new(false);
    let ended = {
        let (from_client, to_client) = client.stream.split();
        let (from_server, to_server) = server.stream.split();
        let up = Receiver { rules: rules.clone(), holed: &holed, replies: None };
        let down = Receiver { rules, holed: &holed, replies: Some(Count::default()) };
        tokio::try_join!(up.line(from_client, to_server), down.line(from_server, to_client))
    };
    if matches!(ended, Ok(_) | Err(End::Cut)) {
        client.in_order = true;
        server.in_order = true;
    }
}

/// Reads until the client leaves.
async fn swallow(client: &mut Socket) {
    let mut scrap = [0; 4096];
    while matches!(client.stream.read(&mut scrap).await, Ok(1..)) {}
}

/// Resets its connection when dropped, unless the connection came to an end in order.
struct Socket {
    stream: TcpStream,
    in_order: bool,
}

impl Socket {
    fn new(stream: TcpStream) -> Self {
        let _ = stream.set_nodelay(true); // fails only on a dead connection
        Self { stream, in_order: false }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if !self.in_order {
            let _ = set_socket_linger(&self.stream, Some(Duration::ZERO));
        }
    }
}

/// Why a connection ends before both sides have finished.
enum End {
    /// By [`Mode::CutAfter`].
    Cut,
    /// One side is gone.
    Broken,
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Broken
    }
}

struct Parcel {
    due: Option<Pin<Box<Sleep>>>,
    bytes: Vec<u8>,
    last: bool,
}

/// How many bytes, and how many replies, the server has sent in this turn.
#[derive(Default)]
struct Count {
    turn: u64,
    bytes: u64,
    replies: u64,
    /// The beginning of a reply whose end is still to come.
    held: Vec<u8>,
}

impl Count {
    /// The replies that are whole; of the one with this index, so many.
    fn replies(&mut self, bytes: &[u8], index: u64, times: usize) -> Vec<u8> {
        self.held.extend_from_slice(bytes);
        let mut passed = Vec::new();
        while let Some(end) = length(&self.held) {
            let reply: Vec<u8> = self.held.drain(..end).collect();
            if is_push(&reply) {
                passed.extend(reply);
                continue;
            }
            let times = if self.replies == index { times } else { 1 };
            passed.extend(reply.repeat(times));
            self.replies += 1;
        }
        passed
    }
}

struct Receiver<'a> {
    rules: watch::Receiver<Rule>,
    /// Whether bytes of this connection have been swallowed, either way.
    holed: &'a AtomicBool,
    /// On the way from the server; delays, cuts and flips happen only there.
    replies: Option<Count>,
}

impl Receiver<'_> {
    async fn line<R, W>(self, from: R, to: W) -> Result<(), End>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let (line, parcels) = mpsc::channel(64);
        tokio::try_join!(self.receive(from, line), deliver(parcels, to)).map(|_| ())
    }

    async fn receive<R>(mut self, mut from: R, line: mpsc::Sender<Parcel>) -> Result<(), End>
    where
        R: AsyncRead + Unpin,
    {
        loop {
            let mut bytes = vec![0; 16 * 1024];
            let read = from.read(&mut bytes).await;
            let rule = self.rule_in_force().await;
            if rule.mode == Mode::Blackhole || self.holed.load(Ordering::Acquire) {
                self.holed.store(true, Ordering::Release);
                match read {
                    Ok(1..) => continue,
                    // the server left: a client behind a black hole isn't told
                    _ if self.replies.is_some() => std::future::pending().await,
                    _ => return Err(End::Broken),
                }
            }
            bytes.truncate(read?);
            if bytes.is_empty() {
                return Ok(());
            }
            let parcel = self.wrap(rule, bytes);
            let last = parcel.last;
            if line.send(parcel).await.is_err() || last {
                return Ok(());
            }
        }
    }

    /// The rule for what has just been read; waits while the mode is [`Mode::Hold`].
    async fn rule_in_force(&mut self) -> Rule {
        let next = self.rules.wait_for(|rule| rule.mode != Mode::Hold).await.map(|rule| *rule);
        match next {
            Ok(rule) => rule,
            Err(_) => std::future::pending().await, // the proxy is about to drop this task
        }
    }

    fn wrap(&mut self, rule: Rule, mut bytes: Vec<u8>) -> Parcel {
        let Some(count) = &mut self.replies else {
            return Parcel { due: None, bytes, last: false };
        };
        if count.turn != rule.turn {
            let held = std::mem::take(&mut count.held);
            *count = Count { turn: rule.turn, held, ..Count::default() };
        }
        if !count.held.is_empty() && !matches!(rule.mode, Mode::RepeatReply(_) | Mode::LoseReply(_))
        {
            bytes = [std::mem::take(&mut count.held), bytes].concat();
        }
        let index_of = |at: u64| usize::try_from(at.saturating_sub(count.bytes)).ok();
        let (mut due, mut last) = (None, false);
        match rule.mode {
            Mode::Delay(delay) => due = Some(Box::pin(sleep(delay))),
            Mode::CutAfter(at) => {
                if let Some(left) = index_of(at).filter(|left| *left <= bytes.len()) {
                    bytes.truncate(left);
                    last = true;
                }
            }
            Mode::FlipBit(at) if at >= count.bytes => {
                if let Some(byte) = index_of(at).and_then(|index| bytes.get_mut(index)) {
                    *byte ^= 1;
                }
            }
            Mode::RepeatReply(index) => bytes = count.replies(&bytes, index, 2),
            Mode::LoseReply(index) => bytes = count.replies(&bytes, index, 0),
            _ => {}
        }
        count.bytes += bytes.len() as u64;
        Parcel { due, bytes, last }
    }
}

async fn deliver<W>(mut parcels: mpsc::Receiver<Parcel>, mut to: W) -> Result<(), End>
where
    W: AsyncWrite + Unpin,
{
    while let Some(parcel) = parcels.recv().await {
        if let Some(due) = parcel.due {
            due.await;
        }
        to.write_all(&parcel.bytes).await?;
        if parcel.last {
            to.shutdown().await?;
            return Err(End::Cut);
        }
    }
    to.shutdown().await?;
    Ok(())
}
