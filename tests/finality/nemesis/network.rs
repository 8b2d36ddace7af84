//! What lies between the processes and Redis.

use std::time::Duration;

use cache_tests::Mode;

use super::Field;

const LONGEST: Duration = Duration::from_millis(1_200);
const CUTS: usize = 6;
/// Around the budget of an operation: some answers are late, some too late.
const DELAYS_MS: std::ops::RangeInclusive<u64> = 2..=120;
/// Within the answer to one lookup, or after a few.
const CUT_AFTER: std::ops::Range<u64> = 1..4_000;

/// Whose connections are killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clients {
    All,
    /// Those that are told of changes.
    Tracking,
}

pub(super) async fn delay(field: &mut Field) {
    for victim in field.victims() {
        let by = Duration::from_millis(field.random.u64(DELAYS_MS));
        field.crew.proxies()[victim].set(Mode::Delay(by)).await;
    }
    field.endure(LONGEST).await;
    heal(field).await;
}

pub(super) async fn swallow(field: &mut Field) {
    let victims = field.victims();
    for victim in victims.clone() {
        field.crew.proxies()[victim].set(Mode::Blackhole).await;
    }
    field.endure(LONGEST).await;
    heal(field).await;
    if field.random.bool() {
        for victim in victims {
            field.crew.proxies()[victim].cut_all().await;
        }
    }
}

pub(super) async fn cut(field: &mut Field) {
    let victims = field.victims();
    for _ in 0..CUTS {
        for victim in victims.clone() {
            let way = field.random.u8(..3);
            let after = field.random.u64(CUT_AFTER);
            let proxy = &field.crew.proxies()[victim];
            match way {
                0 => proxy.cut_all().await,
                1 => proxy.set(Mode::CutAfter(after)).await,
                _ => proxy.set(Mode::Refuse).await,
            }
        }
        field.endure(LONGEST / 10).await;
        heal(field).await;
    }
}

pub(super) async fn kill_clients(field: &mut Field, clients: Clients) {
    for _ in 0..CUTS {
        let ids = ids(field, clients);
        for id in ids {
            field.redis.command(&["CLIENT", "KILL", "ID", &id]);
        }
        field.endure(LONGEST / 10).await;
    }
}

/// The ids of connections, but for the one that asks.
fn ids(field: &Field, clients: Clients) -> Vec<String> {
    let list = field.redis.command(&["CLIENT", "LIST", "TYPE", "NORMAL"]).text();
    let field_of = |line: &str, name: &str| {
        line.split(' ').find_map(|part| Some(part.strip_prefix(name)?.to_owned()))
    };
    list.lines()
        .filter(|line| field_of(line, "cmd=").is_none_or(|cmd| cmd != "client|list"))
        .filter(|line| {
            let tracks = field_of(line, "flags=").is_some_and(|flags| flags.contains(['t', 'B']));
            clients == Clients::All || tracks
        })
        .filter_map(|line| field_of(line, "id="))
        .collect()
}

pub(super) async fn heal(field: &Field) {
    for proxy in field.crew.proxies() {
        proxy.set(Mode::Pass).await;
    }
}
