//! Settings from the environment.
//!
//! | variable | meaning |
//! |---|---|
//! | `REDIS_URL` | `redis://[user:password@]host[:port][/db]`, or `rediss://` for TLS; unset (and no Sentinels or cluster): in-process memory |
//! | `REDIS_CLUSTER_NODES` | some nodes of a Redis Cluster, as `host:port` or URLs, with commas between; beats `REDIS_URL` |
//! | `REDIS_USERNAME`, `REDIS_PASSWORD` | replace those in the URL |
//! | `REDIS_MAX_CONNECTIONS`, `REDIS_MIN_CONNECTIONS` | size of the pool |
//! | `REDIS_CONNECTION_TIMEOUT` | seconds for an attempt to connect |
//! | `REDIS_USE_SENTINEL` | `true`: the server is the primary that Sentinels name ([`guide::sentinel`](crate::guide::sentinel)) |
//! | `REDIS_SENTINEL_HOSTS` | `host:port,host:port,…` |
//! | `REDIS_SENTINEL_MASTER` | what they call the primary; unset: `mymaster` |
//! | `REDIS_SENTINEL_USERNAME`, `REDIS_SENTINEL_PASSWORD` | for the Sentinels |
//! | `REDIS_SSL_ENABLED` | `true`: TLS, whatever the URL says; needs the feature `tls` ([`guide::tls`](crate::guide::tls)) |
//! | `REDIS_SSL_CA_CERTS` | a file (PEM) with the CAs to trust, instead of the system's |
//! | `REDIS_SSL_CERTFILE`, `REDIS_SSL_KEYFILE` | files (PEM) with the client certificate and its key |
//! | `REDIS_SSL_SERVER_NAME` | the name the server's certificate is for, where it is not the host |
//! | `REDIS_CACHE_PREFIX` | the prefix of all keys |
//! | `REDIS_DEFAULT_TTL`, else `CACHE_DEFAULT_TTL`, else `CACHE_TTL` | seconds |
//! | `{NAMESPACE}_CACHE_TTL` | seconds, for the namespace of that name |
//! | `REDIS_ENABLE_COMPRESSION` | `true`: values are compressed (zstd) on the way to the store; needs the feature `compression` |
//! | `REDIS_COMPRESSION_THRESHOLD` | bytes below which they are not |
//! | `ENABLE_CACHING` | `false`: every operation passes through |

mod server;

use std::collections::HashMap;
use std::ffi::OsString;
use std::time::Duration;

use self::server::{SentinelVariables, TlsVariables};
use crate::error::Error;

/// What the environment says; settings in code beat it.
#[derive(Clone, Default)]
#[cfg_attr(not(feature = "redis"), allow(dead_code, reason = "read, and checked, all the same"))]
pub(crate) struct Environment {
    pub(crate) redis_url: Option<String>,
    pub(crate) cluster_nodes: Option<String>,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) max_connections: Option<u32>,
    pub(crate) min_connections: Option<u32>,
    pub(crate) connection_timeout: Option<Duration>,
    pub(crate) sentinels: Option<SentinelVariables>,
    pub(crate) tls: Option<TlsVariables>,
    pub(crate) prefix: Option<String>,
    pub(crate) default_ttl: Option<Duration>,
    pub(crate) ttls: HashMap<String, Duration>,
    pub(crate) enabled: Option<bool>,
    pub(crate) compression: Option<bool>,
    pub(crate) compression_threshold: Option<usize>,
}

const NAMESPACE_TTL: &str = "_CACHE_TTL";
const DEFAULT_TTLS: [&str; 3] = ["REDIS_DEFAULT_TTL", "CACHE_DEFAULT_TTL", "CACHE_TTL"];

impl Environment {
    /// Reads the variables; an error names the variable, and never shows a value.
    pub(crate) fn read(
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Error> {
        let variables: HashMap<String, String> =
            variables.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        let get = |name: &str| variables.get(name).map(|value| value.trim());
        let number = |name: &str| get(name).map(|value| whole_number(name, value)).transpose();
        let truth = |name: &str| get(name).map(|value| boolean(name, value)).transpose();
        let ttl = |name: &str| get(name).map(|value| seconds(name, value)).transpose();
        let mut default_ttl = None;
        for name in DEFAULT_TTLS {
            default_ttl = default_ttl.or(ttl(name)?);
        }
        let mut ttls = HashMap::new();
        for (name, value) in &variables {
            if let Some(namespace) = name.strip_suffix(NAMESPACE_TTL) {
                ttls.insert(namespace.to_owned(), seconds(name, value.trim())?);
            }
        }
        let compression = truth("REDIS_ENABLE_COMPRESSION")?;
        if cfg!(not(feature = "compression")) && compression == Some(true) {
            let what = "REDIS_ENABLE_COMPRESSION is true, but the feature `compression` is off";
            return Err(Error::config(what));
        }
        let redis_url = get("REDIS_URL").map(str::to_owned);
        let sentinels = SentinelVariables::read(&variables)?;
        let cluster_nodes = get("REDIS_CLUSTER_NODES").map(str::to_owned);
        let server = cluster_nodes.as_deref().or(redis_url.as_deref());
        let secured = TlsVariables::read(&variables, server)?;
        Ok(Self {
            sentinels,
            tls: secured,
            redis_url,
            cluster_nodes,
            username: get("REDIS_USERNAME").map(str::to_owned),
            password: variables.get("REDIS_PASSWORD").cloned(),
            max_connections: number("REDIS_MAX_CONNECTIONS")?,
            min_connections: number("REDIS_MIN_CONNECTIONS")?,
            connection_timeout: ttl("REDIS_CONNECTION_TIMEOUT")?,
            prefix: get("REDIS_CACHE_PREFIX").map(str::to_owned),
            default_ttl,
            ttls,
            enabled: truth("ENABLE_CACHING")?,
            compression,
            // 32 bits are 4 GiB: what is larger is never stored.
            compression_threshold: number("REDIS_COMPRESSION_THRESHOLD")?
                .map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
        })
    }
}

/// The variables whose names and values are Unicode; an error for one of ours that is not.
pub(crate) fn as_text(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Vec<(String, String)>, Error> {
    let mut text = Vec::new();
    for (name, value) in variables {
        // Ours have names of ASCII letters.
        let Ok(name) = name.into_string() else { continue };
        match value.into_string() {
            Ok(value) => text.push((name, value)),
            Err(_) if is_ours(&name) => {
                return Err(Error::config(format!("{name}: not Unicode")));
            }
            Err(_) => {}
        }
    }
    Ok(text)
}

fn is_ours(name: &str) -> bool {
    name.starts_with("REDIS_")
        || name.ends_with(NAMESPACE_TTL)
        || DEFAULT_TTLS.contains(&name)
        || name == "ENABLE_CACHING"
}

fn whole_number(name: &str, value: &str) -> Result<u32, Error> {
    value.parse().map_err(|_| Error::config(format!("{name}: not a whole number")))
}

fn seconds(name: &str, value: &str) -> Result<Duration, Error> {
    match value.parse::<u64>() {
        Ok(seconds) if seconds > 0 => Ok(Duration::from_secs(seconds)),
        _ => Err(Error::config(format!("{name}: not a number of seconds above zero"))),
    }
}

pub(crate) fn boolean(name: &str, value: &str) -> Result<bool, Error> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(Error::config(format!("{name}: not one of true, false, 1, 0"))),
    }
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URL may hold a password.
        f.debug_struct("Environment")
            .field("redis", &self.redis_url.is_some())
            .field("sentinels", &self.sentinels.is_some())
            .field("cluster", &self.cluster_nodes.is_some())
            .field("tls", &self.tls.is_some())
            .field("prefix", &self.prefix)
            .field("default_ttl", &self.default_ttl)
            .field("ttls", &self.ttls)
            .field("enabled", &self.enabled)
            .field("compression", &self.compression)
            .field("compression_threshold", &self.compression_threshold)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Environment, Error> {
        Environment::read(variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())))
    }

    #[test]
    fn nothing_set_is_nothing_said() {
        let environment = read(&[("REDIS_URL", ""), ("PATH", "/bin")]).unwrap();
        assert!(environment.redis_url.is_none() && environment.enabled.is_none());
    }

    #[test]
    fn what_is_set_is_read() {
        let environment = read(&[
            ("REDIS_URL", "redis://localhost"),
            ("CACHE_TTL", "1"),
            ("REDIS_DEFAULT_TTL", "3"),
            ("SEARCH_CACHE_TTL", "60"),
            ("ENABLE_CACHING", "0"),
            ("REDIS_MAX_CONNECTIONS", "7"),
            ("REDIS_USE_SENTINEL", "false"),
            ("REDIS_ENABLE_COMPRESSION", "0"),
            ("REDIS_COMPRESSION_THRESHOLD", "4096"),
        ])
        .unwrap();
        assert_eq!(environment.default_ttl, Some(Duration::from_secs(3)));
        assert_eq!(environment.ttls["SEARCH"], Duration::from_secs(60));
        assert_eq!(environment.enabled, Some(false));
        assert_eq!(environment.max_connections, Some(7));
        assert_eq!(environment.compression, Some(false));
        assert_eq!(environment.compression_threshold, Some(4096));
    }

    #[test]
    fn compression_is_asked_for_where_it_is_built_in() {
        let asked = read(&[("REDIS_ENABLE_COMPRESSION", "true")]);
        if cfg!(feature = "compression") {
            assert_eq!(asked.unwrap().compression, Some(true));
        } else {
            let error = asked.unwrap_err().to_string();
            assert!(error.contains("REDIS_ENABLE_COMPRESSION"), "{error}");
        }
    }

    #[test]
    fn an_invalid_value_is_one_error_that_names_the_variable_and_not_the_value() {
        for (name, value) in [
            ("ENABLE_CACHING", "s3cret"),
            ("REDIS_MAX_CONNECTIONS", "s3cret"),
            ("REDIS_DEFAULT_TTL", "-5s3cret"),
            ("SEARCH_CACHE_TTL", "0"),
            ("REDIS_USE_SENTINEL", "true"),
            ("REDIS_ENABLE_COMPRESSION", "s3cret"),
            ("REDIS_COMPRESSION_THRESHOLD", "-1s3cret"),
        ] {
            let error = read(&[(name, value)]).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    /// Pinned: a `REDIS_URL` that was not Unicode counted as none: the service ran in memory.
    #[cfg(unix)]
    #[test]
    fn a_value_that_is_not_unicode_is_an_error_if_the_variable_is_ours() {
        use std::os::unix::ffi::OsStringExt;
        let read = |name: &str| {
            let value = OsString::from_vec(b"s3cret\xff".to_vec());
            as_text([(name.into(), value), ("PATH".into(), "/bin".into())])
        };
        for name in ["REDIS_URL", "REDIS_PASSWORD", "CACHE_TTL", "A_CACHE_TTL", "ENABLE_CACHING"] {
            let error = read(name).unwrap_err().to_string();
            assert!(error.contains(name) && !error.contains("s3cret"), "{error}");
        }
        assert_eq!(read("LS_COLORS").unwrap(), [("PATH".to_owned(), "/bin".to_owned())]);
    }
}
