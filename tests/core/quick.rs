#![allow(dead_code, unused_macros, unused_imports)]
mod cluster;
mod coherence;
mod contract;
mod heard;
mod pages;
mod setup;
mod families;
mod finality_sweeps;
mod sweeps;
