//! Flights: one fill in progress, and those who wait for it (single-flight, request collapsing).
//!
//! Who asks after an invalidation must not be given what was computed before it. An invalidation
//! in this process ends the flights that it is about. One elsewhere shows in the store: the ids of
//! the scopes, or the state of the key, are others than those that the flight began under. Where the
//! store can't be asked, or is full and so has no ids, it shows nowhere: such a flight is joined for
//! [`UNCONFIRMED_FLIGHT`] only. So is one whose value has turned out to have tags, for as long as it is
//! not proven that this process is told of all changes: who looks for a key does not ask for tags.
//!
//! - `local`: within one process;
//! - `landing`: how a flight ends, told to all who wait for it;
//! - `lease`: one process computes for all that share the store.

mod landing;
mod lease;
mod local;

use std::time::Duration;

pub use landing::Landing;
pub use lease::FLEET_LEASE;
pub(crate) use lease::{Lease, Taken};
pub use local::{Flights, Follower, Joined, Leader};

/// How long a computation in progress is shared with those who come, where nothing can tell whether
/// it was overtaken by an invalidation elsewhere: the store is away, or full, when it begins or when
/// they ask; or the value has named its tags, and it is not proven that this process is told of all
/// changes (see [`coherence`](crate::coherence); it may have no memory of its own). So this is how
/// long the older value can be given out there, beside what memory may do
/// ([`COHERENCE_BOUND`](crate::COHERENCE_BOUND)). Those who come later begin another computation.
pub const UNCONFIRMED_FLIGHT: Duration = Duration::from_millis(250);
