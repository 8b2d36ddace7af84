//! A RESP2 client just large enough to look into a server: blocking, one command at a time.
//!
//! It is written here so that the tests don't check the cache with the library the cache uses.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Error, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long to wait for a connection or for a reply.
const LIMIT: Duration = Duration::from_secs(5);

/// What a server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// A status such as `OK`.
    Simple(String),
    /// An error with its code, such as `OOM command not allowed …`.
    Error(String),
    /// A number.
    Int(i64),
    /// Bytes, or nil (nil arrays too).
    Bulk(Option<Vec<u8>>),
    /// Several replies.
    Array(Vec<Reply>),
}

impl Reply {
    /// The number of an [`Int`](Self::Int).
    pub fn int(&self) -> Option<i64> {
        if let Self::Int(number) = self { Some(*number) } else { None }
    }

    /// The bytes of a [`Bulk`](Self::Bulk) that isn't nil.
    pub fn bytes(&self) -> Option<&[u8]> {
        if let Self::Bulk(bytes) = self { bytes.as_deref() } else { None }
    }

    /// The text of a status, an error, a number or bytes (lossy); empty for nil and arrays.
    pub fn text(&self) -> String {
        match self {
            Self::Simple(text) | Self::Error(text) => text.clone(),
            Self::Int(number) => number.to_string(),
            Self::Bulk(Some(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
            Self::Bulk(None) | Self::Array(_) => String::new(),
        }
    }

    /// The replies in an [`Array`](Self::Array); none in anything else.
    pub fn items(&self) -> &[Reply] {
        if let Self::Array(items) = self { items } else { &[] }
    }

    /// Whether this is an error.
    pub fn is_error(&self) -> bool {
        matches!(self, Self::Error(_))
    }

    /// Whether this is nil.
    pub fn is_nil(&self) -> bool {
        matches!(self, Self::Bulk(None))
    }
}

/// One connection to a server.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Connects; waits for at most five seconds, as every later read does.
    pub fn open(addr: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&addr, LIMIT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.set_write_timeout(Some(LIMIT))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Sends one command and reads its reply.
    pub fn command(&mut self, args: &[&[u8]]) -> io::Result<Reply> {
        self.send(args)?;
        self.read()
    }

    /// Sends one command.
    pub fn send(&mut self, args: &[&[u8]]) -> io::Result<()> {
        let mut frame = format!("*{}\r\n", args.len()).into_bytes();
        for arg in args {
            frame.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
            frame.extend_from_slice(arg);
            frame.extend_from_slice(b"\r\n");
        }
        self.stream.get_mut().write_all(&frame)
    }

    /// Reads one more reply, such as a message after `SUBSCRIBE`.
    pub fn read(&mut self) -> io::Result<Reply> {
        let line = self.line()?;
        let Some((kind, rest)) = line.split_at_checked(1) else { return Err(invalid(&line)) };
        let number = || rest.parse::<i64>().map_err(|_| invalid(&line));
        Ok(match kind {
            "+" => Reply::Simple(rest.to_owned()),
            "-" => Reply::Error(rest.to_owned()),
            ":" => Reply::Int(number()?),
            "$" => match usize::try_from(number()?) {
                Ok(length) => Reply::Bulk(Some(self.bulk(length)?)),
                Err(_) => Reply::Bulk(None),
            },
            "*" => match usize::try_from(number()?) {
                Ok(length) => {
                    Reply::Array((0..length).map(|_| self.read()).collect::<io::Result<_>>()?)
                }
                Err(_) => Reply::Bulk(None),
            },
            _ => return Err(invalid(&line)),
        })
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line)?;
        match line.strip_suffix(b"\r\n") {
            Some(text) => Ok(String::from_utf8_lossy(text).into_owned()),
            None => Err(ErrorKind::UnexpectedEof.into()),
        }
    }

    fn bulk(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length + 2];
        self.stream.read_exact(&mut bytes)?;
        bytes.truncate(length);
        Ok(bytes)
    }
}

fn invalid(line: &str) -> Error {
    Error::new(ErrorKind::InvalidData, format!("not a RESP2 reply: {line:?}"))
}

/// How a command reads in a panic message.
pub(crate) fn show(args: &[&[u8]]) -> String {
    args.iter().fold(String::new(), |mut text, arg| {
        let gap = if text.is_empty() { "" } else { " " };
        let _ = write!(text, "{gap}{}", String::from_utf8_lossy(&arg[..arg.len().min(80)]));
        text
    })
}
