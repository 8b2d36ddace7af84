//! What Redis has room for.

use std::time::Duration;

use super::Field;

const LONGEST: Duration = Duration::from_secs(1);
const EVICTIONS: usize = 10;

/// Some of the generations go, as they do first when `allkeys-lru` looks for what is idle.
pub(super) async fn evict_generations(field: &mut Field) {
    for _ in 0..EVICTIONS {
        for key in field.redis.keys("finality:gen:*") {
            match field.random.u8(..6) {
                0 => drop(field.redis.command(&["UNLINK", &key])),
                1 => drop(field.redis.command(&["DEL", &key])),
                _ => {}
            }
        }
        field.crew.operate(super::OPERATIONS / 4).await;
    }
}

/// Every write evicts something.
pub(super) async fn evict(field: &mut Field) {
    let used = field.redis.info("memory", "used_memory").and_then(|text| text.parse::<u64>().ok());
    let room = used.expect("a number") - 16 * 1024;
    field.redis.config_set("maxmemory-policy", "allkeys-lru");
    field.redis.config_set("maxmemory", &room.to_string());
    field.endure(LONGEST).await;
    field.redis.config_set("maxmemory", "0");
}

/// Nothing that takes room is written.
pub(super) async fn fill(field: &mut Field) {
    field.redis.config_set("maxmemory-policy", "noeviction");
    field.redis.config_set("maxmemory", "1");
    field.endure(LONGEST).await;
    field.redis.config_set("maxmemory", "0");
}
