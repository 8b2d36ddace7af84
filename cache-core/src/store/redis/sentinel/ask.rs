//! Asking one Sentinel, and asking a server whether it is the primary.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bb8_redis::redis::aio::{AsyncPushSender, MultiplexedConnection, SendError};
use bb8_redis::redis::{
    AsyncConnectionConfig, ConnectionAddr, ErrorKind as RedisKind, FromRedisValue, ProtocolVersion,
    PushInfo, PushKind, RedisError, Value, cmd, pipe,
};
use tokio::sync::Notify;

use crate::error::{Error, ErrorKind};
use crate::store::redis::dial::{Dialer, Wire};
use crate::store::redis::fault::{protocol_error, server_error};

/// Where Sentinels tell of a primary that has taken another's place.
const SWITCHED: &str = "+switch-master";

/// One Sentinel, with the connection that was last used.
#[derive(Debug)]
pub(super) struct Sentinel {
    address: ConnectionAddr,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    wire: Option<Wire>,
    /// Nothing is kept any more.
    closed: bool,
}

/// What one Sentinel says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) primary: ConnectionAddr,
    /// Counts failovers; the Sentinel with the greatest has the newest news. Zero where that is not
    /// told.
    pub(super) epoch: u64,
}

impl Sentinel {
    pub(super) fn new(host: &str, port: u16) -> Self {
        Self { address: ConnectionAddr::Tcp(host.to_owned(), port), kept: Mutex::default() }
    }

    /// Where the primary is. `told` is notified when the Sentinel tells by itself that it is another.
    pub(super) async fn ask(
        &self,
        master: &str,
        dialer: &Dialer,
        timeout: Duration,
        told: &Arc<Notify>,
    ) -> Result<Answer, Error> {
        let asking = async {
            let kept = self.kept().wire.take();
            if let Some(mut kept) = kept {
                // No answer may mean that the connection is dead, and the Sentinel well.
                let limit = timeout / 3;
                if let Ok(Ok(answer)) =
                    tokio::time::timeout(limit, question(&mut kept, master)).await
                {
                    self.keep(kept);
                    return answer;
                }
            }
            let mut fresh = self.connect(dialer, timeout, told).await?;
            let answer = question(&mut fresh, master).await?;
            self.keep(fresh);
            answer
        };
        let answer = match tokio::time::timeout(timeout, asking).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::new(ErrorKind::Timeout, "no answer in time")),
        };
        answer.map_err(|error| {
            Error::new(error.kind(), format!("Sentinel {}: {error}", self.address))
        })
    }

    pub(super) fn let_go(&self) {
        *self.kept() = Kept { wire: None, closed: true };
    }

    /// For the next question, unless there will be none.
    fn keep(&self, wire: Wire) {
        let mut kept = self.kept();
        if !kept.closed {
            kept.wire = Some(wire);
        }
    }

    async fn connect(
        &self,
        dialer: &Dialer,
        timeout: Duration,
        told: &Arc<Notify>,
    ) -> Result<Wire, RedisError> {
        let config = || AsyncConnectionConfig::new().set_response_timeout(Some(timeout));
        let listening = config().set_push_sender(listener(told));
        let resp3 = Some(ProtocolVersion::RESP3);
        match dialer.multiplexed(&self.address, listening, resp3, || {}).await {
            Ok(mut wire) => {
                // Where that is not allowed, being asked now and then has to do.
                let _ = wire.subscribe(SWITCHED).await;
                Ok(wire)
            }
            Err(error) if refuses_hello(&error) => {
                dialer
                    .multiplexed(&self.address, config(), Some(ProtocolVersion::RESP2), || {})
                    .await
            }
            Err(error) => Err(error),
        }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// It is too old for the third protocol, or does not allow it.
fn refuses_hello(error: &RedisError) -> bool {
    let code = error.code();
    error.kind() == RedisKind::RESP3NotSupported
        || matches!(code, Some("ERR" | "NOPROTO" | "NOPERM"))
}

fn listener(told: &Arc<Notify>) -> impl AsyncPushSender {
    let told = Arc::clone(told);
    move |push: PushInfo| {
        if push.kind == PushKind::Message {
            told.notify_one();
        }
        Ok::<(), SendError>(())
    }
}

/// The outer error is one of the connection.
async fn question(
    connection: &mut MultiplexedConnection,
    master: &str,
) -> Result<Result<Answer, Error>, RedisError> {
    let mut questions = pipe();
    questions.cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(master);
    questions.cmd("SENTINEL").arg("MASTER").arg(master);
    let mut answers = connection.send_packed_commands(&questions, 0, 2).await?.into_iter();
    let mut next = || answers.next().unwrap_or(Value::Nil);
    let (address, details) = (next(), next());
    Ok(primary(address).map(|primary| Answer { primary, epoch: epoch(details).unwrap_or(0) }))
}

fn primary(reply: Value) -> Result<ConnectionAddr, Error> {
    let reply = server_error(reply)?;
    if reply == Value::Nil {
        return Err(Error::new(ErrorKind::Unavailable, "knows no primary of that name"));
    }
    let (host, port) = <(String, u16)>::from_redis_value(reply).map_err(|_| protocol_error())?;
    Ok(ConnectionAddr::Tcp(host, port))
}

fn epoch(details: Value) -> Option<u64> {
    let details = HashMap::<String, Value>::from_redis_value(server_error(details).ok()?).ok()?;
    u64::from_redis_value(details.get("config-epoch")?.clone()).ok()
}

/// An error if who answers says that it is no primary. `HELLO` tells, to users without rights too;
/// where it is refused, `ROLE` may; where that is too, Sentinels are believed.
pub(in crate::store::redis) async fn refuse_replica(
    connection: &mut MultiplexedConnection,
) -> Result<(), Error> {
    let hello = connection.send_packed_command(&cmd("HELLO")).await?;
    let role = match role_in_hello(hello) {
        Some(role) => Some(role),
        None => first_word(connection.send_packed_command(&cmd("ROLE")).await?),
    };
    match role.as_deref() {
        None | Some("master") => Ok(()),
        Some(_) => Err(Error::new(
            ErrorKind::Unavailable,
            "the server that Sentinel names as the primary is none (yet, or any more)",
        )),
    }
}

fn role_in_hello(reply: Value) -> Option<String> {
    let fields = HashMap::<String, Value>::from_redis_value(server_error(reply).ok()?).ok()?;
    String::from_redis_value(fields.get("role")?.clone()).ok()
}

fn first_word(reply: Value) -> Option<String> {
    match server_error(reply).ok()? {
        Value::Array(items) => String::from_redis_value(items.into_iter().next()?).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bb8_redis::redis::parse_redis_value;

    use super::*;

    fn reply(text: &str) -> Value {
        parse_redis_value(text.replace('\n', "\r\n").as_bytes()).unwrap()
    }

    #[test]
    fn an_address_or_none_or_an_error() {
        let found = primary(reply("*2\n$9\n127.0.0.1\n$4\n6380\n")).unwrap();
        assert_eq!(found, ConnectionAddr::Tcp("127.0.0.1".into(), 6380));
        for (text, kind) in [
            ("*-1\n", ErrorKind::Unavailable),
            ("-NOPERM this user\n", ErrorKind::Denied),
            ("*2\n$1\na\n$1\nb\n", ErrorKind::Protocol),
            ("*2\n$1\na\n$5\n70000\n", ErrorKind::Protocol),
            (":7\n", ErrorKind::Protocol),
        ] {
            assert_eq!(primary(reply(text)).unwrap_err().kind(), kind, "{text}");
        }
    }

    #[test]
    fn the_epoch_is_read_in_both_protocols_and_may_be_missing() {
        let resp2 = "*4\n$4\nname\n$1\nm\n$12\nconfig-epoch\n$1\n7\n";
        let resp3 = "%2\n$4\nname\n$1\nm\n$12\nconfig-epoch\n$1\n7\n";
        assert_eq!(epoch(reply(resp2)), Some(7));
        assert_eq!(epoch(reply(resp3)), Some(7));
        for text in ["-NOPERM this user\n", "*0\n", "*2\n$12\nconfig-epoch\n$1\nx\n", ":7\n"] {
            assert_eq!(epoch(reply(text)), None, "{text}");
        }
    }

    #[test]
    fn the_role_is_in_either_answer() {
        let hello = "*4\n$5\nproto\n:2\n$4\nrole\n$7\nreplica\n";
        assert_eq!(role_in_hello(reply(hello)).as_deref(), Some("replica"));
        assert_eq!(role_in_hello(reply("-ERR unknown command\n")), None);
        assert_eq!(first_word(reply("*3\n$6\nmaster\n:0\n*0\n")).as_deref(), Some("master"));
        assert_eq!(first_word(reply("-NOPERM this user\n")), None);
    }
}
