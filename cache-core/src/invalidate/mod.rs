//! Invalidation: what can be invalidated as a whole, and how a fill that began before is fenced.
//!
//! - `scope`: the things that have a generation;
//! - `tag`: tags and their families (pure);
//! - `generation`: the local table of current generations;
//! - `pattern`: declared patterns and ad-hoc globs (pure);
//! - `fence`: keeps reads and fills in flight from undoing a write to one key;
//! - `unconfirmed`: removals that the store has not confirmed;
//! - `wanted`: the generations that one question asks for;
//! - `sweep`: removes what a glob matches, in batches.

pub(crate) mod fence;
pub(crate) mod generation;
pub(crate) mod pattern;
pub(crate) mod scope;
pub(crate) mod sweep;
mod tag;
pub(crate) mod unconfirmed;
pub(crate) mod wanted;

pub use pattern::{Partition, Pattern, Template, TemplateError};
pub use scope::Scope;
pub use tag::{Tag, TagFamily};

/// How far an invalidation has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Invalidated {
    /// Done: no read that begins later on this node sees an older value.
    Complete,
    /// Done on this node; elsewhere once the store is reachable again.
    Queued,
}
