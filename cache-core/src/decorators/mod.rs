//! `#[cached]` and `#[invalidates]`: caching said in front of a function, instead of in it.
//!
//! ```
//! use cache_core::{Cache, ComputeError, Namespace, cached, invalidates, minutes};
//! # use serde::{Deserialize, Serialize};
//! # #[derive(Debug)] struct DbError;
//! # struct Db;
//! # impl Db {
//! #     async fn stats(&self, _: &str, _: u64) -> Result<Stats, DbError> { Ok(Stats { clicks: 7 }) }
//! #     async fn rename(&self, _: u64, _: &str) -> Result<(), DbError> { Ok(()) }
//! # }
//! # #[derive(Serialize, Deserialize)] struct Stats { clicks: u64 }
//!
//! const ANALYTICS: Namespace = Namespace::new("analytics").ttl(minutes(5));
//!
//! struct Campaigns { cache: Cache, db: Db }
//!
//! impl Campaigns {
//!     #[cached(
//!         cache = self.cache,
//!         namespace = ANALYTICS,
//!         key = "{workspace_id}:{campaign_id}",
//!         tags("campaign:{campaign_id}"),
//!     )]
//!     async fn stats(
//!         &self,
//!         workspace_id: &str,
//!         campaign_id: u64,
//!     ) -> Result<Stats, ComputeError<DbError>> {
//!         self.db.stats(workspace_id, campaign_id).await
//!     }
//!
//!     #[invalidates(cache = self.cache, tags("campaign:{campaign_id}"))]
//!     async fn rename(&self, campaign_id: u64, name: &str) -> Result<(), DbError> {
//!         self.db.rename(campaign_id, name).await
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let cache = Cache::builder().namespace(ANALYTICS).build()?;
//! let campaigns = Campaigns { cache, db: Db };
//! let stats = campaigns.stats("ws1", 42).await.unwrap();
//! # assert_eq!(stats.clicks, 7);
//! # campaigns.rename(42, "").await.unwrap();
//! # Ok::<(), cache_core::Error>(()) }).unwrap();
//! ```
//!
//! Both go on async functions and methods, in traits' implementations too, and leave their
//! signatures as they are. (With `#[async_trait]` on the block there is no async function left to
//! go on.) The expressions are evaluated before the body, with the parameters in scope.
//!
//! # `#[cached]`
//!
//! The function is called where [`get_or_compute`](crate::Values::get_or_compute) would compute: on
//! a miss, once for all who ask at the same time. When the cache fails, it is called, and that is
//! all.
//!
//! | option | |
//! |---|---|
//! | `cache = self.cache` | the [`Cache`](crate::Cache), or a reference to one: any expression |
//! | `namespace = ANALYTICS` | a [`Namespace`](crate::Namespace) or a name. As everywhere, its settings are those that the cache was built with |
//! | `key = "{workspace_id}:{id}"` | the key: a template (below) |
//! | `ttl = "5m"` | how long the value is fresh, in `ms`, `s`, `m`, `h` or `d`; or whatever is made into a [`Ttl`](crate::Ttl). Default: the namespace's |
//! | `tags("campaign:{id}", ..)` | templates of global tags; or expressions such as `Tag::in_workspace(workspace_id, "stats")` |
//! | `skip(db)` | parameters that don't matter to the value |
//! | `crate = path` | where `cache_core` is, if not there |
//!
//! **Every parameter is part of the key, or skipped.** One that is forgotten would have calls that
//! differ in it share a value, so it is an error. That goes for type and const parameters too: of
//! a type, put a constant into the key (`{T::NAME}`). (A field of a parameter, `{user.id}`, is taken
//! for all of it. Of `self` nothing is asked: put those of its fields into the key that matter.)
//! Of two functions that share a namespace, begin at least one key with a word of its own.
//!
//! The value has to be `Serialize` and `DeserializeOwned`. Whatever is no `Result` is a value:
//! `None` is cached, too (for [`negative_ttl`](crate::Options::negative_ttl), if that is set).
//!
//! ## Errors
//!
//! A function that returns a `Result` returns `Result<T, ComputeError<E>>`; its body, `Result<T, E>`.
//! For all who wait for one value are given the same error, and few errors can be cloned: so
//! callers get it within [`ComputeError::Compute`](crate::ComputeError::Compute), in an `Arc`. Errors
//! are not cached, unless the namespace says so ([`error_ttl`](crate::Options::error_ttl)). A signature that says `Result<T, E>` does not compile, and the compiler says
//! what to write.
//!
//! ```
//! use cache_core::{Cache, ComputeError, cached};
//!
//! #[derive(Debug, PartialEq)]
//! enum StatsError { NotFound }
//!
//! #[cached(cache = cache, namespace = "stats", key = "{id}", skip(cache))]
//! async fn stats(cache: &Cache, id: u64) -> Result<u64, ComputeError<StatsError>> {
//!     if id == 0 {
//!         return Err(StatsError::NotFound);
//!     }
//!     Ok(id)
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! # let cache = Cache::builder().build()?;
//! match stats(&cache, 0).await {
//!     Err(ComputeError::Compute(error)) => assert_eq!(*error, StatsError::NotFound),
//!     other => panic!("{other:?}"),
//! }
//! # Ok::<(), cache_core::Error>(()) }).unwrap();
//! ```
//!
//! ```compile_fail,E0277
//! # use cache_core::{Cache, cached};
//! # #[derive(Debug, PartialEq)]
//! # enum StatsError { NotFound }
//! #[cached(cache = cache, namespace = "stats", key = "{id}", skip(cache))]
//! async fn stats(cache: &Cache, id: u64) -> Result<u64, StatsError> { // not `ComputeError<StatsError>`
//!     Ok(id)
//! }
//! ```
//!
//! A function that returns anything else always returns: what is waited for in vain it computes.
//!
//! # `#[invalidates]`
//!
//! Invalidates after the body, before the function returns; if it returned `Err`, not at all. If
//! its future is dropped while the body runs, or the body panics, nobody knows how far the change
//! has got: it is invalidated, in the background.
//!
//! | option | |
//! |---|---|
//! | `cache = self.cache` | as above |
//! | `tags("campaign:{id}", ..)` | templates of global tags, or expressions that are made into a [`Tag`](crate::Tag) |
//! | `namespace = ANALYTICS` | that of the keys and patterns |
//! | `keys("{workspace_id}:{id}", ..)` | single keys |
//! | `patterns("{workspace_id}:campaigns:*", ..)` | templates in which `*` is a segment, or at the end the rest. A single step if the shape has been declared ([`Values::declare`](crate::Values::declare), when every instance starts), else a sweep |
//! | `scopes(Scope::workspace(id), ..)` | expressions that are made into a [`Scope`](crate::Scope) |
//! | `strict` | an invalidation that fails is the function's error |
//! | `crate = path` | as above |
//!
//! While the store is away, the invalidation is queued, which is no failure. One that does fail (the
//! store refuses it for good) is a warning in the log, since the change itself has been made. With
//! `strict` it is the function's error, which then needs `From<cache_core::Error>`; a function that
//! returns no `Result` can't be strict.
//!
//! # Templates
//!
//! `{id}` is a parameter, `{user.id}` and `{self.region}` are fields, `{Self::KIND}` is a constant;
//! each as it displays itself. `{filters:hash}` is anything that is `Serialize`, as its digest
//! ([`KeyHash`](crate::KeyHash)): a call whose value has none is not cached. `{{` and `}}` are braces.
//!
//! In keys and patterns a value is (part of) one segment: whatever it holds, a `:` or a `*`, it
//! reaches no other key. There can be one in a segment, since of two nobody could tell where one
//! ends. A key is the one that [`Key::from_segments`](crate::Key::from_segments) makes of the
//! segments. In a namespace that is [`by_workspace`](crate::Namespace::by_workspace), the first is
//! the workspace, as for all keys there.
//!
//! The text of a tag is what `format!` would make of it.

#[doc(hidden)]
pub mod private;
