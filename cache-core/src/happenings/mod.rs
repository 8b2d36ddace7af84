//! What happens in a cache, told to whoever listens: invalidations, the breaker, decisions about
//! requests (a sample of them). While nobody listens it costs one load of a number.
//!
//! - `event`: what is told;
//! - `bus`: to whom;
//! - `invalidation`: an invalidation, put into words;
//! - `workspace`: whose a key is.
//!
//! ```
//! use cache_core::{Cache, Event, Tag};
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//!
//! let cache = Cache::builder().build()?;
//! let mut events = cache.events();
//! cache.invalidate(Tag::new("user:123")).await?;
//! let Some(Event::Invalidated { scopes, .. }) = events.next().await else { panic!() };
//! assert_eq!(scopes[0].to_string(), "tag user:123");
//! # Ok::<(), cache_core::Error>(()) }).unwrap();
//! ```

mod bus;
mod event;
mod invalidation;
mod workspace;

pub(crate) use self::bus::Happenings;
pub use self::bus::{EVENTS_KEPT, EventBus, Events, SAMPLED_PER_SECOND};
pub use self::event::{BreakerState, Event, EventScope, InvalidationOutcome, ScopeKind};
pub(crate) use self::invalidation::Told;
