//! A `redis-server` that ends with its part of the bench, what it says of itself, and caches on it.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cache_core::{Builder, Cache, CoherenceMode, RedisOptions, hours, seconds};
use redis::{Connection, cmd};

use crate::entries::{NAMESPACE, PREFIX};

pub(crate) struct Server {
    process: Child,
    url: String,
}

impl Server {
    /// Once it answers.
    pub(crate) async fn start() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = free.local_addr().expect("its number").port();
        drop(free);
        let process = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server is installed");
        let server = Self { process, url: format!("redis://127.0.0.1:{port}") };
        let client = redis::Client::open(server.url.as_str()).expect("a URL");
        while client.get_connection().is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        server
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// A bare connection, for whoever may block.
    pub(crate) fn connect(&self) -> Connection {
        let client = redis::Client::open(self.url.as_str()).expect("a URL");
        client.get_connection().expect("a connection")
    }

    fn builder(&self) -> Builder {
        let options = RedisOptions::url(&self.url).expect("a URL");
        // A busy machine is no outage.
        let builder = Cache::builder().prefix(PREFIX).redis(options).operation_budget(seconds(10));
        builder.default_ttl(hours(24)).namespace(NAMESPACE)
    }

    /// A cache that keeps nothing in memory, and so has nothing to listen for.
    pub(crate) fn writer(&self) -> Cache {
        self.builder().l1(false).build().expect("a cache")
    }

    /// A cache with memory, once Redis tells it what changes.
    pub(crate) async fn instance(&self) -> Cache {
        let cache = self.builder().build().expect("a cache");
        loop {
            let _: Option<String> = cache.get(NAMESPACE, "none:1").await.expect("an answer");
            let coherence = cache.health().await.coherence;
            if coherence.mode == CoherenceMode::Tracking && coherence.proven {
                return cache;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The fields of a section of `INFO`.
pub(crate) fn info(redis: &mut Connection, section: &str) -> BTreeMap<String, String> {
    let text: String = cmd("INFO").arg(section).query(redis).expect("it says");
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// One field, as a number.
pub(crate) fn number(redis: &mut Connection, section: &str, field: &str) -> f64 {
    info(redis, section)[field].parse().expect("a number")
}

/// How often each command ran, but for those with which this bench itself looks on.
pub(crate) fn commands(redis: &mut Connection) -> BTreeMap<String, u64> {
    let stats = info(redis, "commandstats");
    let calls = stats.into_iter().filter_map(|(name, value)| {
        let name = name.strip_prefix("cmdstat_")?;
        let calls = value.strip_prefix("calls=")?.split(',').next()?.parse().ok()?;
        let own = ["get", "info", "dbsize"].contains(&name) || name.contains("slowlog");
        (!own).then(|| (name.to_owned(), calls))
    });
    calls.collect()
}

/// What ran since.
pub(crate) fn since(
    redis: &mut Connection,
    before: &BTreeMap<String, u64>,
) -> BTreeMap<String, u64> {
    let mut now = commands(redis);
    for (name, calls) in &mut now {
        *calls -= before.get(name).copied().unwrap_or(0);
    }
    now.retain(|_, calls| *calls > 0);
    now
}
