//! What an operator asks of a running cache: which keys are read most, what is known of an entry,
//! how many entries an invalidation would be about, what the store says of itself.
//!
//! - `top`: the keys that are read most, by a sample;
//! - `inspect`: one entry, without reading it for anybody;
//! - `count`: entries, up to a limit;
//! - `ended`: that it is shut down, for those who wait for it;
//! - `server`: the store's own figures, kept for a few seconds.

mod count;
mod ended;
mod inspect;
mod server;
mod sketch;
mod top;

pub use count::Counted;
pub(crate) use ended::Ended;
pub use inspect::{EntryInfo, EntryTag};
pub(crate) use server::LatestServerStats;
pub use server::ServerStats;
#[cfg(feature = "redis")]
pub(crate) use server::parse as parse_server_stats;
pub(crate) use top::Sampler;
pub use top::{TopKey, TopKeys};
