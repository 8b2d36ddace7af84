//! Where the Sentinels are, and how to log in to them.

use std::fmt;
use std::time::Duration;

use bb8_redis::redis::RedisConnectionInfo;

use crate::error::Error;

const PORT: u16 = 26379;
/// More say no more.
const MAX_SENTINELS: usize = 16;

/// The Sentinels to ask where the primary is. `Debug` shows neither user nor password.
///
/// ```
/// use cache_core::{RedisOptions, SentinelOptions};
///
/// let sentinels = SentinelOptions::new("mymaster", ["10.0.0.1:26379", "10.0.0.2", "10.0.0.3"])?
///     .credentials(None, Some("of the sentinels"));
/// let redis = RedisOptions::sentinel(sentinels)?.credentials(None, Some("of the servers"));
/// # Ok::<(), cache_core::Error>(())
/// ```
#[derive(Clone)]
pub struct SentinelOptions {
    pub(super) master: String,
    pub(super) hosts: Vec<(String, u16)>,
    pub(super) login: RedisConnectionInfo,
    pub(super) tls: bool,
    pub(super) timeout: Duration,
}

impl SentinelOptions {
    /// Those of the primary called `master` in `sentinel monitor`, each as `host`, `host:port`,
    /// `[v6]` or `[v6]:port`; without a port it is 26379. One is enough to start, several are needed
    /// to get by without one: name all there are.
    ///
    /// # Errors
    /// When there are none (or more than 16), or one is no host and port.
    pub fn new<H: AsRef<str>>(
        master: &str,
        hosts: impl IntoIterator<Item = H>,
    ) -> Result<Self, Error> {
        if master.is_empty() || master.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(Error::config("not the name of a primary"));
        }
        let mut parsed = Vec::new();
        for host in hosts {
            let host = host_and_port(host.as_ref().trim())
                .ok_or_else(|| Error::config("not a Sentinel's host:port"))?;
            if !parsed.contains(&host) {
                parsed.push(host);
            }
        }
        if parsed.is_empty() || parsed.len() > MAX_SENTINELS {
            return Err(Error::config("there have to be 1 to 16 Sentinels"));
        }
        Ok(Self {
            master: master.to_owned(),
            hosts: parsed,
            login: RedisConnectionInfo::default(),
            tls: true,
            timeout: super::PATIENCE,
        })
    }

    /// Whom to log in to the Sentinels as. The servers have credentials of their own: those of
    /// [`RedisOptions`](crate::RedisOptions).
    #[must_use]
    pub fn credentials(mut self, username: Option<&str>, password: Option<&str>) -> Self {
        if let Some(username) = username {
            self.login = self.login.set_username(username);
        }
        if let Some(password) = password {
            self.login = self.login.set_password(password);
        }
        self
    }

    /// False: the Sentinels speak no TLS where the servers do. Default: as the servers.
    #[must_use]
    pub fn tls(mut self, on: bool) -> Self {
        self.tls = on;
        self
    }

    /// How long one Sentinel may take to answer, a new connection included. Default: 400 ms.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

fn host_and_port(text: &str) -> Option<(String, u16)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = port.map_or(Some(PORT), |port| port.parse().ok().filter(|port| *port != 0))?;
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    (!host.is_empty() && host.chars().all(fine)).then(|| (host.to_owned(), port))
}

impl fmt::Debug for SentinelOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SentinelOptions")
            .field("master", &self.master)
            .field("hosts", &self.hosts)
            .field("tls", &self.tls)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_as_people_write_them() {
        for (text, host, port) in [
            ("10.0.0.1", "10.0.0.1", PORT),
            ("sentinel-0.redis.svc:5000", "sentinel-0.redis.svc", 5000),
            ("[::1]", "::1", PORT),
            ("[fe80::1]:26380", "fe80::1", 26380),
        ] {
            assert_eq!(host_and_port(text), Some((host.to_owned(), port)), "{text}");
        }
        let bad =
            ["", ":1", "a:", "a:0", "a:70000", "a:b", "::1", "[::1", "[x]:1", "[::1]1", "a b"];
        for text in bad.into_iter().chain(["redis://a:1", "user@a:1"]) {
            assert_eq!(host_and_port(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_set_of_sentinels_is_an_error_that_shows_nothing() {
        let none: [&str; 0] = [];
        assert!(SentinelOptions::new("mymaster", none).is_err());
        assert!(SentinelOptions::new("", ["a"]).is_err());
        assert!(SentinelOptions::new("my master", ["a"]).is_err());
        let error = SentinelOptions::new("mymaster", ["a", "x:s3cret"]).unwrap_err().to_string();
        assert!(!error.contains("s3cret"), "{error}");
        let twice = SentinelOptions::new("mymaster", ["a", "a:26379", "b"]).unwrap();
        assert_eq!(twice.hosts.len(), 2);
        let shown = format!("{:?}", twice.credentials(Some("u5er"), Some("s3cret")));
        assert!(!shown.contains("s3cret") && !shown.contains("u5er"), "{shown}");
    }
}
