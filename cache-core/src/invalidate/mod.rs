//! Invalidation: what can be invalidated as a whole, and how a fill that began before is fenced.
//!
//! - `scope`: the things that have a generation;
//! - `tag`: tags and their families (pure);
//! - `generation`: the local table of current generations;
//! - `pattern`: declared patterns and ad-hoc globs (pure);
//! - `fence`: keeps reads and fills in flight from undoing a write to one key;
//! - `request`, `removal`: an invalidation, as asked for and as carried out;
//! - `unconfirmed`, `replay`: removals that the store has not confirmed, and who repeats them;
//! - `wanted`: the generations that one question asks for;
//! - `events`: rules that say what an application's events invalidate;
//! - `sweep`: removes what a glob matches, in batches.

mod events;
pub(crate) mod fence;
pub(crate) mod generation;
pub(crate) mod pattern;
pub(crate) mod removal;
pub(crate) mod replay;
mod request;
pub(crate) mod scope;
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
