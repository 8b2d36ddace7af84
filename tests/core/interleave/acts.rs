//! What tasks do: fill, invalidate, read.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use cache_core::{
    Cache, Deadline, EntryTimes, Error, Fill, Format, Invalidated, Key, Lookup, NewEntry, Pattern,
    Scope, Shared, Slot, Tag, TagFamily, hours, minutes,
};

use super::step::Touches;
use super::world::{NAMESPACE, World, key, neighbour};
use crate::setup::START;

/// One task, and the node it runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Fill(Filling, usize),
    /// The database is changed, the old value invalidated, the new one read.
    End(Ending, usize),
    /// Reads, or computes.
    Ask(usize),
}

/// How an older value can come into the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filling {
    Compute,
    Set,
    /// As a response is stored: with tags that are known before, and tags that are not.
    Page,
    /// A value that is there is replaced.
    Refresh,
    /// A value that is in the store is read.
    Promote,
    Touch,
    /// A write's answer is stored under the key that the write deletes.
    Claim,
    /// Another key of the same scopes is set.
    Neighbour,
}

/// How an older value is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Delete,
    /// A tag that was known before the fill began.
    Tag,
    /// One that only the value named.
    LateTag,
    Workspace,
    Namespace,
    Pattern,
    Everything,
    Glob,
    Clear,
    /// The older value becomes stale.
    SoftKey,
    SoftTag,
    SoftLateTag,
    SoftWorkspace,
    SoftNamespace,
    SoftPattern,
}

impl Filling {
    /// All that are about the key.
    pub(crate) const ALL: [Self; 7] = [
        Self::Compute,
        Self::Set,
        Self::Page,
        Self::Refresh,
        Self::Promote,
        Self::Touch,
        Self::Claim,
    ];

    /// Whether there has to be one before.
    pub(crate) fn is_about_an_entry(self) -> bool {
        matches!(self, Self::Refresh | Self::Promote | Self::Touch)
    }

    /// Whether what it stores has tags.
    pub(crate) fn has_tag(self, ending: Ending) -> bool {
        match self {
            Self::Compute | Self::Neighbour => false,
            Self::Set => matches!(ending, Ending::Tag | Ending::SoftTag),
            _ => true,
        }
    }
}

impl Ending {
    pub(crate) const ALL: [Self; 15] = [
        Self::Delete,
        Self::Tag,
        Self::LateTag,
        Self::Workspace,
        Self::Namespace,
        Self::Pattern,
        Self::Everything,
        Self::Glob,
        Self::Clear,
        Self::SoftKey,
        Self::SoftTag,
        Self::SoftLateTag,
        Self::SoftWorkspace,
        Self::SoftNamespace,
        Self::SoftPattern,
    ];

    pub(crate) fn is_about(self, filling: Filling) -> bool {
        let by_tag = [Self::Tag, Self::LateTag, Self::SoftTag, Self::SoftLateTag];
        !by_tag.contains(&self) || filling.has_tag(self)
    }

    fn is_soft(self) -> bool {
        let soft = [Self::SoftKey, Self::SoftTag, Self::SoftLateTag];
        let soft_too = [Self::SoftWorkspace, Self::SoftNamespace, Self::SoftPattern];
        soft.contains(&self) || soft_too.contains(&self)
    }

    pub(crate) async fn run(self, cache: &Cache) -> Result<Invalidated, Error> {
        let scope = match self {
            Self::Delete => return cache.delete(NAMESPACE, key()).await,
            Self::Clear => return cache.clear(NAMESPACE).await.map(|_| Invalidated::Complete),
            Self::SoftKey => Scope::key(NAMESPACE, key()),
            Self::LateTag | Self::SoftLateTag => Tag::new("late").into(),
            Self::Tag | Self::SoftTag => Tag::new("tag").into(),
            Self::Workspace | Self::SoftWorkspace => Scope::workspace("ws1"),
            Self::Namespace | Self::SoftNamespace => Scope::namespace(NAMESPACE),
            Self::Pattern | Self::SoftPattern => {
                Scope::pattern(NAMESPACE, Pattern::new("ws1:campaigns:*"))
            }
            Self::Glob => Scope::pattern(NAMESPACE, Pattern::new("ws?:c*:1")),
            Self::Everything => Scope::everything(),
        };
        let invalidation = cache.invalidate(scope);
        if self.is_soft() { invalidation.soft().await } else { invalidation.await }
    }
}

impl Act {
    pub(crate) fn node(&self) -> usize {
        match self {
            Self::Fill(_, node) | Self::End(_, node) | Self::Ask(node) => *node,
        }
    }

    pub(crate) fn filling(&self) -> Option<(Filling, usize)> {
        if let Self::Fill(filling, node) = *self { Some((filling, node)) } else { None }
    }

    pub(crate) fn ending(&self) -> Option<(Ending, usize)> {
        if let Self::End(ending, node) = *self { Some((ending, node)) } else { None }
    }

    pub(crate) async fn run(self, world: &World) {
        let cache = &world.nodes[self.node()];
        let begins = Touches::node(self.node());
        match self {
            Self::Fill(filling, node) => {
                // A set takes along what the database says now.
                let begins = begins.reading("database");
                world.stage.stop("begin", begins, false).await;
                fill(filling, world, cache, node).await;
            }
            Self::End(ending, node) => {
                // The later the database changes, the older is what fills may find; it has to
                // before the invalidation begins.
                world.stage.stop("begin", begins.writing("database"), false).await;
                let setting = world.setting.load(Ordering::SeqCst);
                world.overlapping.fetch_max(setting, Ordering::SeqCst);
                let version = world.version.fetch_add(1, Ordering::SeqCst) + 1;
                let done = ending.run(cache).await;
                end(world, node, version, &done).await;
            }
            Self::Ask(node) => {
                world.stage.stop("begin", begins.reading("journal"), false).await;
                let floor = world.floor(node);
                let seen = ask(world, cache, node).await;
                world.saw(node, "a visitor", Some(seen), floor);
            }
        }
    }
}

/// After the answer of an invalidation. A read is one step here: reads that others cross are
/// promotions.
async fn end(world: &World, node: usize, version: u64, done: &Result<Invalidated, Error>) {
    let touches = |node| Touches::node(node).reading_all_keys().writing("journal");
    let everywhere = matches!(done, Ok(Invalidated::Complete)) && !world.has_memory_of_its_own();
    let next_read = async {
        world.answered(node, version, everywhere);
        let seen = world.nodes[node].get(NAMESPACE, key()).await.expect("reads never fail");
        world.saw(node, "the next read", seen, version);
    };
    world.stage.at_once("answered, and read", touches(node), next_read).await;
    for (other, cache) in world.nodes.iter().enumerate() {
        if other != node && everywhere {
            let read = cache.get(NAMESPACE, key());
            let seen = world.stage.at_once("read elsewhere", touches(other), read).await;
            world.saw(other, "the next read", seen.expect("reads never fail"), version);
        }
    }
}

async fn ask(world: &World, cache: &Cache, node: usize) -> u64 {
    let compute = async || Ok::<_, std::io::Error>(world.ask_database(node).await);
    cache.get_or_compute(NAMESPACE, key(), compute).await.expect("the database answers")
}

/// What comes of it is of no matter: the store may fail.
async fn fill(filling: Filling, world: &World, cache: &Cache, node: usize) {
    match filling {
        Filling::Compute => drop(ask(world, cache, node).await),
        Filling::Set => {
            let version = world.version.load(Ordering::SeqCst);
            world.setting.store(version, Ordering::SeqCst);
            drop(cache.set(NAMESPACE, key(), &version).tag("tag").await);
            world.setting.store(0, Ordering::SeqCst);
        }
        Filling::Page => fill_page(cache, key(), async || world.ask_database(node).await).await,
        Filling::Refresh => refresh(world, cache, node).await,
        Filling::Promote => drop(cache.get::<u64>(NAMESPACE, key()).await),
        Filling::Touch => drop(cache.touch(NAMESPACE, key(), minutes(90)).await),
        Filling::Claim => claim(world, cache, node).await,
        Filling::Neighbour => drop(cache.set(NAMESPACE, neighbour(), &1_u64).await),
    }
}

fn deadline() -> Deadline {
    Deadline::after(hours(1))
}

/// So that `get` finds what is stored under it.
fn identity(key: &Key) -> Vec<u8> {
    [&[1], key.as_str().as_bytes()].concat()
}

/// Looks a key up as middleware does, and fills it if nothing is there.
pub(crate) async fn fill_page(cache: &Cache, key: Key, compute: impl AsyncFnOnce() -> u64) {
    if let (_, Lookup::Miss(fill)) = look_up(cache, &key).await {
        compute_page(fill, compute).await;
    }
}

async fn look_up(cache: &Cache, key: &Key) -> (Arc<cache_core::EntryKey>, Lookup) {
    let values = cache.namespace(NAMESPACE);
    let prepared = values.prepare(key, &identity(key)).expect("a key");
    if let Some(slot) = values.peek(prepared.hash(), prepared.identity()) {
        return (prepared, Lookup::Hit(slot));
    }
    let decode = |_: &Bytes| Some((Arc::new(()) as Shared, 0));
    let keys = std::slice::from_ref(&prepared);
    let found = values.lookup_in_store(keys, &decode, deadline()).await.remove(0);
    (prepared, found)
}

async fn compute_page(mut fill: Fill, compute: impl AsyncFnOnce() -> u64) {
    fill.expect_tags(&TagFamily::global());
    fill.begin(&[Tag::new("tag")], deadline()).await;
    let version = compute().await;
    if fill.tag(&[Tag::new("late")], deadline()).await {
        commit(fill, version).await;
    }
}

async fn refresh(world: &World, cache: &Cache, node: usize) {
    let (key, Lookup::Hit(slot)) = look_up(cache, &key()).await else { return };
    let replacing = |slot: &Slot| cache.namespace(NAMESPACE).replace(&key, slot);
    if let Some(fill) = replacing(&slot) {
        compute_page(fill, async || world.ask_database(node).await).await;
    }
}

async fn claim(world: &World, cache: &Cache, node: usize) {
    let values = cache.namespace(NAMESPACE);
    let key = values.prepare(&key(), &identity(&key())).expect("a key");
    let mut fill = values.fill_anew(&key, deadline()).await;
    fill.expect_tags(&TagFamily::global());
    fill.begin(&[Tag::new("tag")], deadline()).await;
    let version = world.ask_database(node).await;
    let Some(mut fill) = fill.claim(deadline()).await else { return };
    if fill.tag(&[Tag::new("late")], deadline()).await {
        commit(fill, version).await;
    }
}

async fn commit(fill: Fill, version: u64) {
    let now = START;
    let until = now + 3_600_000;
    // Of use when it is stale, so that a soft invalidation does not end it.
    let times = EntryTimes { created: now, fresh_until: until, stale_until: until * 2 };
    // MessagePack writes small numbers as they are.
    let payload = vec![u8::try_from(version).expect("few versions")].into();
    let entry = NewEntry { payload, format: Format::MessagePack, schema: 0, times, decoded: None };
    if let Some(write) = fill.commit(entry).expect("small") {
        write.run().await;
    }
}
