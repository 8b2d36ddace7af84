//! The quickstart as a process.

mod operators;
mod process;
mod routes;
mod shared;
