//! What our daemon costs with and without each of its means: `adjunct-bench cost`.
//!
//! Purpose: CPU per transaction of the host, of the simulated cards and of both, in cells that are
//! one step away from a base, and in a crossing of engine, mode and rate; written as a report that
//! can be repeated.
//!
//! Invariants: each round runs all cells, every other round backwards, each with a daemon of its
//! own, so that what changes slowly falls on all alike; changes are computed within a round. A cell
//! that fails is named, and the others go on.
//!
//! What it does not do: say what a real card would cost. Its threads are work of this host, and
//! stand apart.

pub mod matrix;
pub mod measure;
mod page;
mod pictures;
mod run;

pub use run::{Options, run};

#[cfg(test)]
mod tests;
