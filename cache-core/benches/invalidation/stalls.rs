//! How long another client's `GET`s take while a million entries are invalidated, or swept.

use std::collections::BTreeMap;
use std::time::Duration;

use cache_core::{Cache, Invalidated, Pattern, Scope, Stopwatch, Tag};
use redis::{Connection, Value, cmd};

use crate::entries::{Entries, NAMESPACE, declare};
use crate::prober::{Prober, Stalls};
use crate::server::{Server, commands, since};
use crate::{RUNS, median};

/// Before and after what is measured.
const AROUND: Duration = Duration::from_millis(300);
/// So many entries are in the memory of both instances, and are looked at afterwards.
const SEEN: usize = 100;

#[derive(Debug)]
struct Measured {
    what: &'static str,
    took: Duration,
    stalls: Stalls,
    /// The longest that one command ran, as Redis has it.
    longest: Duration,
    commands: BTreeMap<String, u64>,
}

pub(crate) async fn report(count: usize) {
    println!("\n## Stalls\n");
    let mut runs = Vec::new();
    for _ in 0..RUNS {
        runs.push(run(count).await);
    }
    println!(
        "| during | took | `GET` median | p99.9 | worst | without waits for a core | longest command | commands |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for row in 0..runs[0].len() {
        let of = |field: fn(&Measured) -> Duration| {
            let times = runs.iter().map(|run| field(&run[row]).as_secs_f64() * 1e3);
            median(times.collect())
        };
        let all = |field: fn(&Measured) -> Duration| {
            let times =
                runs.iter().map(|run| format!("{:.2}", field(&run[row]).as_secs_f64() * 1e3));
            format!("{:.2} ms ({})", of(field), times.collect::<Vec<_>>().join(", "))
        };
        println!(
            "| {} | {:.1} ms | {:.3} ms | {:.2} ms | {} | {} | {} | {} |",
            runs[0][row].what,
            of(|m| m.took),
            of(|m| m.stalls.median),
            of(|m| m.stalls.p999),
            all(|m| m.stalls.worst),
            all(|m| m.stalls.worst_running),
            all(|m| m.longest),
            counted(&runs[0][row].commands),
        );
    }
}

async fn run(count: usize) -> Vec<Measured> {
    // All of them under one tag, one workspace, one instance of the pattern.
    let entries = Entries { count, workspaces: 1, one_tagged_in: 1, spread: false };
    let server = Server::start().await;
    let filling = Stopwatch::start();
    let writer = server.writer();
    entries.fill(&writer).await;
    writer.shutdown().await;
    println!("<!-- filled in {:.0?} -->", filling.elapsed());
    let (here, there) = (server.instance().await, server.instance().await);
    declare(&here);
    declare(&there);
    let mut redis = server.connect();
    let site = Site { server: &server, entries, here: &here, there: &there };

    let mut measured = Vec::new();
    measured.push(site.measure("nothing", &mut redis, async || ()).await);
    let workspace = Entries::workspace(0);
    let pattern = || Pattern::new(format!("{workspace}:campaigns:*"));
    for (what, scope) in [
        ("a tag", Scope::from(Tag::new("team:7"))),
        ("a workspace", Scope::workspace(&workspace)),
        ("a declared pattern", Scope::pattern(NAMESPACE, pattern())),
        ("the namespace", Scope::namespace(NAMESPACE)),
    ] {
        measured.push(site.measure_invalidation(what, &mut redis, scope).await);
    }
    measured.push(site.measure_sweep(&mut redis).await);
    // What others on the machine do in so much time.
    let as_long = measured.last().map(|sweep| sweep.took).unwrap_or_default();
    let wait = async || tokio::time::sleep(as_long).await;
    measured.push(site.measure("nothing, for as long as that", &mut redis, wait).await);
    measured
}

#[derive(Clone, Copy)]
struct Site<'a> {
    server: &'a Server,
    entries: Entries,
    /// Invalidates.
    here: &'a Cache,
    /// Another instance, which listens.
    there: &'a Cache,
}

impl Site<'_> {
    async fn measure_invalidation(
        self,
        what: &'static str,
        redis: &mut Connection,
        scope: Scope,
    ) -> Measured {
        // Those of before are invalid by now, but still there.
        self.entries.refresh(self.here, SEEN).await;
        for cache in [self.here, self.there] {
            assert_eq!(self.entries.found(cache, SEEN).await, SEEN, "before {what}");
        }
        tokio::time::sleep(AROUND).await;
        let invalidate = async || {
            let done = self.here.invalidate(scope.clone()).await.expect("an answer");
            assert_eq!(done, Invalidated::Complete);
        };
        let measured = self.measure(what, redis, invalidate).await;
        for cache in [self.here, self.there] {
            assert_eq!(self.entries.found(cache, SEEN).await, 0, "after {what}");
        }
        measured
    }

    async fn measure_sweep(self, redis: &mut Connection) -> Measured {
        let before = size(redis);
        let mut watched = self.server.connect();
        let clock = Stopwatch::start();
        let watch = async {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                println!("<!-- {:.1?}: {} keys -->", clock.elapsed(), size(&mut watched));
            }
        };
        let sweep = async {
            // How many they were is asked of Redis.
            let glob = Pattern::new("*:campaigns:*");
            let _ = self.here.delete_pattern(NAMESPACE, glob).await.expect("it is swept");
        };
        let measured = self.measure("an ad-hoc glob", redis, async || {
            tokio::select! {
                () = sweep => {}
                () = watch => {}
            }
        });
        let measured = measured.await;
        let gone = before - size(redis);
        assert!(gone + 1_000 >= self.entries.count, "{gone}");
        let seconds = measured.took.as_secs_f64();
        println!("<!-- {gone} keys in {seconds:.1} s: {:.0} a second -->", gone as f64 / seconds);
        measured
    }

    async fn measure(
        self,
        what: &'static str,
        redis: &mut Connection,
        act: impl AsyncFnOnce(),
    ) -> Measured {
        let prober = Prober::start(self.server.connect(), self.server.process_id());
        cmd("CONFIG")
            .arg("SET")
            .arg("slowlog-log-slower-than")
            .arg(100)
            .query::<()>(redis)
            .expect("it is set");
        tokio::time::sleep(AROUND).await;
        cmd("SLOWLOG").arg("RESET").query::<()>(redis).expect("it is empty");
        let before = commands(redis);
        let clock = Stopwatch::start();
        act().await;
        let took = clock.elapsed();
        tokio::time::sleep(AROUND).await;
        let commands = since(redis, &before);
        Measured { what, took, stalls: prober.stop(), longest: longest(redis), commands }
    }
}

/// Of the last 128 slow ones.
fn longest(redis: &mut Connection) -> Duration {
    let log: Vec<Vec<Value>> = cmd("SLOWLOG").arg("GET").arg(128).query(redis).expect("a log");
    let micros = log.iter().filter_map(|entry| match entry.get(2) {
        Some(Value::Int(micros)) => u64::try_from(*micros).ok(),
        _ => None,
    });
    Duration::from_micros(micros.max().unwrap_or(0))
}

fn size(redis: &mut Connection) -> usize {
    cmd("DBSIZE").query(redis).expect("a number")
}

fn counted(commands: &BTreeMap<String, u64>) -> String {
    let words = commands.iter().map(|(name, calls)| format!("{name} {calls}"));
    words.collect::<Vec<_>>().join(", ")
}
