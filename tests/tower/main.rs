//! The response cache as a Tower service, in one process.

mod attack;
mod flights;
mod isolation;
mod policy;
mod setup;
