//! What an operator asks of a running cache: which keys are read most, what is known of an entry,
//! how many entries an invalidation would be about, what the store says of itself.
//!
//! - `top`: the keys that are read most, by a sample;
//! - `inspect`: one entry, without reading it for anybody;
//! - `count`: entries, up to a limit;
//! - `memory`: what is in this process' memory;
//! - `server`: the store's own figures, kept for a few seconds.

mod count;
mod inspect;
mod memory;
mod server;
mod sketch;
mod top;

pub use count::Counted;
pub use inspect::{EntryInfo, EntryTag};
pub use memory::MemoryStats;
pub use server::ServerStats;
pub(crate) use server::{LatestServerStats, parse as parse_server_stats};
pub use top::{TopKey, TopKeys};
pub(crate) use top::Sampler;
