//! Writes that can't be one step, by the store itself.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use bytes::Bytes;
use cache_core::store::{Put, Store, WriteBatch};
use cache_core::{Clock, Deadline, Error, ErrorKind, RedisStore};
use cache_tests::command_filter::Command;
use cache_tests::{Answer, CommandFilter, FakeRedis, RedisServer, eventually};

use super::{LEAST_RIGHTS, add_user, as_user};
use crate::setup::{PATIENCE, fill, on, options, settled, text};

const UNSCRIPTED: &[&str] = &["&*", "+@all", "-@scripting"];
const STALE: &str = "12345678-stale--rest";
const OTHER: &str = "12345678-other--what another has written";
const OURS: &str = "12345678-ours----rest";

fn put(key: &str, expect: &'static str) -> Put {
    let (value, expect) = (Bytes::from_static(OURS.as_bytes()), Some(expect.into()));
    Put { key: key.to_owned(), value, keep_for: Some(60_000), expect, ..Put::default() }
}

async fn write(store: &RedisStore, puts: &[Put], time: Duration) -> Result<Vec<bool>, Error> {
    let batch = WriteBatch { puts, ..WriteBatch::default() };
    store.write(batch, Deadline::after(time)).await.map(|written| written.stored)
}

/// A store of a user with these rights, behind a filter.
fn store_as(
    redis: &Arc<RedisServer>,
    rights: &[&str],
    rule: impl Fn(&RedisServer, &Command) -> Option<String> + Send + Sync + 'static,
) -> (CommandFilter, RedisStore) {
    add_user(redis, "app", rights);
    let server = Arc::clone(redis);
    let filter = CommandFilter::start(redis.port(), move |command| rule(&server, command));
    let url = format!("redis://app:pw@127.0.0.1:{}", filter.port());
    let store = RedisStore::new(&options(&url), Clock::system()).unwrap();
    (filter, store)
}

fn writes_over(command: &Command) -> bool {
    command.is("SET") && command.has("GET")
}

#[allow(clippy::unnecessary_wraps, reason = "as a filter answers")]
fn refused() -> Option<String> {
    Some("-NOPERM this user has no permissions".to_owned())
}

/// Pinned: what a write had taken the place of was lost if its time ended before it was told.
#[tokio::test]
async fn it_is_put_back_though_nobody_waits_any_more() {
    let redis = Arc::new(RedisServer::start());
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let (_filter, store) = store_as(&redis, LEAST_RIGHTS, move |server, command| {
        if writes_over(command) && command.has(OURS) {
            server.command(&["SET", "k", OTHER]);
            let _ = released.lock().unwrap().recv();
        }
        None
    });
    store.ping(Deadline::after(PATIENCE)).await.unwrap();
    redis.command(&["SET", "k", STALE]);
    let error = write(&store, &[put("k", "-stale--")], Duration::from_millis(500)).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Timeout);
    release.send(()).unwrap();
    eventually(PATIENCE, "it is written over", || redis.calls("set") >= 3).await;
    eventually(PATIENCE, "it is put back", || redis.get("k").as_deref() == Some(OTHER.as_bytes()))
        .await;
}

/// Pinned: where one write of a batch was refused, what others had overwritten was not put back.
#[tokio::test]
async fn a_refusal_keeps_nobody_from_putting_back_the_rest() {
    let redis = Arc::new(RedisServer::start());
    let (_filter, store) = store_as(&redis, LEAST_RIGHTS, |server, command| {
        if writes_over(command) && command.has("full") {
            return Some("-OOM command not allowed".to_owned());
        }
        if writes_over(command) && command.has(OURS) {
            server.command(&["SET", "k", OTHER]);
        }
        None
    });
    for key in ["full", "k"] {
        redis.command(&["SET", key, STALE]);
    }
    let puts = [put("full", "-stale--"), put("k", "-stale--")];
    let error = write(&store, &puts, PATIENCE).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full);
    assert_eq!(redis.get("k").as_deref(), Some(OTHER.as_bytes()));
    assert_eq!(redis.get("full").as_deref(), Some(STALE.as_bytes()));
}

/// Pinned: what was put back was so even if it had been removed, or replaced, meanwhile.
#[tokio::test]
async fn what_comes_before_it_is_put_back_comes_last() {
    const LATER: &str = "12345678-later---rest";
    for (act, left) in [(&["UNLINK", "k"][..], None), (&["SET", "k", LATER], Some(LATER))] {
        let redis = Arc::new(RedisServer::start());
        let steps = AtomicUsize::new(0);
        let (_filter, store) = store_as(&redis, LEAST_RIGHTS, move |server, command| {
            if writes_over(command) {
                match steps.fetch_add(1, Ordering::SeqCst) {
                    0 => drop(server.command(&["SET", "k", OTHER])),
                    1 => drop(server.command(act)),
                    _ => {}
                }
            }
            None
        });
        redis.command(&["SET", "k", STALE]);
        assert_eq!(write(&store, &[put("k", "-stale--")], PATIENCE).await.unwrap(), [false]);
        assert_eq!(redis.get("k").as_deref(), left.map(str::as_bytes));
    }
}

/// Pinned: what a script had stored was told to be another's once something else in the batch had been
/// refused.
#[tokio::test]
async fn only_what_was_refused_is_written_again() {
    let redis = Arc::new(RedisServer::start());
    let (_filter, store) = store_as(&redis, &["&*", "+@all"], |_, command| {
        (command.is("EVALSHA") && command.has("b")).then(refused).flatten()
    });
    let puts = ["a", "b", "c"].map(|key| put(key, ""));
    assert_eq!(write(&store, &puts, PATIENCE).await.unwrap(), [true; 3]);
}

/// Pinned: what stood behind a `MULTI` that was refused was carried out whatever was there.
#[tokio::test]
async fn nothing_is_written_where_a_transaction_does_not_begin() {
    let redis = Arc::new(RedisServer::start());
    let (_filter, store) = store_as(&redis, UNSCRIPTED, |server, command| {
        command.is("MULTI").then(|| server.command(&["SET", "k", OTHER])).and_then(|_| refused())
    });
    redis.command(&["SET", "k", STALE]);
    assert_eq!(write(&store, &[put("k", "-stale--")], PATIENCE).await.unwrap(), [false]);
    assert_eq!(redis.get("k").as_deref(), Some(OTHER.as_bytes()));
}

/// Pinned: after an error keys went on being watched, and the next transaction on the connection failed
/// for what had become of them.
#[tokio::test]
async fn nothing_is_watched_any_more_after_an_error() {
    let redis = Arc::new(RedisServer::start());
    let (filter, store) = store_as(&redis, UNSCRIPTED, |_, command| {
        (command.is("GETRANGE") && command.has("a")).then(|| "-ERR for a test".to_owned())
    });
    let error = write(&store, &[put("a", "")], PATIENCE).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    redis.command(&["SET", "a", STALE]);
    let looks = filter.count("WATCH");
    assert_eq!(write(&store, &[put("b", "")], PATIENCE).await.unwrap(), [true]);
    assert_eq!(filter.count("WATCH"), looks + 1);
}

/// Pinned: without scripts, large values went the way of small ones.
#[tokio::test]
async fn large_values_have_their_own_lane() {
    let redis = RedisServer::start();
    add_user(&redis, "least", LEAST_RIGHTS);
    let ways = Arc::<Mutex<Vec<usize>>>::default();
    let noted = Arc::clone(&ways);
    let fake = FakeRedis::before(&redis, move |call| {
        if call.name() == "SET" {
            noted.lock().unwrap().push(call.connection);
        }
        Answer::Pass
    })
    .await;
    let options = options(&fake.url()).credentials(Some("least"), Some("pw")).max_connections(1);
    let store = RedisStore::new(&options, Clock::system()).unwrap();
    let large = Put { value: Bytes::from(vec![b'x'; 64 * 1024]), ..put("large", "") };
    for put in [put("small", ""), large, put("another", "")] {
        assert_eq!(write(&store, &[put], PATIENCE).await.unwrap(), [true]);
    }
    let ways = ways.lock().unwrap();
    assert!(ways.len() == 3 && ways[0] == ways[2] && ways[0] != ways[1], "{ways:?}");
}

/// Pinned: `SET … NX` never took the place of what is none of ours.
#[tokio::test]
async fn a_key_of_another_type_makes_room() {
    const KEY: &str = "coldcopy:users:v1:1";
    let redis = RedisServer::start();
    for (user, rights) in [("least", LEAST_RIGHTS), ("unscripted", UNSCRIPTED)] {
        add_user(&redis, user, rights);
        for l1 in [true, false] {
            let build = || on(&redis).redis(as_user(&redis, user)).l1(l1).build().unwrap();
            let cache = build();
            redis.command(&["DEL", KEY]);
            assert!(!redis.command(&["RPUSH", KEY, "a", "list"]).is_error());
            assert_eq!(fill(&cache, "users", "1", "computed").await, "computed");
            settled(&cache).await;
            assert_eq!(text(&build(), "users", "1").await.as_deref(), Some("computed"), "{user}");
        }
    }
}
