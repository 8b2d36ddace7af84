//! cache-core against real servers: the store contract, every operation on every kind of setup,
//! finality of invalidation, faults, limits.

mod batches;
mod breaker;
mod claims;
mod coherence;
mod contract;
mod corrupt;
mod environment;
mod events;
mod extremes;
mod families;
mod faults;
mod finality_keys;
mod finality_scopes;
mod finality_sweeps;
mod gated_store;
mod gathering;
mod interleave;
mod limits;
mod memory_bounds;
mod named_tags;
mod namespaces;
mod operations;
mod queued;
mod recovery;
mod scopes;
mod secrets;
mod setup;
mod several_scopes;
mod shutdown;
mod stampede;
mod statistics;
mod sweeps;
mod unconfirmed;
mod values;
