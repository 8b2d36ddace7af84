//! Versions that are raised while everything runs.

use cache_core::{Cache, Invalidated, Namespace, seconds};
use cache_tests::Gate;

use crate::board::{KEY, filled, get};
use crate::gated_store::{At, GatedStore};
use crate::setup::{
    Setup, fill, join, kind, on_every_setup, on_shared_setups, settled, shared_redis, text,
};

async fn bump(cache: &Cache) -> u32 {
    let version = cache.bump_version("api").await.unwrap();
    assert_eq!(cache.version("api").unwrap(), version);
    version
}

async fn it_leaves_all_entries_behind(setup: Setup) {
    let cache = setup.cache();
    assert_eq!(cache.version("api").unwrap(), 1);
    filled(&cache, "1", &[&cache]).await;
    cache.set("users", "1", "kept").await.unwrap();
    for version in [2, 3] {
        assert_eq!(bump(&cache).await, version);
        assert_eq!(get(&cache).await, None);
        let value = format!("{version}");
        filled(&cache, &value, &[&cache]).await;
        if setup.is_on_redis() {
            let name = format!("{}:api:v{version}:{KEY}", setup.prefix);
            assert!(shared_redis().get(&name).is_some(), "{name}");
        }
        assert_eq!(cache.delete("api", KEY).await.unwrap(), Invalidated::Complete);
        assert_eq!(get(&cache).await, None);
        cache.set("api", KEY, "set").await.unwrap();
        assert_eq!(cache.delete_pattern("api", "*:campaigns:*").await.unwrap(), 1);
    }
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("kept"));
    assert_eq!(cache.version("users").unwrap(), 1);
    assert!(cache.bump_version("gen").await.is_err());
}

on_every_setup!(and on a cluster: it_leaves_all_entries_behind);

/// Whatever version their code says.
async fn all_instances_follow(setup: Setup) {
    let setup = setup.deaf();
    let of = |version| {
        setup.builder().namespace(Namespace::new("api").version(version)).build().unwrap()
    };
    let (one, two, later) = (of(1), of(2), of(1));
    filled(&one, "1", &[&one]).await;
    filled(&two, "2", &[&two]).await;
    assert_eq!(get(&later).await.as_deref(), Some("1"));
    assert_eq!(bump(&one).await, 2);
    assert_eq!(get(&one).await, None, "what the other has under version 2 is not its");
    setup.clock.advance(seconds(5));
    for cache in [&two, &later, &one] {
        assert_eq!(get(cache).await, None);
    }
    filled(&one, "new", &[&one, &later, &of(1)]).await;
    filled(&two, "newer", &[&two, &of(2)]).await;
    assert_eq!((two.version("api").unwrap(), later.version("api").unwrap()), (3, 2));
    // Two at once are two.
    let (a, b) = tokio::join!(one.bump_version("api"), two.bump_version("api"));
    assert!(a.unwrap() > 2 && b.unwrap() > 3);
    for cache in [&one, &later, &of(1)] {
        setup.clock.advance(seconds(5));
        assert_eq!(get(cache).await, None);
        fill(cache, "api", "another", "v").await;
        assert_eq!(cache.version("api").unwrap(), 4);
    }
}

on_shared_setups!(and on a cluster: all_instances_follow);

/// One that began under the old version is found under neither.
#[tokio::test]
async fn a_fill_under_way_is_not_stored() {
    for knows in [false, true] {
        let setup = Setup::shared();
        let store = GatedStore::new(&setup);
        let (filler, other) = (store.cache_without_l1(&setup), store.cache(&setup));
        let gate = Gate::new();
        let filling = tokio::spawn({
            let (filler, gate) = (filler.clone(), gate.clone());
            async move {
                let slow = async || {
                    gate.pass().await;
                    Ok::<_, std::io::Error>("old".to_owned())
                };
                filler.get_or_compute("api", KEY, slow).await.unwrap()
            }
        });
        gate.waiting(1).await;
        bump(&other).await;
        if knows {
            fill(&filler, "api", "another", "v").await;
            settled(&filler).await;
            assert_eq!(filler.version("api").unwrap(), 2);
        }
        gate.open(1);
        join(filling).await;
        settled(&filler).await;
        for cache in [&filler, &other, &store.cache(&setup)] {
            assert_eq!(get(cache).await, None, "{knows}");
        }
        let current = format!("{}:api:v2:{KEY}", setup.prefix);
        assert_eq!(store.behind().get(&current), None, "{knows}");
    }
}

/// Deleted under the old version by one that has not heard of the new one.
#[tokio::test]
async fn what_is_deleted_by_one_that_has_not_heard_of_it_stays_deleted() {
    for way in 0..3 {
        let setup = Setup::shared();
        let store = GatedStore::new(&setup);
        let (late, other) = (store.cache_without_l1(&setup), store.cache_without_l1(&setup));
        filled(&late, "1", &[&late, &other]).await;
        bump(&other).await;
        filled(&other, "old", &[&other]).await;
        match way {
            0 => assert_eq!(late.delete("api", KEY).await.unwrap(), Invalidated::Complete),
            1 => assert_eq!(late.delete_pattern("api", "ws1:*").await.unwrap(), 2),
            _ => late.set("api", KEY, "new").await.unwrap(),
        }
        let new = (way == 2).then_some("new");
        for cache in [&late, &other, &late] {
            assert_eq!(get(cache).await.as_deref(), new, "{way}");
        }
        fill(&other, "api", KEY, "newer").await;
        settled(&other).await;
        let newer = new.or(Some("newer"));
        assert_eq!(get(&late).await.as_deref(), newer, "{way}");
    }
}

/// Nobody has read anything since: the round of the one that deleted comes first.
#[tokio::test(start_paused = true)]
async fn also_where_nobody_but_others_reads() {
    let setup = Setup::shared();
    let store = GatedStore::new(&setup);
    let (late, other) = (store.cache_without_l1(&setup), store.cache_without_l1(&setup));
    filled(&late, "1", &[&late, &other]).await;
    bump(&other).await;
    filled(&other, "old", &[&other]).await;
    late.delete("api", KEY).await.unwrap();
    tokio::time::sleep(seconds(6)).await;
    assert_eq!(get(&other).await, None);
    assert_eq!(late.version("api").unwrap(), 2);
}

#[tokio::test]
async fn while_the_store_is_away_nothing_changes() {
    let setup = Setup::shared();
    let store = GatedStore::new(&setup);
    let cache = store.cache(&setup);
    filled(&cache, "v", &[&cache]).await;
    for at in [At::Fetch, At::Write] {
        store.fail(at);
        let error = kind(cache.bump_version("api").await);
        assert_eq!(error, cache_core::ErrorKind::Unavailable, "{at:?}");
        assert_eq!(cache.version("api").unwrap(), 1, "{at:?}");
        assert_eq!(get(&cache).await.as_deref(), Some("v"), "{at:?}");
    }
    // Begun, and not finished: it is done by whoever comes next.
    store.fail(At::Remove);
    assert!(cache.bump_version("api").await.is_err());
    for cache in [&store.cache(&setup), &cache] {
        assert_eq!(get(cache).await, None);
        assert_eq!(cache.version("api").unwrap(), 2);
    }
    assert_eq!(bump(&cache).await, 3);
}

/// A board that was lost knows nothing of them; the living do.
#[tokio::test(start_paused = true)]
async fn they_never_go_back() {
    use cache_core::store::Store;
    let setup = Setup::shared();
    let store = GatedStore::new(&setup);
    let cache = store.cache_without_l1(&setup);
    filled(&cache, "1", &[&cache]).await;
    bump(&cache).await;
    filled(&cache, "2", &[&cache]).await;
    let board = format!("{}:gen:b:api", setup.prefix);
    store.behind().remove(&[&board], cache_core::Deadline::after(seconds(1))).await.unwrap();
    let fresh = store.cache_without_l1(&setup);
    assert_eq!(get(&fresh).await, None, "of neither version");
    tokio::time::sleep(seconds(12)).await;
    assert_eq!(get(&fresh).await, None);
    assert_eq!(bump(&fresh).await, 3);
    filled(&fresh, "3", &[&fresh, &cache]).await;
    assert_eq!(cache.version("api").unwrap(), 3);
}
