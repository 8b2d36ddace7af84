//! A Sentinel that says whatever it is told to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, AtomicUsize, Ordering};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Ends with the runtime of the test.
#[derive(Debug)]
pub(super) struct FakeSentinel {
    address: SocketAddr,
    says: Arc<Says>,
}

#[derive(Debug)]
struct Says {
    /// Zero: it knows none.
    port: AtomicU16,
    epoch: AtomicU64,
    asked: AtomicUsize,
}

impl FakeSentinel {
    /// One that says that the primary is at this port.
    pub(super) async fn start(port: u16, epoch: u64) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (port, epoch) = (AtomicU16::new(port), AtomicU64::new(epoch));
        let says = Arc::new(Says { port, epoch, asked: AtomicUsize::new(0) });
        let told = Arc::clone(&says);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, Arc::clone(&told)));
            }
        });
        Self { address, says }
    }

    pub(super) fn host(&self) -> String {
        self.address.to_string()
    }

    pub(super) fn say(&self, port: u16, epoch: u64) {
        self.says.epoch.store(epoch, Ordering::SeqCst);
        self.says.port.store(port, Ordering::SeqCst);
    }

    /// How often it was asked.
    pub(super) fn asked(&self) -> usize {
        self.says.asked.load(Ordering::SeqCst)
    }
}

async fn serve(socket: TcpStream, says: Arc<Says>) {
    let mut socket = BufReader::new(socket);
    while let Some(command) = command(&mut socket).await {
        let command: Vec<_> = command.iter().map(|word| word.to_ascii_uppercase()).collect();
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        let (port, epoch) = (says.port.load(Ordering::SeqCst), says.epoch.load(Ordering::SeqCst));
        let answer = match words[..] {
            // Of the time before the third protocol.
            ["HELLO", ..] => "-ERR unknown command 'HELLO'\r\n".to_owned(),
            ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", _] => {
                says.asked.fetch_add(1, Ordering::SeqCst);
                match port {
                    0 => "*-1\r\n".to_owned(),
                    port => list(&["127.0.0.1", &port.to_string()]),
                }
            }
            ["SENTINEL", "MASTER", _] => {
                list(&["name", "mymaster", "config-epoch", &epoch.to_string()])
            }
            _ => "+OK\r\n".to_owned(),
        };
        if socket.get_mut().write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn list(items: &[&str]) -> String {
    let bulk = |item: &&str| format!("${}\r\n{item}\r\n", item.len());
    format!("*{}\r\n{}", items.len(), items.iter().map(bulk).collect::<String>())
}

async fn command(socket: &mut BufReader<TcpStream>) -> Option<Vec<String>> {
    let mut words = Vec::new();
    for _ in 0..number(socket).await? {
        let mut word = vec![0; number(socket).await? + 2];
        socket.read_exact(&mut word).await.ok()?;
        word.truncate(word.len() - 2);
        words.push(String::from_utf8(word).ok()?);
    }
    Some(words)
}

/// The number in a line such as `*2` or `$5`.
async fn number(socket: &mut BufReader<TcpStream>) -> Option<usize> {
    let mut line = String::new();
    socket.read_line(&mut line).await.ok()?;
    line.get(1..)?.trim_end().parse().ok()
}
