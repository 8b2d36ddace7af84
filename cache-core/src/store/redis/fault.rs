//! What each error of Redis or of the way to it means here: one table, which
//! [`guide::faults`](crate::guide::faults) tells in words.

use bb8_redis::redis::{ErrorKind as RedisKind, RedisError, Value};

use super::wording;
use crate::error::{Error, ErrorKind};

/// What becomes of the connection on which an error came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is well.
    Kept,
    /// Another one may lead to a server that does what this one refuses: it is given up unless it
    /// is new.
    Renewed,
    /// It must not be used again.
    GivenUp,
}

use Fate::{GivenUp, Kept, Renewed};

/// The refusals of Redis that say more than "no".
const REFUSALS: [(&str, ErrorKind, Fate); 11] = [
    ("LOADING", ErrorKind::Unavailable, Kept),
    ("BUSY", ErrorKind::Unavailable, Kept),
    ("MASTERDOWN", ErrorKind::Unavailable, Renewed),
    ("CLUSTERDOWN", ErrorKind::Unavailable, Kept),
    ("TRYAGAIN", ErrorKind::Unavailable, Kept),
    // The password was changed, and a new connection may know the new one.
    ("NOAUTH", ErrorKind::Unavailable, Renewed),
    // A replica, or what has become one: the primary is elsewhere.
    ("READONLY", ErrorKind::ReadOnly, Renewed),
    ("MISCONF", ErrorKind::ReadOnly, Kept),
    ("NOREPLICAS", ErrorKind::ReadOnly, Kept),
    ("OOM", ErrorKind::Full, Kept),
    ("WRONGPASS", ErrorKind::Denied, Renewed),
];

/// Turns an error reply into an error.
pub(super) fn server_error(reply: Value) -> Result<Value, Error> {
    match reply {
        Value::ServerError(error) => Err(RedisError::from(error).into()),
        reply => Ok(reply),
    }
}

/// Whether a key holds something else than the string that was asked for: none of ours.
pub(super) fn is_of_another_type(reply: &Value) -> bool {
    matches!(reply, Value::ServerError(error) if error.code() == "WRONGTYPE")
}

/// The server answered with something that the command never answers.
pub(super) fn protocol_error() -> Error {
    Error::new(ErrorKind::Protocol, "Redis answered with an unexpected type")
}

/// What becomes of the connection that gave this error. (Not of one that gave none in time.)
pub(super) fn fate(error: &Error) -> Fate {
    match (error.code(), error.kind()) {
        (Some(code), _) => refusal(code).map_or(Kept, |(_, _, fate)| fate),
        (None, ErrorKind::Unavailable | ErrorKind::Protocol) => GivenUp,
        (None, _) => Kept,
    }
}

/// Whether it says that Redis is of no use for now, so that the breaker takes note.
pub(super) fn is_failure(error: &Error) -> bool {
    // Which is about one command.
    let about_a_slot = error.code() == Some("TRYAGAIN");
    (error.is_outage() || error.kind() == ErrorKind::Protocol) && !about_a_slot
}

/// Whether it is the login that fails: that may be mended at any time, and not by another way.
pub(super) fn is_about_login(error: &Error) -> bool {
    matches!(error.code(), Some("NOAUTH" | "WRONGPASS"))
}

fn refusal(code: &str) -> Option<(&'static str, ErrorKind, Fate)> {
    REFUSALS.into_iter().find(|(known, ..)| *known == code)
}

/// A code as Redis has them; anything else may be anything.
fn is_code(code: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    (1..=24).contains(&code.len()) && code.bytes().all(plain)
}

impl From<RedisError> for Error {
    fn from(error: RedisError) -> Self {
        if let Some(own) = super::dial::carried(&error) {
            return own;
        }
        let code = match error.kind() {
            RedisKind::AuthenticationFailed => Some("WRONGPASS"),
            RedisKind::Server(_) | RedisKind::Extension => wording::code(&error),
            _ => None,
        };
        let kind = match error.kind() {
            _ if error.is_timeout() => ErrorKind::Timeout,
            RedisKind::AuthenticationFailed | RedisKind::Server(_) | RedisKind::Extension => {
                code.and_then(refusal).map_or(ErrorKind::Denied, |(_, kind, _)| kind)
            }
            RedisKind::Parse | RedisKind::UnexpectedReturnType => ErrorKind::Protocol,
            RedisKind::InvalidClientConfig => ErrorKind::Config,
            _ => ErrorKind::Unavailable,
        };
        // The text of a server error may quote arguments, so only its code is passed on.
        let message = match (error.kind(), code) {
            (RedisKind::AuthenticationFailed, _) => "Redis: authentication failed".to_owned(),
            (_, Some(code)) if is_code(code) => format!("Redis answered {code}"),
            (_, Some(_)) => "Redis answered an error".to_owned(),
            _ if error.is_connection_refusal() => "connection refused".to_owned(),
            _ => format!("Redis can't be reached: {}", error.category()),
        };
        let error = Self::new(kind, message);
        match code {
            Some(code) if is_code(code) => error.with_code(code),
            Some(_) => error.with_code("ERR"),
            None => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use bb8_redis::redis::parse_redis_value;

    use super::*;

    fn answered(text: &str) -> Error {
        let reply = parse_redis_value(format!("-{text}\r\n").as_bytes()).unwrap();
        server_error(reply).unwrap_err()
    }

    #[test]
    fn what_passes_is_told_from_what_does_not() {
        for (code, kind, passing) in [
            ("LOADING", ErrorKind::Unavailable, true),
            ("MASTERDOWN", ErrorKind::Unavailable, true),
            ("CLUSTERDOWN", ErrorKind::Unavailable, true),
            ("TRYAGAIN", ErrorKind::Unavailable, true),
            ("BUSY", ErrorKind::Unavailable, true),
            ("NOAUTH", ErrorKind::Unavailable, true),
            ("READONLY", ErrorKind::ReadOnly, true),
            ("MISCONF", ErrorKind::ReadOnly, true),
            ("NOREPLICAS", ErrorKind::ReadOnly, true),
            ("OOM", ErrorKind::Full, true),
            ("NOPERM", ErrorKind::Denied, false),
            ("WRONGPASS", ErrorKind::Denied, false),
            ("WRONGTYPE", ErrorKind::Denied, false),
            ("ERR", ErrorKind::Denied, false),
        ] {
            let error = answered(&format!("{code} some words of Redis"));
            assert_eq!((error.kind(), error.is_passing()), (kind, passing), "{code}");
            assert_eq!(error.code(), Some(code));
            assert_eq!(error.to_string(), format!("Redis answered {code}"));
        }
    }

    #[test]
    fn a_connection_is_given_up_where_that_may_help() {
        for (code, expected) in [
            ("READONLY", Renewed),
            ("MASTERDOWN", Renewed),
            ("NOAUTH", Renewed),
            ("OOM", Kept),
            ("LOADING", Kept),
            ("NOPERM", Kept),
        ] {
            assert_eq!(fate(&answered(&format!("{code} words"))), expected, "{code}");
        }
        assert_eq!(fate(&protocol_error()), GivenUp);
        assert_eq!(fate(&Error::new(ErrorKind::Unavailable, "cut")), GivenUp);
        assert_eq!(fate(&Error::new(ErrorKind::Timeout, "late")), Kept);
    }

    #[test]
    fn what_a_server_may_say_is_not_passed_on() {
        for text in ["s3cret! and more", "lower case", "AVERYLONGCODETHATISNOCODEOFREDIS x"] {
            let error = answered(text);
            assert_eq!(error.to_string(), "Redis answered an error");
            assert_eq!((error.kind(), error.code()), (ErrorKind::Denied, Some("ERR")));
        }
    }
}
