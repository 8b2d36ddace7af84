//! What others do between the steps of a write that can't be one step.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cache_core::{Builder, Cache, Clock, minutes};
use cache_tests::command_filter::Command;
use cache_tests::{CommandFilter, RedisServer};

use super::{LEAST_RIGHTS, add_user};
use crate::setup::{START, at, fill, options, settled};

const KEY: &str = "coldcopy:users:v1:1";
const OTHER: &[u8] = b"12345678-other--what another has written";
const SWEPT: &str = "coldcopy:gen:s:users";

/// A cache of this user, and another client that does `act` once, before `moment` is carried out.
struct Race {
    redis: Arc<RedisServer>,
    filter: CommandFilter,
    armed: Arc<AtomicBool>,
    cache: Cache,
}

impl Race {
    fn new(
        rights: &[&str],
        moment: impl Fn(&Command) -> bool + Send + Sync + 'static,
        act: impl Fn(&RedisServer) + Send + Sync + 'static,
    ) -> Self {
        let redis = Arc::new(RedisServer::start());
        add_user(&redis, "app", rights);
        let armed = Arc::<AtomicBool>::default();
        let (due, server) = (Arc::clone(&armed), Arc::clone(&redis));
        let filter = CommandFilter::start(redis.port(), move |command| {
            let about_it = command.word(1) == Some(KEY.as_bytes());
            if about_it && moment(command) && due.swap(false, Ordering::SeqCst) {
                act(&server);
            }
            None
        });
        let url = format!("redis://app:pw@127.0.0.1:{}", filter.port());
        let builder: Builder = at(&url).redis(options(&url)).l1(false).clock(Clock::manual(START));
        let cache = builder.build().unwrap();
        Self { redis, filter, armed, cache }
    }

    /// An entry that has expired is there, and filled anew.
    async fn refill(&self) {
        self.cache.set("users", "1", "old").ttl(minutes(1)).await.unwrap();
        self.cache.clock().advance(minutes(2));
        self.fill().await;
    }

    async fn fill(&self) {
        self.armed.store(true, Ordering::SeqCst);
        assert_eq!(fill(&self.cache, "users", "1", "new").await, "new");
        settled(&self.cache).await;
    }

    /// How often a transaction has begun.
    fn looks(&self) -> usize {
        let watches = self.filter.commands().into_iter().filter(|c| c.is("WATCH") && c.has(SWEPT));
        watches.count()
    }

    fn left(&self) -> Option<Vec<u8>> {
        self.redis.get(KEY)
    }
}

fn write_other(redis: &RedisServer) {
    redis.command_bytes(&[b"SET", KEY.as_bytes(), OTHER]);
}

fn is_swept(redis: &RedisServer) {
    assert_eq!(redis.command(&["UNLINK", SWEPT]).int(), Some(1));
}

const UNSCRIPTED: &[&str] = &["&*", "+@all", "-@scripting"];

#[tokio::test]
async fn step_by_step_what_was_overwritten_is_put_back() {
    let race = Race::new(LEAST_RIGHTS, |c| c.is("SET") && c.has("GET"), write_other);
    race.refill().await;
    assert_eq!(race.left().as_deref(), Some(OTHER));
    let lives_for = race.redis.command(&["PTTL", KEY]).int().unwrap();
    assert!(lives_for >= 590_000, "as long as a tombstone has to: {lives_for}");
}

#[tokio::test]
async fn step_by_step_what_was_written_where_nothing_was_stays() {
    let race = Race::new(LEAST_RIGHTS, |c| c.is("SET") && c.has("NX"), write_other);
    race.fill().await;
    assert_eq!(race.left().as_deref(), Some(OTHER));
}

#[tokio::test]
async fn step_by_step_what_a_sweep_has_passed_by_is_taken_back() {
    let race = Race::new(LEAST_RIGHTS, |c| c.is("SET") && c.has("NX"), is_swept);
    race.fill().await;
    assert_eq!(race.left(), None);
    let race = Race::new(LEAST_RIGHTS, |c| c.is("SET") && c.has("GET"), is_swept);
    race.refill().await;
    assert_eq!(race.left(), None);
}

#[tokio::test]
async fn in_a_transaction_nothing_is_overwritten() {
    for act in [write_other, is_swept] {
        let race = Race::new(UNSCRIPTED, |c| c.is("SET"), act);
        race.refill().await;
        let left = race.left().unwrap();
        assert!(!String::from_utf8_lossy(&left).contains("new"), "{left:?}");
        assert_eq!(race.looks(), 2, "it looks again, and sees why not");
    }
}

#[tokio::test]
async fn a_transaction_that_something_else_has_stopped_is_repeated() {
    let keep = |redis: &RedisServer| drop(redis.command(&["PEXPIRE", SWEPT, "100000000"]));
    let race = Race::new(UNSCRIPTED, |c| c.is("SET"), keep);
    race.refill().await;
    assert!(String::from_utf8_lossy(&race.left().unwrap()).contains("new"));
    assert_eq!(race.looks(), 2);
}
