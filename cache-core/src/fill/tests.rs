use super::*;
use crate::Cache;
use crate::clock::Clock;
use crate::key::Key;
use crate::store::MemoryStore;

/// Pinned: where several began at once in a namespace that was not known yet, a fill was joined by
/// nobody if another had given the namespace its id in the moment before; each asked its own
/// function.
#[tokio::test]
async fn a_fill_whose_scopes_another_has_named_meanwhile_is_joined() {
    let store = MemoryStore::new(Clock::manual(1_000));
    let cache = Cache::builder().store(Arc::new(store)).build().unwrap();
    let (users, deadline) = (cache.namespace("users"), cache.inner.deadline());
    let key = |key| users.entry_key(Key::from(key)).unwrap();
    let (late, asker) = (key("1"), key("1"));
    let late = users.fill_anew(&late, deadline).await;
    let asker = users.fill_anew(&asker, deadline).await;
    let mut first = users.fill_anew(&key("2"), deadline).await;
    first.begin(&[], deadline).await;
    assert!(late.watch().may_serve(&asker));
    // But not when one of them is invalidated.
    cache.invalidate(crate::Scope::namespace("users")).await.unwrap();
    assert!(!late.watch().may_serve(&asker));
}
