//! Values that are encrypted on the way to the store.

use cache_core::{
    Cache, Compression, ErrorKind, Keyring, Namespace, NamespaceStats, Scope, minutes,
};

use crate::pages;
use crate::setup::{
    Setup, delete, fill, fix_checksum, on_every_setup, on_shared_setups, settled, text,
};

const SECRET: &str = "Ada's diagnosis";
const PATIENTS: Namespace = Namespace::new("patients").encrypted();

fn first() -> Keyring {
    Keyring::new(1, [1; 32])
}

fn second() -> Keyring {
    Keyring::new(2, [2; 32])
}

fn cache_with(setup: &Setup, ring: Keyring) -> Cache {
    setup.builder().namespace(PATIENTS).keyring(ring).build().unwrap()
}

fn stats(cache: &Cache) -> NamespaceStats {
    cache.stats().namespaces["patients"]
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|part| part == text.as_bytes())
}

async fn values_come_back_and_are_not_to_be_seen_in_the_store(setup: Setup) {
    let cache = cache_with(&setup, first());
    cache.set("patients", "set", SECRET).tag("ward:7").await.unwrap();
    cache.set_many("patients", [("many", SECRET)]).await.unwrap();
    assert_eq!(fill(&cache, "patients", "filled", SECRET).await, SECRET);
    settled(&cache).await;
    for key in ["set", "many", "filled"] {
        assert_eq!(text(&cache, "patients", key).await.as_deref(), Some(SECRET));
        if setup.is_memory() {
            continue;
        }
        let stored = setup.stored("patients", key).unwrap();
        assert_eq!(stored[7], 0b1000);
        assert!(!holds(&stored, SECRET) && !holds(&stored, "diagnosis"));
        let fresh = cache_with(&setup, first());
        assert_eq!(text(&fresh, "patients", key).await.as_deref(), Some(SECRET));
        assert!(fresh.touch("patients", key, minutes(90)).await.unwrap());
        setup.clock.advance(minutes(20));
        let fresh = cache_with(&setup, first());
        assert_eq!(text(&fresh, "patients", key).await.as_deref(), Some(SECRET));
    }
    cache.invalidate(cache_core::Tag::new("ward:7")).await.unwrap();
    assert_eq!(text(&cache, "patients", "set").await, None);
    delete(&cache, "patients", "many").await;
    assert_eq!(text(&cache, "patients", "many").await, None);
    assert_eq!(stats(&cache).unreadable, 0);
}

/// What it compresses to would tell of it: only where the namespace itself asks for it.
async fn they_are_compressed_only_if_asked_by_name(setup: Setup) {
    if setup.is_memory() {
        return;
    }
    let page = "a page, ".repeat(20_000);
    let both = PATIENTS.compression(Compression::Zstd);
    for (namespace, flags) in [(PATIENTS, 0b1000), (both, 0b1100)] {
        let builder = setup.builder().namespace(namespace).compression(Compression::Zstd);
        let cache = builder.keyring(first()).build().unwrap();
        cache.set("patients", "1", &page).await.unwrap();
        assert_eq!(setup.stored("patients", "1").unwrap()[7], flags);
        let fresh = cache_with(&setup, first());
        assert_eq!(text(&fresh, "patients", "1").await.as_ref(), Some(&page));
    }
}

async fn a_new_key_reads_what_the_old_one_wrote(setup: Setup) {
    let old = cache_with(&setup, first());
    old.set("patients", "1", SECRET).await.unwrap();
    let new = cache_with(&setup, second().older(1, [1; 32]));
    assert_eq!(text(&new, "patients", "1").await.as_deref(), Some(SECRET));
    new.set("patients", "2", SECRET).await.unwrap();

    // One that has not heard of the new key: a miss, and it does not overwrite.
    let stored = setup.stored("patients", "2").unwrap();
    for n in 1..=3 {
        let late = cache_with(&setup, first());
        assert_eq!(fill(&late, "patients", "2", "computed").await, "computed");
        settled(&late).await;
        assert_eq!(setup.stored("patients", "2").unwrap(), stored, "{n}");
        assert_eq!((stats(&late).misses, stats(&late).unreadable), (1, 1));
    }
    assert_eq!(text(&new, "patients", "2").await.as_deref(), Some(SECRET));

    // One that has dropped the old key: a miss, and it does.
    let later = cache_with(&setup, second());
    assert_eq!(text(&later, "patients", "1").await, None);
    assert_eq!((stats(&later).misses, stats(&later).unreadable), (1, 1));
    assert_eq!(fill(&later, "patients", "1", "computed").await, "computed");
    settled(&later).await;
    let fresh = cache_with(&setup, second());
    assert_eq!(text(&fresh, "patients", "1").await.as_deref(), Some("computed"));
}

async fn another_key_of_the_same_number_opens_nothing(setup: Setup) {
    cache_with(&setup, first()).set("patients", "1", SECRET).await.unwrap();
    let other = cache_with(&setup, Keyring::new(1, [9; 32]));
    assert_eq!(text(&other, "patients", "1").await, None);
    assert!(!other.exists("patients", "1").await.unwrap());
    assert!(!other.touch("patients", "1", minutes(1)).await.unwrap());
    assert_eq!(stats(&other).unreadable, 3);
}

/// The identity and the generations are those of the key: only the place is another.
async fn bytes_under_another_prefix_do_not_open(setup: Setup) {
    let cache = cache_with(&setup, first());
    cache.set("patients", "1", SECRET).await.unwrap();
    let bytes = setup.stored("patients", "1").unwrap();
    let mut other = setup.clone();
    other.prefix.push_str("-other");
    let theirs = cache_with(&other, first());
    theirs.set("patients", "1", "theirs").await.unwrap();
    // With their generations put into it, it would be valid, were it not encrypted.
    let mut forged = bytes.clone();
    let own = other.stored("patients", "1").unwrap();
    let generations = 64..64 + 16 * usize::from(own[52]);
    forged[generations.clone()].copy_from_slice(&own[generations]);
    fix_checksum(&mut forged);
    other.put("patients", "1", &forged);
    let reader = cache_with(&other, first());
    assert_eq!(text(&reader, "patients", "1").await, None);
    assert_eq!((stats(&reader).unreadable, stats(&reader).errors), (1, 0));
}

/// The checksum is right again; only encryption notices.
async fn no_field_can_be_changed(setup: Setup) {
    let cache = cache_with(&setup, first());
    cache.set("patients", "1", SECRET).await.unwrap();
    let good = setup.stored("patients", "1").unwrap();
    // Format, write id, times, schema, and the payload.
    for at in [6, 8, 16, 24, 25, 32, 40, good.len() - 1, good.len() - 30, good.len() - 50] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fix_checksum(&mut bad);
        setup.put("patients", "1", &bad);
        let reader = cache_with(&setup, first());
        assert_eq!(text(&reader, "patients", "1").await, None, "byte {at}");
        let NamespaceStats { unreadable, errors, .. } = stats(&reader);
        assert_eq!(unreadable + errors, 1, "byte {at}");
    }
    setup.put("patients", "1", &good);
    let reader = cache_with(&setup, first());
    assert_eq!(text(&reader, "patients", "1").await.as_deref(), Some(SECRET));
}

/// Whoever can write to the store could put anything there else.
async fn what_is_not_encrypted_is_a_miss_that_a_fill_repairs(setup: Setup) {
    setup.cache().set("patients", "1", "planted").await.unwrap();
    let cache = cache_with(&setup, first());
    assert_eq!(text(&cache, "patients", "1").await, None);
    assert_eq!((stats(&cache).misses, stats(&cache).unreadable), (1, 1));
    assert_eq!(fill(&cache, "patients", "1", SECRET).await, SECRET);
    settled(&cache).await;
    assert_eq!(setup.stored("patients", "1").unwrap()[7], 0b1000);
    // A namespace that is not encrypted any more reads what was.
    let open = setup.builder().keyring(first()).build().unwrap();
    assert_eq!(text(&open, "patients", "1").await.as_deref(), Some(SECRET));
}

/// An invalidation ends what nobody here can read, too.
async fn what_can_not_be_read_is_invalidated_and_overwritten(setup: Setup) {
    let new = cache_with(&setup, second());
    let old = cache_with(&setup, first());
    new.set("patients", "1", SECRET).await.unwrap();
    old.set("patients", "1", "set").await.unwrap();
    let fresh = cache_with(&setup, first());
    assert_eq!(text(&fresh, "patients", "1").await.as_deref(), Some("set"));
    new.set("patients", "1", SECRET).await.unwrap();
    old.invalidate(Scope::namespace("patients")).await.unwrap();
    assert_eq!(fill(&old, "patients", "1", "computed").await, "computed");
    settled(&old).await;
    let fresh = cache_with(&setup, first());
    assert_eq!(text(&fresh, "patients", "1").await.as_deref(), Some("computed"));
}

#[test]
fn without_keys_there_is_no_cache() {
    for (namespace, kind) in [(PATIENTS, "encrypted"), (PATIENTS.sensitive(), "sensitive")] {
        for namespace in [namespace.clone(), namespace.encrypted()] {
            let error = Cache::builder().namespace(namespace).build().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            let text = error.to_string();
            assert!(text.contains("\"patients\"") && text.contains(kind), "{text}");
        }
    }
    for ring in [first().older(1, [3; 32]), first().older(2, [3; 32])] {
        let error = Cache::builder().keyring(ring).build().unwrap_err();
        assert!(error.to_string().starts_with("keyring: "), "{error}");
    }
}

#[tokio::test]
async fn no_debug_shows_a_key() {
    let builder = Cache::builder().namespace(PATIENTS).keyring(Keyring::new(1, [0xAB; 32]));
    let shown = format!("{builder:?} {builder:#?}");
    let cache = builder.build().unwrap();
    cache.set("patients", "1", SECRET).await.unwrap();
    let shown = format!("{shown} {cache:?} {cache:#?} {:?}", cache.namespace("patients"));
    // Bytes of the key one after the other: a single one may be part of any number.
    let shown: String = shown.split_whitespace().collect();
    for secret in ["171,171", "ABAB", "abab", SECRET] {
        assert!(!shown.contains(secret), "{secret}");
    }
}

/// Pinned: what has to do with a key of a sensitive namespace showed it when printed.
#[tokio::test]
async fn no_debug_shows_a_key_of_a_sensitive_namespace() {
    const KEY: &str = "ada-lovelace";
    let sensitive = Namespace::new("pages").sensitive();
    let setup = Setup::tiered();
    let builder = setup.builder().namespace(sensitive).keyring(Keyring::new(1, [1; 32]));
    let cache = builder.build().unwrap();
    let pages_of = cache.namespace("pages");
    let none = async || Ok::<_, std::io::Error>("v".to_owned());
    let never = || async { Ok::<_, std::io::Error>("v".to_owned()) };
    let mut shown = vec![format!("{:?}", pages_of.get_or_compute(KEY, none))];
    shown.push(format!("{:?} {:?}", pages_of.set(KEY, "v"), pages_of.refresh(KEY, never)));
    let key = cache_core::Key::from(KEY);
    // A fill in flight, then what it has put into memory.
    let cache_core::Lookup::Miss(mut begun) = pages::look_up(&cache, &key, KEY).await else {
        panic!("there is nothing")
    };
    begun.begin(&[], pages::deadline()).await;
    shown.push(format!("{begun:?} {:?} {cache:?} {cache:#?}", begun.key()));
    pages::commit(&cache, begun).await;
    shown.push(format!("{:?}", pages::look_up(&cache, &key, KEY).await));
    assert!(shown.iter().all(|shown| !shown.contains(KEY)), "{shown:?}");
    let plain = cache.namespace("others").set(KEY, "v");
    assert!(format!("{plain:?}").contains(KEY), "elsewhere it helps");
}

on_every_setup!(
    values_come_back_and_are_not_to_be_seen_in_the_store,
    they_are_compressed_only_if_asked_by_name,
);

on_shared_setups!(
    a_new_key_reads_what_the_old_one_wrote,
    another_key_of_the_same_number_opens_nothing,
    bytes_under_another_prefix_do_not_open,
    no_field_can_be_changed,
    what_is_not_encrypted_is_a_miss_that_a_fill_repairs,
    what_can_not_be_read_is_invalidated_and_overwritten,
);
