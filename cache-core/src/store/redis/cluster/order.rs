//! A command about one key, and what its answer asks for. Pure.

use bb8_redis::redis::{Cmd, ServerErrorKind, Value, cmd};

use super::view::Address;
use crate::clock::Millis;
use crate::rate::Quota;
use crate::store::Put;
use crate::store::redis::commands::{create_command, extend_command, put_command, range_command};
use crate::store::redis::{count, script};

/// A command about one key.
#[derive(Debug, Clone, Copy)]
pub(super) enum Order<'a> {
    Get(&'a str),
    /// Some of the bytes under a key, from the first to the last.
    Range(&'a str, isize, isize),
    Put(&'a Put),
    Tail(&'a str, &'a str),
    Remove(&'a str),
    Extend(&'a str, Millis),
    /// Gives a key a value unless it has one.
    Create(&'a str, &'a str, Millis),
    /// Counts a use; by the text of the script, or by its name.
    Count(&'a str, &'a Quota, bool),
}

/// What an answer asks for.
pub(super) enum Next {
    Done,
    Moved(Address),
    Ask(Address),
    Again,
    LoadScripts,
}

impl Order<'_> {
    pub(super) fn key(&self) -> &str {
        match self {
            Self::Put(put) => &put.key,
            Self::Get(key)
            | Self::Range(key, ..)
            | Self::Tail(key, _)
            | Self::Remove(key)
            | Self::Extend(key, _)
            | Self::Create(key, ..)
            | Self::Count(key, ..) => key,
        }
    }

    pub(super) fn command(&self) -> Cmd {
        match *self {
            Self::Get(key) => {
                let mut command = cmd("GET");
                command.arg(key);
                command
            }
            Self::Range(key, from, to) => range_command(key, from, to),
            Self::Put(put) => put_command(put),
            Self::Tail(key, tail) => script::tail_command(key, tail),
            Self::Remove(key) => {
                let mut command = cmd("UNLINK");
                command.arg(key);
                command
            }
            Self::Extend(key, keep_for) => extend_command(key, keep_for),
            Self::Create(key, value, keep_for) => create_command(key, value, keep_for),
            Self::Count(key, quota, by_text) => count::script_command(by_text, key, quota),
        }
    }

    /// Whether others have to hear of it.
    pub(super) fn changes(&self) -> bool {
        matches!(self, Self::Put(_) | Self::Tail(..) | Self::Remove(_) | Self::Create(..))
    }
}

/// What an answer asks for; `said_by` is who gave it.
pub(super) fn next(reply: &Value, said_by: &Address) -> Next {
    let Value::ServerError(error) = reply else { return Next::Done };
    // Such as `3999 127.0.0.1:6381`.
    let place = || {
        let place = error.details()?.split_ascii_whitespace().nth(1)?;
        Address::parse(place, &said_by.host)
    };
    match error.kind() {
        Some(ServerErrorKind::Moved) => place().map_or(Next::Again, Next::Moved),
        Some(ServerErrorKind::Ask) => place().map_or(Next::Again, Next::Ask),
        Some(ServerErrorKind::TryAgain) => Next::Again,
        Some(ServerErrorKind::NoScript) => Next::LoadScripts,
        _ => Next::Done,
    }
}

/// Whether it may come of a map that is out of date, or soon will be.
pub(super) fn is_of_trouble(reply: &Value) -> bool {
    let Value::ServerError(error) = reply else { return false };
    matches!(
        error.kind(),
        Some(
            ServerErrorKind::ClusterDown
                | ServerErrorKind::BusyLoading
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ReadOnly
        )
    )
}

#[cfg(test)]
mod tests {
    use bb8_redis::redis::parse_redis_value;

    use super::*;

    fn told(reply: &[u8]) -> String {
        let said_by = Address { host: "said".to_owned(), port: 1 };
        match next(&parse_redis_value(reply).unwrap(), &said_by) {
            Next::Done => "done".to_owned(),
            Next::Moved(to) => format!("moved {to}"),
            Next::Ask(to) => format!("ask {to}"),
            Next::Again => "again".to_owned(),
            Next::LoadScripts => "load".to_owned(),
        }
    }

    #[test]
    fn what_each_answer_asks_for() {
        for (reply, what) in [
            (&b"-MOVED 3999 127.0.0.1:6381\r\n"[..], "moved 127.0.0.1:6381"),
            (b"-MOVED 3999 :6381\r\n", "moved said:6381"),
            (b"-ASK 3999 a.b:6381\r\n", "ask a.b:6381"),
            (b"-MOVED nonsense\r\n", "again"),
            (b"-TRYAGAIN Multiple keys request during rehashing of slot\r\n", "again"),
            (b"-NOSCRIPT No matching script.\r\n", "load"),
            (b"-CLUSTERDOWN The cluster is down\r\n", "done"),
            (b"-OOM command not allowed\r\n", "done"),
            (b"$-1\r\n", "done"),
        ] {
            assert_eq!(told(reply), what);
        }
    }
}
