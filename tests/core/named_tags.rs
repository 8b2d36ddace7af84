//! Global tags and those of workspaces: which entries they cover, and that a value which names its
//! own at the end of its fill loses none of their invalidations.

use bytes::Bytes;
use cache_core::store::Store;
use cache_core::{Cache, Fill, Flights, Joined, Key, Lookup, Partition, Tag, TagFamily, minutes};

use crate::gated_store::{At, GatedStore};
use crate::pages::{self, commit, deadline, entry};
use crate::setup::{Setup, join, on_every_setup, on_shared_setups};

const WS: Partition<'static> = Partition::Workspace("ws1");

fn global() -> Tag {
    Tag::new("a")
}

fn ours() -> Tag {
    Tag::in_partition(WS, "a")
}

async fn look_up(cache: &Cache, key: &str) -> Lookup {
    pages::look_up(cache, &Key::workspace("ws1").segment(key), key).await
}

async fn is_there(cache: &Cache, key: &str) -> bool {
    matches!(look_up(cache, key).await, Lookup::Hit(_))
}

/// A fill for a value that may name tags of both kinds.
async fn expecting(cache: &Cache, key: &str) -> Fill {
    let Lookup::Miss(mut fill) = look_up(cache, key).await else { panic!("{key} is there") };
    fill.expect_tags(&TagFamily::global());
    fill.expect_tags(&TagFamily::partition(WS));
    fill
}

async fn begun(cache: &Cache, key: &str) -> Fill {
    let mut fill = expecting(cache, key).await;
    fill.begin(&[], deadline()).await;
    fill
}

async fn filled(cache: &Cache, key: &str, tags: &[Tag]) {
    let mut fill = begun(cache, key).await;
    assert!(fill.tag(tags, deadline()).await, "{key}");
    commit(cache, fill).await;
    assert!(is_there(cache, key).await, "{key}");
}

async fn a_tag_of_a_workspace_is_another_than_the_global_one(setup: Setup) {
    let cache = setup.cache();
    let other = Tag::in_workspace("ws2", "a");
    let shared = Tag::in_partition(Partition::Shared, "a");
    let tags = [global(), ours(), other, shared, Tag::in_workspace("-", "a"), Tag::new("ws1:a")];
    for (n, invalidated) in tags.iter().enumerate() {
        for (key, tag) in tags.iter().enumerate() {
            cache.set("users", key.to_string(), "v").tag(tag.clone()).await.unwrap();
        }
        cache.invalidate(invalidated.clone()).await.unwrap();
        for key in 0..tags.len() {
            let there = cache.exists("users", key.to_string()).await.unwrap();
            assert_eq!(there, key != n, "{key} after {invalidated:?}");
        }
    }
}

async fn tags_named_at_the_end_are_those_named_at_the_beginning(setup: Setup) {
    let cache = setup.cache();
    for tag in [global(), ours()] {
        filled(&cache, "both", &[global(), ours()]).await;
        filled(&cache, "one", std::slice::from_ref(&tag)).await;
        filled(&cache, "none", &[]).await;
        cache.set("users", "1", "v").tag(tag.clone()).await.unwrap();
        cache.invalidate(tag).await.unwrap();
        assert!(!is_there(&cache, "both").await && !is_there(&cache, "one").await);
        assert!(!cache.exists("users", "1").await.unwrap());
        assert!(is_there(&cache, "none").await);
        cache.delete("pages", Key::workspace("ws1").segment("none")).await.unwrap();
        cache.invalidate(cache_core::Scope::namespace("pages")).await.unwrap();
    }
}

/// How far a fill has come when a tag is invalidated.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
enum Step {
    Expected,
    Begun,
    Named,
    /// In memory, and the write to the store has not begun.
    Committed,
}

async fn no_invalidation_is_lost_at_any_step(setup: Setup) {
    let (cache, elsewhere) = (setup.cache(), setup.cache());
    let writers = if setup.is_memory() { vec![&cache] } else { vec![&cache, &elsewhere] };
    for writer in writers {
        for tag in [global(), ours()] {
            for step in [Step::Expected, Step::Begun, Step::Named, Step::Committed] {
                for round in ["with no generation yet", "with one"] {
                    let at = format!("{tag:?} {step:?} {round}");
                    let mut fill = expecting(&cache, "1").await;
                    let invalidate = async |now| {
                        if step == now {
                            writer.invalidate(tag.clone()).await.unwrap();
                        }
                    };
                    invalidate(Step::Expected).await;
                    fill.begin(&[], deadline()).await;
                    invalidate(Step::Begun).await;
                    let named = fill.tag(&[global(), ours()], deadline()).await;
                    assert_eq!(named, step >= Step::Named, "{at}");
                    invalidate(Step::Named).await;
                    if named {
                        let write = fill.commit(entry(&cache)).unwrap();
                        invalidate(Step::Committed).await;
                        if let Some(write) = write {
                            write.run().await;
                        }
                    }
                    assert!(!is_there(&elsewhere, "1").await, "{at}");
                    // An entry from before an invalidation elsewhere is in this memory for `l1_ttl`.
                    setup.clock.advance(minutes(1));
                    assert!(!is_there(&cache, "1").await, "{at}");
                    // What this node has not heard of costs it one value.
                    let mut fill = begun(&cache, "1").await;
                    let _ = fill.tag(&[global(), ours()], deadline()).await;
                }
            }
        }
    }
    filled(&cache, "1", &[global(), ours()]).await;
}

/// Only those who can't know whether it is about them are held back: not a value without tags, nor
/// one with tags of the other family, nor one of another workspace.
async fn an_invalidation_holds_back_its_own_family_only(setup: Setup) {
    let cache = setup.cache();
    let theirs = Tag::in_workspace("ws2", "a");
    for (n, (invalidated, named)) in [
        (global(), vec![]),
        (ours(), vec![global()]),
        (global(), vec![ours()]),
        (theirs, vec![ours()]),
    ]
    .into_iter()
    .enumerate()
    {
        let key = n.to_string();
        let mut fill = begun(&cache, &key).await;
        cache.invalidate(invalidated.clone()).await.unwrap();
        assert!(fill.tag(&named, deadline()).await, "{named:?} after {invalidated:?}");
        commit(&cache, fill).await;
        assert!(is_there(&cache, &key).await, "{named:?} after {invalidated:?}");
        // Nor does it stand under the family: another of it may go.
        cache.invalidate(Tag::new("another")).await.unwrap();
        cache.invalidate(Tag::in_partition(WS, "another")).await.unwrap();
        assert!(is_there(&cache, &key).await, "{named:?}");
    }
}

/// Bug: a value made of another, whose tag was invalidated meanwhile, was stored if its own tags
/// were of another family: the other's end was undone.
async fn what_a_value_is_made_of_holds_it_back_too(setup: Setup) {
    let cache = setup.cache();
    for (key, former, own) in
        [("1", global(), vec![ours()]), ("2", ours(), vec![global()]), ("3", ours(), vec![])]
    {
        for is_invalidated in [true, false] {
            let mut fill = begun(&cache, key).await;
            if is_invalidated {
                cache.invalidate(former.clone()).await.unwrap();
            }
            let kept = fill.retag(&own, std::slice::from_ref(&former), deadline()).await;
            assert_eq!(kept, !is_invalidated, "{former:?}");
        }
        let mut fill = begun(&cache, key).await;
        assert!(fill.retag(&own, std::slice::from_ref(&former), deadline()).await);
        commit(&cache, fill).await;
        // It has tags of its own only.
        cache.invalidate(former).await.unwrap();
        assert!(is_there(&cache, key).await);
    }
}

/// Neither does one hold back what was tagged before its fill began.
async fn tags_given_at_the_beginning_know_no_family(setup: Setup) {
    let cache = setup.cache();
    let Lookup::Miss(mut fill) = look_up(&cache, "1").await else { panic!("nothing is there") };
    fill.begin(&[global()], deadline()).await;
    cache.invalidate(Tag::new("b")).await.unwrap();
    commit(&cache, fill).await;
    assert!(is_there(&cache, "1").await);
    cache.invalidate(global()).await.unwrap();
    assert!(!is_there(&cache, "1").await);
}

async fn a_family_that_was_not_expected_is_refused(setup: Setup) {
    let cache = setup.cache();
    let Lookup::Miss(mut fill) = look_up(&cache, "1").await else { panic!("nothing is there") };
    fill.expect_tags(&TagFamily::global());
    fill.begin(&[], deadline()).await;
    assert!(!fill.tag(&[global(), ours()], deadline()).await);
    assert!(!fill.tag(&[Tag::in_workspace("ws2", "a")], deadline()).await);
    assert!(fill.tag(&[global()], deadline()).await);
}

async fn flights_are_joined_unless_a_tag_of_their_own_was_invalidated(setup: Setup) {
    let cache = setup.cache();
    let flights = Flights::<()>::default();
    for (tag, joins) in [(global(), false), (ours(), false), (Tag::in_workspace("ws2", "a"), true)]
    {
        let mut fill = expecting(&cache, "1").await;
        let key = fill.key().hash();
        let Joined::Leader(_leader) = flights.join(key, &fill) else { panic!("nobody leads") };
        fill.begin(&[], deadline()).await;
        cache.invalidate(tag.clone()).await.unwrap();
        let later = flights.join(key, &expecting(&cache, "1").await);
        assert_eq!(matches!(later, Joined::Follower(_)), joins, "{tag:?}");
    }
}

on_every_setup!(
    a_tag_of_a_workspace_is_another_than_the_global_one,
    tags_named_at_the_end_are_those_named_at_the_beginning,
    no_invalidation_is_lost_at_any_step,
    an_invalidation_holds_back_its_own_family_only,
    what_a_value_is_made_of_holds_it_back_too,
    tags_given_at_the_beginning_know_no_family,
    a_family_that_was_not_expected_is_refused,
    flights_are_joined_unless_a_tag_of_their_own_was_invalidated,
);

/// Fills and invalidations of one tag, each in a task, on two nodes: when all has come to rest, a
/// last invalidation leaves nothing, and what is filled after it stays.
async fn they_may_run_at_once(setup: Setup) {
    let nodes = [setup.cache(), setup.cache()];
    let mut tasks = Vec::new();
    for n in 0..40_usize {
        let cache = nodes[n % 2].clone();
        tasks.push(tokio::spawn(async move {
            if n % 5 == 0 {
                cache.invalidate(if n % 10 == 0 { global() } else { ours() }).await.unwrap();
                return;
            }
            let key = (n % 3).to_string();
            let Lookup::Miss(mut fill) = look_up(&cache, &key).await else { return };
            fill.expect_tags(&TagFamily::global());
            fill.expect_tags(&TagFamily::partition(WS));
            fill.begin(&[], deadline()).await;
            tokio::task::yield_now().await;
            if fill.tag(&[global(), ours()], deadline()).await {
                commit(&cache, fill).await;
            }
        }));
    }
    for task in tasks {
        join(task).await;
    }
    nodes[0].invalidate(ours()).await.unwrap();
    setup.clock.advance(minutes(1));
    for cache in &nodes {
        for key in ["0", "1", "2"] {
            assert!(!is_there(cache, key).await, "{key}");
        }
        let mut first = begun(cache, "0").await;
        let _ = first.tag(&[ours()], deadline()).await;
    }
    filled(&nodes[1], "0", &[global(), ours()]).await;
    assert!(is_there(&nodes[0], "0").await);
}

on_shared_setups!(and on a cluster: they_may_run_at_once);

/// The removal is on its way when the fill looks at its tags: it finds the old generations, and
/// what it stores ends with them.
#[tokio::test]
async fn an_invalidation_that_has_not_arrived_yet_ends_what_was_stored_meanwhile() {
    let setup = Setup::shared();
    let store = GatedStore::new(&setup);
    for tag in [global(), ours()] {
        let (cache, elsewhere) = (store.cache_without_l1(&setup), store.cache(&setup));
        let mut fill = begun(&cache, "1").await;
        let gate = store.hold(At::Remove);
        let invalidated = tag.clone();
        let invalidation = tokio::spawn(async move { elsewhere.invalidate(invalidated).await });
        gate.waiting(1).await;
        assert!(fill.tag(&[global(), ours()], deadline()).await);
        commit(&cache, fill).await;
        assert!(is_there(&cache, "1").await);
        gate.open(1);
        join(invalidation).await.unwrap();
        assert!(!is_there(&cache, "1").await, "{tag:?}");
    }
}

/// What a value without tags costs: the generations of the families it might have had tags of, in
/// the question that is asked anyway, and nothing in the entry.
#[tokio::test]
async fn an_entry_without_tags_does_not_carry_its_families() {
    let setup = Setup::shared();
    let store = GatedStore::new(&setup);
    let cache = store.cache(&setup);
    let mut sizes = Vec::new();
    for (key, expects) in [("a", false), ("b", true)] {
        let Lookup::Miss(mut fill) = look_up(&cache, key).await else { panic!("a miss") };
        let rendered = fill.key().as_str().to_owned();
        if expects {
            fill.expect_tags(&TagFamily::global());
        }
        fill.begin(&[], deadline()).await;
        commit(&cache, fill).await;
        let found = store.fetch(&[&rendered], deadline()).await.unwrap();
        sizes.push(found[0].as_ref().map(Bytes::len).unwrap());
    }
    assert_eq!(sizes[0], sizes[1]);
}
