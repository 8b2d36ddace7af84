//! Invalidation: what can be invalidated as a whole, and how a fill that began before is fenced.
//!
//! - `scope`: the things that have a generation;
//! - `tag`: tags and their families (pure);
//! - `generation`: the local table of current generations;
//! - `pattern`: declared patterns and ad-hoc globs (pure);
//! - `board`: what all instances have to know of a namespace: patterns declared, version;
//! - `fence`: keeps reads and fills in flight from undoing a write to one key;
//! - `request`, `removal`: an invalidation, as asked for and as carried out;
//! - `soft`: what becomes stale rather than invalid;
//! - `queue`: removals by key, bounded (pure);
//! - `unconfirmed`, `replay`: removals that the store has not confirmed, and who repeats them;
//! - `rollback`: those that it has confirmed, and may forget;
//! - `keepalive`: looks after generations that nobody asks for;
//! - `wanted`: the generations that one question asks for;
//! - `events`: rules that say what an application's events invalidate;
//! - `sweep`: removes what a glob matches, in batches.
//!
//! # What a store may forget
//!
//! A store that is put back to a snapshot, or replaced by a replica that lagged, brings back old
//! generations together with the entries under them. Every process that lives repeats then what it
//! has invalidated (`rollback`), before anybody reads. What is lost is what nobody is left to
//! repeat: the invalidations of a process that ended between making them and noticing. So is, where
//! a process can't reach the store for longer than the others wait, what it did, until it can. Their
//! bound are the TTLs.

pub(crate) mod board;
mod events;
pub(crate) mod fence;
pub(crate) mod generation;
pub(crate) mod keepalive;
pub(crate) mod pattern;
pub(crate) mod queue;
pub(crate) mod removal;
pub(crate) mod replay;
mod request;
pub(crate) mod rollback;
pub(crate) mod scope;
mod soft;
pub(crate) mod sweep;
mod tag;
pub(crate) mod unconfirmed;
pub(crate) mod wanted;

pub use events::{Consumed, Invalidations, InvalidationsBuilder};
pub use pattern::{Partition, Pattern, Template, TemplateError};
pub use request::{Invalidated, Invalidation, Scopes};
pub use scope::Scope;
pub use sweep::{DeletePattern, SweepJob, SweepPosition, SweepProgress, SweepState};
pub use tag::{Tag, TagFamily};
