//! How much is asked at once, and large values out of the way of small ones.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use cache_core::store::{Put, Store, WriteBatch};
use cache_core::{BreakerState, Cache, Clock, Deadline, ErrorKind, RedisStore};
use cache_tests::fake_redis::Call;
use cache_tests::wait::eventually_some;
use cache_tests::{Answer, FakeRedis, RedisServer, eventually};

use crate::setup::{PATIENCE, join, options, settled, text};

fn put(key: &str, bytes: usize) -> Put {
    Put { key: key.to_owned(), value: Bytes::from(vec![b'x'; bytes]), ..Put::default() }
}

async fn write(store: &RedisStore, put: Put, budget: Duration) -> Result<(), ErrorKind> {
    let batch = WriteBatch { puts: &[put], ..WriteBatch::default() };
    store.write(batch, Deadline::after(budget)).await.map(drop).map_err(|error| error.kind())
}

const LONG: Duration = Duration::from_secs(10);

#[tokio::test]
async fn no_more_than_so_many_operations_are_under_way() {
    let fake = FakeRedis::alone(|_| Answer::Silence).await;
    let greeted = |call: &Call| match call.name() {
        "SET" => Answer::Silence,
        _ => Answer::ok(),
    };
    fake.script(greeted);
    let store = RedisStore::new(&options(&fake.url()).max_operations(8), Clock::system()).unwrap();
    let writes: Vec<_> = (0..100)
        .map(|n| {
            let store = store.clone();
            let budget = Duration::from_millis(300);
            tokio::spawn(async move { write(&store, put(&n.to_string(), 1), budget).await })
        })
        .collect();
    eventually(PATIENCE, "they are sent", || fake.calls("SET") == 8).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!((fake.calls("SET"), store.pool().unwrap().operations), (8, 8));
    for write in writes {
        let error = join(write).await.unwrap_err();
        assert!(matches!(error, ErrorKind::Timeout | ErrorKind::Unavailable), "{error:?}");
    }
    assert_eq!(store.pool().unwrap().operations, 0, "places are given back");
}

#[tokio::test]
async fn those_without_a_place_wait_for_one() {
    let redis = RedisServer::start();
    let options = options(&redis.url()).max_operations(2);
    let store = RedisStore::new(&options, Clock::system()).unwrap();
    let writes: Vec<_> = (0..200)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move { write(&store, put(&n.to_string(), 1), LONG).await })
        })
        .collect();
    // Some leave while they wait.
    for write in writes.iter().step_by(7) {
        write.abort();
    }
    for (n, write) in writes.into_iter().enumerate() {
        if n % 7 != 0 {
            assert_eq!(join(write).await, Ok(()));
        }
    }
    assert_eq!(store.pool().unwrap().operations, 0);
}

/// The connections on which each key was asked for, in order.
type Ways = Arc<Mutex<Vec<(String, usize)>>>;

fn ways_of(ways: &Ways, key: &str) -> Vec<usize> {
    let ways = ways.lock().unwrap();
    ways.iter().filter(|(asked, _)| asked == key).map(|(_, way)| *way).collect()
}

async fn noting(redis: &RedisServer) -> (FakeRedis, Ways) {
    let ways = Ways::default();
    let noted = Arc::clone(&ways);
    let fake = FakeRedis::before(redis, move |call| {
        if matches!(call.name(), "MGET" | "SET") {
            noted.lock().unwrap().push((call.word(1), call.connection));
        }
        Answer::Pass
    })
    .await;
    (fake, ways)
}

const LARGE: usize = 64 * 1024;

#[tokio::test]
async fn large_values_go_another_way_once_they_are_known_to_be() {
    let redis = RedisServer::start();
    let (fake, ways) = noting(&redis).await;
    let one = options(&fake.url()).max_connections(1);
    let store = || RedisStore::new(&one, Clock::system()).unwrap();
    let (writer, reader) = (store(), store());
    write(&writer, put("small", 1), LONG).await.unwrap();
    write(&writer, put("large", LARGE), LONG).await.unwrap();
    assert_ne!(ways_of(&ways, "small"), ways_of(&ways, "large"));
    // Another process learns it by reading.
    for (key, bytes) in [("small", 1), ("large", LARGE), ("large", LARGE), ("small", 1)] {
        let found = reader.fetch(&[key], Deadline::after(LONG)).await.unwrap();
        assert_eq!(found[0].as_ref().map(Bytes::len), Some(bytes));
    }
    let (small, large) = (ways_of(&ways, "small"), ways_of(&ways, "large"));
    let usual = small[1];
    assert_eq!(small[2], usual);
    assert_eq!(large[1], usual, "nobody could know");
    assert_ne!(large[2], usual);
    // And unlearns it.
    write(&writer, put("large", 1), LONG).await.unwrap();
    for _ in 0..2 {
        reader.fetch(&["large"], Deadline::after(LONG)).await.unwrap();
    }
    assert_eq!(ways_of(&ways, "large").last(), Some(&usual));
}

fn is_large(call: &Call) -> bool {
    call.words.iter().any(|word| word.ends_with(b":large"))
}

fn with_large(fake: &FakeRedis) -> Cache {
    Cache::builder().prefix("p").redis(options(&fake.url())).l1(false).build().unwrap()
}

async fn set_both(cache: &Cache) {
    crate::recovery::healed(cache).await;
    cache.set("users", "large", &"x".repeat(LARGE)).await.unwrap();
    cache.set("users", "small", "v").await.unwrap();
    settled(cache).await;
}

#[tokio::test]
async fn a_small_value_does_not_wait_for_a_large_one() {
    let redis = RedisServer::start();
    let fake = FakeRedis::before(&redis, |_| Answer::Pass).await;
    let cache = Cache::builder().prefix("p").redis(options(&fake.url())).l1(false);
    let cache = cache.operation_budget(LONG).build().unwrap();
    set_both(&cache).await;
    fake.script(|call| match call.name() {
        "MGET" if is_large(call) => {
            Answer::After(Duration::from_millis(300), Box::new(Answer::Pass))
        }
        _ => Answer::Pass,
    });
    let asked = fake.calls("MGET");
    let large = tokio::spawn({
        let cache = cache.clone();
        async move { text(&cache, "users", "large").await.map(|found| found.len()) }
    });
    eventually(PATIENCE, "the large one is asked for", || fake.calls("MGET") > asked).await;
    for _ in 0..20 {
        assert_eq!(text(&cache, "users", "small").await.as_deref(), Some("v"));
    }
    assert!(!large.is_finished(), "they have passed it");
    assert_eq!(join(large).await, Some(LARGE));
}

/// A network on which large values take longer than the budget is no reason to do without small ones.
#[tokio::test]
async fn large_values_that_are_late_do_not_open_the_breaker() {
    let redis = RedisServer::start();
    let fake = FakeRedis::before(&redis, |_| Answer::Pass).await;
    let cache = with_large(&fake);
    set_both(&cache).await;
    fake.script(|call| match call.name() {
        "MGET" if is_large(call) => Answer::Silence,
        _ => Answer::Pass,
    });
    // On a busy machine the probe may be late, too.
    eventually_some(PATIENCE, "six in a row", async || {
        for _ in 0..6 {
            assert_eq!(text(&cache, "users", "large").await, None);
            if cache.gauges().breaker != Some(BreakerState::Closed) {
                crate::recovery::healed(&cache).await;
                return None;
            }
        }
        Some(())
    })
    .await;
}
