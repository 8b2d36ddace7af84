//! The command line of the reverse proxy.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};

use cache_examples::args::{ArgError, Args};
use http::HeaderName;

use crate::upstream::Upstream;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
A caching reverse proxy.

usage: reverse_proxy --upstream URL [options]

  --upstream URL           where requests go: http://HOST[:PORT][/BASE]
  --listen ADDR            address and port to serve on [127.0.0.1:8080]
  --redis URL              share entries over this Redis [in memory only]
  --prefix P               what all keys in Redis begin with
  --workspace-header NAME  the header that names the tenant [x-workspace-id]
  --require-workspace      requests without that header are not cached
  --max-body BYTES         larger responses are not cached
  --heuristic              cache for a tenth of the time since Last-Modified, a day
                           at most, what says nothing itself
  --normalize              requests that accept the same codings and languages, in
                           whatever order, share what varies by them
  --no-l1                  keep nothing in memory beside Redis
  --l1-bytes N             how much to keep in memory
  --budget MS              how long a request may wait for Redis [50]
  --help                   print this";

/// The settings of one run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Where to serve.
    pub(crate) listen: SocketAddr,
    /// Where requests go.
    pub(crate) upstream: Upstream,
    /// How to cache.
    pub(crate) cache: CacheSettings,
}

/// The settings that are the cache's; `None` leaves a default to it.
#[derive(Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(crate) struct CacheSettings {
    /// The Redis to share entries over; without one they stay in memory.
    pub(crate) redis: Option<RedisUrl>,
    /// What all keys begin with.
    pub(crate) prefix: Option<String>,
    /// The field that names the workspace.
    pub(crate) workspace_header: Option<HeaderName>,
    /// Whether requests without that field bypass the cache, rather than share
    /// the partition of those that belong to nobody.
    pub(crate) require_workspace: bool,
    /// The longest body to store, in bytes.
    pub(crate) max_body: Option<u64>,
    /// Whether to guess how long responses are fresh that don't say so.
    pub(crate) heuristic: bool,
    /// Whether requests that accept the same share responses.
    pub(crate) normalize: bool,
    /// Whether to keep nothing in memory beside Redis.
    pub(crate) no_l1: bool,
    /// How many bytes to keep in memory.
    pub(crate) l1_bytes: Option<u64>,
    /// How many milliseconds a request may wait for Redis.
    pub(crate) budget: Option<u64>,
}

/// The address of a Redis server; may hold a password, so it isn't printed.
#[derive(PartialEq, Eq)]
pub(crate) struct RedisUrl(pub(crate) String);

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedisUrl(..)")
    }
}

impl Settings {
    /// Reads the command line; `None` if it asks for help.
    pub(crate) fn from_env() -> Result<Option<Self>, ArgError> {
        Self::parse(Args::from_env())
    }

    fn parse(mut args: Args) -> Result<Option<Self>, ArgError> {
        let mut listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 8080));
        let mut upstream = None;
        let mut cache = CacheSettings::default();
        while let Some(flag) = args.next_flag()? {
            match flag.as_str() {
                "--listen" => listen = args.parsed()?,
                "--upstream" => upstream = Some(args.parsed()?),
                "--redis" => cache.redis = Some(RedisUrl(args.value()?)),
                "--prefix" => cache.prefix = Some(args.value()?),
                "--workspace-header" => cache.workspace_header = Some(args.parsed()?),
                "--require-workspace" => cache.require_workspace = true,
                "--max-body" => cache.max_body = Some(args.parsed()?),
                "--heuristic" => cache.heuristic = true,
                "--normalize" => cache.normalize = true,
                "--no-l1" => cache.no_l1 = true,
                "--l1-bytes" => cache.l1_bytes = Some(args.parsed()?),
                "--budget" => cache.budget = Some(args.parsed()?),
                "--help" | "-h" => return Ok(None),
                _ => return Err(args.unknown()),
            }
        }
        let upstream = upstream.ok_or_else(|| ArgError::new("--upstream is missing"))?;
        if cache.no_l1 && cache.l1_bytes.is_some() {
            return Err(ArgError::new("--no-l1 and --l1-bytes contradict each other"));
        }
        if cache.no_l1 && cache.redis.is_none() {
            return Err(ArgError::new("--no-l1 needs --redis: else nothing could be kept"));
        }
        Ok(Some(Self { listen, upstream, cache }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Option<Settings>, String> {
        let words = line.split_whitespace().map(str::to_owned);
        Settings::parse(Args::new(words)).map_err(|error| error.to_string())
    }

    #[test]
    fn an_upstream_is_enough() {
        let expected = Settings {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            upstream: "http://a".parse().expect("valid"),
            cache: CacheSettings::default(),
        };
        assert_eq!(parse("--upstream http://a"), Ok(Some(expected)));
    }

    #[test]
    fn every_flag_arrives() {
        let settings = parse(
            "--listen 0.0.0.0:1 --upstream http://a/b --redis redis://:secret@r --prefix p \
             --workspace-header X-Tenant --require-workspace --max-body 10 --heuristic --normalize \
             --l1-bytes=20 --budget 70",
        );
        let expected = Settings {
            listen: SocketAddr::from(([0, 0, 0, 0], 1)),
            upstream: "http://a/b".parse().expect("valid"),
            cache: CacheSettings {
                redis: Some(RedisUrl("redis://:secret@r".into())),
                prefix: Some("p".into()),
                workspace_header: Some(HeaderName::from_static("x-tenant")),
                require_workspace: true,
                max_body: Some(10),
                heuristic: true,
                normalize: true,
                no_l1: false,
                l1_bytes: Some(20),
                budget: Some(70),
            },
        };
        assert!(!format!("{settings:?}").contains("secret"));
        assert_eq!(settings, Ok(Some(expected)));
    }

    #[test]
    fn refusals_say_why() {
        for (line, why) in [
            ("", "--upstream is missing"),
            ("--upstream", "--upstream needs a value"),
            ("--upstream http://a --no-l1 --redis r --l1-bytes 1", "contradict"),
            ("--upstream http://a --no-l1", "needs --redis"),
            ("--upstream http://a --no-l1=true", "--no-l1 takes no value"),
            ("--upstream http://a --max-body 1k", "--max-body doesn't accept `1k`"),
            ("--upstream http://a --workspace-header a:b", "--workspace-header doesn't accept"),
        ] {
            let error = parse(line).expect_err(line);
            assert!(error.contains(why), "`{line}`: {error}");
        }
    }
}
