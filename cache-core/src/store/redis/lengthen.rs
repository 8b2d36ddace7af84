//! Lengthening lives where `PEXPIRE` does not know `GT`, which it does from Redis 7 on: the life that
//! is left is read, and set if it is shorter than it should be. Who does the same at that moment
//! for longer may lose what is between the two; nothing lives longer than it should.

use bb8_redis::redis::aio::MultiplexedConnection;
use bb8_redis::redis::{Value, pipe};

use super::commands::{longest, send_all};
use crate::clock::Millis;
use crate::error::Error;

pub(super) async fn in_two_steps(
    connection: &mut MultiplexedConnection,
    lives: &[(&str, Millis)],
) -> Result<(), Error> {
    let mut questions = pipe();
    for (key, _) in lives {
        questions.cmd("PTTL").arg(key);
    }
    let left = send_all(connection, &questions).await?;
    let mut commands = pipe();
    for ((key, keep_for), left) in lives.iter().zip(left) {
        let keep_for = longest(*keep_for);
        let Value::Int(left) = left else { continue };
        // Below zero: it has no end, or is not there.
        if Millis::try_from(left).is_ok_and(|left| left < keep_for) {
            commands.cmd("PEXPIRE").arg(key).arg(keep_for);
        }
    }
    send_all(connection, &commands).await?;
    Ok(())
}
