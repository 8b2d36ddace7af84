//! What each error of Redis or of the way to it means here.

use bb8_redis::redis::{ErrorKind as RedisKind, RedisError, ServerErrorKind, Value};

use crate::error::{Error, ErrorKind};

/// Turns an error reply into an error.
pub(super) fn server_error(reply: Value) -> Result<Value, Error> {
    match reply {
        Value::ServerError(error) => Err(RedisError::from(error).into()),
        reply => Ok(reply),
    }
}

/// The server answered with something that the command never answers.
pub(super) fn protocol_error() -> Error {
    Error::new(ErrorKind::Protocol, "Redis answered with an unexpected type")
}

/// Whether the connection that gave this error must not be used again.
pub(super) fn breaks_connection(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Protocol)
}

impl From<RedisError> for Error {
    fn from(error: RedisError) -> Self {
        if let Some(own) = super::dial::carried(&error) {
            return own;
        }
        let kind = match error.kind() {
            _ if error.is_timeout() => ErrorKind::Timeout,
            RedisKind::Server(
                ServerErrorKind::BusyLoading
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::TryAgain,
            ) => ErrorKind::Unavailable,
            RedisKind::AuthenticationFailed | RedisKind::Server(_) | RedisKind::Extension => {
                match error.code() {
                    Some("OOM") => ErrorKind::Full,
                    Some("BUSY") => ErrorKind::Unavailable,
                    Some("READONLY" | "MISCONF" | "NOREPLICAS") => ErrorKind::ReadOnly,
                    _ => ErrorKind::Denied,
                }
            }
            RedisKind::Parse | RedisKind::UnexpectedReturnType => ErrorKind::Protocol,
            RedisKind::InvalidClientConfig => ErrorKind::Config,
            _ => ErrorKind::Unavailable,
        };
        // The text of a server error may quote arguments, so only its code is passed on.
        let message = match error.code() {
            Some(code) => format!("Redis answered {code}"),
            None if error.is_connection_refusal() => "connection refused".to_owned(),
            None => format!("Redis can't be reached: {}", error.category()),
        };
        Self::new(kind, message)
    }
}

#[cfg(test)]
mod tests {
    use bb8_redis::redis::parse_redis_value;

    use super::*;

    #[test]
    fn what_passes_is_told_from_what_does_not() {
        for (code, kind, passing) in [
            ("LOADING", ErrorKind::Unavailable, true),
            ("MASTERDOWN", ErrorKind::Unavailable, true),
            ("CLUSTERDOWN", ErrorKind::Unavailable, true),
            ("TRYAGAIN", ErrorKind::Unavailable, true),
            ("BUSY", ErrorKind::Unavailable, true),
            ("READONLY", ErrorKind::ReadOnly, true),
            ("MISCONF", ErrorKind::ReadOnly, true),
            ("NOREPLICAS", ErrorKind::ReadOnly, true),
            ("OOM", ErrorKind::Full, true),
            ("NOPERM", ErrorKind::Denied, false),
            ("NOAUTH", ErrorKind::Denied, false),
            ("WRONGPASS", ErrorKind::Denied, false),
            ("ERR", ErrorKind::Denied, false),
        ] {
            let reply = format!("-{code} some words of Redis\r\n");
            let reply = parse_redis_value(reply.as_bytes()).unwrap();
            let error = server_error(reply).unwrap_err();
            assert_eq!((error.kind(), error.is_passing()), (kind, passing), "{code}");
        }
    }
}
