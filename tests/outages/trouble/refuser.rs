//! Between a service and a real Redis: passes everything on, or answers for it with an error.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::BytesMut;
use cache_core::RedisOptions;
use cache_core::store::BoxFuture;
use cache_tests::RedisServer;
use cache_tests::ports::{free_port, local};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::resp::{length, name};
use super::{Start, Trouble, aside};

/// A class of error.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Class {
    pub(crate) name: &'static str,
    /// What is answered, without the end of the line.
    pub(crate) reply: &'static str,
    pub(crate) refuses: Refuses,
}

/// The commands that are answered with an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refuses {
    /// But for those that make a connection, which are answered in every state.
    Everything,
    /// Those that read or write keys.
    Data,
    /// Those that take room, or may.
    Writes,
    Scripts,
}

impl Refuses {
    fn refuses(self, command: &str) -> bool {
        let script = command == "EVALSHA";
        let write = script || matches!(command, "SET" | "UNLINK" | "PEXPIRE" | "INCRBY");
        let read = matches!(command, "GET" | "MGET" | "GETRANGE" | "STRLEN" | "PTTL" | "SCAN");
        match self {
            Self::Everything => {
                !matches!(command, "HELLO" | "AUTH" | "CLIENT" | "INFO" | "TIME" | "SELECT")
            }
            Self::Data => write || read,
            Self::Writes => write,
            Self::Scripts => script,
        }
    }
}

#[derive(Debug)]
struct Refusing {
    class: Class,
    on: AtomicBool,
    refused: AtomicU64,
}

#[derive(Debug)]
struct Refuser {
    port: u16,
    refusing: Arc<Refusing>,
    // Before the server goes.
    _listening: JoinSet<()>,
    _redis: RedisServer,
}

impl Class {
    pub(crate) fn start(self) -> Start {
        Arc::new(move || {
            Box::pin(async move {
                let redis = aside(RedisServer::start).await;
                Box::new(Refuser::start(redis, self).await) as Box<dyn Trouble>
            })
        })
    }
}

impl Refuser {
    async fn start(redis: RedisServer, class: Class) -> Self {
        let (on, refused) = (AtomicBool::new(false), AtomicU64::new(0));
        let refusing = Arc::new(Refusing { class, on, refused });
        let port = free_port();
        let listener = TcpListener::bind(local(port)).await.expect("a free port");
        let (target, shared) = (redis.port(), Arc::clone(&refusing));
        let mut listening = JoinSet::new();
        listening.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let refusing = Arc::clone(&shared);
                // However a connection ends, its client notices.
                connections.spawn(async move { drop(carry(client, target, &refusing).await) });
                while connections.try_join_next().is_some() {}
            }
        });
        Self { port, refusing, _listening: listening, _redis: redis }
    }
}

/// Each command has its answer in its turn, whoever gives it.
async fn carry(mut client: TcpStream, target: u16, refusing: &Refusing) -> io::Result<()> {
    let mut server = TcpStream::connect(local(target)).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut asked, mut answered) = (BytesMut::new(), BytesMut::new());
    // Who is to answer next: we, with an error; or the server.
    let mut turns: VecDeque<Option<Vec<u8>>> = VecDeque::new();
    loop {
        tokio::select! {
            read = client.read_buf(&mut asked) => {
                if read? == 0 {
                    return Ok(());
                }
                while let Some(length) = length(&asked) {
                    let command = asked.split_to(length);
                    let error = refusing.answer(&command);
                    if error.is_none() {
                        server.write_all(&command).await?;
                    }
                    turns.push_back(error);
                }
            }
            read = server.read_buf(&mut answered) => {
                if read? == 0 {
                    return Ok(());
                }
                while let Some(length) = length(&answered) {
                    let answer = answered.split_to(length);
                    client.write_all(&answer).await?;
                    // What is pushed answers nothing.
                    if !answer.starts_with(b">") {
                        turns.pop_front();
                        ours(&mut turns, &mut client).await?;
                    }
                }
            }
        }
        ours(&mut turns, &mut client).await?;
    }
}

/// Gives the answers that are ours, up to the first that is not.
async fn ours(turns: &mut VecDeque<Option<Vec<u8>>>, client: &mut TcpStream) -> io::Result<()> {
    while let Some(Some(error)) = turns.front() {
        client.write_all(error).await?;
        turns.pop_front();
    }
    Ok(())
}

impl Refusing {
    /// The error that a command is answered with, if it is.
    fn answer(&self, command: &[u8]) -> Option<Vec<u8>> {
        if !self.on.load(Ordering::Acquire) || !self.class.refuses.refuses(&name(command)) {
            return None;
        }
        self.refused.fetch_add(1, Ordering::AcqRel);
        Some(format!("{}\r\n", self.class.reply).into_bytes())
    }
}

impl Trouble for Refuser {
    fn options(&self) -> RedisOptions {
        RedisOptions::url(&format!("redis://127.0.0.1:{}", self.port)).expect("valid")
    }

    fn begin(&mut self) -> BoxFuture<'_, ()> {
        self.refusing.on.store(true, Ordering::Release);
        Box::pin(std::future::ready(()))
    }

    fn end(&mut self) -> BoxFuture<'_, ()> {
        self.refusing.on.store(false, Ordering::Release);
        Box::pin(std::future::ready(()))
    }

    fn refused(&self) -> u64 {
        self.refusing.refused.load(Ordering::Acquire)
    }
}
