//! The reverse proxy as a process.

mod codings;
mod failures;
mod flags;
mod headers;
mod herd;
mod large;
mod messages;
mod nginx;
mod outage;
mod process;
mod targeted;
