//! Every order in which a few tasks can take their steps, tried one after the other.
//!
//! A step is what a task does from one stop to the next. Tasks stop when they begin, before the
//! store or the database does what they ask for, and before they take in its answer; between two
//! stops only one of them runs, until nothing moves any more. So a run is determined by the order
//! in which the stops are left, and [`explore`](explore::explore) goes through all orders, each in
//! a world of its own (stateless model checking, depth first).
//!
//! Orders that differ only in steps that have nothing to do with each other come to the same end;
//! one of them is run (sleep sets, Godefroid 1996). What a step touches is in [`step`]: the memory
//! of its node, keys in the store, the database, the journal of what has been answered.
//!
//! What must hold in each run is in [`verdict`]: no read that begins after an invalidation has
//! answered sees an older value, none comes back later, and new values can be stored and read.
//!
//! Where there are too many orders for every day, the first few are run and some chosen at random,
//! the same ones each time; all of them, which takes a minute of CPU, with
//! `INTERLEAVE_ALL=1 cargo test -p cache-tests --test core -- interleave`.
//!
//! - [`stage`]: where tasks stop; [`backing`]: the store that they stop at, its faults, and
//!   versions of it that break a rule, so that the suite shows that it would notice;
//! - [`world`]: nodes, store and database of one run; [`acts`]: what the tasks do;
//! - [`pairs`], [`outages`], [`crowds`], [`teeth`]: what is run.

mod acts;
mod backing;
mod crowds;
mod explore;
mod outages;
mod pairs;
mod pinned;
mod stage;
mod step;
mod teeth;
mod verdict;
mod world;
