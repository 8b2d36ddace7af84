//! What the server says of itself: `INFO` and `DBSIZE`, in one round trip.

use bb8_redis::redis::aio::MultiplexedConnection;
use bb8_redis::redis::{FromRedisValue, Value, pipe};

use super::commands::send_all;
use crate::admin::{ServerStats, parse_server_stats};
use crate::error::Error;

/// Either may be forbidden: then what the other one tells is all there is.
pub(super) async fn ask(
    connection: &mut MultiplexedConnection,
) -> Result<Option<ServerStats>, Error> {
    let mut questions = pipe();
    questions.cmd("INFO").cmd("DBSIZE");
    let mut answers = send_all(connection, &questions).await?.into_iter();
    let mut next = || answers.next().unwrap_or(Value::Nil);
    let (info, keys) = (next(), next());
    let info = String::from_redis_value(info).ok();
    let keys = u64::from_redis_value(keys).ok();
    if info.is_none() && keys.is_none() {
        return Ok(None);
    }
    Ok(Some(parse_server_stats(&info.unwrap_or_default(), keys)))
}
