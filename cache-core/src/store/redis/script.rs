//! What takes more than one step, in one.
//!
//! - Compare-and-set: write only if what is there is what the fill saw when it began, and its
//!   namespace has not been swept since.
//! - A new tail: put in behind the first bytes of what is there, if anything is.

use std::sync::LazyLock;

use bb8_redis::redis::{
    Cmd, Script, ServerErrorKind, Value, aio::MultiplexedConnection, cmd, pipe,
};

use super::commands::{longest, send_all};
use super::fault::{protocol_error, server_error};
use super::rights::is_refused;
use crate::error::Error;
use crate::invalidate::generation::{SOFT_AT, SOFT_KEPT};
use crate::store::Put;

/// With its source, which the library keeps to itself.
struct Known {
    source: String,
    script: Script,
}

impl Known {
    fn new(source: String) -> Self {
        Self { script: Script::new(&source), source }
    }
}

/// Bytes 8 to 15 of an envelope are its write id; of an absent key, nothing; nor of one that holds no
/// string (it was put there by somebody else): a read has found nothing there, and this makes room.
static COMPARE_AND_SET: LazyLock<Known> = LazyLock::new(|| {
    Known::new(
        "if not KEYS[1] then return 0 end
         if KEYS[2] and redis.pcall('GET', KEYS[2]) ~= ARGV[3] then return 0 end
         if ARGV[4] then
           local id = redis.pcall('GETRANGE', KEYS[1], 8, 15)
           if type(id) == 'table' then id = '' end
           if id ~= ARGV[4] then return 0 end
         end
         if ARGV[2] == '' then redis.call('SET', KEYS[1], ARGV[1])
         else redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
         return 1"
            .to_owned(),
    )
});

static NEW_TAIL: LazyLock<Known> = LazyLock::new(|| {
    Known::new(format!(
        "if not KEYS[1] then return 0 end
         local length = redis.pcall('STRLEN', KEYS[1])
         if type(length) == 'table' then redis.call('UNLINK', KEYS[1]) return 0 end
         if length < {SOFT_AT} then return 0 end
         local head = redis.call('GETRANGE', KEYS[1], {SOFT_AT}, {SOFT_AT} + #ARGV[1] - 1)
         if head == ARGV[1] then return 1 end
         local rest = redis.call('GETRANGE', KEYS[1], {SOFT_AT}, {})
         redis.call('SETRANGE', KEYS[1], {SOFT_AT}, ARGV[1] .. rest)
         return 1",
        SOFT_AT + SOFT_KEPT - 1
    ))
});

/// The command that gives a key a new tail. (Tails are all of one length.)
pub(super) fn tail_command(key: &str, tail: &str) -> Cmd {
    let mut command = cmd("EVALSHA");
    command.arg(NEW_TAIL.script.get_hash()).arg(1).arg(key).arg(tail);
    command
}

/// The command that puts a value if its conditions hold.
pub(super) fn command(put: &Put) -> Cmd {
    let mut command = cmd("EVALSHA");
    command.arg(COMPARE_AND_SET.script.get_hash());
    match &put.guard {
        Some(guard) => command.arg(2).arg(&put.key).arg(&guard.key),
        None => command.arg(1).arg(&put.key),
    };
    command.arg(&put.value[..]);
    match put.keep_for {
        Some(keep_for) => command.arg(longest(keep_for)),
        None => command.arg(""),
    };
    command.arg(put.guard.as_ref().map_or(&[][..], |guard| &guard.value[..]));
    if let Some(expect) = &put.expect {
        command.arg(&expect[..]);
    }
    command
}

/// Whether the server does not know a script yet (after a restart, `SCRIPT FLUSH`).
pub(super) fn is_missing(reply: &Value) -> bool {
    matches!(reply, Value::ServerError(error) if error.kind() == Some(ServerErrorKind::NoScript))
}

/// Teaches the server the scripts. Where `SCRIPT` is refused, by running them about no key; either
/// may be renamed away.
pub(super) async fn load(connection: &mut MultiplexedConnection) -> Result<(), Error> {
    let scripts = || [&COMPARE_AND_SET.source, &NEW_TAIL.source].into_iter();
    let mut commands = pipe();
    for source in scripts() {
        commands.cmd("SCRIPT").arg("LOAD").arg(source);
    }
    let mut replies = send_all(connection, &commands).await?;
    if replies.iter().any(is_refused) {
        let mut commands = pipe();
        for source in scripts() {
            commands.cmd("EVAL").arg(source).arg(0);
        }
        replies = send_all(connection, &commands).await?;
    }
    replies.into_iter().try_for_each(|reply| server_error(reply).map(drop))
}

/// Whether a put, or a new tail, was carried out.
pub(super) fn stored(reply: Value) -> Result<bool, Error> {
    match server_error(reply)? {
        Value::Okay | Value::Int(1) => Ok(true),
        Value::SimpleString(text) if text == "OK" => Ok(true),
        Value::Int(0) => Ok(false),
        _ => Err(protocol_error()),
    }
}
