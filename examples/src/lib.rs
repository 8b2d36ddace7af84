//! What the example programs share; the programs themselves lie beside this
//! crate's `src`: [`quickstart`](../quickstart/main.rs) and
//! [`reverse_proxy`](../reverse_proxy/main.rs).
//!
//! - [`args`]: a small parser for command lines.
//! - [`process`]: binding, printing and stopping.

pub mod args;
pub mod process;
