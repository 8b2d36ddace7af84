#![allow(dead_code, unused_macros, unused_imports)]
mod cluster;
mod coherence;
mod contract;
mod families;
mod finality_keys;
mod finality_sweeps;
mod gated_store;
mod heard;
mod pages;
mod recovery;
mod setup;
mod sweeps;
