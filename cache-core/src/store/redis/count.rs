//! Counting uses against a limit, in one step: by a script; or, for users who may run none, in a
//! transaction.

use std::sync::LazyLock;

use bb8_redis::redis::{Cmd, Script, Value, aio::MultiplexedConnection, cmd, pipe};

use super::commands::send_all;
use super::fault::{protocol_error, server_error};
use super::rights::{Right, Rights, is_refused};
use super::script::is_missing;
use crate::clock::Millis;
use crate::error::{Error, ErrorKind};
use crate::rate::{Algorithm, Counted, Quota};

/// A counter that ends with its window. What is no such counter is none, and makes room for one; one that would live longer
/// than a window (the server's clock was set back, or somebody has taken its end) lives no longer.
const FIXED_WINDOW: &str = "
local limit, window, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local held = redis.pcall('GET', KEYS[1])
local used, left = type(held) == 'string' and tonumber(held), window
local found = used and used >= 0 and used < 2^54 and used == math.floor(used)
if found then
  left = redis.call('PTTL', KEYS[1])
  if left < 0 or left > window then
    left = window
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
  end
else
  used = 0
end
local fits = used + math.max(cost, 1) <= limit
if fits and cost > 0 then
  used = used + cost
  if found then redis.call('INCRBY', KEYS[1], ARGV[3])
  else redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[2]) end
end
return {fits and 1 or 0, string.format('%.17g', used), left}";

/// As `rate::gcra`, in microseconds: how much is in use, and when that was so.
const GCRA: &str = "
local limit, window, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local burst = tonumber(ARGV[4])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local held = redis.pcall('GET', KEYS[1])
local used, noted = string.match(type(held) == 'string' and held or '', '^(%S+) (%d+)$')
used, noted = tonumber(used or ''), tonumber(noted or '')
if used and noted and used >= 0 then
  local freed = math.max(0, now - noted) * limit / (window * 1000)
  used = math.max(0, math.min(used, burst) - freed)
else
  used, noted = 0, now
end
local fits = used + math.max(cost, 1) <= burst + 0.000001
local taken = fits and cost > 0
if taken then used = used + cost end
local left = 0
if limit > 0 then left = math.ceil(math.max(0, used - 0.000001) * window / limit) end
if taken or noted > now then
  local keep = string.format('%.0f', math.min(math.max(left, 1), 31536000000000))
  redis.call('SET', KEYS[1], string.format('%.17g %.0f', used, now), 'PX', keep)
end
return {fits and 1 or 0, string.format('%.17g', used), left}";

/// With what `EVALSHA` and `EVAL` name it by.
struct Counter {
    source: &'static str,
    script: Script,
}

impl Counter {
    fn new(source: &'static str) -> Self {
        Self { source, script: Script::new(source) }
    }

    fn command(&self, by_source: bool, key: &str, quota: &Quota) -> Cmd {
        let mut command = if by_source { cmd("EVAL") } else { cmd("EVALSHA") };
        command.arg(if by_source { self.source } else { self.script.get_hash() });
        command.arg(1).arg(key);
        command.arg(quota.limit).arg(quota.window).arg(quota.cost).arg(quota.burst);
        command
    }
}

static BY_WINDOW: LazyLock<Counter> = LazyLock::new(|| Counter::new(FIXED_WINDOW));
static BY_GCRA: LazyLock<Counter> = LazyLock::new(|| Counter::new(GCRA));

/// Whether these scripts may be run, as far as is known. (They read the clock, too.)
#[derive(Debug, Default)]
pub(super) struct Counting {
    scripts: Right,
}

impl Counting {
    pub(super) async fn count(
        &self,
        mut connection: MultiplexedConnection,
        rights: &Rights,
        key: &str,
        quota: &Quota,
    ) -> Result<Counted, Error> {
        if !rights.scripts.is_worth_trying() || !self.scripts.is_worth_trying() {
            return in_transaction(&mut connection, rights, key, quota).await;
        }
        match by_script(&mut connection, key, quota).await {
            Err(error) if error.kind() == ErrorKind::Denied => {
                // If that is refused, too, it is not about scripts.
                let counted = in_transaction(&mut connection, rights, key, quota).await?;
                self.scripts.set(false);
                if !rights.scripts.is_granted() {
                    rights.scripts.set(false);
                }
                Ok(counted)
            }
            result => {
                if result.is_ok() {
                    self.scripts.set(true);
                    rights.learn_scripts(true);
                }
                result
            }
        }
    }
}

async fn by_script(
    connection: &mut MultiplexedConnection,
    key: &str,
    quota: &Quota,
) -> Result<Counted, Error> {
    let mut reply = connection.send_packed_command(&script_command(false, key, quota)).await?;
    if is_missing(&reply) {
        reply = connection.send_packed_command(&script_command(true, key, quota)).await?;
        if is_refused(&reply) {
            // `EVAL` may be renamed away.
            let mut commands = pipe();
            commands.cmd("SCRIPT").arg("LOAD").arg(counter(quota).source);
            commands.add_command(script_command(false, key, quota));
            reply = send_all(connection, &commands).await?.pop().unwrap_or(Value::Nil);
        }
    }
    counted(reply, quota)
}

/// The command that counts a use; by the text of its script, or by its name.
pub(super) fn script_command(by_text: bool, key: &str, quota: &Quota) -> Cmd {
    counter(quota).command(by_text, key, quota)
}

fn counter(quota: &Quota) -> &'static Counter {
    match quota.algorithm {
        Algorithm::FixedWindow => &BY_WINDOW,
        Algorithm::Gcra => &BY_GCRA,
    }
}

/// What that was answered with.
pub(super) fn counted(reply: Value, quota: &Quota) -> Result<Counted, Error> {
    let Value::Array(items) = server_error(reply)? else { return Err(protocol_error()) };
    let [Value::Int(allowed), Value::BulkString(used), Value::Int(left)] = &items[..] else {
        return Err(protocol_error());
    };
    let used = std::str::from_utf8(used).ok().and_then(|used| used.parse().ok());
    Ok(Counted {
        allowed: *allowed == 1,
        used: used.ok_or_else(protocol_error)?,
        resets_in: Millis::try_from(*left).unwrap_or(0),
        algorithm: quota.algorithm,
    })
}

/// In a fixed window, whatever was asked for; what is refused is counted, too. A transaction, so that
/// what is told is what was counted; where even that is refused, the same commands without.
async fn in_transaction(
    connection: &mut MultiplexedConnection,
    rights: &Rights,
    key: &str,
    quota: &Quota,
) -> Result<Counted, Error> {
    let quota = quota.in_fixed_window();
    // What can't be allowed must not fill the counter.
    let cost = if quota.is_hopeless() { 0 } else { quota.cost };
    let transaction = rights.transactions.is_worth_trying();
    let mut commands = pipe();
    if transaction {
        commands.cmd("MULTI");
    }
    if cost > 0 {
        commands.cmd("SET").arg(key).arg(0).arg("NX").arg("PX").arg(quota.window);
        commands.cmd("INCRBY").arg(key).arg(cost);
    } else {
        commands.cmd("GET").arg(key);
    }
    commands.cmd("PTTL").arg(key);
    if transaction {
        commands.cmd("EXEC");
    }
    let mut replies = send_all(connection, &commands).await?;
    if transaction {
        replies = match (replies.pop(), replies.first()) {
            (Some(Value::Array(items)), _) => items,
            (Some(Value::ServerError(_)), Some(refusal)) if is_refused(refusal) => {
                rights.learn_transactions(false);
                replies.split_off(1)
            }
            (reply, _) => {
                // What could not be queued says more than what came of it.
                for reply in replies.into_iter().chain(reply) {
                    server_error(reply)?;
                }
                return Err(protocol_error());
            }
        };
    }
    let items = replies.into_iter().map(server_error).collect::<Result<Vec<_>, _>>()?;
    let (used, left) = match &items[..] {
        [_, Value::Int(used), Value::Int(left)] => (*used, *left),
        [Value::Nil, Value::Int(left)] => (0, *left),
        [Value::BulkString(used), Value::Int(left)] => {
            let used = std::str::from_utf8(used).ok().and_then(|used| used.parse().ok());
            (used.ok_or_else(protocol_error)?, *left)
        }
        _ => return Err(protocol_error()),
    };
    if cost > 0 && left == NO_END {
        // Somebody has taken its end, or it ended while it was counted: it would count for ever.
        let mut end = cmd("PEXPIRE");
        end.arg(key).arg(quota.window);
        server_error(connection.send_packed_command(&end).await?)?;
    }
    Ok(quota.counted(u64::try_from(used).unwrap_or(0), Millis::try_from(left).ok()))
}

/// What `PTTL` says of a key that lives until it is removed.
const NO_END: i64 = -1;
