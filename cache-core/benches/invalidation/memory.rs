//! What a million entries with generations take in Redis, beside the same payloads by `SET`.

use redis::{Commands, Connection, cmd};

use crate::entries::{Entries, PREFIX};
use crate::server::{Server, number};

pub(crate) async fn report(count: usize) {
    println!("\n## Memory\n");
    println!("| entries | `SET` | cache | overhead | per entry | of that, generation keys |");
    println!("|---|---|---|---|---|---|");
    let of_1_kib = Entries { count, workspaces: 1_000, one_tagged_in: 0, spread: false };
    compare("1 KiB, 1,000 workspaces, a declared pattern", of_1_kib).await;
    compare("the same, a tag on one in ten", Entries { one_tagged_in: 10, ..of_1_kib }).await;
    let spread = Entries { count: count.div_ceil(5), spread: true, ..of_1_kib };
    compare("a fifth as many, of 512 to 2,047 bytes", spread).await;
}

async fn compare(what: &str, entries: Entries) {
    let count = entries.count as f64;
    let raw = {
        let server = Server::start().await;
        let mut redis = server.connect();
        let empty = used(&mut redis);
        entries.fill_raw(&mut redis);
        assert_eq!(number_of_keys(&mut redis), entries.count);
        used(&mut redis) - empty
    };
    let server = Server::start().await;
    let mut redis = server.connect();
    let empty = used(&mut redis);
    let cache = server.writer();
    entries.fill(&cache).await;
    cache.shutdown().await;
    let cached = used(&mut redis) - empty;
    let (generations, taken) = generation_keys(&mut redis);
    assert_eq!(number_of_keys(&mut redis), entries.count + generations);
    println!(
        "| {what} | {:.1} MB | {:.1} MB | {:.1} % | {:+.0} B | {generations} keys, {:.2} MB |",
        raw / 1e6,
        cached / 1e6,
        (cached / raw - 1.0) * 100.0,
        (cached - raw) / count,
        taken as f64 / 1e6,
    );
    for n in [0, 1] {
        let bytes: usize = redis.strlen(entries.rendered(n)).expect("its length");
        let memory: usize =
            cmd("MEMORY").arg("USAGE").arg(entries.rendered(n)).query(&mut redis).expect("a size");
        println!("<!-- entry {n}: {bytes} bytes stored, {memory} by MEMORY USAGE -->");
    }
}

/// In bytes, as Redis has asked its allocator for.
fn used(redis: &mut Connection) -> f64 {
    number(redis, "memory", "used_memory")
}

fn number_of_keys(redis: &mut Connection) -> usize {
    cmd("DBSIZE").query(redis).expect("a number")
}

/// How many there are, and what they take.
fn generation_keys(redis: &mut Connection) -> (usize, u64) {
    let keys: Vec<String> = cmd("KEYS").arg(format!("{PREFIX}:gen:*")).query(redis).expect("keys");
    let mut sizes = redis::pipe();
    for key in &keys {
        sizes.cmd("MEMORY").arg("USAGE").arg(key);
    }
    let sizes: Vec<u64> = sizes.query(redis).expect("sizes");
    (keys.len(), sizes.iter().sum())
}
