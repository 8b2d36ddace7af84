//! Attempts to break it: origins, clients and requests that do what nobody should.

mod cancelled;
mod counted;
mod dropped;
mod failing_herd;
mod hostile;
mod lengths;
mod stale;
mod stalled;
mod stress;
