//! Rate limits: how often something may be done, over all processes that share a store.
//!
//! ```
//! use cache_core::{Cache, minutes};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let cache = Cache::builder().prefix("shop").build()?;
//! let limiter = cache.rate_limiter("messages");
//!
//! let verdict = limiter.check("whatsapp", 100, minutes(1)).await;
//! assert!(verdict.allowed);
//! assert_eq!((verdict.count, verdict.remaining), (1, 99));
//!
//! // One that takes five of them.
//! let verdict = limiter.check("whatsapp", 100, minutes(1)).cost(5).await;
//! assert_eq!((verdict.count, verdict.resets_in <= minutes(1)), (6, true));
//! # Ok::<(), cache_core::Error>(()) }).unwrap();
//! ```
//!
//! # How it counts
//!
//! | | |
//! |---|---|
//! | fixed window (default) | a counter for each key, which ends a window after its first use: `limit` in it. Around its end twice the limit may be used within a short time |
//! | [GCRA](RateLimiter::gcra) | units become free evenly, `limit` in a window; at most the [burst](RateLimiter::burst) at once (the limit, unless said otherwise) |
//!
//! What is refused takes nothing: something that costs less may still be allowed. A limit of zero
//! allows nothing; a window shorter than a millisecond counts as one millisecond; limits and costs
//! above [`MAX_UNITS`] count as that. Whoever raises or lowers the limit of a key goes on with what
//! was counted; another window is another counter. Keys are taken as everywhere
//! ([`Key`](crate::Key)): whatever users type in is a literal, and long ones are folded.
//!
//! # Where it counts
//!
//! **In Redis**, exactly, however many processes ask: one round trip for each check, a script that
//! tells time by the server's own clock. Keys are
//! `{prefix}:rate:{w or g, and the window in milliseconds}:{limiter}:{key}`, and end by themselves
//! when they are as good as none. Where Redis refuses scripts (an ACL user without `@scripting`) a
//! transaction takes their place, and where it refuses that, the same commands without, also in one
//! round trip. They can count fixed windows only: GCRA is then counted as the window with the same
//! limit, and [`Verdict::algorithm`] says so; and there what is refused counts as used until the
//! window ends. Redis is not asked at all about what costs more than the limit.
//!
//! **In this process** where there is no store: exactly, by the cache's clock.
//!
//! A limiter asks whether or not the cache is enabled (`ENABLE_CACHING`), since it protects what the
//! cache does not. It is counted in no statistics of the cache; no invalidation resets it.
//!
//! Each check that is allowed writes a key under the prefix, so that its name goes to each instance
//! that is told of changes ([`coherence`](crate::coherence), which has the price). Where there are
//! many thousands a second, a cache of its own with another prefix, `l1(false)` and the same Redis is
//! the better place for the limiter.
//!
//! # When the store is away
//!
//! A check waits for it for one operation budget (50 ms) at most, and not at all once the breaker is
//! open. Then it is decided as [`when_unavailable`](RateLimiter::when_unavailable) says, and
//! [`Verdict::confirmed`] is false:
//!
//! | [`Unavailable`] | |
//! |---|---|
//! | `CountLocally` (default) | this process counts for itself, from zero: each process allows the limit, all together no more than the limit times their number |
//! | `Allow` | fail open: allowed, uncounted |
//! | `Deny` | fail closed: refused, uncounted |
//!
//! A check that ran out of time may have been counted all the same.
//!
//! This process counts [`MAX_COUNTED_KEYS`] keys of each limiter at once. What has ended makes room;
//! beyond that, a key that is new is decided as for `Allow`, or for `Deny` where that was chosen, and
//! those that are counted go on being counted: nobody can flood them away, and keys that clients
//! choose can't take the memory.

mod check;
mod fixed;
mod gcra;
mod limiter;
mod quota;
mod table;
mod verdict;

pub use check::Check;
pub use limiter::{RateLimiter, Unavailable};
pub use quota::{Algorithm, Counted, MAX_UNITS, Quota};
pub use table::MAX_COUNTED_KEYS;
pub(crate) use table::Tables;
pub use verdict::{CountedBy, Verdict};
