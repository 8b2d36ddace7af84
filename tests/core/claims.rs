//! Fills by writes: what answers a write takes the place of what the write has deleted, unless
//! anything else has happened to the key since the write began.

use std::sync::Arc;

use bytes::Bytes;
use cache_core::{
    Cache, Deadline, EntryKey, EntryTimes, Fill, Format, Key, Lookup, NewEntry, Scope, Ttl, Values,
    minutes, seconds,
};

use crate::gated_store::{At, GatedStore};
use crate::setup::{Setup, join, on_every_setup, on_restricted_setups, on_shared_setups};

/// One instance, and the key that all of this is about.
#[derive(Clone)]
struct Node {
    cache: Cache,
    values: Values,
    key: Arc<EntryKey>,
}

fn soon() -> Deadline {
    Deadline::after(seconds(10))
}

impl Node {
    fn new(cache: Cache) -> Self {
        let values = cache.namespace("users");
        let key = values.prepare(&Key::from_segments(["1"]), b"1").unwrap();
        Self { cache, values, key }
    }

    async fn begin(&self) -> Fill {
        let mut fill = self.values.fill_anew(&self.key, soon()).await;
        fill.begin(&[], soon()).await;
        fill
    }

    async fn claimed(&self) -> Fill {
        self.begin().await.claim(soon()).await.expect("nothing came between")
    }

    async fn delete(&self) {
        self.values.delete_prepared(std::slice::from_ref(&self.key), soon()).await.unwrap();
    }

    async fn commit(&self, fill: Fill, text: &'static str) {
        let entry = NewEntry {
            payload: Bytes::from_static(text.as_bytes()),
            format: Format::Raw,
            schema: 0,
            times: EntryTimes::new(self.cache.clock().now(), Ttl::After(minutes(5))),
            decoded: None,
        };
        if let Some(write) = fill.commit(entry).unwrap() {
            write.run().await;
        }
    }

    async fn fill(&self, text: &'static str) {
        self.commit(self.begin().await, text).await;
    }

    async fn read(&self) -> Option<Bytes> {
        if let Some(slot) = self.values.peek(self.key.hash(), self.key.identity()) {
            return Some(slot.payload().clone());
        }
        let keys = std::slice::from_ref(&self.key);
        let decode = |_: &Bytes| Some((Arc::new(()) as cache_core::Shared, 0));
        match self.values.lookup_in_store(keys, &decode, soon()).await.pop()? {
            Lookup::Hit(slot) => Some(slot.payload().clone()),
            Lookup::Miss(_) => None,
        }
    }
}

async fn a_claim_deletes_and_then_fills(setup: Setup) {
    let node = Node::new(setup.cache());
    for before in ["nothing", "an entry", "a tombstone"] {
        match before {
            "an entry" => node.fill("old").await,
            "a tombstone" => node.delete().await,
            _ => {}
        }
        let fill = node.claimed().await;
        assert_eq!(node.read().await, None, "{before}");
        node.commit(fill, "new").await;
        assert_eq!(node.read().await.as_deref(), Some(&b"new"[..]), "{before}");
        node.delete().await;
        setup.clock.advance(minutes(11));
    }
}

async fn what_comes_before_the_claim_ends_it(setup: Setup) {
    let node = Node::new(setup.cache());
    for what in ["a delete", "another claim", "an invalidation"] {
        let fill = node.begin().await;
        act(&node, what).await;
        assert!(fill.claim(soon()).await.is_none(), "{what}");
        assert_eq!(node.read().await, None, "{what}");
    }
}

async fn what_comes_after_the_claim_ends_it(setup: Setup) {
    let node = Node::new(setup.cache());
    for what in ["a delete", "another claim", "an invalidation"] {
        let fill = node.claimed().await;
        act(&node, what).await;
        node.commit(fill, "old").await;
        assert_eq!(node.read().await, None, "{what}");
    }
    let fill = node.claimed().await;
    node.fill("newer").await;
    node.commit(fill, "older").await;
    assert_eq!(node.read().await.as_deref(), Some(&b"newer"[..]));
}

async fn act(node: &Node, what: &str) {
    match what {
        "a delete" => node.delete().await,
        "another claim" => drop(node.claimed().await),
        _ => drop(node.cache.invalidate(Scope::namespace("users")).await.unwrap()),
    }
}

async fn fills_that_began_before_the_claim_lose(setup: Setup) {
    let node = Node::new(setup.cache());
    for old_is_first in [true, false] {
        let (old, fill) = (node.begin().await, node.begin().await);
        let mut fill = Some(fill.claim(soon()).await.unwrap());
        if !old_is_first {
            node.commit(fill.take().unwrap(), "new").await;
        }
        node.commit(old, "old").await;
        if let Some(fill) = fill {
            assert_eq!(node.read().await, None);
            node.commit(fill, "new").await;
        }
        assert_eq!(node.read().await.as_deref(), Some(&b"new"[..]), "{old_is_first}");
    }
}

on_every_setup!(
    and on a cluster:
    a_claim_deletes_and_then_fills,
    what_comes_before_the_claim_ends_it,
    what_comes_after_the_claim_ends_it,
    fills_that_began_before_the_claim_lose,
);

async fn another_instance_ends_a_claim(setup: Setup) {
    let (node, other) = (Node::new(setup.cache()), Node::new(setup.cache()));
    for what in ["a delete", "another claim", "a fill"] {
        let elsewhere = async || match what {
            "a fill" => other.fill("theirs").await,
            what => act(&other, what).await,
        };
        let fill = node.begin().await;
        elsewhere().await;
        assert!(fill.claim(soon()).await.is_none(), "{what} before");
        node.delete().await;
        let fill = node.claimed().await;
        elsewhere().await;
        node.commit(fill, "ours").await;
        let left = if what == "a fill" { Some(&b"theirs"[..]) } else { None };
        for node in [&node, &Node::new(setup.cache())] {
            assert_eq!(node.read().await.as_deref(), left, "{what} after");
        }
        node.delete().await;
    }
    let fill = node.claimed().await;
    other.cache.invalidate(Scope::namespace("users")).await.unwrap();
    node.commit(fill, "ours").await;
    assert_eq!(Node::new(setup.cache()).read().await, None, "a scope was invalidated");
    node.delete().await;
    let fill = node.claimed().await;
    node.commit(fill, "ours").await;
    assert_eq!(Node::new(setup.cache()).read().await.as_deref(), Some(&b"ours"[..]));
}

on_shared_setups!(and on a cluster: another_instance_ends_a_claim);

/// A node over a store with gates.
fn gated() -> (Arc<GatedStore>, Node, Node) {
    let setup = Setup::shared();
    let store = GatedStore::new(&setup);
    let (node, other) = (Node::new(store.cache(&setup)), Node::new(store.cache(&setup)));
    (store, node, other)
}

#[tokio::test]
async fn a_delete_while_the_tombstone_is_under_way_ends_the_claim() {
    for at in [At::Write, At::WriteReply] {
        let (store, node, _) = gated();
        let fill = node.begin().await;
        let gate = store.hold(at);
        let claiming = tokio::spawn(async move { fill.claim(soon()).await });
        gate.waiting(1).await;
        node.delete().await;
        gate.open(1);
        assert!(join(claiming).await.is_none(), "{at:?}");
        assert_eq!(node.read().await, None, "{at:?}");
    }
}

#[tokio::test]
async fn a_read_that_began_before_the_tombstone_does_not_bring_the_old_value_back() {
    let (store, node, other) = gated();
    other.fill("old").await;
    let fill = node.begin().await;
    let (write, reply) = (store.hold(At::Write), store.hold(At::FetchReply));
    let claiming = tokio::spawn(async move { fill.claim(soon()).await });
    write.waiting(1).await;
    let reader = tokio::spawn({
        let node = node.clone();
        async move { node.read().await }
    });
    reply.waiting(1).await;
    write.open(1);
    let fill = join(claiming).await.expect("reads are no writes");
    reply.open(1);
    assert_eq!(join(reader).await.as_deref(), Some(&b"old"[..]), "it began before");
    assert_eq!(node.read().await, None);
    node.commit(fill, "new").await;
    assert_eq!(node.read().await.as_deref(), Some(&b"new"[..]));
}

#[tokio::test]
async fn without_an_answer_from_the_store_there_is_no_claim() {
    for at in [At::Fetch, At::Write, At::WriteReply] {
        let (store, node, _) = gated();
        if at == At::Fetch {
            store.fail(at);
        }
        let fill = node.begin().await;
        if at != At::Fetch {
            store.fail(at);
        }
        assert!(fill.claim(soon()).await.is_none(), "{at:?}");
    }
}

/// What a claim leaves in the middle, as when its task is dropped, does not bring anything back.
#[tokio::test]
async fn a_claim_that_is_dropped_leaves_nothing_in_memory() {
    let (store, node, other) = gated();
    other.fill("old").await;
    let fill = node.begin().await;
    let (written, reply) = (store.hold(At::WriteReply), store.hold(At::FetchReply));
    let reader = tokio::spawn({
        let node = node.clone();
        async move { node.read().await }
    });
    reply.waiting(1).await;
    let claiming = tokio::spawn(async move { fill.claim(soon()).await });
    written.waiting(1).await;
    claiming.abort();
    assert!(claiming.await.is_err());
    reply.open(1);
    join(reader).await;
    assert_eq!(node.read().await, None);
}

on_restricted_setups!(
    a_claim_deletes_and_then_fills,
    what_comes_before_the_claim_ends_it,
    what_comes_after_the_claim_ends_it,
    fills_that_began_before_the_claim_lose,
    another_instance_ends_a_claim,
);
