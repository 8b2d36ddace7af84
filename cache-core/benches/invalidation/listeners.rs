//! What it costs that Redis tells every instance of every write.

use std::fs;

use cache_core::Cache;
use redis::Connection;

use crate::entries::NAMESPACE;
use crate::server::{Server, number};
use crate::{RUNS, median};

/// So many writers at once.
const TASKS: usize = 16;
/// Of `/proc/self/stat`, on all machines that Linux runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// Per write.
#[derive(Debug, Clone, Copy)]
struct Cost {
    /// Bytes that Redis sends.
    sent: f64,
    /// Microseconds of a core in Redis.
    redis: f64,
    /// The same in this process: the writer, and all listening instances.
    process: f64,
}

pub(crate) async fn report(writes: usize) {
    println!("\n## Listening instances, per write of 1 KiB ({writes} writes, {TASKS} at once)\n");
    println!("| who listens | Redis sends | CPU of Redis | CPU of writer and listeners |");
    println!("|---|---|---|---|");
    let nobody = measure(writes, 0, false).await;
    line("nobody", nobody, None);
    line("1 instance", measure(writes, 1, false).await, Some(nobody));
    line("4 instances", measure(writes, 4, false).await, Some(nobody));
    line("the writer itself", measure(writes, 0, true).await, Some(nobody));
}

fn line(who: &str, cost: Cost, nobody: Option<Cost>) {
    let more = |of: fn(&Cost) -> f64| match &nobody {
        Some(nobody) => format!(" ({:+.1})", of(&cost) - of(nobody)),
        None => String::new(),
    };
    println!(
        "| {who} | {:.0} B{} | {:.1} µs{} | {:.1} µs{} |",
        cost.sent,
        more(|cost| cost.sent),
        cost.redis,
        more(|cost| cost.redis),
        cost.process,
        more(|cost| cost.process),
    );
}

async fn measure(writes: usize, listeners: usize, itself: bool) -> Cost {
    let mut runs = Vec::new();
    for _ in 0..RUNS {
        runs.push(run(writes, listeners, itself).await);
    }
    let middle = |of: fn(&Cost) -> f64| median(runs.iter().map(of).collect());
    Cost {
        sent: middle(|cost| cost.sent),
        redis: middle(|cost| cost.redis),
        process: middle(|cost| cost.process),
    }
}

async fn run(writes: usize, listeners: usize, itself: bool) -> Cost {
    let server = Server::start().await;
    let mut redis = server.connect();
    let cache = if itself { server.instance().await } else { server.writer() };
    let mut instances = Vec::new();
    for _ in 0..listeners {
        instances.push(server.instance().await);
    }
    write(&cache, TASKS).await;
    let before = reading(&mut redis);
    write(&cache, writes).await;
    if itself {
        while cache.background().running() > 0 {
            tokio::task::yield_now().await;
        }
    }
    let after = reading(&mut redis);
    let per_write = |of: fn(&Cost) -> f64| (of(&after) - of(&before)) / writes as f64;
    Cost {
        sent: per_write(|cost| cost.sent),
        redis: per_write(|cost| cost.redis),
        process: per_write(|cost| cost.process),
    }
}

/// The counters as of now.
fn reading(redis: &mut Connection) -> Cost {
    let cpu = number(redis, "cpu", "used_cpu_user") + number(redis, "cpu", "used_cpu_sys");
    Cost {
        sent: number(redis, "stats", "total_net_output_bytes"),
        redis: cpu * 1e6,
        process: own_cpu_seconds() * 1e6,
    }
}

/// Zero where there is no such file.
fn own_cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the process, which may hold anything, ends with the last parenthesis.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<f64>().ok());
    ticks.sum::<f64>() / TICKS_PER_SECOND
}

async fn write(cache: &Cache, writes: usize) {
    let tasks = (0..TASKS).map(|task| {
        let cache = cache.clone();
        tokio::spawn(async move {
            let value = "x".repeat(1021);
            for n in (task..writes).step_by(TASKS) {
                let key = format!("ws0000:campaigns:{n:07}");
                cache.set(NAMESPACE, key, &value).await.expect("it is written");
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("no panic");
    }
}
