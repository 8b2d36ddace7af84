//! What every store has to do: one suite, run on the store in memory, on a real Redis, and on a real
//! Redis Cluster.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use cache_core::store::{Guard, MemoryStore, Put, Store, WriteBatch, Written};
use cache_core::{Clock, ClusterStore, Deadline, RedisStore, seconds};
use cache_tests::eventually;

use crate::heard::Heard;
use crate::setup::{PATIENCE, START, nodes, options, shared_cluster, shared_redis, unique_prefix};

const MINUTE: u64 = 60_000;

struct Subject {
    store: Arc<dyn Store>,
    prefix: String,
    /// Of the store in memory.
    clock: Option<Clock>,
}

impl Subject {
    fn memory() -> Self {
        let clock = Clock::manual(START);
        let store = Arc::new(MemoryStore::new(clock.clone()));
        Self { store, prefix: unique_prefix(), clock: Some(clock) }
    }

    fn redis() -> Self {
        let store = RedisStore::new(&options(&shared_redis().url()), Clock::system()).unwrap();
        Self { store: Arc::new(store), prefix: unique_prefix(), clock: None }
    }

    /// As a user who may do less.
    fn as_user(user: &'static str) -> Self {
        let options = crate::rights::shared_as(user);
        let store = RedisStore::new(&options, Clock::system()).unwrap();
        Self { store: Arc::new(store), prefix: unique_prefix(), clock: None }
    }

    fn cluster() -> Self {
        let store = ClusterStore::new(&nodes(shared_cluster()), Clock::system()).unwrap();
        Self { store: Arc::new(store), prefix: unique_prefix(), clock: None }
    }

    fn key(&self, name: &str) -> String {
        format!("{}:{name}", self.prefix)
    }

    async fn fetch(&self, names: &[&str]) -> Vec<Option<Bytes>> {
        let keys: Vec<String> = names.iter().map(|name| self.key(name)).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        self.store.fetch(&keys, soon()).await.unwrap()
    }

    async fn one(&self, name: &str) -> Option<Bytes> {
        self.fetch(&[name]).await.remove(0)
    }

    async fn write(&self, puts: &[Put]) -> Vec<bool> {
        let batch = WriteBatch { puts, ..WriteBatch::default() };
        self.store.write(batch, soon()).await.unwrap().stored
    }

    fn put(&self, name: &str, value: impl Into<Bytes>) -> Put {
        Put { key: self.key(name), value: value.into(), keep_for: Some(MINUTE), ..Put::default() }
    }

    fn put_if(&self, name: &str, value: impl Into<Bytes>, expect: &'static [u8]) -> Put {
        Put { expect: Some(Bytes::from_static(expect)), ..self.put(name, value) }
    }

    /// For how many seconds a key is kept; `None`: until removed. Moves a manual clock.
    async fn lifetime(&self, name: &str) -> Option<u64> {
        let Some(clock) = &self.clock else {
            let key = self.key(name);
            let left = match self.store.name() {
                "redis" => shared_redis().command(&["PTTL", &key]),
                _ => shared_cluster().command_at(&key, &["PTTL", &key]),
            };
            let left = left.int().unwrap();
            return u64::try_from(left).ok().map(|ms| ms.div_ceil(1000));
        };
        for second in 0..10_000 {
            if self.one(name).await.is_none() {
                return Some(second);
            }
            clock.advance(seconds(1));
        }
        None
    }
}

fn soon() -> Deadline {
    Deadline::after(seconds(10))
}

/// A value of which bytes 8 to 15 are these.
fn value(id: &str) -> Bytes {
    format!("--------{id:8}payload of {id}").into()
}

async fn values_come_in_the_order_asked_for(at: Subject) {
    at.write(&[at.put("a", value("a")), at.put("b", value("b"))]).await;
    let found = at.fetch(&["b", "none", "a", "b"]).await;
    assert_eq!(found, [Some(value("b")), None, Some(value("a")), Some(value("b"))]);
}

async fn any_bytes_come_back_as_they_were(at: Subject) {
    let every_byte: Vec<u8> = (0..=255).collect();
    let megabyte: Vec<u8> = every_byte.iter().copied().cycle().take(1024 * 1024).collect();
    at.write(&[
        at.put("bytes", every_byte.clone()),
        at.put("empty", ""),
        at.put("large", megabyte.clone()),
    ])
    .await;
    let found = at.fetch(&["bytes", "empty", "large"]).await;
    assert_eq!(found, [Some(every_byte.into()), Some(Bytes::new()), Some(megabyte.into())]);
}

async fn an_unconditional_put_overwrites(at: Subject) {
    assert_eq!(at.write(&[at.put("k", value("old"))]).await, [true]);
    assert_eq!(at.write(&[at.put("k", value("new"))]).await, [true]);
    assert_eq!(at.one("k").await, Some(value("new")));
}

async fn a_conditional_put_needs_what_it_expects(at: Subject) {
    assert_eq!(at.write(&[at.put_if("k", value("1"), b"")]).await, [true], "absent, as expected");
    assert_eq!(at.write(&[at.put_if("k", value("2"), b"")]).await, [false], "no more absent");
    assert_eq!(at.write(&[at.put_if("k", value("2"), b"other   ")]).await, [false]);
    assert_eq!(at.write(&[at.put_if("k", value("2"), b"1       ")]).await, [true]);
    assert_eq!(at.one("k").await, Some(value("2")));
    assert_eq!(at.write(&[at.put_if("none", value("1"), b"1       ")]).await, [false]);
    assert_eq!(at.one("none").await, None);
}

async fn a_guarded_put_needs_another_key_to_be_as_it_was(at: Subject) {
    at.write(&[at.put("g", "same"), at.put("empty", "")]).await;
    let guarded = |guard: &str, is: &'static str, put: Put| {
        let guard = Guard { key: at.key(guard), value: is.into() };
        Put { guard: Some(guard), ..put }
    };
    for (guard, is, written) in [
        ("g", "other", false),
        ("g", "sam", false),
        ("g", "", false),
        ("none", "", false),
        ("none", "same", false),
        ("empty", "", true),
        ("g", "same", true),
    ] {
        let put = guarded(guard, is, at.put("k", value("1")));
        assert_eq!(at.write(&[put]).await, [written], "{guard} {is}");
        assert_eq!(at.one("k").await.is_some(), written, "{guard} {is}");
        let remove = [&*at.key("k")];
        at.store.remove(&remove, soon()).await.unwrap();
    }
    // Both conditions have to hold.
    for (is, expect, written) in
        [("other", &b""[..], false), ("same", b"1       ", false), ("same", b"", true)]
    {
        let put = guarded("g", is, at.put_if("k", value("1"), expect));
        assert_eq!(at.write(&[put]).await, [written], "{is} {expect:?}");
    }
    let lives = at.lifetime("k").await;
    assert!(matches!(lives, Some(50..=60)), "{lives:?}");
}

async fn short_values_compare_by_the_bytes_they_have(at: Subject) {
    at.write(&[at.put("five", "12345"), at.put("ten", "--------ab")]).await;
    assert_eq!(at.write(&[at.put_if("five", value("1"), b"")]).await, [true]);
    assert_eq!(at.write(&[at.put_if("ten", value("1"), b"")]).await, [false]);
    assert_eq!(at.write(&[at.put_if("ten", value("1"), b"ab")]).await, [true]);
}

async fn each_put_of_a_batch_has_its_own_answer(at: Subject) {
    at.write(&[at.put("b", value("b"))]).await;
    let puts = [
        at.put_if("a", value("1"), b""),
        at.put_if("b", value("2"), b""),
        at.put("c", value("3")),
        at.put_if("c", value("4"), b"3       "),
    ];
    assert_eq!(at.write(&puts).await, [true, false, true, true]);
    let found = at.fetch(&["a", "b", "c"]).await;
    assert_eq!(found, [Some(value("1")), Some(value("b")), Some(value("4"))]);
}

async fn a_write_reads_what_its_puts_left(at: Subject) {
    at.write(&[at.put("other", value("o"))]).await;
    let (k, other, none) = (at.key("k"), at.key("other"), at.key("none"));
    let puts = [at.put_if("k", value("1"), b"")];
    let extend = [(&*other, 1)];
    let batch = WriteBatch {
        puts: &puts,
        extend: &extend,
        read: &[&other, &k, &none],
        ..WriteBatch::default()
    };
    let Written { stored, read } = at.store.write(batch, soon()).await.unwrap();
    assert_eq!(stored, [true]);
    assert_eq!(read, [Some(value("o")), Some(value("1")), None]);
}

async fn a_tail_is_put_in_behind_the_first_bytes_of_what_is_there(at: Subject) {
    let head = "0123456789abcdef";
    at.write(&[at.put("a", Bytes::from(head)), at.put("short", Bytes::from(&head[1..]))]).await;
    let [a, short, none] = ["a", "short", "none"].map(|name| at.key(name));
    let mut tails = String::new();
    for n in 0..10 {
        let tail = n.to_string().repeat(32);
        let each = [(&*a, &*tail), (&short, &tail), (&none, &tail)];
        let batch = WriteBatch { tails: &each, ..WriteBatch::default() };
        at.store.write(batch, soon()).await.unwrap();
        tails = tail + &tails;
        tails.truncate(32 + 224);
        let found = at.fetch(&["a", "short", "none"]).await;
        let expected = format!("{head}{tails}");
        assert_eq!(
            found,
            [Some(Bytes::from(expected)), Some(Bytes::from(&head[1..])), None],
            "{n}"
        );
    }
}

async fn a_write_removes_too_and_reads_what_is_left(at: Subject) {
    at.write(&[at.put("a", value("a")), at.put("b", value("b")), at.put("c", value("c"))]).await;
    let [a, b, c, none] = ["a", "b", "c", "none"].map(|name| at.key(name));
    let puts = [at.put("c", value("new")), at.put_if("d", value("d"), b"not there")];
    let batch = WriteBatch {
        puts: &puts,
        remove: &[&a, &none],
        read: &[&a, &b, &c],
        ..WriteBatch::default()
    };
    let Written { stored, read } = at.store.write(batch, soon()).await.unwrap();
    assert_eq!(stored, [true, false]);
    assert_eq!(read, [None, Some(value("b")), Some(value("new"))]);
    let batch = WriteBatch { remove: &[&b, &c], ..WriteBatch::default() };
    let Written { stored, read } = at.store.write(batch, soon()).await.unwrap();
    assert!(stored.is_empty() && read.is_empty());
    assert_eq!(at.fetch(&["a", "b", "c", "d"]).await, [None, None, None, None]);
}

async fn values_are_kept_for_as_long_as_asked(at: Subject) {
    let forever = Put { keep_for: None, ..at.put("forever", value("1")) };
    let none = Put { keep_for: Some(0), ..at.put("none", value("1")) };
    let ages = Put { keep_for: Some(u64::MAX - 1), ..at.put("ages", value("1")) };
    at.write(&[at.put("minute", value("1")), at.put_if("cas", value("1"), b""), forever, ages])
        .await;
    for key in ["minute", "cas"] {
        let kept = at.lifetime(key).await;
        assert!(matches!(kept, Some(50..=60)), "{key}: {kept:?}");
        at.write(&[at.put("cas", value("1"))]).await;
    }
    assert_eq!(at.lifetime("forever").await, None);
    assert!(at.one("ages").await.is_some());
    at.write(&[none]).await;
    while at.one("none").await.is_some() {
        at.clock.iter().for_each(|clock| clock.advance(seconds(1)));
    }
    // What never expired does so once it is written with a time, and the other way round.
    at.write(&[at.put("forever", value("2"))]).await;
    assert!(matches!(at.lifetime("forever").await, Some(50..=60)));
}

async fn extending_never_shortens(at: Subject) {
    let forever = Put { keep_for: None, ..at.put("forever", value("1")) };
    at.write(&[forever, at.put("longer", value("1")), at.put("shorter", value("1"))]).await;
    let keys = ["forever", "longer", "shorter", "none"].map(|name| at.key(name));
    let extend = [5 * MINUTE, 5 * MINUTE, 1000, MINUTE];
    let extend: Vec<(&str, u64)> = keys.iter().map(String::as_str).zip(extend).collect();
    let batch = WriteBatch { extend: &extend, ..WriteBatch::default() };
    at.store.write(batch, soon()).await.unwrap();
    assert_eq!(at.one("none").await, None);
    let shorter = at.lifetime("shorter").await;
    assert!(matches!(shorter, Some(50..=60)), "{shorter:?}");
    let passed = if at.clock.is_some() { 60 } else { 0 };
    let longer = at.lifetime("longer").await;
    assert!(longer.is_some_and(|s| (290 - passed..=300 - passed).contains(&s)), "{longer:?}");
    assert_eq!(at.lifetime("forever").await, None);
}

async fn create_keeps_the_first(at: Subject) {
    let (a, b) = (at.key("a"), at.key("b"));
    let create =
        async |entries: &[(&str, String)]| at.store.create(entries, MINUTE, soon()).await.unwrap();
    assert_eq!(create(&[(&a, "1".into())]).await, [Some(Bytes::from("1"))]);
    let found = create(&[(&b, "2".into()), (&a, "2".into())]).await;
    assert_eq!(found, [Some(Bytes::from("2")), Some(Bytes::from("1"))]);
    assert!(matches!(at.lifetime("a").await, Some(50..=60)));
}

async fn remove_counts_what_was_there(at: Subject) {
    at.write(&[at.put("a", value("a")), at.put("b", value("b"))]).await;
    let keys = ["a", "none", "b"].map(|name| at.key(name));
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    assert_eq!(at.store.remove(&keys, soon()).await.unwrap(), 2);
    assert_eq!(at.store.remove(&keys, soon()).await.unwrap(), 0);
    assert_eq!(at.fetch(&["a", "b"]).await, [None, None]);
}

async fn a_scan_meets_every_key_that_matches(at: Subject) {
    let names: Vec<String> = (0..2_000).map(|n| format!("scan:{n}")).collect();
    for chunk in names.chunks(500) {
        let puts: Vec<Put> = chunk.iter().map(|name| at.put(name, value("s"))).collect();
        at.write(&puts).await;
    }
    at.write(&[at.put("other", value("o"))]).await;
    let glob = at.key("scan:*");
    let (mut met, mut cursor, mut steps) = (BTreeSet::new(), 0, 0);
    loop {
        let step = at.store.scan(&glob, cursor, soon()).await.unwrap();
        met.extend(step.keys);
        (cursor, steps) = (step.cursor, steps + 1);
        assert!(steps < 10_000, "a scan ends");
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(met, names.iter().map(|name| at.key(name)).collect());
}

/// Pinned: Redis was asked `MGET` and `UNLINK` of nothing, which it refuses.
async fn nothing_asked_is_nothing_answered(at: Subject) {
    assert!(at.store.fetch(&[], soon()).await.unwrap().is_empty());
    assert_eq!(at.store.remove(&[], soon()).await.unwrap(), 0);
    assert!(at.store.create(&[], MINUTE, soon()).await.unwrap().is_empty());
    let written = at.store.write(WriteBatch::default(), soon()).await.unwrap();
    assert!(written.stored.is_empty() && written.read.is_empty());
}

async fn write_ids_are_eight_bytes_of_each_value(at: Subject) {
    at.write(&[at.put("a", value("a")), at.put("ten", "--------ab"), at.put("five", "12345")])
        .await;
    let keys = ["a", "none", "ten", "five"].map(|name| at.key(name));
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let found = at.store.write_ids(&keys, soon()).await.unwrap();
    let found: Vec<Bytes> = found.into_iter().map(Option::unwrap_or_default).collect();
    assert_eq!(found, ["a       ", "", "ab", ""]);
    assert!(at.store.write_ids(&[], soon()).await.unwrap().is_empty());
}

async fn who_watches_is_told_of_every_change(at: Subject) {
    let heard = Arc::<Heard>::default();
    let all = || heard.all();
    let watch = tokio::spawn(at.store.watch(&at.prefix, heard.clone()).unwrap());
    eventually(PATIENCE, "it begins", || all().contains(&"proven".to_owned())).await;
    assert_eq!(all()[..2], ["Tracking", "proven"]);
    at.write(&[at.put("put", value("1"))]).await;
    at.write(&[at.put_if("cas", value("1"), b"")]).await;
    let created = at.key("created");
    at.store.create(&[(&created, "1".into())], MINUTE, soon()).await.unwrap();
    // Neighbours are none of its business.
    let other = Put { key: format!("{}x:k", at.prefix), ..at.put("k", value("1")) };
    at.write(&[other]).await;
    for key in ["put", "cas", "created"].map(|name| at.key(name)) {
        eventually(PATIENCE, &key, || all().contains(&key)).await;
    }
    heard.forget();
    let keys = ["put", "cas"].map(|name| at.key(name));
    at.store.remove(&[&keys[0]], soon()).await.unwrap();
    at.store.remove_values(&[&keys[1]], soon()).await.unwrap();
    for key in &keys {
        eventually(PATIENCE, key, || all().contains(key)).await;
    }
    assert!(!all().iter().any(|key| key.ends_with("x:k")), "{:?}", all());
    watch.abort();
}

async fn a_store_shows_signs_of_life(at: Subject) {
    at.store.ping(soon()).await.unwrap();
    assert!(at.store.is_available());
    assert!(!at.store.name().is_empty());
}

macro_rules! on_every_store {
    ($($name:ident),* $(,)?) => {
        mod memory { $(
            #[tokio::test]
            async fn $name() { super::$name(super::Subject::memory()).await; }
        )* }
        mod cluster { $(
            #[tokio::test]
            async fn $name() { super::$name(super::Subject::cluster()).await; }
        )* }
        mod redis { $(
            #[tokio::test]
            async fn $name() { super::$name(super::Subject::redis()).await; }
        )* }
    };
}

on_every_store!(
    values_come_in_the_order_asked_for,
    any_bytes_come_back_as_they_were,
    an_unconditional_put_overwrites,
    a_conditional_put_needs_what_it_expects,
    a_guarded_put_needs_another_key_to_be_as_it_was,
    short_values_compare_by_the_bytes_they_have,
    each_put_of_a_batch_has_its_own_answer,
    a_write_reads_what_its_puts_left,
    a_tail_is_put_in_behind_the_first_bytes_of_what_is_there,
    a_write_removes_too_and_reads_what_is_left,
    values_are_kept_for_as_long_as_asked,
    extending_never_shortens,
    create_keeps_the_first,
    remove_counts_what_was_there,
    a_scan_meets_every_key_that_matches,
    nothing_asked_is_nothing_answered,
    write_ids_are_eight_bytes_of_each_value,
    who_watches_is_told_of_every_change,
    a_store_shows_signs_of_life,
);

/// What takes more than one step, where scripts, or transactions, too, are refused.
macro_rules! on_restricted_stores {
    ($($name:ident),* $(,)?) => {
        mod unscripted { $(
            #[tokio::test]
            async fn $name() { super::$name(super::Subject::as_user(crate::rights::UNSCRIPTED)).await; }
        )* }
        mod least { $(
            #[tokio::test]
            async fn $name() { super::$name(super::Subject::as_user(crate::rights::LEAST)).await; }
        )* }
    };
}

on_restricted_stores!(
    values_come_in_the_order_asked_for,
    any_bytes_come_back_as_they_were,
    an_unconditional_put_overwrites,
    a_conditional_put_needs_what_it_expects,
    a_guarded_put_needs_another_key_to_be_as_it_was,
    short_values_compare_by_the_bytes_they_have,
    each_put_of_a_batch_has_its_own_answer,
    a_write_reads_what_its_puts_left,
    a_write_removes_too_and_reads_what_is_left,
    values_are_kept_for_as_long_as_asked,
    extending_never_shortens,
    create_keeps_the_first,
    remove_counts_what_was_there,
    a_scan_meets_every_key_that_matches,
    write_ids_are_eight_bytes_of_each_value,
    who_watches_is_told_of_every_change,
    a_store_shows_signs_of_life,
);

#[tokio::test]
async fn a_tail_is_put_in_by_a_transaction_too() {
    let at = Subject::as_user(crate::rights::UNSCRIPTED);
    a_tail_is_put_in_behind_the_first_bytes_of_what_is_there(at).await;
}
