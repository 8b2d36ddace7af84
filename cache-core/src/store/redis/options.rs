//! Where the server is and how to reach it.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use bb8_redis::redis::{ConnectionInfo, IntoConnectionInfo};

use super::sentinel::SentinelOptions;
use super::tls::TlsOptions;
use crate::error::Error;

/// Where Redis is and how to reach it. `Debug` shows neither user nor password.
#[derive(Clone)]
pub struct RedisOptions {
    /// With Sentinels, of the address only the login counts.
    pub(super) connection: ConnectionInfo,
    pub(super) sentinels: Option<SentinelOptions>,
    pub(super) tls: Option<TlsOptions>,
    pub(super) max_connections: u32,
    pub(super) min_connections: u32,
    pub(super) max_operations: u32,
    pub(super) connection_timeout: Duration,
    /// That of the keys.
    pub(super) prefix: Option<String>,
    /// Nodes of a cluster; none: it is a server by itself.
    pub(super) cluster: Vec<super::cluster::Address>,
}

impl RedisOptions {
    /// The server at `redis://[user:password@]host[:port][/database]`; with TLS at `rediss://…`, which
    /// needs the feature `tls`.
    pub fn url(url: &str) -> Result<Self, Error> {
        let (url, tls) = without_tls(url)?;
        // The error of the library may quote the URL, password and all.
        let connection =
            (&*url).into_connection_info().map_err(|_| Error::config("not a redis:// URL"))?;
        Ok(Self { tls, ..Self::with(connection) })
    }

    /// The primary that these Sentinels name.
    pub fn sentinel(sentinels: SentinelOptions) -> Result<Self, Error> {
        // They say where it is.
        Ok(Self::url("redis://localhost")?.sentinels(sentinels))
    }

    fn with(connection: ConnectionInfo) -> Self {
        Self {
            connection,
            sentinels: None,
            tls: None,
            max_connections: 4,
            min_connections: 1,
            max_operations: super::lanes::MAX_OPERATIONS,
            connection_timeout: super::CONNECTION_TIMEOUT,
            prefix: None,
            cluster: Vec::new(),
        }
    }

    /// The primary that these Sentinels name, instead of the server in the URL: of that only user,
    /// password, database and TLS count.
    #[must_use]
    pub fn sentinels(mut self, sentinels: SentinelOptions) -> Self {
        self.sentinels = Some(sentinels);
        self
    }

    /// TLS, with certificates as these options say.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: TlsOptions) -> Self {
        self.tls = Some(tls);
        self
    }

    /// The number of the database; the one in the URL is replaced.
    #[must_use]
    pub fn database(mut self, number: u16) -> Self {
        let settings = self.connection.redis_settings().clone().set_db(number.into());
        self.connection = self.connection.set_redis_settings(settings);
        self
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

    /// At most this many operations are under way at once; others wait, within their budget.
    /// Default: 256. (One operation may be for many: reads that come at the same moment are one.)
    #[must_use]
    pub fn max_operations(mut self, operations: u32) -> Self {
        self.max_operations = operations.max(1);
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

/// The URL without TLS, which is ours to do; and that, if it asks for it.
fn without_tls(url: &str) -> Result<(Cow<'_, str>, Option<TlsOptions>), Error> {
    let url = url.trim();
    let after = |scheme: &str| -> Option<&str> {
        let (found, rest) = url.split_once("://")?;
        found.eq_ignore_ascii_case(scheme).then_some(rest)
    };
    let Some(rest) = after("rediss").or_else(|| after("valkeys")) else {
        return Ok((Cow::Borrowed(url), None));
    };
    if rest.contains('#') {
        // `#insecure`, to other clients.
        let text = "rediss:// with a fragment (#…): certificates are always verified";
        return Err(Error::config(text));
    }
    Ok((Cow::Owned(format!("redis://{rest}")), Some(TlsOptions::asked_for()?)))
}

impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("RedisOptions");
        match (&self.sentinels, &self.cluster[..]) {
            (Some(sentinels), _) => shown.field("sentinels", sentinels),
            (None, []) => shown.field("address", &self.connection.addr().to_string()),
            (None, nodes) => shown.field("cluster", &nodes),
        };
        shown
            .field("tls", &self.tls)
            .field("max_connections", &self.max_connections)
            .field("min_connections", &self.min_connections)
            .field("max_operations", &self.max_operations)
            .field("connection_timeout", &self.connection_timeout)
            .field("prefix", &self.prefix)
            .finish()
    }
}
