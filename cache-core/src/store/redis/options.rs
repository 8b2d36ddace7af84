//! Where the server is and how to reach it.

use std::fmt;
use std::time::Duration;

use bb8_redis::redis::{ConnectionInfo, IntoConnectionInfo};

use crate::error::Error;

/// Where Redis is and how to reach it. `Debug` shows neither user nor password.
#[derive(Clone)]
pub struct RedisOptions {
    pub(super) connection: ConnectionInfo,
    pub(super) max_connections: u32,
    pub(super) min_connections: u32,
    pub(super) connection_timeout: Duration,
    /// That of the keys.
    pub(super) prefix: Option<String>,
}

impl RedisOptions {
    /// The server at `redis://[user:password@]host[:port][/database]`.
    pub fn url(url: &str) -> Result<Self, Error> {
        if url.starts_with("rediss:") {
            return Err(Error::config("rediss:// (TLS) is not supported yet"));
        }
        // The error of the library may quote the URL, password and all.
        let connection =
            url.into_connection_info().map_err(|_| Error::config("not a redis:// URL"))?;
        Ok(Self {
            connection,
            max_connections: 4,
            min_connections: 1,
            connection_timeout: super::CONNECTION_TIMEOUT,
            prefix: None,
        })
    }

    /// Whom to log in as; settings in the URL are replaced.
    #[must_use]
    pub fn credentials(mut self, username: Option<&str>, password: Option<&str>) -> Self {
        let mut settings = self.connection.redis_settings().clone();
        if let Some(username) = username {
            settings = settings.set_username(username);
        }
        if let Some(password) = password {
            settings = settings.set_password(password);
        }
        self.connection = self.connection.set_redis_settings(settings);
        self
    }

    /// The prefix of all keys of the cache; the builder of a cache sets it. What a user is allowed
    /// under that prefix only is found out, and used, if it is known.
    #[must_use]
    pub fn key_prefix(mut self, prefix: &str) -> Self {
        self.prefix = Some(prefix.to_owned());
        self
    }

    /// At most this many connections. Default: 4; they are shared, not checked out.
    #[must_use]
    pub fn max_connections(mut self, connections: u32) -> Self {
        self.max_connections = connections.max(1);
        self
    }

    /// Keeps at least this many connections. Default: 1.
    #[must_use]
    pub fn min_connections(mut self, connections: u32) -> Self {
        self.min_connections = connections;
        self
    }

    /// How long an attempt to connect may take. Requests wait for their own budget only.
    /// Default: 5 s.
    #[must_use]
    pub fn connection_timeout(mut self, timeout: Duration) -> Self {
        self.connection_timeout = timeout;
        self
    }
}

impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisOptions")
            .field("address", &self.connection.addr().to_string())
            .field("max_connections", &self.max_connections)
            .field("min_connections", &self.min_connections)
            .field("connection_timeout", &self.connection_timeout)
            .field("prefix", &self.prefix)
            .finish()
    }
}
