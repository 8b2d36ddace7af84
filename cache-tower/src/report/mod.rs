//! What is told about a request: its decision, counted once, in the words of `Cache-Status`.

pub(crate) mod status;
pub(crate) mod tally;
pub(crate) mod told;
pub(crate) mod trace;
