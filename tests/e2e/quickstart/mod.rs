//! The quickstart as a process.

mod process;
mod routes;
mod shared;
