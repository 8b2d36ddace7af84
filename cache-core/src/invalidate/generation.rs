//! The local table of generations.
//!
//! A scope's current generation is a random id in the store. Here, each scope in use has a cell
//! with the id as last seen and an **epoch** that counts every change of it. A fill remembers the
//! epochs before it begins; what it produced is valid as long as all of them still stand. Epochs
//! only grow, so an id that comes back (a late reply, a restored snapshot) revives nothing here.
//!
//! A **soft** invalidation leaves the id, and is noted behind it. What was filled before it is then
//! stale: it may be used where what is stale may, but never as fresh.
//!
//! - `stored`: a generation as the store holds it (pure);
//! - `cell`: a scope's generation as this process knows it, and what a fill remembers of it;
//! - `table`: the cells of all scopes in use.

mod cell;
mod stored;
mod table;

pub(crate) use cell::{GenerationCell, GenerationRef, GenerationRefs, Standing};
pub(crate) use stored::{Generation, SOFT_AT, SOFT_KEPT, Soft, render_id};
pub(crate) use table::GenerationTable;

#[cfg(test)]
mod tests;
